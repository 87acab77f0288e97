// Element formats: their fields, and what every code means.
//
//   value = (-1)^s * significand * 2^(exponent - fraction_bits)
//
// Sources: OCP Microscaling Formats (MX) v1.0 for e2m1, e2m3, e3m2, ue8m0; OCP 8-bit Floating Point v1.0 for
// e4m3, e5m2; PTX ISA 9.x for ue4m3 (bit 7 ignored) and tf32 (low 13 bits ignored); IEEE 754 for f16, f32.
#pragma once

#include <bit>
#include <cstdint>

namespace fourge {

enum class ElementFormat : std::uint8_t { e2m1, e2m3, e3m2, e4m3, e5m2, ue4m3, ue8m0, f16, bf16, tf32, f32 };

inline constexpr ElementFormat kElementFormats[] = {
    ElementFormat::e2m1, ElementFormat::e2m3,  ElementFormat::e3m2,  ElementFormat::e4m3,
    ElementFormat::e5m2, ElementFormat::ue4m3, ElementFormat::ue8m0, ElementFormat::f16,
    ElementFormat::bf16, ElementFormat::tf32,  ElementFormat::f32};

/// Which codes are not finite numbers.
enum class Specials : std::uint8_t {
  none,      // every code is finite: e2m1, e2m3, e3m2
  nan_only,  // all exponent and fraction bits set is NaN, no infinity: e4m3, ue4m3
  ieee,      // exponent all ones: infinity if the fraction is 0, else NaN
  ue8m0,     // 0xFF is NaN; no zero, no infinity
};

struct FormatInfo {
  const char* name;
  int exponent_bits;
  int fraction_bits;
  int bias;
  bool has_sign;
  Specials specials;
  int storage_bits;  // of one code where it stands alone: 4, 8, 16 or 32

  constexpr int min_exponent() const { return specials == Specials::ue8m0 ? -bias : 1 - bias; }
  constexpr int max_exponent() const {
    const int all_ones = (1 << exponent_bits) - 1;
    return (specials == Specials::ieee || specials == Specials::ue8m0 ? all_ones - 1 : all_ones) - bias;
  }
  constexpr int code_bits() const { return exponent_bits + fraction_bits + (has_sign ? 1 : 0); }
  /// The largest finite magnitude, as a code without sign.
  constexpr std::uint32_t max_code() const {
    const std::uint32_t all_ones = (std::uint32_t{1} << (exponent_bits + fraction_bits)) - 1;
    switch (specials) {
      case Specials::none:
        return all_ones;
      case Specials::nan_only:
        return all_ones - 1;
      case Specials::ue8m0:
        return all_ones - 1;
      case Specials::ieee:
        return all_ones - (std::uint32_t{1} << fraction_bits);
    }
    return all_ones;
  }
};

constexpr FormatInfo info(ElementFormat format) {
  switch (format) {
    //                                      name    E  M   bias  sign  specials           storage
    case ElementFormat::e2m1:
      return {"e2m1", 2, 1, 1, true, Specials::none, 4};
    case ElementFormat::e2m3:
      return {"e2m3", 2, 3, 1, true, Specials::none, 8};
    case ElementFormat::e3m2:
      return {"e3m2", 3, 2, 3, true, Specials::none, 8};
    case ElementFormat::e4m3:
      return {"e4m3", 4, 3, 7, true, Specials::nan_only, 8};
    case ElementFormat::e5m2:
      return {"e5m2", 5, 2, 15, true, Specials::ieee, 8};
    case ElementFormat::ue4m3:
      return {"ue4m3", 4, 3, 7, false, Specials::nan_only, 8};
    case ElementFormat::ue8m0:
      return {"ue8m0", 8, 0, 127, false, Specials::ue8m0, 8};
    case ElementFormat::f16:
      return {"f16", 5, 10, 15, true, Specials::ieee, 16};
    case ElementFormat::bf16:
      return {"bf16", 8, 7, 127, true, Specials::ieee, 16};
    case ElementFormat::tf32:
      return {"tf32", 8, 10, 127, true, Specials::ieee, 32};
    case ElementFormat::f32:
      return {"f32", 8, 23, 127, true, Specials::ieee, 32};
  }
  return {};
}

constexpr const char* name_of(ElementFormat format) { return info(format).name; }

enum class NumberKind : std::uint8_t { finite, infinity, nan };

/// A decoded number. Subnormals keep the minimum exponent and an unnormalised significand; that matters where
/// hardware aligns terms by exponent. Zero has significand 0 and the minimum exponent.
struct Number {
  NumberKind kind = NumberKind::finite;
  bool negative = false;
  int exponent = 0;
  std::uint32_t significand = 0;  // units of 2^(exponent - fraction_bits)
  int fraction_bits = 0;

