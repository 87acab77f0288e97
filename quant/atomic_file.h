// A file that appears under its name complete or not at all.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string_view>

#include "fourge/error.h"

namespace fourge::quant {

/// Writes to a temporary in the folder of `path` and renames it over `path` in commit(). Until then, and on
/// every failure, what stood at `path` is untouched; the destructor removes the temporary.
class AtomicFile {
 public:
  /// A symbolic link is followed. kBadArgument when `path` is something other than a regular file (a folder,
  /// a device); kNotFound when its folder does not exist; kIo otherwise.
  static Result<AtomicFile> create(const std::filesystem::path& path);

  AtomicFile(AtomicFile&& other) noexcept;
  AtomicFile& operator=(AtomicFile&&) = delete;
  ~AtomicFile();

  Status write(std::span<const std::uint8_t> bytes);
  Status write(std::string_view text);
  /// fsync, rename, fsync of the folder. Call once, last.
  Status commit();

 private:
  AtomicFile() = default;

  std::filesystem::path path_;
  std::filesystem::path temporary_;
  int fd_ = -1;
};

}  // namespace fourge::quant
