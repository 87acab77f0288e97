// Decoding for AVX-512: products come out of a table, by a shuffle.
#pragma once

#include "fourge/decode.h"
#include "jit/asm/x86_generator.h"
#include "jit/decode/decode_kernel.h"

namespace fourge::jit {

/// Emits decode_<output>_<format>__avx512: DecodeRows. F, BW.
///
///   f32         16 elements a vector: nibbles to dwords, then vpermps in the scale's row of products
///   bf16, f16   32 elements a vector: nibbles to words, then vpermw in one row (blocks of 32), or once
///               for each half of the vector (blocks of 16)
///
/// The four scales of an iteration are one word of any layout, so only the step to the next word differs.
class DecodeGenerator : public X86Generator {
 public:
  DecodeGenerator(const DecodeSpec& spec, bool poison) : X86Generator(poison), spec_(spec) {}
  KernelNotes notes() const override;

 private:
  static constexpr int kVectorBytes = 64, kUnroll = 4;  // blocks an iteration: a word of scales

  void generate() override;
  void load_arguments();
  void block_loop(int unroll, const Xbyak::Label& done);
  void two_blocks(int block);
  void one_block(int block);
  void block_f32(int block);
  void spread_nibbles(const Xbyak::Zmm& nibbles, const Xbyak::Address& from);
  void row_of(const Xbyak::Reg64& row, int block);

  bool is_f32() const { return spec_.output == ElementFormat::f32; }
  int width() const { return info(spec_.format).block; }
  int out_bytes() const { return is_f32() ? 4 : 2; }
  int row_bytes() const { return 16 * out_bytes(); }

  static Xbyak::Zmm nibbles(int i) { return Xbyak::Zmm(i % 4); }
  static Xbyak::Zmm shifted(int i) { return Xbyak::Zmm(4 + i % 4); }
  static Xbyak::Zmm products(int i) { return Xbyak::Zmm(8 + i % 4); }
  static Xbyak::Zmm row_vector(int i) { return Xbyak::Zmm(12 + i % 8); }
  const Xbyak::Opmask upper_half = k1;

  const Xbyak::Reg64 args = rdi, codes = rsi, scales = rdx, y = rcx, table = r8, blocks_left = r9;
  const Xbyak::Reg64 row0 = rax, row1 = r10;
  const Xbyak::Reg64 row_scales = r11, rows_left = rbx, y_gap = r12, scale_step = r13;

  DecodeSpec spec_;
};

}  // namespace fourge::jit