  constexpr bool is_zero() const { return kind == NumberKind::finite && significand == 0; }
};

/// tf32 codes are f32 words whose low 13 bits are ignored; ue4m3 ignores bit 7; narrower codes ignore what
/// lies above their width.
constexpr Number decode(ElementFormat format, std::uint32_t code) {
  const FormatInfo f = info(format);
  if (format == ElementFormat::tf32) code >>= 13;
  const std::uint32_t fraction_mask = (std::uint32_t{1} << f.fraction_bits) - 1;
  const std::uint32_t exponent_mask = (std::uint32_t{1} << f.exponent_bits) - 1;
  const std::uint32_t fraction = code & fraction_mask;
  const std::uint32_t biased_exponent = (code >> f.fraction_bits) & exponent_mask;
  const bool negative = f.has_sign && ((code >> (f.exponent_bits + f.fraction_bits)) & 1) != 0;

  Number number{NumberKind::finite, negative, 0, 0, f.fraction_bits};
  if (f.specials == Specials::ue8m0) {
    number.kind = biased_exponent == exponent_mask ? NumberKind::nan : NumberKind::finite;
    number.exponent = static_cast<int>(biased_exponent) - f.bias;
    number.significand = 1;
    return number;
  }
  if (biased_exponent == exponent_mask) {
    if (f.specials == Specials::ieee) number.kind = fraction == 0 ? NumberKind::infinity : NumberKind::nan;
    if (f.specials == Specials::nan_only && fraction == fraction_mask) number.kind = NumberKind::nan;
  }
  number.exponent = (biased_exponent == 0 ? 1 : static_cast<int>(biased_exponent)) - f.bias;
  number.significand = fraction | (biased_exponent == 0 ? 0 : std::uint32_t{1} << f.fraction_bits);
  return number;
}

/// The bit pattern of the f32 that equals the number exactly: every format here fits. NaN gives 0x7fffffff.
constexpr std::uint32_t f32_bits_of(const Number& number) {
  const std::uint32_t sign = number.negative ? 0x8000'0000u : 0u;
  if (number.kind == NumberKind::nan) return 0x7fff'ffffu;
  if (number.kind == NumberKind::infinity) return sign | 0x7f80'0000u;
  if (number.significand == 0) return sign;
  const int width = static_cast<int>(std::bit_width(number.significand));
  const int leading = number.exponent - number.fraction_bits + width - 1;  // exponent of the leading one
  if (leading >= -126) {
    const std::uint32_t fraction = (number.significand << (24 - width)) & 0x007f'ffffu;
    return sign | static_cast<std::uint32_t>(leading + 127) << 23 | fraction;
  }
  return sign | number.significand << (number.exponent - number.fraction_bits + 149);
}

constexpr float decode_f32(ElementFormat format, std::uint32_t code) {
  return std::bit_cast<float>(f32_bits_of(decode(format, code)));
}

/// Twice the value of an e2m1 code, an integer in -12..12. Code 8 is -0 and gives 0.
constexpr int twice_e2m1(unsigned code) {
  const Number number = decode(ElementFormat::e2m1, code);
  const int magnitude = static_cast<int>(number.significand << number.exponent);
  return number.negative ? -magnitude : magnitude;
}

}  // namespace fourge
