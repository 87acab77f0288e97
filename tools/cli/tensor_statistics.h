// What a person asks of a tensor first: range, spread, tails, and how 4-bit codes and scales are used.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "fourge/formats.h"

namespace fourge::cli {

/// Moments are of the finite values, in double, in two passes.
struct TensorStatistics {
  std::int64_t elements = 0, zeros = 0, nans = 0, infinities = 0;
  double min = 0, max = 0, amax = 0, mean = 0, deviation = 0;
  double kurtosis =
      0;  // E (x - mean)^4 / deviation^4: 3 for a normal distribution; 0 when the deviation is 0
};
TensorStatistics statistics_of(std::span<const float> values);

/// How many scales lie in each binade [2^e, 2^(e+1)), and which are zero or NaN.
struct ScaleHistogram {
  std::map<int, std::int64_t> binades;
  std::int64_t zeros = 0, nans = 0, total = 0;
  double smallest = 0, largest = 0;  // of the nonzero ones
};
ScaleHistogram scale_histogram(ElementFormat format, std::span<const std::uint8_t> scales);

/// How many elements have each of the 16 e2m1 codes; two a byte.
std::vector<std::int64_t> code_histogram(std::span<const std::uint8_t> codes);

}  // namespace fourge::cli
