// Sums of outer products of a layer's inputs, over calibration tokens.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "fourge/error.h"

namespace fourge::quant {

/// sum of x x^T over tokens (and sum of x y^T with a second stream). A call's products are summed in f32 over
/// at most kTokens tokens, those partial sums in f64, in the order of the calls.
class Gram {
 public:
  static constexpr std::int64_t kTokens = 1024;

  explicit Gram(std::int64_t cols)
      : cols_(cols), sums_(static_cast<std::size_t>(cols * cols)), partial_(sums_.size()) {}

  /// += X^T X; x: tokens x cols. Only the upper triangle is kept until sums().
  void add(std::span<const float> x, std::int64_t tokens);
  /// += X^T Y. An object takes either add() or add_cross().
  void add_cross(std::span<const float> x, std::span<const float> y, std::int64_t tokens);

  std::int64_t cols() const { return cols_; }
  /// cols x cols; symmetric after add().
  std::vector<double> sums() const;
  /// The raw sums, for reductions over processes.
  std::span<double> raw() { return sums_; }

 private:
  void accumulate(const float* x, const float* y, std::int64_t tokens);

  std::int64_t cols_;
  bool symmetric_ = true;
  std::vector<double> sums_;
  std::vector<float> partial_;
};

/// Q^T H Q with Q = blocks of the normalised Hadamard matrix of this order, f64.
Status rotate_both_sides(std::span<double> h, std::int64_t cols, std::int64_t order);

}  // namespace fourge::quant
