// The GPTQ recurrence over a few rows of weights.
//
// Columns are visited in the order v = 0, 1, ...; x_v is column visit[v] of the weights. With U^T U = H^-1,
//
//   x_v <- x_v - sum over u < v of err_u U_uv       err_u = (x_u - q_u) / U_uu,   q_u = x_u on its grid
//
// which is the published algorithm (IST-DASLab/gptq, FP-Quant d2e3092 gptq.py) with every update applied when
// its column is due instead of when its cause arises. The loss tr(E H E^T) is the sum of all err^2.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "fourge/gptq.h"
#include "quant/gptq/factor.h"
#include "quant/gptq/grid.h"

namespace fourge::quant {

/// Everything of one layer that its rows share.
struct GptqProblem {
  const float* weights = nullptr;  // rows x cols, row-major
  std::int64_t cols = 0;
  const GptqSpec* spec = nullptr;
  const InverseFactor* factor = nullptr;  // in the order of visits
  std::span<const std::int64_t> visit;    // visit[v] = column
  std::span<const double> hessian;        // damped, cols x cols, in the order of visits
  const ScaleTable* scales = nullptr;     // of the result's tensor scale
  QuantizedMatrix* result = nullptr;      // codes; scales given (before) or received (within)
};

/// Sums over rows, for the report.
struct GptqLoss {
  double error = 0.0;   // tr(E H E^T)
  double weight = 0.0;  // tr(W H W^T)
};

/// Rows handled together: the innermost, vectorised dimension.
inline constexpr std::int64_t kChunkRows = 32;
inline constexpr int kWidestGroup = 32;  // columns of a block of any format

/// Quantises rows [first, first + count), count <= kChunkRows.
GptqLoss quantize_chunk(const GptqProblem& problem, std::int64_t first, std::int64_t count);

/// Columns of one chunk: element (v, r) at [v * kChunkRows + r].
using ChunkColumns = std::vector<double>;

/// columns[j] -= sum over i < depth of factors[j * stride + i] * left[i], for `count` columns.
void subtract_products(const double* factors, std::int64_t stride, std::int64_t depth, const double* left,
                       std::int64_t count, double* columns);

}  // namespace fourge::quant
