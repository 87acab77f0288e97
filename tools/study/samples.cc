#include "tools/study/samples.h"

#include <cmath>
#include <numbers>
#include <random>

#include "bench/support/splitmix64.h"

namespace fourge::study {
namespace {

// Uniform in (0, 1]: 53 random bits.
double uniform(std::mt19937_64& random) { return (static_cast<double>(random() >> 11) + 1.0) * 0x1p-53; }

double cosine_of_any_angle(std::mt19937_64& random) {
  return std::cos(2.0 * std::numbers::pi * uniform(random));
}

// Box and Muller, 1958.
double normal(std::mt19937_64& random) {
  const double radius = std::sqrt(-2.0 * std::log(uniform(random)));
  return radius * cosine_of_any_angle(random);
}

double laplace(std::mt19937_64& random) {
  const bool negative = (random() & 1) != 0;
  const double magnitude = -std::log(uniform(random));
  return negative ? -magnitude : magnitude;
}

// R. W. Bailey, Polar generation of random variates with the t-distribution, Math. Comp. 62, 1994.
double student_t(std::mt19937_64& random, double degrees) {
  const double radius = std::sqrt(degrees * (std::pow(uniform(random), -2.0 / degrees) - 1.0));
  return radius * cosine_of_any_angle(random);
}

double draw_one(Distribution distribution, std::mt19937_64& random) {
  switch (distribution) {
    case Distribution::normal:
      return normal(random);
    case Distribution::laplace:
      return laplace(random);
    case Distribution::student_t5:
      return student_t(random, 5.0);
    case Distribution::student_t3:
      return student_t(random, 3.0);
  }
  return 0.0;
}

}  // namespace

std::vector<float> draw(Distribution distribution, std::int64_t rows, std::int64_t cols, std::uint64_t seed) {
  std::vector<float> values(static_cast<std::size_t>(rows * cols));
  const std::uint64_t stream = bench::splitmix64(seed * 8 + static_cast<std::uint64_t>(distribution));
#pragma omp parallel for schedule(static)
  for (std::int64_t row = 0; row < rows; ++row) {
    std::mt19937_64 random(bench::splitmix64(stream ^ bench::splitmix64(static_cast<std::uint64_t>(row))));
    float* at = values.data() + row * cols;
    for (std::int64_t col = 0; col < cols; ++col)
      at[col] = static_cast<float>(draw_one(distribution, random));
  }
  return values;
}

}  // namespace fourge::study
