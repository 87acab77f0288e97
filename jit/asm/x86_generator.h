// Base of the x86-64 generators: one kernel, emitted once, then moved into executable memory.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "fourge/error.h"
#include "jit/asm/executable_code.h"
#include "jit/asm/frame.h"
#include "jit/asm/kernel_notes.h"
#include "jit/verbose.h"

// Xbyak's own headers are not clean under -Wconversion and -Wshadow.
#if defined(__GNUC__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wpedantic"
#endif
#include <xbyak/xbyak.h>
#if defined(__GNUC__)
#pragma GCC diagnostic pop
// Displacements are signed, Xbyak adds them as size_t: clang counts that into -Wconversion, gcc does not.
#pragma GCC diagnostic ignored "-Wsign-conversion"
#endif

namespace fourge::jit {

/// A generator derives from this, emits in generate(), and is used once. System V calling convention.
class X86Generator : protected Xbyak::CodeGenerator {
 public:
  explicit X86Generator(bool poison = false)
      : Xbyak::CodeGenerator(kBufferBytes, Xbyak::DontSetProtectRWE), poison_(poison) {}
  virtual ~X86Generator() = default;

  /// The one place where an assembler exception becomes an Error.
  Result<ExecutableCode> assemble(std::string name) {
    const auto begin = std::chrono::steady_clock::now();
    try {
      generate();
      ready();
      Result<ExecutableCode> code = ExecutableCode::create({getCode(), getSize()}, std::move(name), frame_);
      if (code.ok()) say_generated(code->name(), code->bytes(), begin);
      return code;
    } catch (const Xbyak::Error& error) {
      return {Error::kCodegen, Xbyak::ConvertErrorToString(error), std::move(name)};
    } catch (const std::bad_alloc&) {
      return {Error::kOutOfMemory, "no memory for the code buffer", std::move(name)};
    }
  }

  virtual KernelNotes notes() const = 0;

 protected:
  virtual void generate() = 0;

  // Bytes of stack the body may use at `scratch`, 64-byte aligned; the caller's stack pointer lies above it.
  //
  //   caller's rsp -> | return address |
  //                   | rbp rbx r12..15 mxcsr |
  //        scratch -> | local bytes, 64-byte aligned | <- rsp
  //
  // MXCSR becomes the default (round to nearest, no flush to zero, no denormals-are-zero, all masked):
  // results do not depend on the caller's mode.
  void prologue(int local_bytes) {
    push(rbp);
    frame(FrameStep::Kind::cfa, dwarf::kRsp, 16);
    frame(FrameStep::Kind::saved, dwarf::kRbp, -16);
    mov(rbp, rsp);
    frame(FrameStep::Kind::cfa, dwarf::kRbp, 16);
    for (int i = 0; i < kSavedCount; ++i) {
      push(kSaved[i]);
      frame(FrameStep::Kind::saved, kSavedDwarf[i], -8 * (i + 3));
    }
    sub(rsp, 8);
    stmxcsr(dword[rsp]);
    mov(dword[rsp + 4], kDefaultMxcsr);
    ldmxcsr(dword[rsp + 4]);
    sub(rsp, local_bytes);
    and_(rsp, -64);
    if (poison_) poison_vectors();
  }

  void epilogue() {
    lea(rsp, ptr[rbp - 8 * (kSavedCount + 1)]);
    ldmxcsr(dword[rsp]);
    add(rsp, 8);
    for (int i = kSavedCount - 1; i >= 0; --i) pop(kSaved[i]);
    pop(rbp);
    frame(FrameStep::Kind::remember);
    frame(FrameStep::Kind::cfa, dwarf::kRsp, 8);
    frame(FrameStep::Kind::restored, dwarf::kRbp);
    vzeroupper();
    ret();
    frame(FrameStep::Kind::recall);
  }

  // A 32-bit word of the pool, as a broadcast operand: vpandd(x, x, pool_word(label)).
  Xbyak::Address pool_word(const Xbyak::Label& label) { return ptr_b[rip + label]; }

  bool poison() const { return poison_; }

 private:
  static constexpr std::size_t kBufferBytes = std::size_t{256} << 10;
  static constexpr std::uint32_t kDefaultMxcsr = 0x1f80;
  static constexpr int kSavedCount = 5;
  const Xbyak::Reg64 kSaved[kSavedCount] = {rbx, r12, r13, r14, r15};
  static constexpr std::uint8_t kSavedDwarf[kSavedCount] = {dwarf::kRbx, dwarf::kR12, dwarf::kR12 + 1,
                                                            dwarf::kR12 + 2, dwarf::kR12 + 3};

  void frame(FrameStep::Kind kind, std::uint8_t reg = 0, std::int32_t value = 0) {
    frame_.push_back({static_cast<std::uint32_t>(getSize()), kind, reg, value});
  }

  // All ones is a NaN in every float format and -1 in every integer: a register read before it is written
  // shows.
  void poison_vectors() {
    for (int i = 0; i < 32; ++i) vpternlogd(Xbyak::Zmm(i), Xbyak::Zmm(i), Xbyak::Zmm(i), 0xff);
    for (int i = 1; i < 8; ++i) kxnorw(Xbyak::Opmask(i), Xbyak::Opmask(i), Xbyak::Opmask(i));
  }

  bool poison_;
  std::vector<FrameStep> frame_;
};

}  // namespace fourge::jit
