// Stochastic rounding by given random bits: f32 to e2m1 and e4m3.
//
// PTX ISA 9.7.9.21 says of cvt.rs that the number is "rounded toward zero or away from zero based on the
// carry out of the integer addition of rbits to the discarded mantissa bits". The alignment of rbits to the
// discarded bits and the treatment of subnormal results stand only in its figures, so the bits of NVIDIA's
// instruction are not known here. The functions carry the name of this project's policy instead,
// `grid_aligned`:
//
//   lsb        = distance of the two neighbours of x in the target (in the subnormal range too)
//   discarded  = floor((|x| mod lsb) * 2^R / lsb)       the discarded part, cut to R = random_bits bits
//   result     = the neighbour away from zero if discarded + rbits >= 2^R, else the one toward zero
//
// so of the 2^R values of rbits, exactly `discarded` round away: unbiased but for the cut of the discarded
// part. satfinite: |x| above the largest finite value gives that value, as in cvt.rn. NaN as in cvt.rn.
#pragma once

#include <bit>
#include <cstdint>

#include "fourge/formats.h"
#include "fourge/rounding.h"

namespace fourge::reference {

/// 1 <= random_bits <= 32; bits of rbits above them are ignored.
constexpr std::uint8_t cvt_rs_satfinite_grid_aligned(ElementFormat format, float x, std::uint32_t rbits,
                                                     int random_bits) {
  const FormatInfo f = info(format);
  const Number number = decode(ElementFormat::f32, std::bit_cast<std::uint32_t>(x));
  if (number.kind == NumberKind::nan) return static_cast<std::uint8_t>(nan_code(format));
  if (number.kind == NumberKind::infinity) {
    return static_cast<std::uint8_t>(overflow_code(format, number.negative, Overflow::satfinite));
  }
  if (number.significand == 0) return static_cast<std::uint8_t>(place(f, number.negative, 0));
  // |x| in units of 2^-R lsb, cut; adding rbits makes the carry, truncation removes the rest. Where the carry
  // reaches the next binade, that binade's first number is the neighbour.
  const int exponent = number.exponent - number.fraction_bits;
  const int leading = exponent + static_cast<int>(std::bit_width(number.significand)) - 1;
  if (leading > f.max_exponent() + 1) {
    return static_cast<std::uint8_t>(overflow_code(format, number.negative, Overflow::satfinite));
  }
  const int unit = lsb_exponent(f, leading) - random_bits;
  const int shift = exponent - unit;
  const std::uint64_t units = shift >= 0    ? std::uint64_t{number.significand} << shift
                              : shift > -64 ? std::uint64_t{number.significand} >> -shift
                                            : 0;
  const std::uint64_t random = rbits & ((std::uint64_t{1} << random_bits) - 1);
  return static_cast<std::uint8_t>(
      round_pack(f, number.negative, units + random, unit, Rounding::rz, Overflow::satfinite));
}

/// rbits as one element of cvt.rs.satfinite.e2m1x4.f32 gets them: 8.
constexpr std::uint8_t cvt_rs_satfinite_e2m1_f32_grid_aligned(float x, std::uint32_t rbits) {
  return cvt_rs_satfinite_grid_aligned(ElementFormat::e2m1, x, rbits, 8);
}

/// rbits as one element of cvt.rs.satfinite.e4m3x4.f32 gets them: 16.
constexpr std::uint8_t cvt_rs_satfinite_e4m3_f32_grid_aligned(float x, std::uint32_t rbits) {
  return cvt_rs_satfinite_grid_aligned(ElementFormat::e4m3, x, rbits, 16);
}

}  // namespace fourge::reference
