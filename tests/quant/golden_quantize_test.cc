// Codes and scales byte for byte as in shared/golden/quant (README there says which folder is made by what).
#include <gtest/gtest.h>

#include "quant/quantize.h"
#include "tests/quant/golden_manifest.h"
#include "tests/support/shared_data.h"

namespace fourge::quant {
namespace {

using Json = nlohmann::json;

Json read_manifest(const std::filesystem::path& golden) {
  std::ifstream stream(golden / "manifest.json");
  return Json::parse(stream);
}

TEST(GoldenQuantize, EveryCaseMatches) {
  FOURGE_NEEDS_SHARED(shared);
  const GoldenManifest golden(shared / "golden" / "quant");
  int nvfp4 = 0, mxfp4 = 0, other_scales = 0;
  std::int64_t elements = 0;
  for (const GoldenCase& expected : golden.cases()) {
    SCOPED_TRACE(expected.key);
    const GoldenInput& input = golden.input(expected.input);
    const Result<QuantizedMatrix> ours = quantize(input.values, input.rows, input.cols, expected.spec);
    ASSERT_TRUE(ours.ok()) << ours.failure().message();
    const Mismatches count = compare(*ours, expected.codes(), expected.scales());
    if (expected.scales_are_canonical) {
      EXPECT_EQ(count.scales, 0);
    }
    other_scales += expected.scales_are_canonical ? 0 : 1;
    EXPECT_EQ(count.codes, 0);
    EXPECT_EQ(count.codes_under_zero, 0);
    if (expected.spec.format == Format::nvfp4) {
      EXPECT_EQ(ours->amax, expected.amax);
    }
    ++(expected.spec.format == Format::nvfp4 ? nvfp4 : mxfp4);
    elements += count.compared;
  }
  EXPECT_EQ(nvfp4, 17 * 10);         // five rules, 1-D and 2-D
  EXPECT_EQ(mxfp4, 17 * 2 + 5 * 4);  // static rules; floor, ceil, even, rceil on five inputs
  EXPECT_EQ(other_scales, 4);  // subnormal_amax_f32, static rules: TransformerEngineStatic has the scales
  std::cout << nvfp4 << " NVFP4 and " << mxfp4 << " MXFP4 cases, " << elements << " elements\n";
}

// TE computes block amax * (encode * (1/6)): a step apart near some ties, but not in these inputs.
TEST(GoldenQuantize, TransformerEngineStaticMatches) {
  FOURGE_NEEDS_SHARED(shared);
  const std::filesystem::path folder = shared / "golden" / "quant" / "te_static";
  const GoldenManifest golden(shared / "golden" / "quant");
  ASSERT_EQ(golden.inputs().size(), 17u);
  for (const auto& [name, input] : golden.inputs()) {
    for (const bool block_2d : {false, true}) {
      SCOPED_TRACE(name);
      const std::string stem = (folder / name / (block_2d ? "te_nvfp4_2d" : "te_nvfp4")).string();
      const Result<QuantizedMatrix> ours =
          quantize(input.values, input.rows, input.cols, {.rule = ScaleRule::static_6, .block_2d = block_2d});
      ASSERT_TRUE(ours.ok());
      const Mismatches count =
          compare(*ours, read_golden_bytes(stem + ".codes.npy"), read_golden_bytes(stem + ".scales.npy"));
      EXPECT_EQ(count.scales, 0);
      EXPECT_EQ(count.codes, 0);
    }
  }
}

TEST(GoldenQuantize, SwizzledScalesMatch) {
  FOURGE_NEEDS_SHARED(shared);
  const std::filesystem::path golden = shared / "golden" / "quant";
  int cases = 0;
  for (const Json& input : read_manifest(golden)) {
    const GoldenInput matrix = read_golden_input(golden / input["file"].get<std::string>());
    for (const Json& golden_case : input["cases"]) {
      const std::string dtype = golden_case["dtype"];
      if (!golden_case.contains("scales_swizzled") || (dtype != "nvfp4" && dtype != "mxfp4")) continue;
      SCOPED_TRACE(golden_case["key"].get<std::string>());
      QuantizeSpec spec{.format = dtype == "nvfp4" ? Format::nvfp4 : Format::mxfp4,
                        .block_2d = golden_case["block_2d"],
                        .layout = ScaleLayout::swizzled_128x4};
      spec.rule = *scale_rule_of_name(spec.format, golden_case["rule"].get<std::string>());
      const Result<QuantizedMatrix> ours = quantize(matrix.values, matrix.rows, matrix.cols, spec);
      ASSERT_TRUE(ours.ok());
      EXPECT_EQ(ours->scales,
                read_golden_bytes(golden / golden_case["scales_swizzled"].get<std::string>()).bytes);
      ++cases;
    }
  }
  EXPECT_EQ(cases, 12);
}

// upstream: ((code * scale) * amax) / (q_max * s_max). dequantize() multiplies by the rounded quotient of the
// last two instead, as GEMM's alpha does: at most two roundings apart.
TEST(GoldenDequantize, MatchesUpstream) {
  FOURGE_NEEDS_SHARED(shared);
  const std::filesystem::path golden = shared / "golden" / "quant";
  int cases = 0;
  for (const Json& input : read_manifest(golden)) {
    for (const Json& golden_case : input["cases"]) {
      if (!golden_case.contains("dequant_f32") || golden_case["dtype"] != "nvfp4") continue;
      SCOPED_TRACE(golden_case["key"].get<std::string>());
      const GoldenInput expected = read_golden_input(golden / golden_case["dequant_f32"].get<std::string>());
      const GoldenBytes codes = read_golden_bytes(golden / golden_case["codes"].get<std::string>());
      const GoldenBytes scales = read_golden_bytes(golden / golden_case["scales"].get<std::string>());
      const ScaleRule rule = *scale_rule_of_name(Format::nvfp4, golden_case["rule"].get<std::string>());
      const float denominator = rule == ScaleRule::static_6   ? 2688.0f
                                : rule == ScaleRule::static_4 ? 1792.0f
                                                              : 1536.0f;
      const float amax = golden_case["amax"];
      QuantizedView view{.format = Format::nvfp4,
                         .rows = codes.rows,
                         .cols = codes.cols * 2,
                         .codes = codes.bytes.data(),
                         .scales = scales.bytes.data(),
                         .layout = ScaleLayout::linear,
                         .tensor_scale = {}};
      std::vector<float> unscaled(expected.values.size()), scaled(expected.values.size());
      ASSERT_TRUE(dequantize(view, unscaled).ok());
      view.tensor_scale = TensorScale::decode_multiplier(amax / denominator);
      ASSERT_TRUE(dequantize(view, scaled).ok());
      for (std::size_t i = 0; i < unscaled.size(); ++i) {
        ASSERT_EQ(unscaled[i] * amax / denominator, expected.values[i]) << i;
        ASSERT_NEAR(scaled[i], expected.values[i], std::abs(expected.values[i]) * 0x1p-22f) << i;
      }
      ++cases;
    }
  }
  EXPECT_GE(cases, 15);
}

}  // namespace
}  // namespace fourge::quant
