#include "quant/mxfp4.h"

#include <algorithm>

#include "fourge/rounding.h"

namespace fourge::quant {

namespace {

constexpr std::uint32_t kFractionMask = 0x007f'ffff;
constexpr int kElementMaxExponent = 2;  // 6 = 1.5 * 2^2

constexpr bool is_static(ScaleRule rule) {
  return rule == ScaleRule::static_6 || rule == ScaleRule::static_4;
}

/// Exponent field minus 2, from the bits of a magnitude.
std::uint8_t floor_code(std::uint32_t bits) {
  return static_cast<std::uint8_t>(std::max(static_cast<int>(bits >> 23) - kElementMaxExponent, 0));
}

/// Exponent field, plus 1 unless x is a normal power of two or 0: every subnormal gives 1.
std::uint8_t round_up_code(float x) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(x);
  return static_cast<std::uint8_t>((bits >> 23) + ((bits & kFractionMask) != 0 ? 1 : 0));
}

}  // namespace

std::uint8_t mx_scale_code(ScaleRule rule, float amax) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(amax);
  switch (rule) {
    case ScaleRule::floor:
      return floor_code(bits);
    case ScaleRule::ceil:
      // Adding all ones to the fraction carries into the exponent exactly when the fraction is not 0.
      return floor_code(bits + kFractionMask);
    case ScaleRule::even:
      return floor_code(bits + 0x0020'0000);
    case ScaleRule::rceil:
      return encode_ue8m0(amax * (1.0f / 6.0f), Rounding::rp);
    case ScaleRule::static_4:
      return round_up_code(amax / 4.0f);
    default:
      return round_up_code(amax / 6.0f);
  }
}

std::uint8_t quantize_mx_block(ScaleRule rule, const ScaleBlock& block, const ElementRounder& rounder,
                               std::uint8_t* packed, std::int64_t packed_stride) {
  const std::uint8_t scale_code = mx_scale_code(rule, block_amax(block));
  // 2^(127 - byte) is an f32 for every byte up to 254, so that the product rounds as the quotient does.
  const float multiplier = decode_f32(ElementFormat::ue8m0, 254u - scale_code);
  const bool all_zero = scale_code == 0 && is_static(rule);
  const float zero = is_static(rule) ? kDropSignOfZero : kKeepSignOfZero;
  for (int r = 0; r < block.rows; ++r) {
    std::uint8_t codes[kWidestBlock] = {};
    if (!all_zero) encode_row(block.row(r), block.width, multiplier, zero, rounder, r, codes);
    pack_row(codes, block.width, packed + r * packed_stride);
  }
  return scale_code;
}

}  // namespace fourge::quant
