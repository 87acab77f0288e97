// Sums of outer products of a layer's inputs, over calibration tokens.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "fourge/error.h"

namespace fourge::quant {

/// sum of x x^T over tokens (and sum of y x^T with a second stream). A call's products are summed in f32 over
/// at most kTokens tokens. Those partial sums are added without error, as multiples of 2^-28 below 2^61, so
/// that the sums have the same bits in whatever order calls come and however they are spread over processes.
class Gram {
 public:
  static constexpr std::int64_t kTokens = 1024;

  explicit Gram(std::int64_t cols) : Gram(cols, cols) {}
  /// rows x cols, for add_cross().
  Gram(std::int64_t rows, std::int64_t cols)
      : rows_(rows),
        cols_(cols),
        coarse_(static_cast<std::size_t>(rows * cols)),
        fine_(coarse_.size()),
        partial_(coarse_.size()) {}

  /// += X^T X; x: tokens x cols. Only the upper triangle is kept until sums().
  void add(std::span<const float> x, std::int64_t tokens);
  /// += Y^T X; y: tokens x rows, x: tokens x cols. An object takes either add() or add_cross().
  void add_cross(std::span<const float> y, std::span<const float> x, std::int64_t tokens);

  std::int64_t cols() const { return cols_; }
  /// rows x cols; symmetric after add().
  std::vector<double> sums() const;
  /// The two parts of the sums, for exact addition over processes.
  std::span<double> coarse() { return coarse_; }
  std::span<double> fine() { return fine_; }

 private:
  void accumulate(const float* y, const float* x, std::int64_t tokens);

  std::int64_t rows_, cols_;
  bool symmetric_ = true;
  std::vector<double> coarse_;  // multiples of 2^8
  std::vector<double> fine_;    // multiples of 2^-28
  std::vector<float> partial_;
};

/// Q^T H Q with Q = blocks of the normalised Hadamard matrix of this order, f64.
Status rotate_both_sides(std::span<double> h, std::int64_t cols, std::int64_t order);

}  // namespace fourge::quant
