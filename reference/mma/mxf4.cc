#include "reference/mma/mxf4.h"

namespace fourge::reference {
namespace {

// Twice the values of the two codes in a byte, low nibble first.
constexpr auto kTwiceOfByte = [] {
  std::array<std::array<std::int16_t, 2>, 256> table{};
  for (unsigned byte = 0; byte < table.size(); ++byte) {
    table[byte] = {static_cast<std::int16_t>(twice_e2m1(byte & 15u)),
                   static_cast<std::int16_t>(twice_e2m1(byte >> 4))};
  }
  return table;
}();

constexpr int kProductFractionBits = 2;  // twice times twice

constexpr int scale_fraction_bits(Format format) { return info(info(format).scale).fraction_bits; }

// numerics.md 4.2: a zero scale aligns as exponent -126.
constexpr int kZeroScaleExponent = -126;

BlockScale decode_scale(const Number& scale) {
  const int exponent = scale.is_zero() ? kZeroScaleExponent : scale.exponent;
  return {static_cast<std::int16_t>(exponent), static_cast<std::uint16_t>(scale.significand)};
}

// Exact: |twice| <= 12, so |sum| <= 16 * 144 = 2304.
int sum_of_group(const std::int16_t* a, const std::int16_t* b) {
  int sum = 0;
  for (int i = 0; i < kMxf4Group; ++i) sum += a[i] * b[i];
  return sum;
}

}  // namespace

Mxf4Operand decode_mxf4(Format format, std::span<const std::uint8_t, kMxf4Depth / 2> codes,
                        std::span<const std::uint8_t> scales) {
  Mxf4Operand operand;
  for (std::size_t i = 0; i < codes.size(); ++i) {
    operand.twice[2 * i] = kTwiceOfByte[codes[i]][0];
    operand.twice[2 * i + 1] = kTwiceOfByte[codes[i]][1];
  }
  const BlockInfo f = info(format);
  for (std::size_t g = 0; g < kMxf4Groups; ++g) {
    const Number scale = decode(f.scale, scales[g * kMxf4Group / static_cast<std::size_t>(f.block)]);
    operand.scales[g] = decode_scale(scale);
    operand.has_nan |= scale.kind == NumberKind::nan;
  }
  return operand;
}

Mxf4Terms mxf4_terms(Format format, const Mxf4Operand& a, const Mxf4Operand& b, std::uint32_t c,
                     const Mxf4Rules& rules) {
  const int fraction_bits = kProductFractionBits + 2 * scale_fraction_bits(format);
  Mxf4Terms terms;
  for (std::size_t g = 0; g < kMxf4Groups; ++g) {
    const int sum = sum_of_group(&a.twice[g * kMxf4Group], &b.twice[g * kMxf4Group]);
    const BlockScale x = a.scales[g], y = b.scales[g];
    const int significand = sum * x.significand * y.significand;  // at most 2304 * 15 * 15 < 2^19
    terms[g] = {significand, x.exponent + y.exponent, fraction_bits, rules.zero_groups_count || sum != 0};
  }
  const Number addend = decode(ElementFormat::f32, c);  // zero: exponent -126
  const auto magnitude = static_cast<std::int64_t>(addend.significand);
  terms[kMxf4Groups] = {addend.negative ? -magnitude : magnitude, addend.exponent, addend.fraction_bits,
                        true};
  return terms;
}

std::uint32_t mma_mxf4(Format format, const Mxf4Operand& a, const Mxf4Operand& b, std::uint32_t c,
                       const Mxf4Rules& rules, DotAddTrace* trace) {
  // Step 1. Special values. Elements have none; a NaN scale or NaN c makes D the canonical NaN.
  constexpr std::uint32_t kInfinity = 0x7f80'0000u;
  const std::uint32_t magnitude = c & 0x7fff'ffffu;
  if (a.has_nan || b.has_nan || magnitude > kInfinity) {
    return decided(nan_code(ElementFormat::f32), c, "a scale or c is NaN", trace);
  }
  // No source defines an infinite c; docs/numerics.md, policy infinite_c.
  if (magnitude == kInfinity) return decided(c, c, "c is infinite", trace);

  // Step 2. The exact sums of the groups. Steps 3 to 6: align, truncate, add, round.
  if (trace != nullptr) trace->c = c;
  return dot_add(mxf4_terms(format, a, b, c, rules), rules.sum, trace);
}

std::uint32_t mma_mxf4(Format format, std::span<const std::uint8_t, kMxf4Depth / 2> a_codes,
                       std::span<const std::uint8_t> a_scales,
                       std::span<const std::uint8_t, kMxf4Depth / 2> b_codes,
                       std::span<const std::uint8_t> b_scales, std::uint32_t c, const Mxf4Rules& rules) {
  return mma_mxf4(format, decode_mxf4(format, a_codes, a_scales), decode_mxf4(format, b_codes, b_scales), c,
                  rules);
}

}  // namespace fourge::reference
