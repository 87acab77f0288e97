#include "jit/asm/executable_code.h"

#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <utility>
#include <vector>

namespace fourge::jit {
namespace {

Status write_file(const std::string& path, std::span<const std::uint8_t> bytes) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "wb"), &std::fclose);
  if (file == nullptr || std::fwrite(bytes.data(), 1, bytes.size(), file.get()) != bytes.size()) {
    return {Error::kIo, "cannot write the code", path + ": " + std::strerror(errno)};
  }
  return {};
}

// objdump's notes on its input and the raw bytes are dropped: "  1f:\tvpxord zmm0,zmm0,zmm0".
std::string strip_listing(const std::string& text) {
  std::string listing;
  std::size_t begin = text.find("<.data>:");
  begin = begin == std::string::npos ? 0 : text.find('\n', begin) + 1;
  while (begin < text.size()) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    listing.append(text, begin, end - begin).push_back('\n');
    begin = end + 1;
  }
  return listing;
}

}  // namespace

ExecutableCode::ExecutableCode(ExecutableCode&& other) noexcept { *this = std::move(other); }

ExecutableCode& ExecutableCode::operator=(ExecutableCode&& other) noexcept {
  std::swap(address_, other.address_);
  std::swap(size_, other.size_);
  std::swap(mapped_, other.mapped_);
  std::swap(name_, other.name_);
  std::swap(announcement_, other.announcement_);
  return *this;
}

ExecutableCode::~ExecutableCode() {
  announcement_.withdraw();
  if (address_ != nullptr) munmap(address_, mapped_);
}

//   address_ -> | code | padding to 8 | .eh_frame | .eh_frame_hdr |
Result<ExecutableCode> ExecutableCode::create(std::span<const std::uint8_t> bytes, std::string name,
                                              std::span<const FrameStep> frame) {
  const auto code_bytes = static_cast<std::uint32_t>(bytes.size());
  std::vector<std::uint8_t> tables, header;
  if (!frame.empty()) {
    tables = eh_frame(kHostMachine, frame, code_bytes);
    header = eh_frame_hdr(tables, code_bytes);
  }
  const std::size_t tables_at = eh_frame_offset(code_bytes), header_at = tables_at + tables.size();
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  ExecutableCode code;
  code.size_ = bytes.size();
  code.mapped_ = (header_at + header.size() + page - 1) / page * page;
  code.name_ = std::move(name);
  void* memory = mmap(nullptr, code.mapped_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return {Error::kOutOfMemory, "no pages for a kernel", code.name_};
  code.address_ = static_cast<std::uint8_t*>(memory);
  std::memcpy(code.address_, bytes.data(), bytes.size());
  if (!frame.empty()) {
    std::memcpy(code.address_ + tables_at, tables.data(), tables.size());
    std::memcpy(code.address_ + header_at, header.data(), header.size());
  }
  if (mprotect(memory, code.mapped_, PROT_READ | PROT_EXEC) != 0) {
    return {Error::kIo, "the system refuses executable pages", code.name_};
  }
  __builtin___clear_cache(reinterpret_cast<char*>(code.address_),
                          reinterpret_cast<char*>(code.address_ + code.size_));
  Result<Announcement> announced = Announcement::make({code.name_,
                                                       code.bytes(),
                                                       {code.address_ + tables_at, tables.size()},
                                                       {code.address_ + header_at, header.size()}});
  if (!announced.ok()) return announced.failure();
  code.announcement_ = std::move(*announced);
  return code;
}

Status dump_code(std::span<const std::uint8_t> bytes, const std::string& name, const std::string& directory) {
  std::error_code ignored;
  std::filesystem::create_directories(directory, ignored);
  return write_file(directory + "/" + name + ".bin", bytes);
}

Status dump_if_asked(const ExecutableCode& code) {
  const char* directory = std::getenv("FOURGE_JIT_DUMP");
  if (directory == nullptr || *directory == '\0') return {};
  return dump_code(code.bytes(), code.name(), directory);
}

Result<std::string> disassemble(std::span<const std::uint8_t> bytes, const std::string& name) {
  std::string path = (std::filesystem::temp_directory_path() / "fourge-kernel-XXXXXX").string();
  const int descriptor = mkstemp(path.data());
  if (descriptor < 0) return {Error::kIo, "cannot make a temporary file", path};
  close(descriptor);
  const Status written = write_file(path, bytes);
  std::string text;
  int exit_status = -1;
  if (written.ok()) {
#if defined(__aarch64__)
    const std::string options = "objdump -D -b binary -m aarch64 --no-show-raw-insn " + path + " 2>/dev/null";
    const std::string command =
        options + " || aarch64-linux-gnu-" + options;  // an emulator's host has the latter
#else
    const std::string command =
        "objdump -D -b binary -mi386:x86-64 -Mintel --no-show-raw-insn " + path + " 2>/dev/null";
#endif
    if (std::FILE* pipe = popen(command.c_str(), "r")) {
      std::array<char, 4096> chunk{};
      while (const std::size_t n = std::fread(chunk.data(), 1, chunk.size(), pipe))
        text.append(chunk.data(), n);
      exit_status = pclose(pipe);
    }
  }
  unlink(path.c_str());
  if (!written.ok()) return written.failure();
  if (exit_status != 0)
    return {Error::kNotFound, "objdump (Debian package binutils) is needed to disassemble", name};
  return strip_listing(text);
}

}  // namespace fourge::jit
