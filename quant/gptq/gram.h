// Sums of outer products of a layer's inputs, over calibration tokens.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "fourge/error.h"
#include "fourge/second_moment.h"
#include "quant/gptq/ranks.h"

namespace fourge::quant {

/// sum of x x^T over tokens, or sum of y x^T with a second stream: a SecondMoment that is made when it is
/// first needed.
class Gram {
 public:
  explicit Gram(std::int64_t cols) : Gram(cols, cols) {}
  /// rows x cols, for add_cross().
  Gram(std::int64_t rows, std::int64_t cols) : rows_(rows), cols_(cols) {}

  /// += X^T X; x: tokens x cols.
  Status add(std::span<const float> x, std::int64_t tokens);
  /// += Y^T X; y: tokens x rows, x: tokens x cols. An object takes either add() or add_cross().
  Status add_cross(std::span<const float> y, std::span<const float> x, std::int64_t tokens);

  std::int64_t cols() const { return cols_; }
  /// rows x cols, of all ranks; symmetric after add().
  Result<std::vector<double>> sums(Ranks& ranks = Ranks::alone());

 private:
  Status prepare(bool symmetric);

  std::int64_t rows_, cols_;
  std::optional<SecondMoment> moment_;
};

/// Q^T H Q with Q = blocks of the normalised Hadamard matrix of this order, f64.
Status rotate_both_sides(std::span<double> h, std::int64_t cols, std::int64_t order);

}  // namespace fourge::quant
