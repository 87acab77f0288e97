#include "quant/lane_quantize.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

#include "fourge/rounding.h"
#include "quant/block.h"
#include "quant/mxfp4.h"
#include "quant/nvfp4.h"
#include "quant/quantize.h"

namespace fourge::quant {
namespace {

// Normal values times scales over 40 octaves, zero blocks, -0, and at the end values that stress the ends of
// the range.
std::vector<float> awkward_values(std::int64_t count, unsigned seed, int octaves) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::uniform_int_distribution<int> octave(-octaves, octaves), percent(0, 99);
  std::vector<float> values(static_cast<std::size_t>(count));
  float scale = 1.0f;
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (i % 16 == 0) scale = percent(random) < 5 ? 0.0f : std::ldexp(1.0f, octave(random));
    values[i] = percent(random) < 3 ? -0.0f : scale * normal(random);
  }
  return values;
}

/// The matrix as the scalar quantisers of nvfp4.h and mxfp4.h give it.
void quantize_scalar(const LaneScaling& scaling, const std::vector<float>& values,
                     std::vector<std::uint8_t>& codes, std::vector<std::uint8_t>& scales) {
  const int width = info(scaling.format).block;
  const std::size_t blocks = values.size() / static_cast<std::size_t>(width);
  codes.resize(values.size() / 2);
  scales.resize(blocks);
  for (std::size_t b = 0; b < blocks; ++b) {
    const ScaleBlock block{values.data() + b * static_cast<std::size_t>(width), width, 1, width};
    std::uint8_t* packed = codes.data() + b * static_cast<std::size_t>(width) / 2;
    scales[b] = scaling.format == Format::nvfp4
                    ? quantize_nvfp4_block(Nvfp4Scaling::of({.rule = scaling.rule}, scaling.amax), block, {},
                                           packed, width / 2)
                    : quantize_mx_block(scaling.rule, block, {}, packed, width / 2);
  }
}

void expect_as_scalar(const LaneScaling& scaling, const std::vector<float>& values) {
  std::vector<std::uint8_t> codes, scales, lane_codes(values.size() / 2);
  quantize_scalar(scaling, values, codes, scales);
  std::vector<std::uint8_t> lane_scales(scales.size());
  quantize_lanes(scaling, values.data(), static_cast<std::int64_t>(scales.size()), nullptr, 0,
                 lane_codes.data(), lane_scales.data());
  EXPECT_EQ(lane_scales, scales) << name_of(scaling.format) << " " << name_of(scaling.rule);
  EXPECT_EQ(lane_codes, codes) << name_of(scaling.format) << " " << name_of(scaling.rule);
}

TEST(QuantizeLanes, NamedRulesEqualTheScalarQuantisers) {
  for (const int octaves : {0, 3, 12}) {
    const std::vector<float> values = awkward_values(32 * 333, 5, octaves);
    const float amax = tensor_amax(values);
    for (const ScaleRule rule : {ScaleRule::static_6, ScaleRule::static_4, ScaleRule::mse_4_6,
                                 ScaleRule::mae_4_6, ScaleRule::abs_max_4_6}) {
      expect_as_scalar({Format::nvfp4, rule, amax}, values);
      expect_as_scalar({Format::nvfp4, rule, amax / 3}, values);  // blocks above the tensor's amax saturate
    }
    for (const Format format : {Format::mxfp4, Format::mxfp4_b16}) {
      for (const ScaleRule rule : {ScaleRule::floor, ScaleRule::ceil, ScaleRule::even, ScaleRule::rceil,
                                   ScaleRule::static_6, ScaleRule::static_4}) {
        expect_as_scalar({format, rule}, values);
      }
    }
  }
}

