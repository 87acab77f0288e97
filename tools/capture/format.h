// The number formats of the vector files: enough to build a code from its fields and to decode it.
#pragma once

#include <cmath>
#include <cstdint>

namespace fourge::capture {

enum class Specials {
  kInfAndNan,  // IEEE: largest exponent field, fraction 0 = Inf, else NaN
  kNanOnly,    // only the code with every exponent and fraction bit set is a NaN
  kNone,
};

// A code is sign | exponent field | fraction. In a vector file it occupies stored_bits; ignored_bits below
// the code are there but do not matter (tf32: the low 13 bits of an f32 word).
struct Format {
  const char* name;
  int sign_bits;
  int exponent_bits;
  int fraction_bits;
  int bias;
  Specials specials;
  int stored_bits;
  int ignored_bits;

  constexpr uint32_t fraction_mask() const { return (1u << fraction_bits) - 1; }
  constexpr uint32_t all_ones() const { return (1u << (exponent_bits + fraction_bits)) - 1; }
  constexpr uint32_t code_mask() const { return (1u << (sign_bits + exponent_bits + fraction_bits)) - 1; }
  constexpr uint32_t sign_mask() const { return sign_bits << (exponent_bits + fraction_bits); }
  constexpr int largest_field() const { return (1 << exponent_bits) - 1; }
  constexpr int largest_finite_field() const {
    return largest_field() - (specials == Specials::kInfAndNan ? 1 : 0);
  }
  constexpr int least_exponent() const { return 1 - bias; }
  constexpr int largest_exponent() const { return largest_finite_field() - bias; }
};

inline constexpr Format kF32{"f32", 1, 8, 23, 127, Specials::kInfAndNan, 32, 0};
inline constexpr Format kF16{"f16", 1, 5, 10, 15, Specials::kInfAndNan, 16, 0};
inline constexpr Format kBf16{"bf16", 1, 8, 7, 127, Specials::kInfAndNan, 16, 0};
inline constexpr Format kTf32{"tf32", 1, 8, 10, 127, Specials::kInfAndNan, 32, 13};
inline constexpr Format kE5m2{"e5m2", 1, 5, 2, 15, Specials::kInfAndNan, 8, 0};
inline constexpr Format kE4m3{"e4m3", 1, 4, 3, 7, Specials::kNanOnly, 8, 0};
inline constexpr Format kE3m2{"e3m2", 1, 3, 2, 3, Specials::kNone, 8, 0};
inline constexpr Format kE2m3{"e2m3", 1, 2, 3, 1, Specials::kNone, 8, 0};
inline constexpr Format kE2m1{"e2m1", 1, 2, 1, 1, Specials::kNone, 4, 0};
inline constexpr Format kUe4m3{"ue4m3", 0, 4, 3, 7, Specials::kNanOnly, 8, 0};
inline constexpr Format kUe8m0{"ue8m0", 0, 8, 0, 127, Specials::kNanOnly, 8, 0};

// Value of a finite code, exact. UE8M0 has no zero: field 0 is 2^-127.
inline double decode(const Format& format, uint32_t code) {
  const int field = int(code >> format.fraction_bits) & format.largest_field();
  const uint32_t fraction = code & format.fraction_mask();
  if (&format == &kUe8m0) return std::ldexp(1.0, field - format.bias);
  const uint32_t significand = field == 0 ? fraction : fraction | 1u << format.fraction_bits;
  const int exponent = (field == 0 ? 1 : field) - format.bias - format.fraction_bits;
  const double magnitude = std::ldexp(double(significand), exponent);
  return code & format.sign_mask() ? -magnitude : magnitude;
}

inline bool is_finite(const Format& format, uint32_t code) {
  const uint32_t magnitude = code & format.all_ones();
  switch (format.specials) {
    case Specials::kInfAndNan:
      return int(magnitude >> format.fraction_bits) != format.largest_field();
    case Specials::kNanOnly:
      return magnitude != format.all_ones();
    case Specials::kNone:
      return true;
  }
  return true;
}

// The finite code nearest to value toward zero; beyond the largest finite value, that one.
inline uint32_t encode_toward_zero(const Format& format, double value) {
  const uint32_t sign = std::signbit(value) ? format.sign_mask() : 0;
  const double magnitude = std::fabs(value);
  if (magnitude == 0) return sign;
  int exponent = std::ilogb(magnitude);
  if (exponent < format.least_exponent()) exponent = format.least_exponent();
  if (exponent > format.largest_exponent()) {
    uint32_t code = uint32_t(format.largest_finite_field()) << format.fraction_bits | format.fraction_mask();
    if (!is_finite(format, code)) --code;
    return sign | code;
  }
  const auto significand = uint32_t(std::ldexp(magnitude, format.fraction_bits - exponent));
  // The hidden bit of a normal significand carries into the field, so field - 1 is what must be added.
  uint32_t code = (uint32_t(exponent + format.bias - 1) << format.fraction_bits) + significand;
  if (!is_finite(format, code)) --code;
  return sign | code;
}

}  // namespace fourge::capture
