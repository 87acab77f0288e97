#include "quant/gptq/gram.h"

#include <bit>
#include <cmath>
#include <string>
#include <utility>

namespace fourge::quant {
namespace {

/// Every run of `order` values: H x / sqrt(order).
void rotate_row(double* row, std::int64_t cols, std::int64_t order) {
  const double factor = 1.0 / std::sqrt(static_cast<double>(order));
  for (double* x = row; x < row + cols; x += order) {
    for (std::int64_t half = 1; half < order; half *= 2) {
      for (std::int64_t group = 0; group < order; group += 2 * half) {
        for (std::int64_t i = group; i < group + half; ++i) {
          const double a = x[i], b = x[i + half];
          x[i] = a + b;
          x[i + half] = a - b;
        }
      }
    }
    for (std::int64_t i = 0; i < order; ++i) x[i] *= factor;
  }
}

void transpose_square(std::span<double> h, std::int64_t cols) {
  for (std::int64_t i = 0; i < cols; ++i)
    for (std::int64_t j = i + 1; j < cols; ++j)
      std::swap(h[static_cast<std::size_t>(i * cols + j)], h[static_cast<std::size_t>(j * cols + i)]);
}

void rotate_rows(std::span<double> h, std::int64_t cols, std::int64_t order) {
#pragma omp parallel for
  for (std::int64_t i = 0; i < cols; ++i) rotate_row(h.data() + i * cols, cols, order);
}

}  // namespace

Status Gram::prepare(bool symmetric) {
  if (moment_) return {};
  Result<SecondMoment> made =
      SecondMoment::create({.rows = rows_, .cols = cols_, .symmetric = symmetric && rows_ == cols_});
  if (!made) return made.failure();
  moment_ = std::move(*made);
  return {};
}

Status Gram::add(std::span<const float> x, std::int64_t tokens) {
  if (Status ready = prepare(true); !ready) return ready;
  return moment_->add(nullptr, x.data(), tokens);
}

Status Gram::add_cross(std::span<const float> y, std::span<const float> x, std::int64_t tokens) {
  if (Status ready = prepare(false); !ready) return ready;
  return moment_->add(y.data(), x.data(), tokens);
}

Result<std::vector<double>> Gram::sums(Ranks& ranks) {
  Status status = prepare(true);
  if (status) status = moment_->finish();
  if (status = ranks.agree(status); !status) return status.failure();
  ranks.sum(moment_->coarse());
  ranks.sum(moment_->fine());
  const std::span<const double> coarse = moment_->coarse(), fine = moment_->fine();
  std::vector<double> full(coarse.size());
  for (std::size_t i = 0; i < full.size(); ++i) full[i] = coarse[i] + fine[i];
  if (!moment_->spec().symmetric) return full;
  for (std::int64_t i = 0; i < cols_; ++i)
    for (std::int64_t j = 0; j < i; ++j)
      full[static_cast<std::size_t>(i * cols_ + j)] = full[static_cast<std::size_t>(j * cols_ + i)];
  return full;
}

Status rotate_both_sides(std::span<double> h, std::int64_t cols, std::int64_t order) {
  if (order < 1 || !std::has_single_bit(static_cast<std::uint64_t>(order)))
    return {Error::kBadArgument, "expected a power of two", "rotation of order " + std::to_string(order)};
  if (cols % order != 0) {
    return {Error::kBadShape, "expected columns in multiples of the rotation's order",
            std::to_string(cols) + " columns in blocks of " + std::to_string(order)};
  }
  if (order == 1) return {};
  rotate_rows(h, cols, order);
  transpose_square(h, cols);
  rotate_rows(h, cols, order);
  transpose_square(h, cols);
  return {};
}

}  // namespace fourge::quant
