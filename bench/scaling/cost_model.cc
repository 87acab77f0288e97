#include "bench/scaling/cost_model.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <limits>
#include <optional>
#include <utility>

namespace fourge::bench {
namespace {

constexpr std::size_t kTerms = 4;
using Vector = std::array<double, kTerms>;

// What a sample says of each term, divided by its time: the model predicts 1.
Vector terms_of(const CostSample& sample) {
  const Work& work = sample.work;
  return {1 / sample.seconds, work.operations / sample.seconds, work.bytes / sample.seconds,
          work.row_steps / sample.seconds};
}

// Terms differ by many powers of ten: each is divided by its largest value before the equations are solved.
Vector scale_of(std::span<const CostSample> samples) {
  Vector scale{};
  for (const CostSample& sample : samples) {
    const Vector terms = terms_of(sample);
    for (std::size_t i = 0; i < kTerms; ++i) scale[i] = std::max(scale[i], terms[i]);
  }
  for (double& s : scale) s = s > 0 ? s : 1;
  return scale;
}

// Least squares over the terms of `subset` (bits) by elimination with row pivots; none when singular or when
// a coefficient comes out negative.
std::optional<Vector> solve(std::span<const CostSample> samples, const Vector& scale, unsigned subset) {
  std::array<std::array<double, kTerms + 1>, kTerms> rows{};
  for (std::size_t i = 0; i < kTerms; ++i) {
    if ((subset >> i & 1) == 0) rows[i][i] = 1;
  }
  for (const CostSample& sample : samples) {
    const Vector terms = terms_of(sample);
    for (std::size_t i = 0; i < kTerms; ++i) {
      if ((subset >> i & 1) == 0) continue;
      for (std::size_t j = 0; j < kTerms; ++j) {
        if ((subset >> j & 1) != 0) rows[i][j] += terms[i] / scale[i] * (terms[j] / scale[j]);
      }
      rows[i][kTerms] += terms[i] / scale[i];
    }
  }
  for (std::size_t column = 0; column < kTerms; ++column) {
    std::size_t pivot = column;
    for (std::size_t i = column + 1; i < kTerms; ++i) {
      if (std::fabs(rows[i][column]) > std::fabs(rows[pivot][column])) pivot = i;
    }
    std::swap(rows[column], rows[pivot]);
    if (std::fabs(rows[column][column]) < 1e-12) return std::nullopt;
    for (std::size_t i = 0; i < kTerms; ++i) {
      if (i == column) continue;
      const double factor = rows[i][column] / rows[column][column];
      for (std::size_t j = column; j <= kTerms; ++j) rows[i][j] -= factor * rows[column][j];
    }
  }
  Vector solution{};
  for (std::size_t i = 0; i < kTerms; ++i) {
    solution[i] = rows[i][kTerms] / rows[i][i] / scale[i];
    if (solution[i] < 0) return std::nullopt;
  }
  return solution;
}

double squared_error(std::span<const CostSample> samples, const CostModel& model) {
  double sum = 0;
  for (const CostSample& sample : samples) {
    const double relative = model.seconds(sample.work) / sample.seconds - 1;
    sum += relative * relative;
  }
  return sum;
}

}  // namespace

CostModel fit_cost_model(std::span<const CostSample> samples) {
  if (samples.empty()) return {};
  const Vector scale = scale_of(samples);
  CostModel best;
  double least = std::numeric_limits<double>::infinity();
  for (unsigned subset = 1; subset < 1u << kTerms; ++subset) {
    const std::optional<Vector> solution = solve(samples, scale, subset);
    if (!solution) continue;
    const CostModel model{(*solution)[0], (*solution)[1], (*solution)[2], (*solution)[3]};
    const double error = squared_error(samples, model);
    if (error < least) {
      least = error;
      best = model;
    }
  }
  return best;
}

}  // namespace fourge::bench
