// Quantised activations -> bf16 tiles and the bounds of every segment.
#pragma once

#include "fourge/matrix.h"
#include "jit/asm/x86_generator.h"
#include "jit/gemm/amx_operands.h"

namespace fourge::jit {

class AmxPrepareGenerator : public X86Generator {
 public:
  explicit AmxPrepareGenerator(Format format, bool poison = false) : X86Generator(poison), format_(format) {}
  KernelNotes notes() const override;

 private:
  void generate() override;
  void load_constants();
  void row();
  void begin_segment();
  void step();
  void decode_half(int half);
  void bound_step();
  void last_place_of_scales();
  void end_segment();
  void sum_lanes(const Xbyak::Ymm& x);
  void to_norm(const Xbyak::Xmm& x);
  void emit_constant_pool();

  bool ue4m3() const { return format_ == Format::nvfp4; }
  int scales() const { return stored_scales(format_); }

  // Vector registers, by role.
  const Xbyak::Zmm table = zmm0, spread_bytes = zmm1, nibble_shift = zmm2, finite_bits = zmm3,
                   to_2_112 = zmm4;
  static Xbyak::Zmm scale_words(int half) {
    return Xbyak::Zmm(5 + half);
  }  // byte pattern of a half step's scales
  const Xbyak::Zmm scale_bits = zmm7, step_scales = zmm8, value = zmm9, factor = zmm10, exponent_bias = zmm11,
                   magnitude_bits = zmm12;
  // Bounds, four groups as doubles.
  const Xbyak::Ymm square_table = ymm16, low = ymm18, high = ymm19, zero = ymm20, square_sum = ymm21;
  const Xbyak::Ymm scale = ymm22, exponent = ymm23, smallest = ymm24, largest = ymm25, scratch = ymm26;
  const Xbyak::Xmm scale_dwords = xmm27, unit_exponent = xmm28;
  const Xbyak::Ymm reach_sum = ymm29, step_last = ymm30, spread = ymm31, lowest = ymm13, other_bits = ymm14;
  const Xbyak::Opmask nonzero = k1, never = k2, other = k3;

  // General registers, by role.
  const Xbyak::Reg64 args = rdi, codes = rsi, scale_ptr = rdx, tile_row = rcx, rows_left = r8,
                     steps_left = r9;
  const Xbyak::Reg64 segment_left = r10, bounds = r11, bound_stride = rbx, codes_row = r12, scales_row = r13,
                     tiles = r14;
  const Xbyak::Reg64 row_offset = r15, tmp = rax;

  Format format_;
  Xbyak::Label table_, spread_bytes_, nibble_shift_, finite_bits_, to_2_112_, scale_words_, scale_bits_,
      exponent_bias_;
  Xbyak::Label square_table_, scale_dwords_, nibble_mask_, magnitude_bits_, two_120_, minus_6_, nan_scale_,
      limit_, minus_limit_, infinity_, half_up_, infinity_f32_, minus_2_, minus_127_, no_unit_;
  Xbyak::Label f64_2_, f64_11_, fraction_bits_, hidden_bit_, spread_, lowest_unit_, one_;
};

}  // namespace fourge::jit
