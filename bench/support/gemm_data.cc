#include "bench/support/gemm_data.h"

#include <cmath>
#include <random>
#include <utility>

#include "bench/support/splitmix64.h"

namespace fourge::bench {
namespace {

std::mt19937_64 generator(std::uint64_t seed, std::uint64_t index) {
  return std::mt19937_64(splitmix64(seed * 0x10001 + splitmix64(index)));
}

template <class FillRow>
Values random_values(std::int64_t rows, std::int64_t cols, std::uint64_t seed, FillRow fill_row) {
  Values values{rows, cols, std::vector<float>(static_cast<std::size_t>(rows * cols))};
#pragma omp parallel for schedule(static)
  for (std::int64_t r = 0; r < rows; ++r) {
    std::mt19937_64 rng = generator(seed, static_cast<std::uint64_t>(r));
    fill_row(rng, values.data.data() + r * cols);
  }
  return values;
}

}  // namespace

Values random_weights(std::int64_t rows, std::int64_t cols, std::uint64_t seed) {
  const float deviation = 1.0f / std::sqrt(static_cast<float>(cols));
  return random_values(rows, cols, seed, [&](std::mt19937_64& rng, float* row) {
    std::normal_distribution<float> normal(0.0f, deviation);
    for (std::int64_t c = 0; c < cols; ++c) row[c] = normal(rng);
  });
}

Values random_activations(std::int64_t rows, std::int64_t cols, std::uint64_t seed) {
  std::vector<float> channels(static_cast<std::size_t>(cols));
  std::mt19937_64 channel_rng = generator(seed, ~std::uint64_t{0});
  std::lognormal_distribution<float> scale(0.0f, 0.7f);
  for (float& channel : channels) channel = scale(channel_rng);
  return random_values(rows, cols, seed, [&](std::mt19937_64& rng, float* row) {
    std::student_t_distribution<float> heavy(5.0f);
    for (std::int64_t c = 0; c < cols; ++c) row[c] = channels[static_cast<std::size_t>(c)] * heavy(rng);
  });
}

ScaleRule default_rule(Format format) {
  return info(format).scale == ElementFormat::ue4m3 ? ScaleRule::static_6 : ScaleRule::rceil;
}

Result<GemmData> quantize_both(Values x, Values w, const QuantizeSpec& spec) {
  Result<QuantizedMatrix> a = quantize(x.data, x.rows, x.cols, spec);
  if (!a.ok()) return a.failure();
  Result<QuantizedMatrix> b = quantize(w.data, w.rows, w.cols, spec);
  if (!b.ok()) return b.failure();
  return GemmData{std::move(x), std::move(w), std::move(*a), std::move(*b)};
}

}  // namespace fourge::bench
