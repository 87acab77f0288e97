// Matrix products in f32 for calibration and evaluation: C = A B^T with B decoded panel by panel, so that
// 4-bit and bf16 weights stay what they are in memory.
#pragma once

#include <cstdint>

namespace fourge::quant {

/// Elements of k that pass through registers before C is stored.
inline constexpr std::int64_t kDepth = 256;

/// The right operand of a product, k x n: element (t, j) multiplies A's column t and goes to C's column j.
class PanelSource {
 public:
  virtual ~PanelSource() = default;
  /// panel[t][j] = element (first_k + t, first_n + j) for t < depth, j < columns; [depth][kPanelWidth], the
  /// columns from `columns` on are set to zero by the caller. Called from several threads at once.
  virtual void fill(std::int64_t first_k, std::int64_t depth, std::int64_t first_n, std::int64_t columns,
                    float* panel) const = 0;
};

/// Elements in memory: element (t, j) at values[t * k_stride + j * n_stride].
class StridedSource final : public PanelSource {
 public:
  StridedSource(const float* values, std::int64_t k_stride, std::int64_t n_stride)
      : values_(values), k_stride_(k_stride), n_stride_(n_stride) {}
  void fill(std::int64_t first_k, std::int64_t depth, std::int64_t first_n, std::int64_t columns,
            float* panel) const override;

 private:
  const float* values_;
  std::int64_t k_stride_, n_stride_;
};

/// The left operand: element (i, t) at values[i * row_stride + t * k_stride].
struct LeftOperand {
  const float* values = nullptr;
  std::int64_t row_stride = 0;
  std::int64_t k_stride = 1;
};

struct Product {
  std::int64_t m = 0, n = 0, k = 0;
  float* c = nullptr;
  std::int64_t c_stride = 0;  // floats
  bool only_upper = false;    // tiles wholly below the diagonal are not computed
};

/// C = A B. Every element is summed over k ascending, in steps of kDepth whose partial sums are added to C in
/// order: the bits do not depend on the number of threads.
void multiply(const LeftOperand& a, const PanelSource& b, const Product& product);

}  // namespace fourge::quant
