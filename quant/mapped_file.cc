#include "quant/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "quant/text.h"

namespace fourge::quant {

namespace {

/// Closes a descriptor at the end of a scope.
struct Descriptor {
  explicit Descriptor(int fd) : value(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (value >= 0) ::close(value);
  }
  int value;
};

}  // namespace

Result<MappedFile> MappedFile::open(const std::filesystem::path& path) {
  // O_NONBLOCK: a FIFO without a writer must not hang here.
  const Descriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (fd.value < 0) {
    const int error = errno;
    if (error == ENOENT || error == ENOTDIR) {
      return {Error::kNotFound, "no such file", printable(path.string())};
    }
    return io_failure("cannot open the file", path, error);
  }
  struct stat status {};
  if (::fstat(fd.value, &status) != 0) return io_failure("cannot examine the file", path, errno);
  if (!S_ISREG(status.st_mode)) {
    return {Error::kBadFile, "expected a regular file", printable(path.string())};
  }
  MappedFile file;
  file.size_ = static_cast<std::size_t>(status.st_size);
  if (file.size_ == 0) return file;
  void* data = ::mmap(nullptr, file.size_, PROT_READ, MAP_PRIVATE, fd.value, 0);
  if (data == MAP_FAILED) {
    file.size_ = 0;
    return io_failure("cannot map the file into memory", path, errno);
  }
  file.data_ = static_cast<const std::uint8_t*>(data);
  return file;
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<std::uint8_t*>(data_), size_);
}

}  // namespace fourge::quant
