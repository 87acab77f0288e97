// Memory for measurements.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <cstdint>

namespace fourge::bench {

/// Anonymous pages, huge where the system gives them, so that address translation is not what is measured.
class Pages {
 public:
  explicit Pages(std::int64_t bytes) : bytes_(static_cast<std::size_t>(bytes)) {
    void* memory = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return;
    address_ = static_cast<std::uint8_t*>(memory);
    madvise(memory, bytes_, MADV_HUGEPAGE);
  }
  Pages(const Pages&) = delete;
  Pages& operator=(const Pages&) = delete;
  ~Pages() {
    if (address_ != nullptr) munmap(address_, bytes_);
  }
  /// Null when the memory cannot be had.
  std::uint8_t* data() const { return address_; }

 private:
  std::uint8_t* address_ = nullptr;
  std::size_t bytes_;
};

}  // namespace fourge::bench
