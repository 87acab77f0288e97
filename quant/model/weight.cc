#include "quant/model/weight.h"

#include <array>
#include <bit>
#include <cstring>

#include "quant/e2m1.h"
#include "quant/model/vector_kernels.h"

namespace fourge::quant {
namespace {

template <ElementFormat kFormat>
constexpr std::array<float, 256> kScaleValues = [] {
  std::array<float, 256> table{};
  for (std::uint32_t code = 0; code < table.size(); ++code) table[code] = decode_f32(kFormat, code);
  return table;
}();

float half_to_float(std::uint16_t bits) {
  static const std::vector<float> table = [] {
    std::vector<float> values(std::size_t{1} << 16);
    for (std::uint32_t code = 0; code < values.size(); ++code)
      values[code] = decode_f32(ElementFormat::f16, code);
    return values;
  }();
  return table[bits];
}

template <class Stored, class Decode>
void decode_each(const std::uint8_t* bytes, std::int64_t count, float* out, Decode decode_one) {
  for (std::int64_t i = 0; i < count; ++i) {
    Stored stored;
    std::memcpy(&stored, bytes + static_cast<std::size_t>(i) * sizeof(Stored), sizeof(Stored));
    out[i] = decode_one(stored);
  }
}

void decode_tensor(const Tensor& tensor, std::int64_t first, std::int64_t count, float* out) {
  const std::uint8_t* bytes = tensor.bytes.data() + first * (info(tensor.dtype).bits / 8);
  switch (tensor.dtype) {
    case DType::bf16:
      return decode_each<std::uint16_t>(
          bytes, count, out, [](std::uint16_t x) { return std::bit_cast<float>(std::uint32_t{x} << 16); });
    case DType::f16:
      return decode_each<std::uint16_t>(bytes, count, out, half_to_float);
    default:
      std::memcpy(out, bytes, static_cast<std::size_t>(count) * sizeof(float));
  }
}

/// Whole blocks only where they are whole: a panel's depth may end inside one.
void decode_quantized(const QuantizedMatrix& matrix, std::int64_t row, std::int64_t first, std::int64_t count,
                      float* out) {
  const QuantizedView view = matrix.view();
  const std::int64_t block = info(matrix.format).block;
  const std::array<float, 256>& scale_values = info(matrix.format).scale == ElementFormat::ue4m3
                                                   ? kScaleValues<ElementFormat::ue4m3>
                                                   : kScaleValues<ElementFormat::ue8m0>;
  float scale = 0.0f;
  for (std::int64_t i = 0; i < count; ++i) {
    const std::int64_t column = first + i;
    if (i == 0 || column % block == 0) scale = scale_values[view.scale(row, column / block)];
    out[i] = kE2m1Values[view.code(row, column)] * scale;
  }
}

}  // namespace

Weight Weight::of_tensor(const Tensor& tensor) {
  Weight weight;
  weight.rows_ = tensor.shape.at(0);
  weight.cols_ = tensor.shape.at(1);
  weight.storage_ = tensor;
  return weight;
}

Weight Weight::of_values(std::vector<float> values, std::int64_t rows, std::int64_t cols) {
  Weight weight;
  weight.rows_ = rows;
  weight.cols_ = cols;
  weight.storage_ = std::move(values);
  return weight;
}

Weight Weight::of_quantized(QuantizedMatrix matrix) {
  Weight weight;
  weight.rows_ = matrix.rows;
  weight.cols_ = matrix.cols;
  weight.storage_ = std::move(matrix);
  return weight;
}

float Weight::output_scale() const {
  const QuantizedMatrix* matrix = quantized();
  return matrix == nullptr ? 1.0f : matrix->tensor_scale.as_decode_multiplier();
}

void Weight::decode_row(std::int64_t row, std::int64_t first_col, std::int64_t count, float* out) const {
  if (const auto* tensor = std::get_if<Tensor>(&storage_)) {
    decode_tensor(*tensor, row * cols_ + first_col, count, out);
  } else if (const auto* values = std::get_if<std::vector<float>>(&storage_)) {
    std::memcpy(out, values->data() + row * cols_ + first_col,
                static_cast<std::size_t>(count) * sizeof(float));
  } else {
    decode_quantized(*quantized(), row, first_col, count, out);
  }
}

std::vector<float> Weight::to_values() const {
  std::vector<float> values(static_cast<std::size_t>(rows_ * cols_));
  const float scale = output_scale();
#pragma omp parallel for
  for (std::int64_t row = 0; row < rows_; ++row) {
    float* out = values.data() + row * cols_;
    decode_row(row, 0, cols_, out);
    if (scale != 1.0f)
      for (std::int64_t i = 0; i < cols_; ++i) out[i] *= scale;
  }
  return values;
}

void Weight::fill(std::int64_t first_k, std::int64_t depth, std::int64_t first_n, std::int64_t columns,
                  float* panel) const {
  float row[kDepth];
  for (std::int64_t j = 0; j < columns; ++j) {
    decode_row(first_n + j, first_k, depth, row);
    for (std::int64_t t = 0; t < depth; ++t) panel[t * kPanelWidth + j] = row[t];
  }
}

}  // namespace fourge::quant
