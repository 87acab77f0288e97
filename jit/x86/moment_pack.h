// f32 columns -> codes of the second moment, split into bytes.
#pragma once

#include "jit/asm/x86_generator.h"
#include "jit/second_moment/second_moment_kernel.h"
#include "jit/x86/constant_pool.h"

namespace fourge::jit {

/// Emits the packing of up to four panels, whose tokens are neighbours in memory: MomentPackArgs. F, BW, DQ,
/// VL, VNNI.
///
/// A code q is 256 high + low, both signed bytes. Behind the head:
///
///   rows      [steps][16][high, low][16 columns][4 tokens]      B tiles of AMX; operands of VPDPBUSD
///   columns   [steps][16 columns][high, low][64 tokens]         A tiles of AMX; only when `transposed`
class MomentPackGenerator : public X86Generator {
 public:
  explicit MomentPackGenerator(bool transposed, bool poison = false)
      : X86Generator(poison), transposed_(transposed) {}
  KernelNotes notes() const override;

  static constexpr int kRowBytes = 128, kStepBytes = 16 * kRowBytes;
  static constexpr int kHeadBytes = sizeof(MomentHead);

 private:
  static constexpr int kPanels = simd::kPackPanels;

  void generate() override;
  void load_arguments();
  void largest_of_columns();
  void scales(int p);
  void scale_half(int half);
  void load_constants();
  void step_loop();
  void code_step();
  void load_token(int token);
  void pack_four();
  void transpose_step();
  void transpose();
  Xbyak::Address word(std::uint32_t value) { return pool_word(pool_.word(value)); }
  Xbyak::Address table(const ConstantPool::Table& values) { return ptr[rip + pool_.table(values)]; }

  // Stack: of every panel the 2^-e of its columns, then which of them there are.
  static constexpr int kMasks = 64 * kPanels, kLocalBytes = kMasks + 64;

  // Vector registers, by role.
  static Xbyak::Zmm amax(int p) { return Xbyak::Zmm(20 + p); }
  const Xbyak::Zmm biased = zmm1, to_code = zmm2, scaled = zmm3, scale = zmm4;
  static Xbyak::Zmm token_codes(int token) { return Xbyak::Zmm(5 + token); }
  const Xbyak::Zmm half_up = zmm9, ones = zmm10, sum_high = zmm11, sum_low = zmm12, bytes = zmm13,
                   other_bytes = zmm14, magnitude = zmm15;
  static Xbyak::Zmm select(int part, int pair) { return Xbyak::Zmm(16 + 2 * part + pair); }
  static Xbyak::Opmask columns_mask(int p) { return Xbyak::Opmask(1 + p); }  // until amax is known
  const Xbyak::Opmask not_finite = k5, dead = k6, over = k7, token_mask = k2, odd_words = k3;

  // General registers, by role.
  const Xbyak::Reg64 args = rdi, x = rsi, stride = rdx, tokens_left = rcx, panel = r8, rows_left = r9;
  const Xbyak::Reg64 stride_3 = r10, x_token = r11, mask = rbx, chosen = r12, steps_left = r13,
                     panels_left = rax;
  const Xbyak::Reg64 panel_row = r14, local = r15;
  // While masks are made.
  const Xbyak::Reg64 columns = rax;

  bool transposed_;
  ConstantPool pool_;
};

}  // namespace fourge::jit
