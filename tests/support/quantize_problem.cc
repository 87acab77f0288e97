#include "tests/support/quantize_problem.h"

#include <gtest/gtest.h>

#include <bit>
#include <limits>
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

void set_values(QuantizeProblem& problem, const std::vector<float>& values) {
  problem.rows = 1;
  problem.cols = static_cast<std::int64_t>(values.size());
  problem.x = from_f32(ElementFormat::f32, values);
}

// One block for each edge, its largest element in turn at another place.
QuantizeProblem edge_maxima(const QuantizeSpec& quantize, std::mt19937_64& rng) {
  QuantizeProblem problem{.spec = {.quantize = quantize}};
  const auto block = static_cast<std::size_t>(info(quantize.format).block);
  std::uniform_real_distribution<float> fraction(-1.0f, 1.0f);
  std::vector<float> values;
  for (const std::uint32_t exponent : {0u, 1u, 2u, 3u, 4u, 127u, 253u, 254u}) {
    for (const std::uint32_t middle : {0u, 0x200000u, 0x400000u, 0x600000u, 0x7fffffu}) {
      for (const int step : {-1, 0, 1}) {
        const std::uint32_t bits = (exponent << 23 | middle) + static_cast<std::uint32_t>(step);
        if (bits >= 0x7f800000u) continue;
        const std::size_t first = values.size();
        for (std::size_t i = 0; i < block; ++i) values.push_back(std::bit_cast<float>(bits) * fraction(rng));
        values[first + first / block % block] = std::bit_cast<float>(bits);
      }
    }
  }
  set_values(problem, values);
  return problem;
}

// Quarters of the unit that six's scale stands for: what lies at 5/4 of it is 1/4 off under six and under
// four.
QuantizeProblem near_ties(ScaleRule rule, float amax, std::mt19937_64& rng) {
  QuantizeProblem problem{.spec = {.quantize = {.rule = rule}}};
  problem.amax = amax;
  std::vector<float> values;
  for (int block = 0; block < 64; ++block) {
    const float scale = static_cast<float>(8 << block % 4), unit = scale * amax / 1536.0f;
    for (int i = 0; i < 16; ++i) {
      const int quarters = i == 0 ? 24 : static_cast<int>(rng() % 25);
      values.push_back(static_cast<float>(quarters) * 0.25f * unit);
    }
  }
  set_values(problem, values);
  return problem;
}

// Scale 176 with code 6 overflows, scale 256 with code 4 does not: four errs less than infinity.
QuantizeProblem overflowing_errors(ScaleRule rule, std::mt19937_64& rng) {
  QuantizeProblem problem{.spec = {.quantize = {.rule = rule}}};
  problem.amax = 0x1.f5p117f;
  std::uniform_real_distribution<float> fraction(-1.0f, 1.0f), largest(0.66f, 0.70f);
  std::vector<float> values;
  for (int block = 0; block < 64; ++block) {
    const float most = largest(rng) * *problem.amax;
    for (int i = 0; i < 16; ++i) values.push_back(i == 0 ? most : most * fraction(rng));
  }
  set_values(problem, values);
  return problem;
}

}  // namespace

std::vector<QuantizeProblem> edge_problems() {
  std::mt19937_64 rng(71);
  std::vector<QuantizeProblem> problems;
  for (const Format format : {Format::nvfp4, Format::mxfp4}) {
    for (const ScaleRule rule : scale_rules_of(format)) {
      const QuantizeSpec spec{.format = format, .rule = rule};
      if (check(QuantizerSpec{.quantize = spec}).ok()) problems.push_back(edge_maxima(spec, rng));
    }
  }
  for (const ScaleRule rule : {ScaleRule::mse_4_6, ScaleRule::mae_4_6, ScaleRule::abs_max_4_6}) {
    for (const float amax : {0.7f, 1.1f, 3.3f, 5.9f}) problems.push_back(near_ties(rule, amax, rng));
    problems.push_back(overflowing_errors(rule, rng));
  }
  for (const std::size_t at : {0u, 77u, 255u}) {
    QuantizeProblem problem;
    std::vector<float> values(256, 1.0f);
    values[at] = std::numeric_limits<float>::quiet_NaN();
    set_values(problem, values);
    problems.push_back(problem);
  }
  return problems;
}

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
