#include "tools/study/quantization_error.h"

#include <cmath>
#include <utility>
#include <vector>

#include "fourge/decode.h"
#include "fourge/hadamard.h"
#include "fourge/quantizer.h"

namespace fourge::study {
namespace {

constexpr std::int64_t kGroup = 128;  // of which the largest value is looked at alone

Status rotate(std::span<const float> from, std::span<float> to, std::int64_t rows, std::int64_t cols,
              std::int64_t order) {
  const Result<Hadamard> hadamard = Hadamard::create({.order = order});
  if (!hadamard) return hadamard.failure();
  HadamardOperands operands;
  operands.x = from.data();
  operands.y = to.data();
  operands.rows = rows;
  operands.cols = cols;
  operands.scale = orthonormal_scale(order);
  return hadamard->run(operands);
}

struct Quantized {
  QuantizedMatrix matrix;
  std::string by;
};

Result<Quantized> quantize_by_kernel(std::span<const float> values, std::int64_t rows, std::int64_t cols,
                                     const QuantizeSpec& spec) {
  const Result<Quantizer> quantizer = Quantizer::create({.quantize = spec});
  if (!quantizer) return quantizer.failure();
  Quantized out;
  out.by = quantizer->code().name;
  out.matrix.format = spec.format;
  out.matrix.rows = rows;
  out.matrix.cols = cols;
  out.matrix.layout = spec.layout;
  out.matrix.codes.resize(static_cast<std::size_t>(rows * cols / 2));
  out.matrix.scales.resize(static_cast<std::size_t>(scale_bytes(spec.layout, rows, out.matrix.scale_cols())));
  QuantizeOperands operands;
  operands.x = values.data();
  operands.rows = rows;
  operands.cols = cols;
  operands.codes = out.matrix.codes.data();
  operands.scales = out.matrix.scales.data();
  const Result<QuantizeOutcome> outcome = quantizer->run(operands);
  if (!outcome) return outcome.failure();
  out.matrix.amax = outcome->amax;
  out.matrix.tensor_scale = outcome->tensor_scale;
  return out;
}

QuantizationError compare(std::span<const float> x, std::span<const float> y) {
  double squares = 0, errors = 0, largest_squares = 0, largest_errors = 0;
  const auto groups = static_cast<std::int64_t>(x.size()) / kGroup;
  for (std::int64_t group = 0; group < groups; ++group) {
    double largest = -1, error_of_largest = 0;
    for (std::int64_t i = group * kGroup; i < (group + 1) * kGroup; ++i) {
      const double value = x[static_cast<std::size_t>(i)];
      const double error = value - static_cast<double>(y[static_cast<std::size_t>(i)]);
      squares += value * value;
      errors += error * error;
      if (std::fabs(value) > largest) {
        largest = std::fabs(value);
        error_of_largest = error;
      }
    }
    largest_squares += largest * largest;
    largest_errors += error_of_largest * error_of_largest;
  }
  if (squares == 0) return {};
  return {.relative_mse = errors / squares,
          .relative_mse_of_largest = largest_errors / largest_squares,
          .quantizer = {}};
}

}  // namespace

std::string name_of(const Recipe& recipe) {
  std::string name = std::string(name_of(recipe.format)) + " " + name_of(recipe.rule);
  if (recipe.rotation != 0) name += " H" + std::to_string(recipe.rotation);
  return name;
}

Result<QuantizationError> quantization_error(std::span<const float> values, std::int64_t rows,
                                             std::int64_t cols, const Recipe& recipe) {
  if (rows < 1 || cols < 1 || cols % kGroup != 0) {
    return {Error::kBadShape, "expected rows, and columns in multiples of 128",
            std::to_string(rows) + " x " + std::to_string(cols)};
  }
  const std::span<const float> x = values.first(static_cast<std::size_t>(rows * cols));
  std::vector<float> y(x.size());
  std::span<const float> source = x;
  if (recipe.rotation != 0) {
    if (const Status rotated = rotate(x, y, rows, cols, recipe.rotation); !rotated) return rotated.failure();
    source = y;
  }
  const Result<Quantized> quantized =
      quantize_by_kernel(source, rows, cols, {.format = recipe.format, .rule = recipe.rule});
  if (!quantized) return quantized.failure();
  const Result<Decoder> decoder = Decoder::create({.format = recipe.format});
  if (!decoder) return decoder.failure();
  if (const Status decoded = decoder->run(quantized->matrix.view(), y.data()); !decoded)
    return decoded.failure();
  if (recipe.rotation != 0) {
    if (const Status back = rotate(y, y, rows, cols, recipe.rotation); !back) return back.failure();
  }
  QuantizationError error = compare(x, y);
  error.quantizer = quantized->by;
  return error;
}

}  // namespace fourge::study
