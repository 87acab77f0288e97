// Decoding of 4-bit blocks for Advanced SIMD.
#pragma once

#include "fourge/decode.h"
#include "jit/asm/aarch64_generator.h"
#include "simd/decode.h"

namespace fourge::jit {

/// Emits decode_<output>_<format>__neon: void(const simd::DecodeArgs*).
///
/// A block's scale selects a row of 16 outputs. Byte t of every output comes from byte t of the row:
///
///   ld4 (ld2)   the row's bytes 0, 1, 2, 3 (0, 1) of 16 outputs in one register each
///   tbl         byte t of 16 elements, by their codes
///   st4 (st2)   16 outputs
class AArch64DecodeGenerator : public AArch64Generator {
 public:
  AArch64DecodeGenerator(const DecodeSpec& spec, bool poison) : AArch64Generator(poison), spec_(spec) {}
  KernelNotes notes() const override;

 private:
  void generate() override;
  void load_row();
  void sixteen(const VRegister& codes_in_order);

  bool is_wide() const { return spec_.output == ElementFormat::f32; }

  // Vector registers, by role.
  static VRegister plane(int t) { return v(t); }       // 0..3: byte t of the row's outputs
  static VRegister output(int t) { return v(4 + t); }  // 4..7: byte t of 16 elements
  const VRegister packed = v(16), high = v(17), first = v(18), second = v(19), nibble_mask = v(20);

  // General registers, by role.
  const Register args = x(0), codes = x(1), scales = x(2), y = x(3), table = x(4), blocks_left = x(5);
  const Register row = x(6);

  DecodeSpec spec_;
};

}  // namespace fourge::jit
