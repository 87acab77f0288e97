#include "quant/nvfp4.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "fourge/rounding.h"

namespace fourge::quant {

namespace {

constexpr int kWidth = info(Format::nvfp4).block;
constexpr float kFloatMax = std::numeric_limits<float>::max();

/// A block rounded with one choice of scale.
struct Candidate {
  std::uint8_t scale_code = 0;
  float scale = 0.0f;
  std::array<std::uint8_t, kWidth * kWidth> codes;  // block.rows * kWidth of them are set
};

/// `target`: the scale before rounding, at most 448 and a rounding error above.
void encode_candidate(const Nvfp4Scaling& scaling, const ScaleBlock& block, const ElementRounder& rounder,
                      float target, Candidate& out) {
  out.scale_code = static_cast<std::uint8_t>(encode(ElementFormat::ue4m3, target));
  out.scale = decode_f32(ElementFormat::ue4m3, out.scale_code);
  if (out.scale_code == 0) {
    std::fill_n(out.codes.begin(), block.rows * kWidth, std::uint8_t{0});
    return;
  }
  const float multiplier = std::min(1.0f / (scaling.decode * out.scale), kFloatMax);
  for (int r = 0; r < block.rows; ++r) {
    encode_row(block.row(r), kWidth, multiplier, kKeepSignOfZero, rounder, r, out.codes.data() + r * kWidth);
  }
}

/// E over one row; a NaN makes a sum NaN, which no comparison prefers, and does not count in a maximum.
float row_error(const Nvfp4Scaling& scaling, const float* values, const std::uint8_t* codes, float scale) {
  float error[kWidth];
  for (int i = 0; i < kWidth; ++i) {
    error[i] = ((kE2m1Values[codes[i]] * scale) * scaling.amax) / scaling.denominator - values[i];
  }
  float total = 0.0f;
  switch (scaling.rule) {
    case ScaleRule::mse_4_6:
      for (const float e : error) total += e * e;
      break;
    case ScaleRule::mae_4_6:
      for (const float e : error) total += std::fabs(e);
      break;
    default:
      for (const float e : error) total = std::fabs(e) > total ? std::fabs(e) : total;
  }
  return total;
}

float block_error(const Nvfp4Scaling& scaling, const ScaleBlock& block, const Candidate& candidate) {
  if (block.rows == 1) {
    return row_error(scaling, block.values, candidate.codes.data(), candidate.scale);
  }
  std::array<float, kWidth> rows{};
  for (int r = 0; r < block.rows; ++r) {
    rows[static_cast<std::size_t>(r)] =
        row_error(scaling, block.row(r), candidate.codes.data() + r * kWidth, candidate.scale);
  }
  for (std::size_t half = kWidth / 2; half > 0; half /= 2) {
    for (std::size_t r = 0; r < half; ++r) {
      rows[r] = scaling.rule == ScaleRule::abs_max_4_6 ? std::max(rows[r], rows[r + half])
                                                       : rows[r] + rows[r + half];
    }
  }
  return rows[0];
}

}  // namespace

Nvfp4Scaling Nvfp4Scaling::of(const QuantizeSpec& spec, float amax) {
  const float denominator = largest_code(spec.rule) * largest_scale(spec);
  if (spec.rule == ScaleRule::quest)
    return {spec.rule, amax, largest_code(spec.rule), denominator, 1.0f, 1.0f};
  const float encode = std::min(denominator / amax, kFloatMax);
  return {spec.rule, amax, largest_code(spec.rule), denominator, encode, 1.0f / encode};
}

float nvfp4_tensor_scale(const QuantizeSpec& spec, float amax) {
  if (spec.rule == ScaleRule::quest) return 1.0f;
  return amax / (largest_code(spec.rule) * largest_scale(spec));
}

std::uint8_t quantize_nvfp4_block(const Nvfp4Scaling& scaling, const ScaleBlock& block,
                                  const ElementRounder& rounder, std::uint8_t* packed,
                                  std::int64_t packed_stride) {
  const float target = (block_amax(block) / scaling.q_max) * scaling.encode;
  Candidate six, four;
  encode_candidate(scaling, block, rounder, target, six);
  const Candidate* chosen = &six;
  if (is_four_over_six(scaling.rule)) {
    encode_candidate(scaling, block, rounder, target * 1.5f, four);
    if (block_error(scaling, block, four) < block_error(scaling, block, six)) chosen = &four;
  }
  for (int r = 0; r < block.rows; ++r) {
    pack_row(chosen->codes.data() + r * kWidth, kWidth, packed + r * packed_stride);
  }
  return chosen->scale_code;
}

}  // namespace fourge::quant
