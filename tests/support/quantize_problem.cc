#include "tests/support/quantize_problem.h"

#include <gtest/gtest.h>

#include <sstream>

#include "fourge/hadamard.h"
#include "quant/quantize.h"
#include "reference/hadamard.h"

namespace fourge::tests {
namespace {

// The f32 matrix that is quantised.
std::vector<float> prepared(const QuantizeProblem& problem) {
  std::vector<float> values;
  const std::vector<float> all = to_f32(problem.spec.input, problem.x);
  const std::int64_t stride = problem.x_stride != 0 ? problem.x_stride : problem.cols;
  for (std::int64_t r = 0; r < problem.rows; ++r)
    values.insert(values.end(), all.begin() + r * stride, all.begin() + r * stride + problem.cols);
  if (problem.spec.transpose) values = quant::transposed(values, problem.rows, problem.cols);
  if (problem.spec.rotate == 0) return values;
  const float scale = problem.rotation_scale.value_or(orthonormal_scale(problem.spec.rotate));
  for (std::size_t i = 0; i < values.size(); i += static_cast<std::size_t>(problem.spec.rotate)) {
    reference::hadamard_block(std::span(values).subspan(i, static_cast<std::size_t>(problem.spec.rotate)),
                              problem.spec.signs ? problem.signs.data() : nullptr, &scale);
  }
  return values;
}

}  // namespace

QuantizeAnswer truth(const QuantizeProblem& problem) {
  const std::vector<float> values = prepared(problem);
  const float amax = problem.amax.value_or(quant::tensor_amax(values));
  Result<QuantizedMatrix> out = quant::quantize_with_amax(values, problem.out_rows(), problem.out_cols(),
                                                          problem.spec.quantize, amax, problem.seed);
  EXPECT_TRUE(out.ok()) << out.failure().message() << " " << problem.describe();
  if (!out.ok()) return {};
  return {std::move(out->codes), std::move(out->scales), amax, out->tensor_scale};
}

QuantizeProblem quantize_problem(const QuantizerSpec& spec, std::int64_t rows, std::int64_t cols,
                                 bool strided, PlainData data, std::mt19937_64& rng) {
  QuantizeProblem problem{.spec = spec, .rows = rows, .cols = cols};
  if (strided) problem.x_stride = cols + static_cast<std::int64_t>(rng() % 24);
  problem.x = plain_matrix(spec.input, matrix_elements(rows, cols, problem.x_stride), data, rng);
  problem.signs.resize(static_cast<std::size_t>(spec.rotate + 7) / 8 + 1);
  for (auto& byte : problem.signs) byte = static_cast<std::uint8_t>(rng());
  problem.seed = rng();
  if (!is_finite(data)) problem.amax = 4.0f;  // an infinite amax would be refused
  return problem;
}

std::vector<QuantizeSpec> every_quantize_spec() {
  std::vector<QuantizeSpec> all;
  for (const Format format : kFormats) {
    for (const ScaleRule rule : scale_rules_of(format)) {
      for (const bool block_2d : {false, true}) {
        for (const int scale_max : {0, 256, 448}) {
          for (const auto rounding : {ElementRounding::nearest, ElementRounding::stochastic}) {
            QuantizeSpec spec{.format = format, .rule = rule, .block_2d = block_2d};
            spec.scale_max = scale_max;
            spec.rounding = rounding;
            if (check(QuantizerSpec{.quantize = spec}).ok()) all.push_back(spec);
          }
        }
      }
    }
  }
  return all;
}

std::string first_difference(const QuantizeProblem& problem, const QuantizeAnswer& want,
                             const QuantizeAnswer& got) {
  std::ostringstream text;
  const auto compare = [&](const char* what, const auto& a, const auto& b) {
    if (a.size() != b.size()) text << what << ": sizes differ";
    for (std::size_t i = 0; i < a.size() && text.tellp() == 0; ++i) {
      if (a[i] != b[i]) text << what << " " << i << ": want " << +a[i] << ", got " << +b[i];
    }
  };
  compare("scale", want.scales, got.scales);
  compare("code byte", want.codes, got.codes);
  if (want.tensor_scale != got.tensor_scale) text << " tensor scales differ";
  const QuantizeSpec& q = problem.spec.quantize;
  if (q.format == Format::nvfp4 && q.rule != ScaleRule::quest && want.amax != got.amax)
    text << " amax differs";
  return text.str().empty() ? "" : text.str() + ", " + problem.describe();
}

}  // namespace fourge::tests
