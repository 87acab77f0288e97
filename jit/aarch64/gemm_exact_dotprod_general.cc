// The general path of the exact GEMM kernel for dot products: the routine that rows without a certificate
// call.
#include <bit>
#include <cstddef>
#include <cstdlib>

#include "jit/aarch64/gemm_exact_dotprod.h"

namespace fourge::jit {

using namespace vixl::aarch64;  // NOLINT(google-build-using-namespace): register and condition names

// One row by numerics.md 4.2, for every input: align to the largest exponent, truncate, add, round toward
// zero. A routine: called with general_a and general_acc, keeps v16..v23. f64 holds every step exactly: a
// term has at most 24 significant bits, its exponent is within +-600, and the sum of the truncated terms is
// an integer below 2^50.
void ExactDotprodGenerator::general_row() {
  Label ready, next_columns;
  Add(general_count, general_count, 1);
  Cbnz(exponents_ready, &ready);
  prepare_exponents();
  Mov(exponents_ready, 1);
  Bind(&ready);
  general_dots();
  Mov(column, 0);
  Bind(&next_columns);
  general_columns();
  Add(column, column, 8);
  Cmp(column, 4 * kPanelCols);
  B(&next_columns, lt);
  Ret();
}

// The exponents of the panel's scales. A zero ue4m3 scale counts as -126; NaN scales as 4096.
void ExactDotprodGenerator::prepare_exponents() {
  for (int s = 0; s < scales(); ++s) {
    for (int q = 0; q < kQuarters; ++q) {
      Ldr(t0.S(), MemOperand(scale_bytes, kPanelCols * s + 4 * q));
      Uxtl(t0.V8H(), t0.V8B());
      Uxtl(t0.V4S(), t0.V4H());
      if (ue4m3()) {
        Bic(t0.V4S(), 0x80);
        Ushr(t1.V4S(), t0.V4S(), 3);
        Movi(t2.V4S(), 1);
        Umax(t1.V4S(), t1.V4S(), t2.V4S());  // subnormals have the exponent of the first binade
        Movi(t2.V4S(), 7);
        Sub(t1.V4S(), t1.V4S(), t2.V4S());
        Cmeq(t2.V4S(), t0.V4S(), 0);
        Mvni(t3.V4S(), 125);  // -126
        Bit(t1.V16B(), t3.V16B(), t2.V16B());
        Movi(t2.V4S(), 0x7f);
      } else {
        Movi(t2.V4S(), 127);
        Sub(t1.V4S(), t0.V4S(), t2.V4S());
        Movi(t2.V4S(), 0xff);
      }
      static_assert(kNanScaleExponent == 4096 && kZeroScaleExponent == -126);
      Cmeq(t2.V4S(), t0.V4S(), t2.V4S());
      Movi(t3.V4S(), 0x10, LSL, 8);
      Bit(t1.V16B(), t3.V16B(), t2.V16B());
      Str(t1, local(kExponentsAt + 64 * s, q));
    }
  }
}

void ExactDotprodGenerator::general_dots() {
  const VRegister a = v(4), b = v(5);
  for (int g = 0; g < kGroups; ++g) {
    for (int q = 0; q < kQuarters; ++q) Movi(dot(0, q).V2D(), 0);
    Ldr(a, MemOperand(general_a, 16 * g));
    for (int t = 0; t < 4; ++t) {
      for (int q = 0; q < kQuarters; ++q) {
        Ldr(b, MemOperand(quads, 64 * (4 * g + t) + 16 * q));
        Sdot(dot(0, q).V4S(), b.V16B(), a.S4B(), t);
      }
    }
    for (int q = 0; q < kQuarters; ++q) Str(dot(0, q), local(kDotsAt + 64 * g, q));
  }
}

// Two columns from `column` on.
void ExactDotprodGenerator::general_columns() {
  largest_exponent();
  sum_of_terms();
  round_toward_zero();
  special_values();
  Str(total.D(), MemOperand(general_acc, column));
}

// largest <- Emax; nan_scales <- which of the columns have a NaN scale; unit <- 2^(35 - Emax) as f64.
void ExactDotprodGenerator::largest_exponent() {
  Add(from, sp, kExponentsAt);
  Add(from, from, column);
  Ldr(t3, activation_field(offsetof(ActivationStep, exponent)));
  Fcvtzs(t3.V4S(), t3.V4S());
  for (int g = 0; g < kGroups; ++g) {
    const VRegister& e = g == 0 ? largest : t0;
    Ldr(e.D(), MemOperand(from, 64 * scale_of(g)));
    Dup(t1.V2S(), t3.V4S(), g);
    Add(e.V2S(), e.V2S(), t1.V2S());
    if (g > 0) Smax(largest.V2S(), largest.V2S(), t0.V2S());
  }
  Movi(t0.V2S(), 0x4, LSL, 8);  // 1024: above every true sum of exponents
  Cmgt(nan_scales.V2S(), largest.V2S(), t0.V2S());

  Ldr(c_pair.D(), MemOperand(general_acc, column));
  Fabs(magnitude.V2S(), c_pair.V2S());
  Ushr(t1.V2S(), magnitude.V2S(), 23);
  Movi(t2.V2S(), 1);
  Umax(t1.V2S(), t1.V2S(), t2.V2S());  // zero counts as subnormal: -126
  Movi(t2.V2S(), 127);
  Sub(t1.V2S(), t1.V2S(), t2.V2S());
  Smax(largest.V2S(), largest.V2S(), t1.V2S());
  Smin(largest.V2S(), largest.V2S(), t0.V2S());  // keeps the unit of a NaN scale a number
  power_of_two(unit, 35, -1);
}

// x <- 2^(constant + sign * largest) as f64; the exponent is that of a normal number.
void ExactDotprodGenerator::power_of_two(const VRegister& x, int constant, int sign) {
  Movi(t0.V2S(), 0x4, LSL, 8);
  Movi(t1.V2S(), static_cast<std::uint64_t>(std::abs(constant + 1023 - 1024)));
  if (constant > 0) {
    Add(t0.V2S(), t0.V2S(), t1.V2S());
  } else {
    Sub(t0.V2S(), t0.V2S(), t1.V2S());
  }
  if (sign > 0) {
    Add(t0.V2S(), t0.V2S(), largest.V2S());
  } else {
    Sub(t0.V2S(), t0.V2S(), largest.V2S());
  }
  Sxtl(x.V2D(), t0.V2S());
  Shl(x.V2D(), x.V2D(), 52);
}

// total <- the sum of the terms, each truncated to an integer number of units.
void ExactDotprodGenerator::sum_of_terms() {
  Fcvtl(total.V2D(), c_pair.V2S());
  Fmul(total.V2D(), total.V2D(), unit.V2D());
  Frintz(total.V2D(), total.V2D());
  Ldr(t3, activation_field(offsetof(ActivationStep, scale)));
  Fcvtl(a_wide(0).V2D(), t3.V2S());
  Fcvtl2(a_wide(1).V2D(), t3.V4S());
  Add(from, sp, kDotsAt);
  Add(from, from, column);
  for (int g = 0; g < kGroups; ++g) {
    Ldr(term.D(), MemOperand(from, 64 * g));
    Sxtl(term.V2D(), term.V2S());
    Scvtf(term.V2D(), term.V2D());
    if (g % groups_per_scale() == 0) load_scale(scale_of(g));
    Fmul(term.V2D(), term.V2D(), scale_pair.V2D());
    Fmul(term.V2D(), term.V2D(), a_wide(g / 2).D(), g % 2);
    Fmul(term.V2D(), term.V2D(), unit.V2D());
    Frintz(term.V2D(), term.V2D());
    Fadd(total.V2D(), total.V2D(), term.V2D());
  }
}

// scale_pair <- two of B's scales as f64. ue8m0 goes by the exponent: as f32 its lowest code has no place.
void ExactDotprodGenerator::load_scale(int scale) {
  Add(to, sp, (ue4m3() ? kScalesAt : kExponentsAt) + 64 * scale);
  Ldr(scale_pair.D(), MemOperand(to, column));
  if (ue4m3()) {
    Fcvtl(scale_pair.V2D(), scale_pair.V2S());
  } else {
    Movi(t0.V2S(), 0x4, LSL, 8);
    Add(scale_pair.V2S(), scale_pair.V2S(), t0.V2S());
    Movi(t0.V2S(), 1);
    Sub(scale_pair.V2S(), scale_pair.V2S(), t0.V2S());
    Sxtl(scale_pair.V2D(), scale_pair.V2S());
    Shl(scale_pair.V2D(), scale_pair.V2D(), 52);
  }
}

// total <- RZ_f32(total / unit), independent of FPCR: the significand cut to 24 bits, then to a multiple of
// 2^-149, then a conversion that has nothing to round. Beyond the largest finite value infinity; -0 is +0.
void ExactDotprodGenerator::round_toward_zero() {
  const auto constant = [this](const VRegister& x, std::uint64_t bits) {
    Mov(to, bits);
    Dup(x.V2D(), to);
  };
  const auto f64 = [](double x) { return std::bit_cast<std::uint64_t>(x); };
  power_of_two(unit, -35, 1);
  Fmul(total.V2D(), total.V2D(), unit.V2D());
  constant(t0, f64(0x1p128));
  Facge(t1.V2D(), total.V2D(), t0.V2D());
  constant(t0, std::uint64_t{0x7ff} << 52);
  And(t2.V16B(), t0.V16B(), t1.V16B());
  constant(t0, ~((std::uint64_t{1} << 29) - 1));
  And(total.V16B(), total.V16B(), t0.V16B());
  Ushr(t0.V2D(), total.V2D(), 63);
  Shl(t0.V2D(), t0.V2D(), 63);
  Orr(t2.V16B(), t2.V16B(), t0.V16B());  // infinity with the sign of total
  Bit(total.V16B(), t2.V16B(), t1.V16B());
  constant(t0, f64(0x1p149));
  constant(t1, f64(0x1p-149));
  Fmul(total.V2D(), total.V2D(), t0.V2D());
  Frintz(total.V2D(), total.V2D());
  Fmul(total.V2D(), total.V2D(), t1.V2D());
  Fcvtn(total.V2S(), total.V2D());
  Movi(t0.V2D(), 0);
  Fadd(total.V2S(), total.V2S(), t0.V2S());
}

// c infinite: c. c NaN or a NaN scale: the canonical NaN.
void ExactDotprodGenerator::special_values() {
  Mov(key, 0x7f80'0000);
  Dup(t0.V2S(), key);
  Cmeq(t1.V2S(), magnitude.V2S(), t0.V2S());
  Bit(total.V8B(), c_pair.V8B(), t1.V8B());
  Cmhi(t1.V2S(), magnitude.V2S(), t0.V2S());
  Orr(t1.V8B(), t1.V8B(), nan_scales.V8B());
  Mov(key, 0x7fff'ffff);
  Dup(t0.V2S(), key);
  Bit(total.V8B(), t0.V8B(), t1.V8B());
}

}  // namespace fourge::jit
