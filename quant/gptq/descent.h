// Coordinate descent on quantised weights: GPTQ rounds each column once, knowing only what came before; here
// every code and every scale is looked at again, knowing all others.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "fourge/matrix.h"
#include "quant/gptq/grid.h"

namespace fourge::quant {

/// One chunk of rows, in the order of visits; element (v, r) at [v * kChunkRows + r].
struct DescentProblem {
  std::span<const double> hessian;      // cols x cols, damped
  std::span<const std::int64_t> visit;  // column of each visit
  const ScaleTable* table = nullptr;
  Format format = Format::nvfp4;
  std::int64_t cols = 0;
  std::int64_t rows = 0;  // of the chunk
  int passes = 1;
  std::span<const double> target;       // the weights
  std::span<double> q;                  // grid values, without scale; replaced
  std::span<std::uint8_t> scale_codes;  // (group, r); replaced
};

/// Each step lowers e^T H e of its row, e = target - q * scale, or is not taken:
///   a code    to the grid value nearest to the minimum over that weight alone
///   a scale   to a neighbouring code, with the group's codes chosen anew one after the other
/// Returns the sum of e^T H e over the rows.
double coordinate_descent(const DescentProblem& problem);

}  // namespace fourge::quant
