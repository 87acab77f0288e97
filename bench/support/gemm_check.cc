#include "bench/support/gemm_check.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <limits>
#include <optional>
#include <vector>

#if defined(_OPENMP)
#include <omp.h>
#endif

#include "fourge/formats.h"
#include "reference/gemm.h"
#include "reference/w4a16.h"

namespace fourge::bench {
namespace {

using reference::GemmRange;

constexpr std::int64_t kPartRows = 32, kPartColumns = 64;   // as reference/ blocks its work
constexpr std::int64_t kSampleBlocks = 8, kSampleSize = 8;  // 8 x 8 blocks of 8 x 8

struct Interval {
  std::int64_t begin = 0, end = 0;
};

// [0, extent) in pieces of `size`.
std::vector<Interval> cover(std::int64_t extent, std::int64_t size) {
  std::vector<Interval> pieces;
  for (std::int64_t i = 0; i < extent; i += size) pieces.push_back({i, std::min(i + size, extent)});
  return pieces;
}

// At most `count` pieces of `size` that do not overlap, evenly spaced, both ends of [0, extent) included.
std::vector<Interval> sample(std::int64_t extent, std::int64_t size, std::int64_t count) {
  if (extent < 2 * size) return {{0, extent}};
  count = std::min(extent / size, count);
  std::vector<Interval> pieces;
  for (std::int64_t i = 0; i < count; ++i) {
    const std::int64_t begin = (extent - size) * i / (count - 1);
    pieces.push_back({begin, begin + size});
  }
  return pieces;
}

std::vector<GemmRange> parts_of(const GemmSpec& spec, CheckExtent extent) {
  if (extent == CheckExtent::none) return {};
  const bool all = extent == CheckExtent::all;
  std::vector<GemmRange> parts;
  for (const Interval& rows : all ? cover(spec.m, kPartRows) : sample(spec.m, kSampleSize, kSampleBlocks)) {
    for (const Interval& columns :
         all ? cover(spec.n, kPartColumns) : sample(spec.n, kSampleSize, kSampleBlocks)) {
      parts.push_back({rows.begin, rows.end, columns.begin, columns.end});
    }
  }
  return parts;
}

std::int64_t outputs_of(const GemmRange& part) {
  return (part.m_end - part.m_begin) * (part.n_end - part.n_begin);
}

std::uint32_t output_bits(OutputType type, const void* d, std::int64_t index) {
  std::uint32_t bits = 0;
  const auto width = static_cast<std::size_t>(bytes_of(type));
  std::memcpy(&bits, static_cast<const std::uint8_t*>(d) + index * bytes_of(type), width);
  return bits;
}

float output_value(OutputType type, const void* d, std::int64_t index) {
  const std::uint32_t bits = output_bits(type, d, index);
  return decode_f32(type == OutputType::f32    ? ElementFormat::f32
                    : type == OutputType::bf16 ? ElementFormat::bf16
                                               : ElementFormat::f16,
                    bits);
}

// Compares one part; `want` has the strides of operands.d.
CheckResult compare(const GemmSpec& spec, const GemmRange& part, std::int64_t stride, const void* want,
                    const void* got) {
  CheckResult result{.outputs = outputs_of(part)};
  for (std::int64_t i = part.m_begin; i < part.m_end; ++i) {
    for (std::int64_t j = part.n_begin; j < part.n_end; ++j) {
      const std::uint32_t expected = output_bits(spec.output, want, i * stride + j);
      const std::uint32_t found = output_bits(spec.output, got, i * stride + j);
      if (expected == found || ++result.mismatches > 1) continue;
      std::array<char, 120> text{};
      const int digits = static_cast<int>(2 * bytes_of(spec.output));
      std::snprintf(text.data(), text.size(), "D[%lld, %lld]: expected 0x%0*x, got 0x%0*x",
                    static_cast<long long>(i), static_cast<long long>(j), digits, expected, digits, found);
      result.first = text.data();
    }
  }
  return result;
}

// Eight sums side by side: the compiler keeps them in vectors without having to reorder anything.
double dot(const float* x, const float* w, std::int64_t k) {
  std::array<double, 8> sums{};
  std::int64_t i = 0;
  for (; i + 8 <= k; i += 8) {
    for (std::size_t lane = 0; lane < 8; ++lane) {
      const auto at = static_cast<std::size_t>(i) + lane;
      sums[lane] += static_cast<double>(x[at]) * static_cast<double>(w[at]);
    }
  }
  for (; i < k; ++i) sums[0] += static_cast<double>(x[i]) * static_cast<double>(w[i]);
  double sum = 0;
  for (const double lane : sums) sum += lane;
  return sum;
}

int thread_count(int threads) {
#if defined(_OPENMP)
  return threads > 0 ? threads : omp_get_max_threads();
#else
  return 1;
#endif
}

}  // namespace

std::int64_t outputs_to_check(const GemmSpec& spec, CheckExtent extent) {
  std::int64_t outputs = 0;
  for (const GemmRange& part : parts_of(spec, extent)) outputs += outputs_of(part);
  return outputs;
}

namespace {

// compute(expected operands, part) writes what reference/ says.
template <class Compute>
Result<CheckResult> check_parts(const GemmSpec& spec, const GemmOperands& operands,
                                const CheckOptions& options, const Compute& compute) {
  const std::vector<GemmRange> parts = parts_of(spec, options.extent);
  const std::int64_t stride = operands.d_stride != 0 ? operands.d_stride : spec.n;
  const std::int64_t last_row = (spec.m - 1) * stride + spec.n;
  std::vector<std::uint8_t> want(static_cast<std::size_t>(last_row * bytes_of(spec.output)));
  GemmOperands expected = operands;
  expected.d = want.data();

  CheckResult total;
  std::optional<Failure> failure;
  const auto count = static_cast<std::int64_t>(parts.size());
#pragma omp parallel for num_threads(thread_count(options.threads)) schedule(dynamic)
  for (std::int64_t p = 0; p < count; ++p) {
    const GemmRange& part = parts[static_cast<std::size_t>(p)];
    const Status status = compute(expected, part);
    const CheckResult result =
        status.ok() ? compare(spec, part, stride, want.data(), operands.d) : CheckResult{};
#pragma omp critical(fourge_check_gemm)
    {
      if (!status.ok()) failure = status.failure();
      if (total.first.empty()) total.first = result.first;
      total.outputs += result.outputs;
      total.mismatches += result.mismatches;
      if (options.progress) options.progress(result.outputs);
    }
  }
  if (failure) return *failure;
  return total;
}

}  // namespace

Result<CheckResult> check_gemm(const GemmSpec& spec, const QuantizedView& a, const QuantizedView& b,
                               const GemmOperands& operands, const CheckOptions& options) {
  return check_parts(spec, operands, options, [&](const GemmOperands& expected, const GemmRange& part) {
    return reference::gemm_part(spec, a, b, expected, part);
  });
}

Result<CheckResult> check_gemm(const GemmSpec& spec, const PlainView& a, const QuantizedView& b,
                               const GemmOperands& operands, const CheckOptions& options) {
  return check_parts(spec, operands, options, [&](const GemmOperands& expected, const GemmRange& part) {
    return reference::gemm_w4a16_part(spec, a, b, expected, part);
  });
}

RelativeError relative_error(const GemmSpec& spec, const Values& x, const Values& w, const void* d,
                             std::int64_t most_products) {
  const std::int64_t most_outputs = std::max<std::int64_t>(1, most_products / spec.k);
  const std::int64_t columns = std::min(spec.n, most_outputs);
  const std::int64_t rows = std::clamp<std::int64_t>(most_outputs / columns, 1, spec.m);
  double difference = 0, norm = 0;
#pragma omp parallel for schedule(static) reduction(+ : difference, norm)
  for (std::int64_t c = 0; c < columns; ++c) {
    const std::int64_t j = c * spec.n / columns;
    for (std::int64_t r = 0; r < rows; ++r) {
      const std::int64_t i = r * spec.m / rows;
      const double exact = dot(x.row(i), w.row(j), spec.k);
      const double error = static_cast<double>(output_value(spec.output, d, i * spec.n + j)) - exact;
      difference += error * error;
      norm += exact * exact;
    }
  }
  const double value = norm > 0         ? std::sqrt(difference / norm)
                       : difference > 0 ? std::numeric_limits<double>::infinity()
                                        : 0.0;
  return {value, rows * columns};
}

}  // namespace fourge::bench
