#include "jit/workspace.h"

#include <array>
#include <cstddef>
#include <cstdlib>
#include <memory>

#include "jit/large_memory.h"

namespace fourge::jit {
namespace {

struct Free {
  void operator()(void* memory) const { std::free(memory); }  // NOLINT(cppcoreguidelines-no-malloc)
};

struct Buffer {
  std::unique_ptr<void, Free> memory;
  std::int64_t bytes = 0;
};

}  // namespace

void* workspace(Workspace purpose, std::int64_t bytes) {
  thread_local std::array<Buffer, static_cast<std::size_t>(Workspace::kCount)> buffers;
  Buffer& buffer = buffers[static_cast<std::size_t>(purpose)];
  if (buffer.bytes < bytes) {
    buffer.memory.reset(allocate_large(bytes));
    buffer.bytes = buffer.memory == nullptr ? 0 : bytes;
  }
  return buffer.memory.get();
}

}  // namespace fourge::jit
