// Quantiser calls for tests: operands, what quant/ (and reference/ for rotations) says of them, comparison.
#pragma once

#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "fourge/quantizer.h"
#include "tests/support/plain_matrix.h"

namespace fourge::tests {

inline constexpr ElementFormat kPlain[] = {ElementFormat::f32, ElementFormat::bf16, ElementFormat::f16};

struct QuantizeProblem {
  QuantizerSpec spec;
  std::int64_t rows = 0, cols = 0, x_stride = 0;
  std::vector<std::uint8_t> x = {}, signs = {};
  std::optional<float> amax = {}, rotation_scale = {};
  std::uint64_t seed = 0;

  std::int64_t out_rows() const { return spec.transpose ? cols : rows; }
  std::int64_t out_cols() const { return spec.transpose ? rows : cols; }
  std::size_t code_bytes() const { return static_cast<std::size_t>(rows * cols / 2); }
  std::size_t scale_count() const {
    const auto& q = spec.quantize;
    return static_cast<std::size_t>(scale_bytes(q.layout, out_rows(), out_cols() / info(q.format).block));
  }
  QuantizeOperands operands(std::uint8_t* codes, std::uint8_t* scales) const {
    return {.x = x.data(),
            .rows = rows,
            .cols = cols,
            .x_stride = x_stride,
            .signs = spec.signs ? signs.data() : nullptr,
            .rotation_scale = rotation_scale,
            .amax = amax,
            .seed = seed,
            .codes = codes,
            .scales = scales};
  }
  std::string describe() const {
    return kernel_name(spec) + " " + std::to_string(rows) + " x " + std::to_string(cols) + " stride " +
           std::to_string(x_stride) + (amax ? " amax " + std::to_string(*amax) : "");
  }
};

struct QuantizeAnswer {
  std::vector<std::uint8_t> codes, scales;
  float amax = 0.0f;
  TensorScale tensor_scale;
  QuantizeOutcome outcome = {};
};

QuantizeProblem quantize_problem(const QuantizerSpec& spec, std::int64_t rows, std::int64_t cols,
                                 bool strided, PlainData data, std::mt19937_64& rng);

/// Every format, rule, shape of block, scale maximum and rounding that belong together.
std::vector<QuantizeSpec> every_quantize_spec();

/// Where a scale or a choice hangs on the last bit: block maxima around powers of two, half way between them,
/// six times them, subnormal and largest; errors of four and six that are equal but for rounding, or
/// overflow; a NaN where the tensor's amax is sought.
std::vector<QuantizeProblem> edge_problems();

QuantizeAnswer truth(const QuantizeProblem& problem);

/// Empty when equal; else what differs first.
std::string first_difference(const QuantizeProblem& problem, const QuantizeAnswer& want,
                             const QuantizeAnswer& got);

}  // namespace fourge::tests
