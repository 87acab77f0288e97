// Machine code in memory that is never writable and executable at once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "fourge/error.h"
#include "jit/asm/frame.h"
#include "jit/asm/profile.h"

namespace fourge::jit {

/// Owns pages that hold one kernel: filled while writable, then switched to read + execute.
class ExecutableCode {
 public:
  ExecutableCode() = default;
  ExecutableCode(ExecutableCode&& other) noexcept;
  ExecutableCode& operator=(ExecutableCode&& other) noexcept;
  ExecutableCode(const ExecutableCode&) = delete;
  ExecutableCode& operator=(const ExecutableCode&) = delete;
  ~ExecutableCode();

  /// Copies position-independent code and tells debuggers and profilers about it (jit/asm/profile.h).
  /// `frame`: how to unwind through it; empty: unknown. Errors: kOutOfMemory, kIo (the system refuses
  /// executable pages), and those of Announcement::make.
  static Result<ExecutableCode> create(std::span<const std::uint8_t> bytes, std::string name,
                                       std::span<const FrameStep> frame = {});

  const std::string& name() const { return name_; }
  std::span<const std::uint8_t> bytes() const { return {address_, size_}; }
  template <class Function>
  Function entry() const {
    return reinterpret_cast<Function>(reinterpret_cast<std::uintptr_t>(address_));
  }

 private:
  std::uint8_t* address_ = nullptr;
  std::size_t size_ = 0, mapped_ = 0;
  std::string name_;
  Announcement announcement_;
};

/// Writes bytes to DIRECTORY/NAME.bin. Errors: kIo with the path.
Status dump_code(std::span<const std::uint8_t> bytes, const std::string& name, const std::string& directory);

/// dump_code into the folder that FOURGE_JIT_DUMP names; nothing when it is not set.
Status dump_if_asked(const ExecutableCode& code);

/// The listing that objdump makes of code for this machine, one instruction a line. `name` is for messages.
/// Errors: kNotFound when there is no objdump.
Result<std::string> disassemble(std::span<const std::uint8_t> bytes, const std::string& name);

}  // namespace fourge::jit
