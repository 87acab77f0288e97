// Packed 4-bit weights -> bf16 tiles for TDPBF16PS.
#pragma once

#include "fourge/matrix.h"
#include "jit/asm/x86_generator.h"
#include "jit/gemm/amx_operands.h"

namespace fourge::jit {

class AmxDecodeGenerator : public X86Generator {
 public:
  explicit AmxDecodeGenerator(Format format, bool poison = false) : X86Generator(poison), format_(format) {}
  KernelNotes notes() const override;

 private:
  void generate() override;
  void load_constants();
  void decode_step();
  void element_words(int vector);
  void load_scale(int index);
  void multiply(const Xbyak::Zmm& x, int group);
  void emit_constant_pool();

  bool ue4m3() const { return format_ == Format::nvfp4; }
  static constexpr int kLargestScale =
      125;  // exponent: 6 * 2^125 is the largest element * scale that bf16 has

  // Vector registers, by role.
  const Xbyak::Zmm table = zmm0, finite_bits = zmm1, scale_bits = zmm2, bias = zmm3;
  static Xbyak::Zmm scale(int index) { return Xbyak::Zmm(4 + index); }       // 4..7
  static Xbyak::Zmm codes_at(int nibble) { return Xbyak::Zmm(8 + nibble); }  // 8..11
  static Xbyak::Zmm value(int nibble) { return Xbyak::Zmm(12 + nibble); }    // 12..15
  const Xbyak::Zmm scratch = zmm16;
  const Xbyak::Opmask nonzero = k1, upper_bytes = k2;

  // General registers, by role.
  const Xbyak::Reg64 args = rdi, codes = rsi, scales = rdx, tiles = rcx, steps_left = r8, scratch_bits = rax;

  Format format_;
  Xbyak::Label table_, finite_bits_, scale_bits_, bias_;
};

}  // namespace fourge::jit
