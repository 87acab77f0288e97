#include "quant/gptq/gram.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <string>

#include "quant/model/matmul.h"

namespace fourge::quant {
namespace {

// x + 1.5 * 2^(52 + g) - 1.5 * 2^(52 + g) is x rounded to a multiple of 2^g, for |x| < 2^(51 + g).
constexpr double kToCoarse = 0x1.8p60, kToFine = 0x1.8p24;

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

void Gram::accumulate(const float* y, const float* x, std::int64_t tokens) {
  multiply({y, 1, rows_}, StridedSource(x, cols_, 1),
           {.m = rows_,
            .n = cols_,
            .k = tokens,
            .c = partial_.data(),
            .c_stride = cols_,
            .only_upper = symmetric_});
#pragma omp parallel for
  for (std::int64_t i = 0; i < rows_; ++i) {
    for (std::int64_t j = symmetric_ ? i : 0; j < cols_; ++j) {
      const auto at = static_cast<std::size_t>(i * cols_ + j);
      const double sum = static_cast<double>(partial_[at]);
      const double coarse = (sum + kToCoarse) - kToCoarse;
      coarse_[at] += coarse;
      fine_[at] += ((sum - coarse) + kToFine) - kToFine;
    }
  }
}

void Gram::add(std::span<const float> x, std::int64_t tokens) {
  for (std::int64_t first = 0; first < tokens; first += kTokens) {
    const float* part = x.data() + first * cols_;
    accumulate(part, part, std::min(kTokens, tokens - first));
  }
}

void Gram::add_cross(std::span<const float> y, std::span<const float> x, std::int64_t tokens) {
  symmetric_ = false;
  for (std::int64_t first = 0; first < tokens; first += kTokens)
    accumulate(y.data() + first * rows_, x.data() + first * cols_, std::min(kTokens, tokens - first));
}

std::vector<double> Gram::sums() const {
  std::vector<double> full(coarse_.size());
  for (std::size_t i = 0; i < full.size(); ++i) full[i] = coarse_[i] + fine_[i];
  if (!symmetric_) return full;
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
