#include <array>

#include "fourge/quantize.h"
#include "quant/dtype.h"
#include "quant/e2m1.h"
#include "quant/text.h"

namespace fourge {

namespace {

[[maybe_unused]] constexpr std::int64_t kParallelElements = 1 << 16;

template <ElementFormat kFormat>
constexpr std::array<float, 256> kScaleValues = [] {
  std::array<float, 256> table{};
  for (std::uint32_t code = 0; code < table.size(); ++code) table[code] = decode_f32(kFormat, code);
  return table;
}();

void dequantize_row(const QuantizedView& matrix, const std::array<float, 256>& scale_values,
                    float tensor_scale, std::int64_t row, float* out) {
  const std::int64_t block = info(matrix.format).block;
  const std::uint8_t* packed = matrix.codes + row * matrix.cols / 2;
  for (std::int64_t b = 0; b < matrix.scale_cols(); ++b) {
    const float scale = scale_values[matrix.scale(row, b)];
    for (std::int64_t i = b * block; i < (b + 1) * block; i += 2) {
      const unsigned byte = packed[i / 2];
      out[i] = quant::kE2m1Values[byte & 15u] * scale * tensor_scale;
      out[i + 1] = quant::kE2m1Values[byte >> 4] * scale * tensor_scale;
    }
  }
}

}  // namespace

Status dequantize(const QuantizedView& matrix, std::span<float> values) {
  const std::array<std::int64_t, 2> shape = {matrix.rows, matrix.cols};
  const std::optional<std::int64_t> count = quant::element_count(shape);
  if (!count || matrix.cols % info(matrix.format).block != 0 ||
      static_cast<std::uint64_t>(*count) != values.size()) {
    return {Error::kBadShape, "expected whole blocks and rows * cols values",
            quant::shape_text(shape) + ", " + std::to_string(values.size()) + " values"};
  }
  const std::array<float, 256>& scale_values = info(matrix.format).scale == ElementFormat::ue4m3
                                                   ? kScaleValues<ElementFormat::ue4m3>
                                                   : kScaleValues<ElementFormat::ue8m0>;
  const float tensor_scale = matrix.tensor_scale.as_decode_multiplier();
#pragma omp parallel for if (matrix.rows * matrix.cols >= kParallelElements)
  for (std::int64_t row = 0; row < matrix.rows; ++row) {
    dequantize_row(matrix, scale_values, tensor_scale, row, values.data() + row * matrix.cols);
  }
  return {};
}

}  // namespace fourge
