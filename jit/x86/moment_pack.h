// f32 columns -> codes of the second moment, split into bytes.
#pragma once

#include "jit/asm/x86_generator.h"
#include "jit/second_moment/second_moment_kernel.h"
#include "jit/x86/constant_pool.h"

namespace fourge::jit {

/// Emits the packing of one panel: MomentPackArgs. F, BW, DQ, VL, VNNI.
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
  void generate() override;
  void load_arguments();
  void largest_of_columns();
  void scales();
  void scale_half(int half);
  void code_loop();
  void load_token(int token);
  void pack_four();
  void transpose_loop();
  void transpose();
  Xbyak::Address word(std::uint32_t value) { return pool_word(pool_.word(value)); }
  Xbyak::Address table(const ConstantPool::Table& values) { return ptr[rip + pool_.table(values)]; }

  // Vector registers, by role.
  const Xbyak::Zmm amax = zmm0, biased = zmm1, to_code = zmm2, scaled = zmm3, scale = zmm4;
  static Xbyak::Zmm token_codes(int token) { return Xbyak::Zmm(5 + token); }
  const Xbyak::Zmm half_up = zmm9, ones = zmm10, sum_high = zmm11, sum_low = zmm12, bytes = zmm13,
                   other_bytes = zmm14, magnitude = zmm15;
  static Xbyak::Zmm select(int part, int pair) { return Xbyak::Zmm(16 + 2 * part + pair); }
  const Xbyak::Opmask columns_mask = k1, token_mask = k2, odd_words = k3, not_finite = k4, dead = k5, over = k6;

  // General registers, by role.
  const Xbyak::Reg64 args = rdi, x = rsi, stride = rdx, tokens_left = rcx, panel = r8, rows_left = r9;
  const Xbyak::Reg64 stride_3 = r10, x_token = r11, columns = rax, mask = rbx, chosen = r12, steps = r13;

  bool transposed_;
  ConstantPool pool_;
};

}  // namespace fourge::jit
