// Cholesky factor of a damped inverse Hessian.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "fourge/error.h"

namespace fourge::quant {

/// H^-1 = U^T U with U upper triangular; stored transposed: entry (i, j) of U at lower[j * size + i], i <= j.
struct InverseFactor {
  std::int64_t size = 0;
  std::vector<double> lower;
  double damping = 0.0;  // relative to the mean diagonal
  int attempts = 0;
  int dead_columns = 0;

  double at(std::int64_t i, std::int64_t j) const { return lower[static_cast<std::size_t>(j * size + i)]; }
};

struct DampingLadder {
  double first = 0.01;
  int retries = 4;  // each ten times the one before
};

/// Damps `hessian` (size x size, symmetric, in the order of visits) in place, so that it is what U belongs
/// to, and factors it in f64. A zero on the diagonal (an input that was always 0) becomes the mean diagonal.
///
/// With J the reversal, J H J = L L^T gives U = J L^-1 J: one factorisation and one triangular inverse.
/// kBadArgument when no damping of the ladder makes the matrix positive definite.
Result<InverseFactor> factor_inverse(std::span<double> hessian, std::int64_t size,
                                     const DampingLadder& ladder);

/// X with X (H + damping) = G, for rows x size G in place: least squares from sums of products. `hessian`
/// undamped. kBadArgument as above.
Status solve_right(std::span<const double> hessian, std::int64_t size, const DampingLadder& ladder,
                   std::span<double> g, std::int64_t rows);

}  // namespace fourge::quant
