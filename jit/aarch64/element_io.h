// f32 vectors from and to f32, bf16 and f16 in memory: what the AArch64 generators share.
#pragma once

#include "fourge/formats.h"
#include "jit/asm/aarch64_generator.h"

namespace fourge::jit {

/// A generator whose data are plain numbers.
class AArch64ElementIo : public AArch64Generator {
 protected:
  using AArch64Generator::AArch64Generator;

  static int bytes_of(ElementFormat format) { return format == ElementFormat::f32 ? 4 : 2; }

  // v(first .. first + 3) <- 16 elements, exact: element 4 i + j in lane i of the j-th. `from` advances.
  void load_transposed(int first, const Register& from, ElementFormat format);

  // 4 elements at base + bytes <- src, to nearest even, beyond the largest value to infinity; a quiet NaN
  // stays one. src, t0 and t1 are lost. Instructions: f32 1; f16 2; bf16 8 (load_io_constants() first).
  void store_from_f32(const Register& base, std::int64_t bytes, const VRegister& src, ElementFormat format,
                      const VRegister& t0, const VRegister& t1);

  // one <- 1, half_ulp <- 0x7fff.
  void load_io_constants(const VRegister& one, const VRegister& half_ulp);

 private:
  VRegister one_, half_ulp_;
};

}  // namespace fourge::jit
