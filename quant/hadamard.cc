#include "quant/hadamard.h"

#include <array>
#include <bit>
#include <cmath>
#include <string>

#include "fourge/rounding.h"

namespace fourge::quant {

namespace {

[[maybe_unused]] constexpr std::int64_t kParallelElements = 1 << 16;

void butterfly(float* x, std::int64_t order, float factor) {
  for (std::int64_t half = 1; half < order; half *= 2) {
    for (std::int64_t group = 0; group < order; group += 2 * half) {
      for (std::int64_t i = group; i < group + half; ++i) {
        const float a = x[i], b = x[i + half];
        x[i] = a + b;
        x[i + half] = a - b;
      }
    }
  }
  for (std::int64_t i = 0; i < order; ++i) x[i] *= factor;
}

// Transformer Engine's sign vector; row i of H16 is negated where it is -1.
constexpr std::array<float, 16> kSigns = {1, 1, 1, -1, 1, -1, -1, -1, -1, -1, -1, 1, -1, 1, -1, -1};

void randomized_16(float* x) {
  std::array<float, 16> y{};
  for (unsigned j = 0; j < 16; ++j) {
    float sum = 0.0f;
    for (unsigned i = 0; i < 16; ++i) {
      const float sign = std::popcount(i & j) % 2 == 0 ? kSigns[i] : -kSigns[i];
      sum += sign * x[i];
    }
    y[j] = decode_f32(ElementFormat::bf16,
                      encode(ElementFormat::bf16, sum / 4.0f, Rounding::rne, Overflow::infinity));
  }
  for (unsigned j = 0; j < 16; ++j) x[j] = y[j];
}

Status check_multiple(std::size_t count, std::int64_t order) {
  if (count % static_cast<std::uint64_t>(order) == 0) return {};
  return {Error::kBadShape, "expected a multiple of the rotation's order",
          std::to_string(count) + " values in blocks of " + std::to_string(order)};
}

}  // namespace

Status hadamard_blocks(std::span<float> values, std::int64_t order) {
  if (order < 2 || order > kLargestHadamard || !std::has_single_bit(static_cast<std::uint64_t>(order))) {
    return {Error::kBadArgument, "expected a power of two from 2 to 32768",
            "rotation of order " + std::to_string(order)};
  }
  if (Status status = check_multiple(values.size(), order); !status) return status;
  const float factor = 1.0f / std::sqrt(static_cast<float>(order));
  const auto count = static_cast<std::int64_t>(values.size());
#pragma omp parallel for if (count >= kParallelElements)
  for (std::int64_t first = 0; first < count; first += order) butterfly(values.data() + first, order, factor);
  return {};
}

Status randomized_hadamard_16(std::span<float> values) {
  if (Status status = check_multiple(values.size(), 16); !status) return status;
  for (std::size_t first = 0; first < values.size(); first += 16) randomized_16(values.data() + first);
  return {};
}

}  // namespace fourge::quant