TEST(QuantizeLanes, NotNumbersAndExtremesEqualTheScalarQuantisers) {
  std::vector<float> values = awkward_values(32 * 40, 6, 2);
  values[5] = std::numeric_limits<float>::quiet_NaN();
  values[37] = -std::numeric_limits<float>::quiet_NaN();
  values[70] = std::numeric_limits<float>::denorm_min();
  for (std::size_t i = 96; i < 128; ++i) values[i] = 1e-44f * static_cast<float>(i);
  for (std::size_t i = 128; i < 160; ++i) values[i] = 1e37f * static_cast<float>(i % 32);
  for (const ScaleRule rule : {ScaleRule::static_6, ScaleRule::mse_4_6, ScaleRule::mae_4_6}) {
    expect_as_scalar({Format::nvfp4, rule, 3.1e38f}, values);
    expect_as_scalar({Format::nvfp4, rule, 1e-38f}, values);
  }
  for (const bool infinite : {false, true}) {
    if (infinite) values[200] = -std::numeric_limits<float>::infinity();  // a scale of NaN under static rules
    for (const ScaleRule rule : {ScaleRule::floor, ScaleRule::even, ScaleRule::rceil, ScaleRule::static_6})
      expect_as_scalar({Format::mxfp4, rule}, values);
  }
}

/// Every code of the format tried on one block, in f64.
struct Best {
  double error = std::numeric_limits<double>::infinity();
  int code = 0;
};
double grid_error(std::span<const float> y, std::span<const float> w, double scale) {
  double total = 0.0;
  for (std::size_t i = 0; i < y.size(); ++i) {
    const float q = kE2m1Values[e2m1_rne(static_cast<float>(static_cast<double>(y[i]) / scale))];
    const double e = static_cast<double>(q) * scale - static_cast<double>(y[i]);
    total += e * e * (w.empty() ? 1.0 : static_cast<double>(w[i]));
  }
  return total;
}

void expect_best_code(Format format, bool weighted, float encode) {
  const int width = info(format).block;
  const std::int64_t cols = width * 7, rows = 60;
  const std::vector<float> values = awkward_values(rows * cols, 8, 5);
  std::vector<float> importance;
  for (std::int64_t i = 0; i < cols && weighted; ++i)
    importance.push_back(std::exp(std::sin(static_cast<float>(i * i))));
  const LaneScaling scaling{
      .format = format, .rule = ScaleRule::sweep, .amax = tensor_amax(values), .encode = encode};
  const Result<QuantizedMatrix> matrix = quantize_with_scaling(values, rows, cols, scaling, importance);
  ASSERT_TRUE(matrix.ok());
  const double factor =
      format == Format::nvfp4 ? 1536.0 / static_cast<double>(scaling.amax) : static_cast<double>(encode);
  int checked = 0;
  for (std::int64_t b = 0; b < rows * cols / width; ++b) {
    std::vector<float> y, w;
    for (int i = 0; i < width; ++i) {
      y.push_back(
          static_cast<float>(static_cast<double>(values[static_cast<std::size_t>(b * width + i)]) * factor));
      if (weighted) w.push_back(importance[static_cast<std::size_t>((b * width + i) % cols)]);
    }
    Best best;
    for (int code = format == Format::nvfp4 ? 1 : 60; code < (format == Format::nvfp4 ? 127 : 200); ++code) {
      const double e =
          grid_error(y, w, static_cast<double>(decode_f32(info(format).scale, static_cast<unsigned>(code))));
      if (e < best.error) best = {e, code};
    }
    const std::uint8_t got = matrix->scales[static_cast<std::size_t>(b)];
    if (best.error == 0.0 || std::isinf(best.error)) continue;
    const double e = grid_error(y, w, static_cast<double>(decode_f32(info(format).scale, got)));
    EXPECT_LE(e, best.error * (1.0 + 1e-5))
        << name_of(format) << " block " << b << " code " << int{got} << ", best " << best.code;
    ++checked;
  }
  EXPECT_GT(checked, 300);
}

TEST(QuantizeLanes, SweepFindsTheBestOfAllCodes) {
  expect_best_code(Format::nvfp4, false, 1.0f);
  expect_best_code(Format::nvfp4, true, 1.0f);
  expect_best_code(Format::mxfp4, false, 1.0f);
  expect_best_code(Format::mxfp4, true, 1.0f);
  expect_best_code(Format::mxfp4, false, 1.37f);
}

