// Aligned memory, in huge pages where the system grants them.
#pragma once

#include <cstdint>

namespace fourge::jit {

/// At least `bytes` bytes, 4096-byte aligned, to be freed by std::free. From 1 MiB on aligned to 2 MiB and
/// marked for transparent huge pages: panels and tiles walk through thousands of small pages otherwise. Null
/// without memory.
void* allocate_large(std::int64_t bytes);

}  // namespace fourge::jit
