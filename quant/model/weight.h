// A weight matrix in the form in which it is stored: bf16, f16 or f32 of a mapped file, f32 of its own, or
// 4-bit. It decodes panel by panel into products.
#pragma once

#include <cstdint>
#include <variant>
#include <vector>

#include "fourge/error.h"
#include "fourge/matrix.h"
#include "quant/model/matmul.h"
#include "quant/safetensors.h"

namespace fourge::quant {

class Weight final : public PanelSource {
 public:
  Weight() = default;
  /// A rows x cols tensor of BF16, F16 or F32 whose bytes outlive the result.
  static Weight of_tensor(const Tensor& tensor);
  /// rows x cols values, row-major.
  static Weight of_values(std::vector<float> values, std::int64_t rows, std::int64_t cols);
  static Weight of_quantized(QuantizedMatrix matrix);

  std::int64_t rows() const { return rows_; }
  std::int64_t cols() const { return cols_; }
  /// The 4-bit matrix, or null.
  const QuantizedMatrix* quantized() const { return std::get_if<QuantizedMatrix>(&storage_); }
  /// What a product with the decoded panels has yet to be multiplied with: a 4-bit matrix's tensor scale.
  float output_scale() const;

  /// `count` elements of a row from `first_col` on, without the output scale.
  void decode_row(std::int64_t row, std::int64_t first_col, std::int64_t count, float* out) const;
  /// All values, the output scale multiplied in.
  std::vector<float> to_values() const;

  /// Column j of the product is row first_n + j.
  void fill(std::int64_t first_k, std::int64_t depth, std::int64_t first_n, std::int64_t columns,
            float* panel) const override;

 private:
  std::int64_t rows_ = 0, cols_ = 0;
  std::variant<Tensor, std::vector<float>, QuantizedMatrix> storage_;
};

}  // namespace fourge::quant
