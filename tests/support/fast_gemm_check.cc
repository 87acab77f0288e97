#include "tests/support/fast_gemm_check.h"

#include <cmath>
#include <cstring>

namespace fourge::tests {
namespace {

// One output. double would do: a product has at most 12 significant bits, a sum of 8192 of them few more
// than 53 only where exponents are far apart, and there f32 is 2^29 times coarser.
struct ExactSum {
  long double sum = 0, magnitudes = 0;  // c + sum a b; |c| + sum |a b|
};

long double element(const QuantizedView& matrix, std::int64_t row, std::int64_t i) {
  const BlockInfo block = info(matrix.format);
  const unsigned byte = matrix.codes[(row * matrix.cols + i) / 2];
  const unsigned code = i % 2 == 0 ? byte & 15u : byte >> 4;
  return static_cast<long double>(decode_f32(ElementFormat::e2m1, code)) *
         static_cast<long double>(decode_f32(block.scale, matrix.scale(row, i / block.block)));
}

ExactSum exact_sum(const GemmProblem& problem, std::int64_t row, std::int64_t column) {
  ExactSum exact;
  if (problem.spec.accumulate) {
    exact.sum = static_cast<long double>(problem.c[static_cast<std::size_t>(row * problem.spec.n + column)]);
    exact.magnitudes = std::fabs(exact.sum);
  }
  for (std::int64_t i = 0; i < problem.spec.k; ++i) {
    const long double product = element(problem.a.view(), row, i) * element(problem.b.view(), column, i);
    exact.sum += product;
    exact.magnitudes += std::fabs(product);
  }
  return exact;
}

bool inside(const ExactSum& exact, float got, long double gamma, std::int64_t products) {
  if (std::isnan(exact.sum)) return std::isnan(got);
  if (std::isinf(exact.magnitudes)) return static_cast<long double>(got) == exact.sum;
  if (exact.magnitudes >= 0x1p127L) return true;
  const long double bound = gamma * exact.magnitudes + static_cast<long double>(products) * 0x1p-142L;
  return std::fabs(static_cast<long double>(got) - exact.sum) <= bound;
}

}  // namespace

GemmProblem without_epilogue(GemmProblem problem) {
  problem.spec.output = OutputType::f32;
  problem.spec.bias = false;
  problem.alpha = 1.0f;
  return problem;
}

std::string outside_bound(const GemmProblem& problem, const std::vector<std::uint8_t>& d, std::int64_t n) {
  const long double nu = static_cast<long double>(n) * 0x1p-24L, gamma = nu / (1 - nu);
  for (std::int64_t i = 0; i < problem.spec.m * problem.spec.n; ++i) {
    const std::int64_t row = i / problem.spec.n, column = i % problem.spec.n;
    const ExactSum exact = exact_sum(problem, row, column);
    float got;
    std::memcpy(&got, d.data() + 4 * i, 4);
    if (inside(exact, got, gamma, problem.spec.k)) continue;
    return problem.describe() + ": D[" + std::to_string(row) + ", " + std::to_string(column) +
           "] = " + std::to_string(got) + ", exact " + std::to_string(exact.sum) + ", magnitudes " +
           std::to_string(exact.magnitudes);
  }
  return {};
}

}  // namespace fourge::tests
