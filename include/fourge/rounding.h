// The one place where a number is rounded to a format: round_pack().
#pragma once

#include <bit>
#include <cstdint>

#include "fourge/formats.h"

namespace fourge {

enum class Rounding : std::uint8_t {
  rne,  // to nearest, ties to even
  rz,   // toward zero
  rp,   // toward plus infinity
};

enum class Overflow : std::uint8_t {
  satfinite,  // to the largest finite value, sign kept
  infinity,   // to infinity; to NaN where the format has NaN but no infinity (sign kept)
};

/// The canonical NaN of a format: 0x7fffffff, 0x7fff, 0x7f...; formats without NaN give their positive
/// maximum, as cvt.satfinite does (PTX ISA 9.7.9.21).
constexpr std::uint32_t nan_code(ElementFormat format) {
  const FormatInfo f = info(format);
  if (f.specials == Specials::none) return f.max_code();
  if (format == ElementFormat::tf32) return 0x7fff'ffffu;
  return (std::uint32_t{1} << (f.exponent_bits + f.fraction_bits)) - 1;
}

/// Where a code's bits lie in the integer that holds it. Formats stored in 32 bits (f32, tf32, kE8m13) are
/// f32 words whose low fraction bits are 0; all others sit in the low bits.
constexpr std::uint32_t place(const FormatInfo& f, bool negative, std::uint32_t magnitude) {
  const std::uint32_t sign =
      negative && f.has_sign ? std::uint32_t{1} << (f.exponent_bits + f.fraction_bits) : 0;
  return f.storage_bits == 32 ? (sign | magnitude) << (32 - f.code_bits()) : sign | magnitude;
}

/// f32 with 13 fraction bits: the output of Hopper's and Ada's fp8 tensor cores. A target of round_pack()
/// only.
inline constexpr FormatInfo kE8m13 = {"e8m13", 8, 13, 127, true, Specials::ieee, 32};

constexpr std::uint32_t overflow_code(const FormatInfo& f, bool negative, Overflow overflow) {
  if (overflow == Overflow::satfinite || f.specials == Specials::none)
    return place(f, negative, f.max_code());
  return place(f, negative, f.max_code() + 1);  // infinity, or the NaN that follows the largest finite code
}
constexpr std::uint32_t overflow_code(ElementFormat format, bool negative, Overflow overflow) {
  return overflow_code(info(format), negative, overflow);
}

/// The weight of the last kept bit, as an exponent of two, of a magnitude in [2^leading, 2^(leading + 1)).
constexpr int lsb_exponent(const FormatInfo& f, int leading) {
  return (leading > f.min_exponent() ? leading : f.min_exponent()) - f.fraction_bits;
}

/// Rounds (-1)^negative * significand * 2^exponent (exact, any width up to 64 bits) to the format `f`.
///
///   significand   1 0 1 1 | 1 0 0 1      kept | discarded, where the kept lsb weighs
///                                        2^(max(leading, min_exponent) - fraction_bits)
///   rne           0b10|1 -> 0b10,  0b11|1 -> 0b100 (ties to even),  anything above half goes up
///
/// Overflow is decided after rounding with an unbounded exponent. A magnitude that rounds to 0 keeps its
/// sign. ue8m0 is not a target here: encode_ue8m0().
constexpr std::uint32_t round_pack(const FormatInfo& f, bool negative, std::uint64_t significand,
                                   int exponent, Rounding rounding, Overflow overflow) {
  if (significand == 0) return place(f, negative, 0);
  const int leading = exponent + static_cast<int>(std::bit_width(significand)) - 1;
  const int lsb = lsb_exponent(f, leading);
  const int discarded_bits = lsb - exponent;

  std::uint64_t kept = 0;
  if (discarded_bits <= 0) {
    kept = significand << -discarded_bits;  // at most fraction_bits + 1 bits wide: no bit is lost
  } else {
    kept = discarded_bits < 64 ? significand >> discarded_bits : 0;
    const std::uint64_t rest = discarded_bits < 64 ? significand - (kept << discarded_bits) : significand;
    // Twice the rest against one lsb; beyond 64 discarded bits the rest is below half an lsb.
    const std::uint64_t half = discarded_bits <= 64 ? std::uint64_t{1} << (discarded_bits - 1) : 0;
    const bool above_half = half != 0 && rest > half, tie = half != 0 && rest == half;
    const bool up = (rounding == Rounding::rne && (above_half || (tie && (kept & 1) != 0))) ||
                    (rounding == Rounding::rp && !negative && rest != 0);
    kept += up ? 1 : 0;
  }
  if (kept == 0) return place(f, negative, 0);

  // A carry out of the significand (kept == 2^(fraction_bits + 1)) raises the exponent by one: adding the
  // fraction to the biased exponent field does that without a test, since the implicit one is added too.
  const bool subnormal = (kept >> f.fraction_bits) == 0;
  const std::int64_t biased_exponent = subnormal ? 0 : lsb + f.fraction_bits + f.bias;
  const std::uint64_t implicit_one = subnormal ? 0 : std::uint64_t{1} << f.fraction_bits;
  if (biased_exponent > (std::int64_t{1} << f.exponent_bits)) return overflow_code(f, negative, overflow);
  const std::uint64_t magnitude =
      (static_cast<std::uint64_t>(biased_exponent) << f.fraction_bits) + (kept - implicit_one);
  if (magnitude > f.max_code()) return overflow_code(f, negative, overflow);
  return place(f, negative, static_cast<std::uint32_t>(magnitude));
}
constexpr std::uint32_t round_pack(ElementFormat format, bool negative, std::uint64_t significand,
                                   int exponent, Rounding rounding, Overflow overflow) {
  return round_pack(info(format), negative, significand, exponent, rounding, overflow);
}

/// f32 bits -> code. NaN gives nan_code(). Infinity overflows. f32 -> f32 is the identity but for NaN.
constexpr std::uint32_t encode_bits(ElementFormat format, std::uint32_t f32_bits, Rounding rounding,
                                    Overflow overflow) {
  const Number x = decode(ElementFormat::f32, f32_bits);
  if (x.kind == NumberKind::nan) return nan_code(format);
  if (!info(format).has_sign && x.negative) return 0;  // ue4m3 holds no negative value
  if (x.kind == NumberKind::infinity) return overflow_code(format, x.negative, overflow);
  return round_pack(format, x.negative, x.significand, x.exponent - x.fraction_bits, rounding, overflow);
}

constexpr std::uint32_t encode(ElementFormat format, float x, Rounding rounding = Rounding::rne,
                               Overflow overflow = Overflow::satfinite) {
  return encode_bits(format, std::bit_cast<std::uint32_t>(x), rounding, overflow);
}

/// |x| -> ue8m0, the power of two at or below (rz) or at or above (rp) the magnitude; the sign is ignored.
/// Below 2^-127 gives 0 (= 2^-127). NaN gives 0xFF; overflow and infinity 0xFE (satfinite) or 0xFF.
/// Source: CUDA 13.0 cuda_fp8.hpp __nv_cvt_float_to_e8m0, all 2^32 inputs compared.
constexpr std::uint8_t encode_ue8m0(float x, Rounding rounding, Overflow overflow = Overflow::satfinite) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(x) & 0x7fff'ffffu;
  if (bits > 0x7f80'0000u) return 0xff;
  const std::uint32_t exponent = bits >> 23, fraction = bits & 0x007f'ffffu;
  std::uint32_t code = exponent;
  if (rounding == Rounding::rp) {
    // 2^-127 is the subnormal fraction 0x400000: only above it does a subnormal round up to 1.
    if (exponent == 0 ? fraction > 0x0040'0000u : fraction != 0) ++code;
  }
  if (code > 0xfe || bits == 0x7f80'0000u) code = overflow == Overflow::satfinite ? 0xfe : 0xff;
  return static_cast<std::uint8_t>(code);
}

}  // namespace fourge