TEST(QuantizeLanes, ShiftNeverSaturatesAndKeepsTheGridCentred) {
  const std::vector<float> values = awkward_values(32 * 200, 4, 10);
  const Result<QuantizedMatrix> matrix =
      quantize_with_scaling(values, 200, 32, {.format = Format::mxfp4, .rule = ScaleRule::shift});
  ASSERT_TRUE(matrix.ok());
  EXPECT_EQ(matrix->tensor_scale, TensorScale::encode_multiplier(3.0f));
  for (std::size_t b = 0; b < 200; ++b) {
    float amax = 0.0f;
    for (std::size_t i = 0; i < 32; ++i) amax = std::max(amax, std::fabs(values[b * 32 + i]));
    if (amax == 0.0f) continue;
    const float scaled = amax * 3.0f / decode_f32(ElementFormat::ue8m0, matrix->scales[b]);
    EXPECT_GE(scaled, 3.0f);
    EXPECT_LT(scaled, 6.0f + 1e-5f);
  }
}

TEST(QuantizeLanes, SearchFollowsItsDefinition) {
  const std::vector<float> values = awkward_values(16 * 400, 12, 2);
  const float amax = tensor_amax(values);
  const Result<QuantizedMatrix> matrix = quantize_with_scaling(
      values, 400, 16, {.format = Format::nvfp4, .rule = ScaleRule::search, .amax = amax});
  ASSERT_TRUE(matrix.ok());
  int differing = 0, blocks = 0;
  for (std::size_t b = 0; b < 400; ++b) {
    const std::span<const float> x = std::span(values).subspan(b * 16, 16);
    const float s0 = tensor_amax(x) / 6.0f;
    if (s0 == 0.0f) continue;
    double best = std::numeric_limits<double>::infinity(), chosen = 0.0;
    for (int i = 0; i < 100; ++i) {
      const double c = static_cast<double>(s0) * (1.0 - i * 0.8 / 100.0);
      double error = 0.0;
      for (const float v : x) {
        const float q = kE2m1Values[e2m1_rne(static_cast<float>(static_cast<double>(v) / c))];
        error += std::pow(std::fabs(static_cast<double>(v) - static_cast<double>(q) * c), 2.4);
      }
      if (error < best) {
        best = error;
        chosen = c;
      }
    }
    const double target = chosen * 2688.0 / static_cast<double>(amax);
    differing += encode(ElementFormat::ue4m3, static_cast<float>(target)) != matrix->scales[b] ? 1 : 0;
    ++blocks;
  }
  EXPECT_LE(differing, blocks / 100);  // near-ties between factors
}

TEST(QuantizeWithScaling, RefusesWhatItCannotScale) {
  const std::vector<float> values(64, 1.0f);
  EXPECT_EQ(quantize_with_scaling(values, 2, 32, {.format = Format::nvfp4, .amax = -1.0f}).error(),
            Error::kBadArgument);
  EXPECT_EQ(
      quantize_with_scaling(values, 2, 32, {.format = Format::mxfp4, .rule = ScaleRule::mse_4_6}).error(),
      Error::kBadArgument);
  EXPECT_EQ(quantize_with_scaling(values, 2, 30, {.amax = 1.0f}).error(), Error::kBadShape);
  const LaneScaling sweep{.format = Format::nvfp4, .rule = ScaleRule::sweep, .amax = 1.0f};
  EXPECT_EQ(quantize_with_scaling(values, 2, 32, sweep, std::vector<float>(16, 1.0f)).error(),
            Error::kBadShape);
  EXPECT_EQ(
      quantize(values, 2, 32, {.format = Format::mxfp4, .rule = ScaleRule::shift, .block_2d = true}).error(),
      Error::kBadArgument);
}

}  // namespace
}  // namespace fourge::quant
