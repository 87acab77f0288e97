// Codes and scales byte for byte as in shared/golden/quant (README there says which folder is made by what).
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "quant/quantize.h"
#include "tests/quant/golden.h"
#include "tests/support/shared_data.h"

namespace fourge::quant {
namespace {

using Json = nlohmann::json;

Json read_manifest(const std::filesystem::path& golden) {
  std::ifstream stream(golden / "manifest.json");
  return Json::parse(stream);
}

// The folders hold the same case where they agree; hw_te, then hw_fos_cuda, model the hardware where the
// upstream PyTorch code does not saturate (docs/quantization.md).
const Json& most_exact(const Json& golden_case) {
  for (const char* model : {"hw_te", "hw_fos_cuda"})
    if (golden_case.contains(model) && golden_case[model].contains("codes")) return golden_case[model];
  return golden_case;
}

TEST(GoldenQuantize, EveryCaseOfTheManifestMatches) {
  FOURGE_NEEDS_SHARED(shared);
  const std::filesystem::path golden = shared / "golden" / "quant";
  int nvfp4 = 0, mxfp4 = 0, te_static = 0, other_formats = 0, unclamped = 0;
  std::int64_t te_scales = 0, te_scale_mismatches = 0, elements = 0;
  for (const Json& input : read_manifest(golden)) {
    const GoldenInput matrix = read_golden_input(golden / input["file"].get<std::string>());
    for (const Json& golden_case : input["cases"]) {
      const std::string key = golden_case["key"], dtype = golden_case["dtype"], rule = golden_case["rule"];
      SCOPED_TRACE(key);
      if (dtype != "nvfp4" && dtype != "mxfp4") {
        ASSERT_TRUE(dtype == "if4" || dtype == "nvint4") << dtype;
        ++other_formats;
        continue;
      }
      QuantizeSpec spec{.format = dtype == "nvfp4" ? Format::nvfp4 : Format::mxfp4,
                        .block_2d = golden_case["block_2d"]};
      const bool is_te_static = rule == "te_static";
      if (!is_te_static) spec.rule = *scale_rule_of_name(spec.format, rule);
      const Result<QuantizedMatrix> ours = quantize(matrix.values, matrix.rows, matrix.cols, spec);
      ASSERT_TRUE(ours.ok()) << ours.failure().message();
      const Json& files = most_exact(golden_case);
      const Mismatches count = compare(*ours, read_golden_bytes(golden / files["codes"].get<std::string>()),
                                       read_golden_bytes(golden / files["scales"].get<std::string>()));
      if (spec.format == Format::nvfp4) {
        EXPECT_EQ(ours->amax, golden_case["amax"].get<float>());
      }
      EXPECT_EQ(count.codes_under_zero, 0);
      elements += count.compared;
      if (is_te_static) {
        // TE computes block amax * (encode * (1/6)): a step apart near some ties, but not in these inputs.
        ++te_static;
        te_scales += static_cast<std::int64_t>(ours->scales.size());
        te_scale_mismatches += count.scales;
        if (count.scales == 0) {
          EXPECT_EQ(count.codes, 0);
        }
        continue;
      }
      // Below 2688 / FLT_MAX upstream divides to NaN and fouroversix's CUDA code to infinity; fourge clamps
      // as TE does, so the scales are those of te_static and hw_te.
      const bool encode_overflows = golden_case["amax"].get<float>() < 7.9e-36f && &files != &golden_case &&
                                    &files == &golden_case["hw_fos_cuda"];
      if (!encode_overflows) {
        EXPECT_EQ(count.scales, 0);
      }
      unclamped += encode_overflows ? 1 : 0;
      EXPECT_EQ(count.codes, 0);
      ++(spec.format == Format::nvfp4 ? nvfp4 : mxfp4);
    }
  }
  EXPECT_EQ(nvfp4, 17 * 10);  // five rules, 1-D and 2-D
  EXPECT_EQ(mxfp4, 17 * 2);
  EXPECT_EQ(te_static, 17 * 2);
  EXPECT_EQ(unclamped, 4);  // subnormal_amax_f32, the static rules
  EXPECT_EQ(te_scale_mismatches, 0) << "of " << te_scales;
  std::cout << nvfp4 << " NVFP4 and " << mxfp4 << " MXFP4 cases, " << elements << " elements; " << te_static
            << " TE cases with " << te_scale_mismatches << " of " << te_scales << " scales apart; "
            << other_formats << " cases of formats that fourge does not have\n";
}

TEST(GoldenQuantize, MxRulesMatch) {
  FOURGE_NEEDS_SHARED(shared);
  const std::filesystem::path golden = shared / "golden" / "quant";
  int cases = 0;
  for (const Json& input : read_manifest(golden)) {
    const std::string name = input["input"];
    const GoldenInput matrix = read_golden_input(golden / input["file"].get<std::string>());
    for (const ScaleRule rule : {ScaleRule::floor, ScaleRule::ceil, ScaleRule::even, ScaleRule::rceil}) {
      const std::string stem = name + "." + name_of(rule);
      SCOPED_TRACE(stem);
      if (!std::filesystem::exists(golden / "mx_rules" / (stem + ".codes.npy"))) continue;
      const Result<QuantizedMatrix> ours =
          quantize(matrix.values, matrix.rows, matrix.cols, {.format = Format::mxfp4, .rule = rule});
      ASSERT_TRUE(ours.ok()) << ours.failure().message();
      const Mismatches count = compare(*ours, read_golden_bytes(golden / "mx_rules" / (stem + ".codes.npy")),
                                       read_golden_bytes(golden / "mx_rules" / (stem + ".scales.npy")));
      EXPECT_EQ(count.scales, 0);
      EXPECT_EQ(count.codes, 0);
      ++cases;
    }
  }
  EXPECT_EQ(cases, 20);
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
