// A buffer between two pages that must not be touched.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>
#include <span>

namespace fourge::tests {

/// `bytes` bytes whose end (kAtEnd) or begin (kAtBegin) touches an inaccessible page.
class GuardedBuffer {
 public:
  enum class Place : std::uint8_t { kAtBegin, kAtEnd };

  GuardedBuffer(std::size_t bytes, Place place) : bytes_(bytes) {
    const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    const std::size_t inside = (bytes + page - 1) / page * page;
    mapped_ = inside + 2 * page;
    base_ = static_cast<std::uint8_t*>(mmap(nullptr, mapped_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    mprotect(base_ + page, inside, PROT_READ | PROT_WRITE);
    data_ = base_ + page + (place == Place::kAtEnd ? inside - bytes : 0);
  }
  GuardedBuffer(std::span<const std::uint8_t> content, Place place) : GuardedBuffer(content.size(), place) {
    if (!content.empty()) std::memcpy(data_, content.data(), content.size());
  }
  GuardedBuffer(const GuardedBuffer&) = delete;
  GuardedBuffer& operator=(const GuardedBuffer&) = delete;
  ~GuardedBuffer() { munmap(base_, mapped_); }

  std::uint8_t* data() { return data_; }
  std::size_t size() const { return bytes_; }
  template <class T>
  T* as() {
    return reinterpret_cast<T*>(data_);
  }

 private:
  std::uint8_t* base_ = nullptr;
  std::uint8_t* data_ = nullptr;
  std::size_t bytes_ = 0, mapped_ = 0;
};

template <class T>
std::span<const std::uint8_t> bytes_of_span(std::span<const T> values) {
  return {reinterpret_cast<const std::uint8_t*>(values.data()), values.size_bytes()};
}

}  // namespace fourge::tests
