#include "jit/asm/aarch64_generator.h"

namespace fourge::jit {

using namespace vixl::aarch64;  // NOLINT(google-build-using-namespace): register names

void AArch64Generator::prologue(int local_bytes, std::uint64_t fpcr) {
  local_bytes_ = local_bytes;
  Sub(sp, sp, kSavedBytes);
  frame_step(FrameStep::Kind::cfa, dwarf::kSp, kSavedBytes);
  for (int i = 0; i < 10; i += 2) Stp(x(19 + i), x(20 + i), MemOperand(sp, 8 + 8 * (i + 1)));
  for (int i = 0; i < 8; i += 2) Stp(VRegister(8 + i, 64), VRegister(9 + i, 64), MemOperand(sp, 96 + 8 * i));
  Stp(x29, x30, MemOperand(sp, 160));
  const auto saved = [this](int reg, int at) {
    frame_step(FrameStep::Kind::saved, static_cast<std::uint8_t>(reg), at - kSavedBytes);
  };
  for (int i = 0; i < 10; ++i) saved(dwarf::kX19 + i, 16 + 8 * i);
  for (int i = 0; i < 8; ++i) saved(dwarf::kD8 + i, 96 + 8 * i);
  for (int i = 0; i < 2; ++i) saved(dwarf::kX29 + i, 160 + 8 * i);
  Mrs(x16, FPCR);
  Str(x16, MemOperand(sp));
  Add(x29, sp, 160);
  frame_step(FrameStep::Kind::cfa, dwarf::kX29, kSavedBytes - 160);
  if (local_bytes != 0) Sub(sp, sp, local_bytes);
  set_fpcr(fpcr);
  if (poison_) poison_vectors();
}

void AArch64Generator::epilogue() {
  if (local_bytes_ != 0) Add(sp, sp, local_bytes_);
  Ldr(x16, MemOperand(sp));
  Msr(FPCR, x16);
  for (int i = 0; i < 10; i += 2) Ldp(x(19 + i), x(20 + i), MemOperand(sp, 8 + 8 * (i + 1)));
  for (int i = 0; i < 8; i += 2) Ldp(VRegister(8 + i, 64), VRegister(9 + i, 64), MemOperand(sp, 96 + 8 * i));
  frame_step(FrameStep::Kind::remember);
  frame_step(FrameStep::Kind::cfa, dwarf::kSp, kSavedBytes);
  Ldp(x29, x30, MemOperand(sp, 160));
  Add(sp, sp, kSavedBytes);
  frame_step(FrameStep::Kind::cfa, dwarf::kSp, 0);
  for (int i = 0; i < 12; ++i)
    frame_step(FrameStep::Kind::restored, static_cast<std::uint8_t>(dwarf::kX19 + i));
  for (int i = 0; i < 8; ++i)
    frame_step(FrameStep::Kind::restored, static_cast<std::uint8_t>(dwarf::kD8 + i));
  Ret();
  frame_step(FrameStep::Kind::recall);
}

void AArch64Generator::set_fpcr(std::uint64_t fpcr) {
  Mov(x16, fpcr);
  Msr(FPCR, x16);
}

// All ones is a NaN in every float format and -1 in every integer: a register read before it is written
// shows.
void AArch64Generator::poison_vectors() {
  for (int i = 0; i < 32; ++i) Movi(v(i).V16B(), 0xff);
}

void AArch64Generator::pool_words(Label& label, const std::uint32_t* words, int count) {
  pool_bytes(label, reinterpret_cast<const std::uint8_t*>(words), 4 * count);
}

// 16-byte aligned.
void AArch64Generator::pool_bytes(Label& label, const std::uint8_t* bytes, int count) {
  const auto begin = static_cast<int>(GetCursorOffset());
  const int padding = (16 - begin % 16) % 16;
  vixl::EmissionCheckScope guard(this, static_cast<std::size_t>(padding + (count + 3) / 4 * 4));
  for (int i = 0; i < padding; i += 4) dc32(0);
  bind(&label);
  for (int i = 0; i < count; i += 4) {
    std::uint32_t word = 0;
    for (int j = 0; j < 4 && i + j < count; ++j) word |= std::uint32_t{bytes[i + j]} << 8 * j;
    dc32(word);
  }
}

}  // namespace fourge::jit
