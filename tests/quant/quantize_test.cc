#include "quant/quantize.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

#include "fourge/rounding.h"
#include "tests/quant/golden.h"
#include "tests/support/test_data.h"

namespace fourge::quant {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

std::vector<float> gaussian(std::int64_t count, unsigned seed) {
  std::mt19937 engine(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(static_cast<std::size_t>(count));
  for (float& x : values) x = normal(engine);
  return values;
}

GoldenBytes golden_bytes(const Tensor& tensor) {
  return {tensor.shape[0], tensor.shape[1], {tensor.bytes.begin(), tensor.bytes.end()}};
}

// "gauss_bf16/nvfp4_mse_2d": what it asks for.
QuantizeSpec spec_of_case(std::string name) {
  name.erase(0, name.find('/') + 1);
  QuantizeSpec spec;
  spec.block_2d = name.size() > 3 && name.substr(name.size() - 3) == "_2d";
  if (spec.block_2d) name.resize(name.size() - 3);
  spec.format = name.substr(0, 5) == "nvfp4" ? Format::nvfp4 : Format::mxfp4;
  spec.rule = *scale_rule_of_name(spec.format, name.substr(6));
  return spec;
}

TEST(Quantize, PiecesOfTheGoldenVectorsMatch) {
  const Result<Safetensors> golden = Safetensors::open(tests::test_data() / "quant" / "golden.safetensors");
  ASSERT_TRUE(golden.ok()) << golden.failure().message();
  int cases = 0;
  for (const Tensor& codes : golden->tensors()) {
    const std::size_t end = codes.name.rfind(".codes");
    if (end == std::string::npos) continue;
    const std::string name = codes.name.substr(0, end), input_name = name.substr(0, name.find('/'));
    SCOPED_TRACE(name);
    const Result<Tensor> input = golden->find(input_name);
    const float amax = (*tensor_to_f32(*golden->find(input_name + ".amax")))[0];
    const Result<QuantizedMatrix> ours = quantize_with_amax(*tensor_to_f32(*input), input->shape[0],
                                                            input->shape[1], spec_of_case(name), amax);
    ASSERT_TRUE(ours.ok()) << ours.failure().message();
    const Mismatches count =
        compare(*ours, golden_bytes(codes), golden_bytes(*golden->find(name + ".scales")));
    EXPECT_EQ(count.scales, 0);
    EXPECT_EQ(count.codes, 0);
    EXPECT_EQ(count.codes_under_zero, 0);
    ++cases;
  }
  EXPECT_EQ(cases, 6 * 12 + 4 * 4);
}

// Four Over Six, arXiv 2512.02010: [10, 20, 30, 40] under a tensor scale of 1 keeps 4, not 6.
TEST(Quantize, PaperExampleChoosesFour) {
  std::vector<float> x(32, 0.0f);
  for (std::size_t i = 0; i < 16; ++i) x[i] = 10.0f * static_cast<float>(i % 4 + 1);
  x[16] = 1536.0f;  // makes amax / (6 * 256) = 1
  const Result<QuantizedMatrix> six = quantize_with_amax(x, 1, 32, {.rule = ScaleRule::static_6}, 2688.0f);
  ASSERT_TRUE(six.ok());
  EXPECT_EQ(decode_f32(ElementFormat::ue4m3, six->scales[0]), 6.5f);  // 40 / 6 = 6.67
  for (const ScaleRule rule : {ScaleRule::mse_4_6, ScaleRule::mae_4_6, ScaleRule::abs_max_4_6}) {
    const Result<QuantizedMatrix> ours = quantize(x, 1, 32, {.rule = rule});
    ASSERT_TRUE(ours.ok());
    EXPECT_EQ(ours->tensor_scale, TensorScale::decode_multiplier(1.0f));
    EXPECT_EQ(decode_f32(ElementFormat::ue4m3, ours->scales[0]), 10.0f);
    EXPECT_EQ(ours->codes[0], 0x42);  // 1, 2
    EXPECT_EQ(ours->codes[1], 0x65);  // 3, 4
    std::vector<float> back(32);
    ASSERT_TRUE(dequantize(ours->view(), back).ok());
    EXPECT_EQ(back, x);
  }
}

TEST(Quantize, TensorScaleIsADecodeMultiplier) {
  const std::vector<float> x = gaussian(64, 1);
  const float amax = tensor_amax(x);
  const struct {
    ScaleRule rule;
    float denominator;
  } rows[] = {{ScaleRule::static_6, 2688.0f}, {ScaleRule::static_4, 1792.0f}, {ScaleRule::mse_4_6, 1536.0f}};
  for (const auto& row : rows) {
    const Result<QuantizedMatrix> ours = quantize(x, 4, 16, {.rule = row.rule});
    ASSERT_TRUE(ours.ok());
    EXPECT_EQ(ours->tensor_scale, TensorScale::decode_multiplier(amax / row.denominator));
    EXPECT_EQ(ours->amax, amax);
  }
  const Result<QuantizedMatrix> mx = quantize(x, 2, 32, {.format = Format::mxfp4, .rule = ScaleRule::floor});
  EXPECT_EQ(mx->tensor_scale, TensorScale::decode_multiplier(1.0f));
}

struct EveryRule {
  Format format;
  ScaleRule rule;
  bool block_2d;
};
std::vector<EveryRule> every_rule() {
  std::vector<EveryRule> all;
  for (const Format format : kFormats) {
    for (int rule = 0; rule <= static_cast<int>(ScaleRule::rceil); ++rule) {
      for (const bool block_2d : {false, true}) {
        const QuantizeSpec spec{.format = format, .rule = static_cast<ScaleRule>(rule), .block_2d = block_2d};
        if (check(spec).ok()) all.push_back({format, spec.rule, block_2d});
      }
    }
  }
  return all;
}

// Nearest codes of a block whose largest value lies in 4..6 after scaling: off by at most half the widest gap
// (1) times the scale, plus the scale's own rounding.
TEST(Quantize, ErrorStaysBelowOneStep) {
  const std::int64_t rows = 37, cols = 96;
  const std::vector<float> x = gaussian(rows * cols, 3);
  const std::vector<EveryRule> rules = every_rule();
  ASSERT_EQ(rules.size(), (5u + 2 * 6) * 2);
  for (const EveryRule& rule : rules) {
    SCOPED_TRACE(std::string(name_of(rule.format)) + " " + name_of(rule.rule));
    const Result<QuantizedMatrix> ours =
        quantize(x, rows, cols, {.format = rule.format, .rule = rule.rule, .block_2d = rule.block_2d});
    ASSERT_TRUE(ours.ok());
    std::vector<float> back(x.size());
    ASSERT_TRUE(dequantize(ours->view(), back).ok());
    double error = 0, energy = 0;
    for (std::size_t i = 0; i < x.size(); ++i) {
      error += std::pow(back[i] - x[i], 2.0);
      energy += std::pow(x[i], 2.0);
    }
    EXPECT_LT(error / energy, rule.format == Format::nvfp4 ? 0.02 : 0.05);
    EXPECT_GT(error, 0);
  }
}

TEST(Quantize, EveryLayoutHoldsTheSameScales) {
  for (const std::int64_t rows : {1, 7, 8, 33, 129}) {
    for (const EveryRule& rule : every_rule()) {
      const std::vector<float> x = gaussian(rows * 96, 5);
      QuantizeSpec spec{.format = rule.format, .rule = rule.rule, .block_2d = rule.block_2d};
      const Result<QuantizedMatrix> linear = quantize(x, rows, 96, spec);
      for (const ScaleLayout layout : {ScaleLayout::swizzled_128x4, ScaleLayout::swizzled_8x4}) {
        spec.layout = layout;
        const Result<QuantizedMatrix> swizzled = quantize(x, rows, 96, spec);
        ASSERT_TRUE(linear.ok() && swizzled.ok());
        EXPECT_EQ(linear->codes, swizzled->codes);
        std::vector<std::uint8_t> expected(swizzled->scales.size(), 0xee);
        convert_scales(ScaleLayout::linear, linear->scales.data(), layout, expected.data(), rows,
                       linear->scale_cols());
        EXPECT_EQ(swizzled->scales, expected);
        std::vector<float> a(x.size()), b(x.size());
        ASSERT_TRUE(dequantize(linear->view(), a).ok() && dequantize(swizzled->view(), b).ok());
        EXPECT_EQ(a, b);
      }
    }
  }
}

// A block depends on itself and the amax alone: the same rows alone, in a large (parallel) matrix, or
// repeated.
TEST(Quantize, LargeMatrixEqualsItsRows) {
  const std::int64_t rows = 300, cols = 256;
  const std::vector<float> x = gaussian(rows * cols, 11);
  const float amax = tensor_amax(x);
  EXPECT_EQ(amax, std::abs(*std::max_element(x.begin(), x.end(),
                                             [](float a, float b) { return std::abs(a) < std::abs(b); })));
  for (const EveryRule& rule : every_rule()) {
    if (rule.block_2d) continue;
    const QuantizeSpec spec{.format = rule.format, .rule = rule.rule};
    const Result<QuantizedMatrix> whole = quantize(x, rows, cols, spec);
    for (const std::int64_t r : {std::int64_t{0}, std::int64_t{150}, rows - 1}) {
      const Result<QuantizedMatrix> row = quantize_with_amax(
          std::span(x).subspan(static_cast<std::size_t>(r * cols), 256), 1, cols, spec, amax);
      for (std::int64_t c = 0; c < cols; ++c) ASSERT_EQ(whole->view().code(r, c), row->view().code(0, c));
      for (std::int64_t b = 0; b < whole->scale_cols(); ++b) {
        ASSERT_EQ(whole->view().scale(r, b), row->view().scale(0, b));
      }
    }
  }
}

// Rows that a 2-D block lacks count as zeros: the same result as with rows of zeros below.
TEST(Quantize, TwoDimensionalBlockAtTheLowerEdge) {
  const std::int64_t cols = 64;
  for (const EveryRule& rule : every_rule()) {
    if (!rule.block_2d) continue;
    const QuantizeSpec spec{.format = rule.format, .rule = rule.rule, .block_2d = true};
    for (const std::int64_t rows : {1, 5, 16, 31, 40}) {
      std::vector<float> x = gaussian(rows * cols, 13);
      const Result<QuantizedMatrix> cut = quantize(x, rows, cols, spec);
      x.resize(static_cast<std::size_t>(64 * cols), 0.0f);
      const Result<QuantizedMatrix> padded = quantize(x, 64, cols, spec);
      ASSERT_TRUE(cut.ok() && padded.ok());
      EXPECT_TRUE(std::equal(cut->codes.begin(), cut->codes.end(), padded->codes.begin()));
      EXPECT_TRUE(std::equal(cut->scales.begin(), cut->scales.end(), padded->scales.begin()));
    }
  }
}

TEST(Quantize, ZerosAndSignedZeros) {
  std::vector<float> x(64, -0.0f);
  for (const EveryRule& rule : every_rule()) {
    const QuantizeSpec spec{.format = rule.format, .rule = rule.rule, .block_2d = rule.block_2d};
    const Result<QuantizedMatrix> zeros = quantize(x, 2, 32, spec);
    ASSERT_TRUE(zeros.ok());
    EXPECT_EQ(zeros->amax, 0.0f);
    EXPECT_EQ(zeros->scales, std::vector<std::uint8_t>(zeros->scales.size(), 0));
    const bool keeps_sign = rule.rule >= ScaleRule::floor;
    EXPECT_EQ(zeros->codes, std::vector<std::uint8_t>(32, keeps_sign ? 0x88 : 0)) << name_of(rule.rule);
  }
  x[0] = 1.0f;
  const Result<QuantizedMatrix> nvfp4 = quantize(x, 2, 32, {});
  EXPECT_EQ(nvfp4->codes[0], 0x87);  // 6 and -0: the block's scale is not 0
  EXPECT_EQ(nvfp4->codes[8], 0x00);  // the next block's scale is
}

TEST(Quantize, NanBecomesSixAndInfinityIsRefused) {
  std::vector<float> x(32, 0.5f);
  x[3] = kNan;
  x[5] = -kNan;
  for (const EveryRule& rule : every_rule()) {
    const QuantizeSpec spec{.format = rule.format, .rule = rule.rule, .block_2d = rule.block_2d};
    const Result<QuantizedMatrix> ours = quantize(x, 1, 32, spec);
    ASSERT_TRUE(ours.ok());
    EXPECT_EQ(ours->amax, 0.5f);
    EXPECT_EQ(ours->view().code(0, 3), 7u);
    EXPECT_EQ(ours->view().code(0, 5), 7u);
    x[7] = -kInfinity;
    EXPECT_EQ(quantize(x, 1, 32, spec).error(), Error::kBadArgument);
    x[7] = 0.5f;
  }
}

TEST(Quantize, GivenAmaxSaturatesWhatLiesAbove) {
  std::vector<float> x(16, 1.0f);
  x[0] = 100.0f;
  const Result<QuantizedMatrix> ours = quantize_with_amax(x, 1, 16, {}, 1.0f);
  ASSERT_TRUE(ours.ok());
  EXPECT_EQ(ours->scales[0], 0x7e);  // 448
  EXPECT_EQ(ours->view().code(0, 0), 7u);
  for (const float amax : {kInfinity, kNan, -1.0f}) {
    EXPECT_EQ(quantize_with_amax(x, 1, 16, {}, amax).error(), Error::kBadArgument);
  }
}

TEST(Quantize, RefusesShapesAndRulesThatDoNotFit) {
  const std::vector<float> x(64);
  const auto error = [&](std::int64_t rows, std::int64_t cols, QuantizeSpec spec = {}) {
    return quantize(x, rows, cols, spec).error();
  };
  EXPECT_EQ(error(4, 16), Error::kOk);
  EXPECT_EQ(error(8, 8), Error::kBadShape);
  EXPECT_EQ(error(1, 63), Error::kBadShape);
  EXPECT_EQ(error(5, 16), Error::kBadShape);
  EXPECT_EQ(error(-4, -16), Error::kBadShape);
  EXPECT_EQ(error(std::int64_t{1} << 60, 64), Error::kBadShape);
  EXPECT_EQ(error(4, 16, {.format = Format::mxfp4}), Error::kBadShape);
  EXPECT_EQ(error(4, 16, {.format = Format::mxfp4_b16}), Error::kOk);
  EXPECT_EQ(error(4, 16, {.rule = ScaleRule::floor}), Error::kBadArgument);
  EXPECT_EQ(error(2, 32, {.format = Format::mxfp4, .rule = ScaleRule::mse_4_6}), Error::kBadArgument);
  const Result<QuantizedMatrix> bad = quantize(x, 8, 8, {});
  EXPECT_EQ(bad.failure().message(),
            "bad shape: nvfp4 [8, 8]: expected columns in multiples of 16, the scale block");
  for (const std::int64_t cols : {0, 16}) {
    const Result<QuantizedMatrix> empty = quantize(std::span<const float>(), 0, cols, {});
    ASSERT_TRUE(empty.ok());
    EXPECT_TRUE(empty->codes.empty() && empty->scales.empty());
  }
}

TEST(Dequantize, EveryCodeAndScaleOfEveryFormat) {
  for (const Format format : kFormats) {
    const int block = info(format).block;
    std::vector<std::uint8_t> codes(static_cast<std::size_t>(256 * block / 2)), scales(256);
    for (std::size_t i = 0; i < codes.size(); ++i) codes[i] = static_cast<std::uint8_t>(i * 37);
    for (std::size_t i = 0; i < 256; ++i) scales[i] = static_cast<std::uint8_t>(i);
    const QuantizedView view{format,
                             256,
                             block,
                             codes.data(),
                             scales.data(),
                             ScaleLayout::linear,
                             TensorScale::encode_multiplier(3.0f)};
    std::vector<float> values(static_cast<std::size_t>(256 * block));
    ASSERT_TRUE(dequantize(view, values).ok());
    for (std::int64_t r = 0; r < 256; ++r) {
      for (std::int64_t c = 0; c < block; ++c) {
        const float scale = decode_f32(info(format).scale, static_cast<std::uint32_t>(r));
        const float expected = decode_f32(ElementFormat::e2m1, view.code(r, c)) * scale * (1.0f / 3.0f);
        const float got = values[static_cast<std::size_t>(r * block + c)];
        ASSERT_TRUE(got == expected || (std::isnan(got) && std::isnan(expected))) << r << " " << c;
      }
    }
    EXPECT_EQ(dequantize(view, std::span(values).first(16)).error(), Error::kBadShape);
  }
}

TEST(MxScale, RulesDifferWhereTheySay) {
  const auto byte = [](ScaleRule rule, float amax) {
    std::vector<float> x(32, 0.0f);
    x[9] = -amax;
    return static_cast<int>(quantize(x, 1, 32, {.format = Format::mxfp4, .rule = rule})->scales[0]) - 127;
  };
  //                    4   4+ulp  4.9  5    6    6+ulp  7    8
  const float amax[] = {4, 0x1.000002p2f, 4.99f, 5, 6, 0x1.800002p2f, 7, 8};
  const int floor_[] = {0, 0, 0, 0, 0, 0, 0, 1};
  const int ceil_[] = {0, 1, 1, 1, 1, 1, 1, 1};
  const int even_[] = {0, 0, 0, 0, 0, 0, 1, 1};
  const int rceil[] = {0, 0, 0, 0, 0, 1, 1, 1};  // 6 * f32(1/6) rounds to 1
  const int static_6[] = {0, 0, 0, 0, 0, 1, 1, 1};
  const int static_4[] = {0, 1, 1, 1, 1, 1, 1, 1};
  for (int i = 0; i < 8; ++i) {
    SCOPED_TRACE(amax[i]);
    EXPECT_EQ(byte(ScaleRule::floor, amax[i]), floor_[i]);
    EXPECT_EQ(byte(ScaleRule::ceil, amax[i]), ceil_[i]);
    EXPECT_EQ(byte(ScaleRule::even, amax[i]), even_[i]);
    EXPECT_EQ(byte(ScaleRule::rceil, amax[i]), rceil[i]);
    EXPECT_EQ(byte(ScaleRule::static_6, amax[i]), static_6[i]);
    EXPECT_EQ(byte(ScaleRule::static_4, amax[i]), static_4[i]);
  }
  EXPECT_EQ(byte(ScaleRule::floor, 0x1p-149f), -127);
  EXPECT_EQ(byte(ScaleRule::static_6, 0x1p-130f), -126);
  EXPECT_EQ(byte(ScaleRule::rceil, 0x1p-130f), -127);
  EXPECT_EQ(byte(ScaleRule::even, std::numeric_limits<float>::max()), 126);
}

TEST(ScaleRuleOfName, KnowsTheNamesOfTheFormat) {
  EXPECT_EQ(*scale_rule_of_name(Format::nvfp4, "abs_max"), ScaleRule::abs_max_4_6);
  EXPECT_EQ(*scale_rule_of_name(Format::mxfp4, "static_6"), ScaleRule::static_6);
  EXPECT_EQ(scale_rule_of_name(Format::mxfp4, "mse").failure().message(),
            "bad argument: scale rule 'mse': mxfp4 takes floor, ceil, even, rceil, static_6, static_4, "
            "shift, search, sweep or quest");
}

}  // namespace
}  // namespace fourge::quant
