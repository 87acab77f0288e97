// Memory for measurements.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <cstdint>

namespace fourge::bench {

/// Anonymous pages, huge where the system gives them, so that address translation is not what is measured:
/// whole huge pages, whatever is asked for.
class Pages {
 public:
  explicit Pages(std::int64_t bytes) : bytes_((static_cast<std::size_t>(bytes) / kHuge + 2) * kHuge) {
    void* memory = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return;
    mapping_ = static_cast<std::uint8_t*>(memory);
    const std::size_t past = reinterpret_cast<std::uintptr_t>(memory) % kHuge;
    data_ = mapping_ + (past == 0 ? 0 : kHuge - past);
    madvise(data_, bytes_ - kHuge, MADV_HUGEPAGE);
  }
  Pages(const Pages&) = delete;
  Pages& operator=(const Pages&) = delete;
  ~Pages() {
    if (mapping_ != nullptr) munmap(mapping_, bytes_);
  }
  /// Null when the memory cannot be had.
  std::uint8_t* data() const { return data_; }

 private:
  static constexpr std::size_t kHuge = std::size_t{2} << 20;

  std::size_t bytes_;
  std::uint8_t* mapping_ = nullptr;
  std::uint8_t* data_ = nullptr;
};

}  // namespace fourge::bench
