#include "quant/checkpoint_scale.h"

#include <gtest/gtest.h>

#include <cmath>

#include "quant/quantize.h"

namespace fourge::quant {
namespace {

// One matrix as ModelOpt, compressed-tensors and fouroversix would store it: the same values come back, and
// reading either scale the wrong way round does not.
TEST(CheckpointScale, EveryConventionDecodesToTheSameValues) {
  std::vector<float> x(32);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = 0.01f * static_cast<float>(i) - 0.1f;
  for (const ScaleRule rule : {ScaleRule::static_6, ScaleRule::static_4, ScaleRule::mse_4_6}) {
    const Result<QuantizedMatrix> matrix = quantize(x, 1, 32, {.rule = rule});
    ASSERT_TRUE(matrix.ok());
    const auto values_under = [&](const TensorScale& scale) {
      QuantizedView view = matrix->view();
      view.tensor_scale = scale;
      std::vector<float> values(x.size());
      EXPECT_TRUE(dequantize(view, values).ok());
      return values;
    };
    const float weight_scale_2 = to_modelopt(matrix->tensor_scale);
    const float weight_global_scale = to_compressed_tensors(matrix->tensor_scale);
    const float product = rule == ScaleRule::static_6   ? 2688.0f
                          : rule == ScaleRule::static_4 ? 1792.0f
                                                        : 1536.0f;
    EXPECT_EQ(weight_scale_2, matrix->amax / product);
    EXPECT_NEAR(weight_global_scale, product / matrix->amax, product / matrix->amax * 1e-6f);

    const std::vector<float> own = values_under(matrix->tensor_scale);
    EXPECT_EQ(values_under(from_modelopt(weight_scale_2)), own);
    EXPECT_EQ(values_under(from_fouroversix(matrix->amax, rule)), own);
    const std::vector<float> ct = values_under(from_compressed_tensors(weight_global_scale));
    const std::vector<float> wrong = values_under(from_modelopt(weight_global_scale));
    for (std::size_t i = 0; i < x.size(); ++i) {
      EXPECT_NEAR(ct[i], own[i], std::fabs(own[i]) * 0x1p-22f);
      EXPECT_NEAR(own[i], x[i], 0.04f);
      if (own[i] != 0.0f) {
        EXPECT_GT(std::fabs(wrong[i]), 1e3f * std::fabs(own[i]));
      }
    }
  }
}

// A file's own value survives reading and writing bit for bit.
TEST(CheckpointScale, StoredValuesAreNotRounded) {
  for (const float x : {0.1f, 3.3333333f, 1e-30f, 7e20f}) {
    EXPECT_EQ(to_modelopt(from_modelopt(x)), x);
    EXPECT_EQ(to_compressed_tensors(from_compressed_tensors(x)), x);
    EXPECT_EQ(to_fp_quant(from_fp_quant(x)), x);
    EXPECT_EQ(to_modelopt(from_compressed_tensors(x)), 1.0f / x);
    EXPECT_EQ(to_compressed_tensors(from_modelopt(x)), 1.0f / x);
  }
}

}  // namespace
}  // namespace fourge::quant
