#include "jit/asm/jitdump.h"

#include <elf.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <mutex>
#include <string>
#include <vector>

#include "jit/asm/frame.h"

namespace fourge::jit {
namespace {

// Field by field as the specification lists them; no padding arises.
struct FileHeader {
  std::uint32_t magic = 0x4A695444;  // "JiTD" when the reader has our byte order
  std::uint32_t version = 1;
  std::uint32_t total_size = sizeof(FileHeader);
  std::uint32_t elf_machine = kHostMachine == Machine::aarch64 ? EM_AARCH64 : EM_X86_64;
  std::uint32_t reserved = 0;
  std::uint32_t pid = 0;
  std::uint64_t timestamp = 0;
  std::uint64_t flags = 0;  // timestamps are CLOCK_MONOTONIC: perf record -k mono
};
static_assert(sizeof(FileHeader) == 40);

enum RecordId : std::uint32_t { kCodeLoad = 0, kUnwindingInfo = 4 };

struct RecordHeader {
  std::uint32_t id = kCodeLoad;
  std::uint32_t total_size = 0;
  std::uint64_t timestamp = 0;
};
static_assert(sizeof(RecordHeader) == 16);

struct CodeLoad {  // then the name with its zero, then the code
  std::uint32_t pid = 0, tid = 0;
  std::uint64_t virtual_address = 0;
  std::uint64_t code_address = 0;
  std::uint64_t code_size = 0;
  std::uint64_t code_index = 0;
};
static_assert(sizeof(CodeLoad) == 40);

struct UnwindingInfo {  // then .eh_frame and .eh_frame_hdr
  std::uint64_t unwinding_size = 0;
  std::uint64_t eh_frame_hdr_size = 0;
  std::uint64_t mapped_size = 0;  // of them that lie behind the code in memory
};
static_assert(sizeof(UnwindingInfo) == 24);

std::uint64_t now() {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000u + static_cast<std::uint64_t>(time.tv_nsec);
}

std::filesystem::path folder() {
  const char* chosen = std::getenv("JITDUMPDIR");
  if (chosen != nullptr && *chosen != '\0') return chosen;
  std::error_code ignored;
  const std::filesystem::path temporary = std::filesystem::temp_directory_path(ignored);
  return temporary.empty() ? std::filesystem::path("/tmp") : temporary;
}

class Record {
 public:
  explicit Record(RecordId id) {
    header_.id = id;
    header_.timestamp = now();
    put(header_);
  }
  template <class T>
  void put(const T& value) {
    put(&value, sizeof value);
  }
  void put(const void* data, std::size_t size) {
    const auto* bytes = static_cast<const std::uint8_t*>(data);
    bytes_.insert(bytes_.end(), bytes, bytes + size);
  }
  void pad_to_8() { bytes_.resize((bytes_.size() + 7) / 8 * 8); }
  std::vector<std::uint8_t> finish() {
    header_.total_size = static_cast<std::uint32_t>(bytes_.size());
    std::memcpy(bytes_.data(), &header_, sizeof header_);
    return std::move(bytes_);
  }

 private:
  RecordHeader header_;
  std::vector<std::uint8_t> bytes_;
};

// The dump of this process; a child that forks starts its own.
class DumpFile {
 public:
  Status append(const CodeView& code) {
    const std::scoped_lock lock(mutex_);
    if (pid_ != getpid()) {
      if (const Status opened = create(); !opened.ok()) return opened;
    }
    // perf takes the unwinding record in front of a load record as that one's.
    if (!code.eh_frame.empty()) {
      if (const Status written = write_all(unwinding(code)); !written.ok()) return written;
    }
    return write_all(load(code));
  }

 private:
  Status create() {
    const std::filesystem::path where = folder() / ("jit-" + std::to_string(getpid()) + ".dump");
    path_ = where.string();
    if (descriptor_ >= 0) close(descriptor_);
    unlink(path_.c_str());  // of an earlier process with this number
    descriptor_ = open(path_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (descriptor_ < 0) return refusal();
    pid_ = getpid();
    FileHeader header;
    header.pid = static_cast<std::uint32_t>(pid_);
    header.timestamp = now();
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(&header);
    if (const Status written = write_all({bytes, bytes + sizeof header}); !written.ok()) return written;
    const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    marker_ = mmap(nullptr, page, PROT_READ | PROT_EXEC, MAP_PRIVATE, descriptor_, 0);
    return marker_ == MAP_FAILED ? refusal() : Status();
  }

  static std::vector<std::uint8_t> unwinding(const CodeView& code) {
    Record record(kUnwindingInfo);
    UnwindingInfo info;
    info.unwinding_size = code.eh_frame.size() + code.eh_frame_hdr.size();
    info.eh_frame_hdr_size = code.eh_frame_hdr.size();
    info.mapped_size = info.unwinding_size;
    record.put(info);
    record.put(code.eh_frame.data(), code.eh_frame.size());
    record.put(code.eh_frame_hdr.data(), code.eh_frame_hdr.size());
    record.pad_to_8();
    return record.finish();
  }

  std::vector<std::uint8_t> load(const CodeView& code) {
    Record record(kCodeLoad);
    CodeLoad event;
    event.pid = static_cast<std::uint32_t>(pid_);
    event.tid = static_cast<std::uint32_t>(syscall(SYS_gettid));
    event.virtual_address = event.code_address = address_of(code.code);
    event.code_size = code.code.size();
    event.code_index = next_index_++;
    record.put(event);
    record.put(std::string(code.name).c_str(), code.name.size() + 1);
    record.put(code.code.data(), code.code.size());
    return record.finish();
  }

  Status write_all(const std::vector<std::uint8_t>& bytes) {
    const bool written = write(descriptor_, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size());
    return written ? Status() : refusal();
  }

  Status refusal() const {
    return {Error::kIo, "cannot write the jitdump", path_ + ": " + std::strerror(errno)};
  }

  std::mutex mutex_;
  std::string path_;
  int descriptor_ = -1;
  pid_t pid_ = 0;
  void* marker_ = nullptr;
  std::uint64_t next_index_ = 0;
};

}  // namespace

Status append_to_jitdump(const CodeView& code) {
  static auto* file = new DumpFile;  // never destroyed: perf reads the mapping until the process ends
  return file->append(code);
}

}  // namespace fourge::jit
