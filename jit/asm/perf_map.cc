#include "jit/asm/perf_map.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>

namespace fourge::jit {
namespace {

Status refusal(const std::string& path) {
  return {Error::kIo, "cannot write the perf map", path + ": " + std::strerror(errno)};
}

}  // namespace

Status append_to_perf_map(const CodeView& code) {
  const std::string path = "/tmp/perf-" + std::to_string(getpid()) + ".map";
  // Everyone may put files into /tmp: a link or a file of another user is not written to.
  const int descriptor = open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0644);
  if (descriptor < 0) return refusal(path);
  struct stat info {};
  if (fstat(descriptor, &info) != 0 || info.st_uid != geteuid() || !S_ISREG(info.st_mode)) {
    close(descriptor);
    return {Error::kIo, "the perf map belongs to another user", path};
  }
  char numbers[64];
  std::snprintf(numbers, sizeof numbers, "%llx %zx ", static_cast<unsigned long long>(address_of(code.code)),
                code.code.size());
  const std::string line = numbers + std::string(code.name) + "\n";
  const bool written = write(descriptor, line.data(), line.size()) == static_cast<ssize_t>(line.size());
  const Status status = written ? Status() : refusal(path);
  close(descriptor);
  return status;
}

}  // namespace fourge::jit
