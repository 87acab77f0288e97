#include "tools/cli/tensor_statistics.h"

#include <algorithm>
#include <cmath>

namespace fourge::cli {

TensorStatistics statistics_of(std::span<const float> values) {
  TensorStatistics s;
  s.elements = static_cast<std::int64_t>(values.size());
  double sum = 0;
  for (const float value : values) {
    if (std::isnan(value)) {
      ++s.nans;
    } else if (std::isinf(value)) {
      ++s.infinities;
    } else {
      sum += value;
      s.zeros += value == 0.0f ? 1 : 0;
    }
  }
  const std::int64_t finite = s.elements - s.nans - s.infinities;
  if (finite == 0) return s;
  const auto count = static_cast<double>(finite);
  s.mean = sum / count;
  double second = 0, fourth = 0;
  bool first = true;
  for (const float value : values) {
    if (!std::isfinite(value)) continue;
    s.min = first ? value : std::min(s.min, double{value});
    s.max = first ? value : std::max(s.max, double{value});
    first = false;
    const double square = (value - s.mean) * (value - s.mean);
    second += square;
    fourth += square * square;
  }
  s.amax = std::max(std::abs(s.min), std::abs(s.max));
  s.deviation = std::sqrt(second / count);
  s.kurtosis = second == 0 ? 0 : fourth / count / (second / count * (second / count));
  return s;
}

ScaleHistogram scale_histogram(ElementFormat format, std::span<const std::uint8_t> scales) {
  std::int64_t counts[256] = {};
  for (const std::uint8_t code : scales) ++counts[code];
  ScaleHistogram histogram;
  histogram.total = static_cast<std::int64_t>(scales.size());
  const std::uint32_t sign =
      format == ElementFormat::ue8m0 ? 0 : 0x80;  // ue4m3 has 7 bits: files leave the sign 0
  for (std::uint32_t code = 0; code < 256; ++code) {
    if (counts[code] == 0) continue;
    const double value = decode_f32(format, code & ~sign);
    if (std::isnan(value) || (code & sign) != 0) {
      histogram.nans += counts[code];
    } else if (value == 0) {
      histogram.zeros += counts[code];
    } else {
      histogram.binades[std::ilogb(value)] += counts[code];
      histogram.smallest = histogram.largest == 0 ? value : std::min(histogram.smallest, value);
      histogram.largest = std::max(histogram.largest, value);
    }
  }
  return histogram;
}

std::vector<std::int64_t> code_histogram(std::span<const std::uint8_t> codes) {
  std::vector<std::int64_t> counts(16);
  for (const std::uint8_t byte : codes) {
    ++counts[byte & 15u];
    ++counts[byte >> 4];
  }
  return counts;
}

}  // namespace fourge::cli
