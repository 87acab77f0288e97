// A file mapped read-only into memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>

#include "fourge/error.h"

namespace fourge::quant {

/// Owns the mapping; moves, does not copy. A file that another process shortens while it is mapped raises
/// SIGBUS on access: that cannot be told from here.
class MappedFile {
 public:
  /// kNotFound when there is no such file, kBadFile when it is not a regular file, kIo otherwise.
  static Result<MappedFile> open(const std::filesystem::path& path);

  MappedFile() = default;
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  ~MappedFile();

  std::span<const std::uint8_t> bytes() const { return {data_, size_}; }

 private:
  const std::uint8_t* data_ = nullptr;  // null for an empty file
  std::size_t size_ = 0;
};

}  // namespace fourge::quant
