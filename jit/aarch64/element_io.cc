#include "jit/aarch64/element_io.h"

namespace fourge::jit {

using namespace vixl::aarch64;  // NOLINT(google-build-using-namespace): register names

void AArch64ElementIo::load_transposed(int first, const Register& from, ElementFormat format) {
  const VRegister x0 = v(first), x1 = v(first + 1), x2 = v(first + 2), x3 = v(first + 3);
  if (format == ElementFormat::f32) {
    Ld4(x0.V4S(), x1.V4S(), x2.V4S(), x3.V4S(), MemOperand(from, 64, PostIndex));
    return;
  }
  Ld4(x0.V4H(), x1.V4H(), x2.V4H(), x3.V4H(), MemOperand(from, 32, PostIndex));
  for (const VRegister& x : {x0, x1, x2, x3}) {
    if (format == ElementFormat::f16) {
      Fcvtl(x.V4S(), x.V4H());
    } else {
      Shll(x.V4S(), x.V4H(), 16);
    }
  }
}

void AArch64ElementIo::load_io_constants(const VRegister& one, const VRegister& half_ulp) {
  one_ = one, half_ulp_ = half_ulp;
  Movi(one.V4S(), 1);
  Movi(half_ulp.V4S(), 0x7f, MSL, 8);
}

// bf16: bits + 0x7fff + lsb carries into the exponent by itself; NaN lanes add nothing.
void AArch64ElementIo::store_from_f32(const Register& base, std::int64_t bytes, const VRegister& src,
                                      ElementFormat format, const VRegister& t0, const VRegister& t1) {
  if (format == ElementFormat::f32) {
    Str(src, MemOperand(base, bytes));
    return;
  }
  if (format == ElementFormat::f16) {
    Fcvtn(src.V4H(), src.V4S());
  } else {
    Ushr(t0.V4S(), src.V4S(), 16);
    Fcmeq(t1.V4S(), src.V4S(), src.V4S());
    And(t0.V16B(), t0.V16B(), one_.V16B());
    Add(t0.V4S(), t0.V4S(), half_ulp_.V4S());
    And(t0.V16B(), t0.V16B(), t1.V16B());
    Add(src.V4S(), src.V4S(), t0.V4S());
    Shrn(src.V4H(), src.V4S(), 16);
  }
  Str(src.D(), MemOperand(base, bytes));
}

}  // namespace fourge::jit
