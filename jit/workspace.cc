#include "jit/workspace.h"

#include <array>
#include <cstddef>
#include <cstdlib>
#include <memory>

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
    const std::int64_t rounded = (bytes + 4095) / 4096 * 4096;
    buffer.memory.reset(std::aligned_alloc(4096, static_cast<std::size_t>(rounded)));
    buffer.bytes = buffer.memory == nullptr ? 0 : rounded;
  }
  return buffer.memory.get();
}

}  // namespace fourge::jit
