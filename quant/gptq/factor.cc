#include "quant/gptq/factor.h"

#include <Eigen/Cholesky>
#include <algorithm>
#include <cmath>
#include <string>

namespace fourge::quant {
namespace {

using RowMajor = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using Factorisation = Eigen::LLT<Eigen::MatrixXd, Eigen::Lower>;

double mean_diagonal(std::span<const double> h, std::int64_t size) {
  double sum = 0.0;
  for (std::int64_t i = 0; i < size; ++i) sum += h[static_cast<std::size_t>(i * size + i)];
  return sum / static_cast<double>(size);
}

Status check_diagonal(double mean) {
  if (std::isfinite(mean) && mean > 0.0) return {};
  return {Error::kBadArgument, "expected a Hessian with a finite, positive mean diagonal",
          "mean " + std::to_string(mean)};
}

Failure not_positive_definite(double damping, int attempts) {
  return {Error::kBadArgument, "the Hessian is not positive definite even with the last damping",
          std::to_string(attempts) + " attempts, last damping " + std::to_string(damping) +
              " of the mean diagonal"};
}

/// Columns first, ..., first + count - 1 of the inverse of the lower triangular `l`, whose rows above `first`
/// are zero.
void invert_columns(const Eigen::MatrixXd& l, Eigen::Index first, Eigen::Index count, Eigen::MatrixXd& out) {
  const Eigen::Index rest = l.rows() - first;
  Eigen::MatrixXd columns = Eigen::MatrixXd::Zero(rest, count);
  for (Eigen::Index i = 0; i < count; ++i) columns(i, i) = 1.0;
  l.bottomRightCorner(rest, rest).triangularView<Eigen::Lower>().solveInPlace(columns);
  out.block(first, first, rest, count) = columns;
}

Eigen::MatrixXd inverse_of_lower(const Eigen::MatrixXd& l) {
  constexpr Eigen::Index kColumns = 64;
  Eigen::MatrixXd inverse = Eigen::MatrixXd::Zero(l.rows(), l.cols());
#pragma omp parallel for schedule(dynamic)
  for (Eigen::Index first = 0; first < l.cols(); first += kColumns)
    invert_columns(l, first, std::min(kColumns, l.cols() - first), inverse);
  return inverse;
}

int revive_dead(std::span<double> h, std::int64_t size, double mean) {
  int dead = 0;
  for (std::int64_t i = 0; i < size; ++i) {
    double& d = h[static_cast<std::size_t>(i * size + i)];
    if (d != 0.0) continue;
    d = mean;
    ++dead;
  }
  return dead;
}

void add_to_diagonal(std::span<double> h, std::int64_t size, double x) {
  for (std::int64_t i = 0; i < size; ++i) h[static_cast<std::size_t>(i * size + i)] += x;
}

}  // namespace

Result<InverseFactor> factor_inverse(std::span<double> hessian, std::int64_t size,
                                     const DampingLadder& ladder) {
  const double mean = mean_diagonal(hessian, size);
  if (Status usable = check_diagonal(mean); !usable) return usable.failure();
  InverseFactor out;
  out.size = size;
  out.dead_columns = revive_dead(hessian, size, mean);
  out.damping = ladder.first;
  double added = 0.0;
  Factorisation factorisation;
  do {
    if (out.attempts > 0) out.damping *= 10.0;
    add_to_diagonal(hessian, size, out.damping * mean - added);
    added = out.damping * mean;
    const Eigen::Map<const RowMajor> h(hessian.data(), size, size);
    factorisation.compute(h.reverse());
    ++out.attempts;
  } while (factorisation.info() != Eigen::Success && out.attempts <= ladder.retries);
  if (factorisation.info() != Eigen::Success) return not_positive_definite(out.damping, out.attempts);

  const Eigen::MatrixXd inverse = inverse_of_lower(factorisation.matrixL());
  out.lower.resize(static_cast<std::size_t>(size * size));
  Eigen::Map<RowMajor>(out.lower.data(), size, size) = inverse.reverse().transpose();
  return out;
}

Status solve_right(std::span<const double> hessian, std::int64_t size, const DampingLadder& ladder,
                   std::span<double> g, std::int64_t rows) {
  std::vector<double> damped(hessian.begin(), hessian.end());
  const double mean = mean_diagonal(hessian, size);
  if (Status usable = check_diagonal(mean); !usable) return usable;
  revive_dead(damped, size, mean);
  double damping = ladder.first, added = 0.0;
  for (int attempt = 0; attempt <= ladder.retries; ++attempt, damping *= 10.0) {
    add_to_diagonal(damped, size, damping * mean - added);
    added = damping * mean;
    const Eigen::Map<const RowMajor> h(damped.data(), size, size);
    const Factorisation factorisation(h);
    if (factorisation.info() != Eigen::Success) continue;
    constexpr std::int64_t kRows = 64;
#pragma omp parallel for schedule(dynamic)
    for (std::int64_t first = 0; first < rows; first += kRows) {
      const std::int64_t count = std::min(kRows, rows - first);
      Eigen::Map<RowMajor> part(g.data() + first * size, count, size);
      Eigen::MatrixXd right = part.transpose();
      factorisation.solveInPlace(right);
      part = right.transpose();
    }
    return {};
  }
  return not_positive_definite(damping / 10.0, ladder.retries + 1);
}

}  // namespace fourge::quant
