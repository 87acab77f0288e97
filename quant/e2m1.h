// f32 -> e2m1 to nearest even, without a branch per element. Equal to encode(ElementFormat::e2m1, x) for
// every f32 (tests/quant/e2m1_test.cc).
#pragma once

#include <array>
#include <bit>
#include <cstdint>

#include "fourge/formats.h"

namespace fourge::quant {

/// Value of every e2m1 code.
inline constexpr std::array<float, 16> kE2m1Values = [] {
  std::array<float, 16> values{};
  for (std::uint32_t code = 0; code < values.size(); ++code) {
    values[code] = decode_f32(ElementFormat::e2m1, code);
  }
  return values;
}();

/// |x| rounds above magnitude code i when its bits exceed entry i: the midpoint of codes i and i + 1, or the
/// f32 before it where the tie goes up, to the even code i + 1.
inline constexpr std::array<std::uint32_t, 7> kE2m1Boundaries = [] {
  std::array<std::uint32_t, 7> boundaries{};
  for (std::uint32_t code = 0; code < boundaries.size(); ++code) {
    const float midpoint = (kE2m1Values[code] + kE2m1Values[code + 1]) / 2;
    boundaries[code] = std::bit_cast<std::uint32_t>(midpoint) - code % 2;
  }
  return boundaries;
}();

/// Saturates at 6; -0 and what rounds to it keep the sign (code 8); NaN gives +6, as cvt.satfinite does.
/// Positive f32 are ordered like their bits, NaN last: seven integer comparisons count the code.
constexpr std::uint8_t e2m1_rne(float x) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(x), magnitude = bits & 0x7fff'ffffu;
  std::uint32_t code = 0;
  for (const std::uint32_t boundary : kE2m1Boundaries) code += magnitude > boundary ? 1 : 0;
  const std::uint32_t sign = magnitude > 0x7f80'0000u ? 0 : bits >> 31;
  return static_cast<std::uint8_t>(code | sign << 3);
}

}  // namespace fourge::quant
