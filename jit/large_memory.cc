#include "jit/large_memory.h"

#include <cstddef>
#include <cstdlib>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace fourge::jit {

void* allocate_large(std::int64_t bytes) {
  constexpr std::size_t kSmallPage = 4096, kHugePage = std::size_t{2} << 20;
  const std::size_t page = bytes >= (std::int64_t{1} << 20) ? kHugePage : kSmallPage;
  const std::size_t rounded = (static_cast<std::size_t>(bytes) + page - 1) / page * page;
  void* memory = std::aligned_alloc(page, rounded);
#if defined(__linux__) && defined(MADV_HUGEPAGE)
  if (memory != nullptr && page == kHugePage)
    madvise(memory, rounded, MADV_HUGEPAGE);  // advice: may be refused
#endif
  return memory;
}

}  // namespace fourge::jit
