// The QuEST scale of a block.
#pragma once

#include <cmath>

namespace fourge {

/// s = standard deviation * (2.92247856 / 6) + 1e-8, the deviation that of the population:
///
///   variance = sum(x^2) / n - (sum(x) / n)^2
///
/// in f32, each operation rounded to nearest even, in the order written; the sums as a binary tree,
/// neighbours first: (x0 + x1) + (x2 + x3) ... A NaN counts as 0. A variance that comes out negative, or NaN
/// (infinite values), gives s = 1. 2.92247856 standard deviations: where clipping a Gaussian to the grid errs
/// least.
///
/// n: a power of two, at most 32. Source: QuTLASS, fused_quantize_mx and _nv, method quest; FP-Quant d2e3092.
inline float quest_scale(const float* values, int n) {
  float x[32], square[32];
  for (int i = 0; i < n; ++i) {
    x[i] = std::isnan(values[i]) ? 0.0f : values[i];
    square[i] = x[i] * x[i];
  }
  for (int half = 1; half < n; half *= 2) {
    for (int i = 0; i < n; i += 2 * half) {
      x[i] += x[i + half];
      square[i] += square[i + half];
    }
  }
  const float inverse = 1.0f / static_cast<float>(n), mean = x[0] * inverse;
  const float variance = square[0] * inverse - mean * mean;
  if (!(variance >= 0.0f)) return 1.0f;
  return std::sqrt(variance) * (2.92247856f / 6.0f) + 1e-8f;
}

}  // namespace fourge
