// IEEE 754 multiplication, addition and fused multiply-add, round to nearest even, in integers: what an
// epilogue and the lowered fp8 instructions do outside the tensor core. Operands and results are bit
// patterns.
//
// NaN results are canonical (nan_code()). No host floating point, so no host rounding mode or contraction
// matters.
#pragma once

#include <bit>
#include <cstdint>

#include "fourge/formats.h"
#include "fourge/rounding.h"

namespace fourge::reference {

/// (-1)^negative * significand * 2^exponent.
struct Exact {
  bool negative = false;
  std::uint64_t significand = 0;
  int exponent = 0;
};

constexpr Exact exact(const Number& x) { return {x.negative, x.significand, x.exponent - x.fraction_bits}; }

/// f32 x f32: 48 bits, exact.
constexpr Exact multiply(const Exact& x, const Exact& y) {
  return {x.negative != y.negative, x.significand * y.significand, x.exponent + y.exponent};
}

/// Shifts right; a one that falls out is remembered in the lowest bit, which keeps every later rounding
/// right.
constexpr std::uint64_t shift_right_jam(std::uint64_t significand, int count) {
  if (count >= 64) return significand != 0 ? 1 : 0;
  const std::uint64_t kept = significand >> count;
  return kept << count == significand ? kept : kept | 1;
}

inline constexpr int kLeadingBit = 61;  // two bits above it for carry and sign

/// Shifted left until the leading one stands at kLeadingBit. x is not zero and has at most 62 bits.
constexpr Exact normalised(const Exact& x) {
  const int shift = kLeadingBit + 1 - static_cast<int>(std::bit_width(x.significand));
  return {x.negative, x.significand << shift, x.exponent - shift};
}

/// x + y to 62 bits, the lowest of them sticky. An exact zero is +0, unless both are -0 (IEEE 754, 6.3).
constexpr Exact add(Exact x, Exact y) {
  if (x.significand == 0 && y.significand == 0) return {x.negative && y.negative, 0, 0};
  if (x.significand == 0) return y;
  if (y.significand == 0) return x;
  x = normalised(x);
  y = normalised(y);
  if (x.exponent < y.exponent) {
    const Exact larger = y;
    y = x;
    x = larger;
  }
  // Cancellation of more than one bit needs exponents at most one apart; then nothing is shifted out, since
  // the significands had at most 48 bits.
  y.significand = shift_right_jam(y.significand, x.exponent - y.exponent);
  const auto signed_value = [](const Exact& term) {
    const auto magnitude = static_cast<std::int64_t>(term.significand);
    return term.negative ? -magnitude : magnitude;
  };
  const std::int64_t sum = signed_value(x) + signed_value(y);
  return {sum < 0, static_cast<std::uint64_t>(sum < 0 ? -sum : sum), x.exponent};
}

constexpr std::uint32_t round_to(ElementFormat format, const Exact& x) {
  return round_pack(format, x.negative, x.significand, x.exponent, Rounding::rne, Overflow::infinity);
}

/// x * y, operands and result in `format`.
constexpr std::uint32_t multiply(ElementFormat format, std::uint32_t x_bits, std::uint32_t y_bits) {
  const Number x = decode(format, x_bits), y = decode(format, y_bits);
  if (x.kind == NumberKind::nan || y.kind == NumberKind::nan) return nan_code(format);
  if (x.kind == NumberKind::infinity || y.kind == NumberKind::infinity) {
    if (x.is_zero() || y.is_zero()) return nan_code(format);
    return overflow_code(format, x.negative != y.negative, Overflow::infinity);
  }
  return round_to(format, multiply(exact(x), exact(y)));
}

/// x * y + z with one rounding.
constexpr std::uint32_t fused_multiply_add(ElementFormat format, std::uint32_t x_bits, std::uint32_t y_bits,
                                           std::uint32_t z_bits) {
  const Number x = decode(format, x_bits), y = decode(format, y_bits), z = decode(format, z_bits);
  if (x.kind == NumberKind::nan || y.kind == NumberKind::nan || z.kind == NumberKind::nan)
    return nan_code(format);
  const bool infinite_product = x.kind == NumberKind::infinity || y.kind == NumberKind::infinity;
  const bool negative_product = x.negative != y.negative;
  if (infinite_product) {
    if (x.is_zero() || y.is_zero()) return nan_code(format);
    if (z.kind == NumberKind::infinity && z.negative != negative_product) return nan_code(format);
    return overflow_code(format, negative_product, Overflow::infinity);
  }
  if (z.kind == NumberKind::infinity) return overflow_code(format, z.negative, Overflow::infinity);
  return round_to(format, add(multiply(exact(x), exact(y)), exact(z)));
}

/// x + y.
constexpr std::uint32_t add(ElementFormat format, std::uint32_t x_bits, std::uint32_t y_bits) {
  const Number x = decode(format, x_bits), y = decode(format, y_bits);
  if (x.kind == NumberKind::nan || y.kind == NumberKind::nan) return nan_code(format);
  if (x.kind == NumberKind::infinity || y.kind == NumberKind::infinity) {
    if (x.kind == y.kind && x.negative != y.negative) return nan_code(format);
    return overflow_code(format, x.kind == NumberKind::infinity ? x.negative : y.negative,
                         Overflow::infinity);
  }
  return round_to(format, add(exact(x), exact(y)));
}

}  // namespace fourge::reference
