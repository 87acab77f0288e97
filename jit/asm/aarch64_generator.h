// Base of the AArch64 generators: one kernel, emitted once. Runs on every host: on x86-64 the bytes go to
// VIXL's simulator, on 64-bit Arm into executable memory.
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

// VIXL's own headers are not clean under -Wconversion and -Wshadow.
#if defined(__GNUC__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wpedantic"
#pragma GCC diagnostic ignored "-Wunused-parameter"
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
#if !defined(__clang__)
#pragma GCC diagnostic ignored "-Wdeprecated-enum-enum-conversion"
#else
#pragma GCC diagnostic ignored "-Wdeprecated-anon-enum-enum-conversion"
#endif
#endif
#include <aarch64/macro-assembler-aarch64.h>
#if defined(__GNUC__)
#pragma GCC diagnostic pop
// Immediates are uint64_t in VIXL's interface: clang counts their signs into -Wconversion, gcc does not.
#pragma GCC diagnostic ignored "-Wsign-conversion"
#endif

namespace fourge::jit {

/// A generator derives from this, emits in generate(), and is used once. AAPCS64. x16, x17 and x18 are never
/// used: the first two are the assembler's scratch registers, the last belongs to some platforms.
class AArch64Generator : protected vixl::aarch64::MacroAssembler {
 public:
  explicit AArch64Generator(bool poison = false) : poison_(poison) {}
  virtual ~AArch64Generator() = default;

  /// The instructions and the pool behind them. Position-independent.
  std::vector<std::uint8_t> bytes() {
    generate();
    FinalizeCode();
    const auto* begin = GetBuffer()->GetStartAddress<const std::uint8_t*>();
    return {begin, begin + GetSizeOfCodeGenerated()};
  }
  Result<ExecutableCode> assemble(std::string name) {
    const auto begin = std::chrono::steady_clock::now();
    const std::vector<std::uint8_t> code_bytes = bytes();
    Result<ExecutableCode> code = ExecutableCode::create(code_bytes, std::move(name), frame_);
    if (code.ok()) say_generated(code->name(), code->bytes(), begin);
    return code;
  }

  /// How to unwind through the bytes. Valid after bytes().
  const std::vector<FrameStep>& frame() const { return frame_; }

  virtual KernelNotes notes() const = 0;

  /// Where in the bytes the inner loop's straight line lies: for cost estimates. Valid after bytes().
  struct Range {
    std::int64_t begin = 0, end = 0;
  };
  Range inner_step() const { return inner_step_; }

 protected:
  using Label = vixl::aarch64::Label;
  using MemOperand = vixl::aarch64::MemOperand;
  using Register = vixl::aarch64::Register;
  using VRegister = vixl::aarch64::VRegister;

  // FPCR: everything 0 is round to nearest, subnormals kept, no traps; bits 22 and 23 set is toward zero.
  static constexpr std::uint64_t kToNearest = 0, kTowardZero = std::uint64_t{3} << 22;

  virtual void generate() = 0;

  void begin_inner_step() { inner_step_.begin = static_cast<std::int64_t>(GetCursorOffset()); }
  void end_inner_step() { inner_step_.end = static_cast<std::int64_t>(GetCursorOffset()); }

  // Saves what the ABI asks for, sets FPCR, and makes `local_bytes` bytes (a multiple of 16) of stack for the
  // body.
  //
  //   caller's sp -> |                              |
  //                  | fpcr  x19..x28  d8..d15  x29 x30 |
  //           sp  -> | local bytes, 16-byte aligned |
  void prologue(int local_bytes, std::uint64_t fpcr);
  void epilogue();
  // Every later operation rounds so. Clobbers x16.
  void set_fpcr(std::uint64_t fpcr);

  // A label for `count` f32 or u32 words of the pool, and the address of one.
  void pool_words(Label& label, const std::uint32_t* words, int count);
  void pool_bytes(Label& label, const std::uint8_t* bytes, int count);

  static VRegister v(int i) { return VRegister(i, 128); }
  static Register x(int i) { return Register(i, 64); }
  static Register w(int i) { return Register(i, 32); }

 private:
  static constexpr int kSavedBytes = 176;

  void poison_vectors();
  void frame_step(FrameStep::Kind kind, std::uint8_t reg = 0, std::int32_t value = 0) {
    frame_.push_back({static_cast<std::uint32_t>(GetCursorOffset()), kind, reg, value});
  }

  bool poison_;
  std::vector<FrameStep> frame_;
  int local_bytes_ = 0;
  Range inner_step_;
};

}  // namespace fourge::jit
