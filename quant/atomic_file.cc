#include "quant/atomic_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <string>
#include <system_error>
#include <utility>

#include "quant/text.h"

namespace fourge::quant {

namespace {

std::filesystem::path folder_of(const std::filesystem::path& path) {
  return path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
}

/// A name beside `path` that no other writer of this process or of another one takes.
std::filesystem::path temporary_beside(const std::filesystem::path& path) {
  static std::atomic<unsigned> counter{0};
  return folder_of(path) /
         (".fourge-" + std::to_string(::getpid()) + "-" + std::to_string(counter++) + ".tmp");
}

}  // namespace

Result<AtomicFile> AtomicFile::create(const std::filesystem::path& path) {
  if (path.empty()) return {Error::kBadArgument, "expected a file name", "empty path"};
  std::error_code error;
  AtomicFile file;
  file.path_ = path;
  if (std::filesystem::is_symlink(path, error)) {
    file.path_ = std::filesystem::weakly_canonical(path, error);
    if (error) return io_failure("cannot follow the symbolic link", path, error.value());
  }

  struct stat existing {};
  const bool exists = ::stat(file.path_.c_str(), &existing) == 0;
  if (exists && !S_ISREG(existing.st_mode)) {
    return {Error::kBadArgument, "exists and is not a regular file", printable(path.string())};
  }
  for (int attempt = 0; attempt < 100 && file.fd_ < 0; ++attempt) {
    file.temporary_ = temporary_beside(file.path_);
    file.fd_ = ::open(file.temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (file.fd_ < 0 && errno != EEXIST) break;  // EEXIST: left behind by a killed process of the same number
  }
  if (file.fd_ < 0) {
    const int number = errno;
    if (number == ENOENT || number == ENOTDIR) {
      return {Error::kNotFound, "no such folder for the output", printable(folder_of(file.path_).string())};
    }
    return io_failure("cannot create the output", file.path_, number);
  }
  if (exists) static_cast<void>(::fchmod(file.fd_, existing.st_mode & 0777));  // best effort: keep its mode
  return file;
}

AtomicFile::AtomicFile(AtomicFile&& other) noexcept
    : path_(std::move(other.path_)),
      temporary_(std::move(other.temporary_)),
      fd_(std::exchange(other.fd_, -1)) {
  other.temporary_.clear();
}

AtomicFile::~AtomicFile() {
  if (fd_ >= 0) ::close(fd_);
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

Status AtomicFile::write(std::span<const std::uint8_t> bytes) {
  constexpr std::size_t kMostPerCall = std::size_t{1} << 30;  // Linux transfers at most 0x7ffff000
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd_, bytes.data(), std::min(bytes.size(), kMostPerCall));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return io_failure("cannot write the output", path_, errno);
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
  return {};
}

Status AtomicFile::write(std::string_view text) {
  return write(std::span(reinterpret_cast<const std::uint8_t*>(text.data()), text.size()));
}

Status AtomicFile::commit() {
  if (::fsync(fd_) != 0) return io_failure("cannot write the output", path_, errno);
  if (::close(std::exchange(fd_, -1)) != 0) return io_failure("cannot write the output", path_, errno);
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) {
    return io_failure("cannot give the output its name", path_, errno);
  }
  temporary_.clear();
  const int folder = ::open(folder_of(path_).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder >= 0) {
    static_cast<void>(::fsync(folder));  // some file systems refuse it; the content is safe already
    ::close(folder);
  }
  return {};
}

}  // namespace fourge::quant
