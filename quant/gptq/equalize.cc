#include "quant/gptq/equalize.h"

#include <algorithm>
#include <cmath>

#include "quant/model/vector_kernels.h"

namespace fourge::quant {
namespace {

constexpr double kLargestFactor = 64.0;  // of a channel over the group's middle

/// A linear layer's weights while they change.
struct Matrix {
  std::vector<float> values;
  std::int64_t rows = 0, cols = 0;
  std::vector<float> divisors = {};  // of the rows

  static Matrix of(const LinearLayer& layer) {
    return {layer.weight().to_values(), layer.weight().rows(), layer.weight().cols(), {}};
  }
  void add_column_squares(std::vector<double>& squares) const {
    for (std::size_t i = 0; i < values.size(); ++i) {
      const auto v = static_cast<double>(values[i]);
      squares[i % static_cast<std::size_t>(cols)] += v * v;
    }
  }
  void multiply_columns(const std::vector<double>& factors) {
    for (std::size_t i = 0; i < values.size(); ++i)
      values[i] = static_cast<float>(static_cast<double>(values[i]) * factors[i % factors.size()]);
  }
  void divide_rows(const std::vector<double>& factors) {
    divisors.assign(factors.begin(), factors.end());
    const auto width = static_cast<std::size_t>(cols);
    for (std::size_t i = 0; i < values.size(); ++i)
      values[i] = static_cast<float>(static_cast<double>(values[i]) / factors[i / width]);
  }
};

/// s^strength of channels with these squares, its middle 1. Channels without input or weights: 1.
std::vector<double> factors_of(const std::vector<double>& inputs, const std::vector<double>& columns,
                               double strength) {
  std::vector<double> exponents(inputs.size(), 0.0), known;
  for (std::size_t j = 0; j < inputs.size(); ++j) {
    if (!(inputs[j] > 0.0 && columns[j] > 0.0)) continue;
    exponents[j] = strength * 0.25 * std::log2(inputs[j] / columns[j]);
    known.push_back(exponents[j]);
  }
  if (known.empty()) return std::vector<double>(inputs.size(), 1.0);
  const auto middle = known.begin() + static_cast<std::ptrdiff_t>(known.size() / 2);
  std::nth_element(known.begin(), middle, known.end());
  std::vector<double> factors(inputs.size(), 1.0);
  for (std::size_t j = 0; j < inputs.size(); ++j) {
    if (inputs[j] > 0.0 && columns[j] > 0.0)
      factors[j] = std::clamp(std::exp2(exponents[j] - *middle), 1.0 / kLargestFactor, kLargestFactor);
  }
  return factors;
}

class Equalizer {
 public:
  Equalizer(const ModelConfig& config, const ChannelMoments& moments, double strength, Block& block)
      : config_(config), moments_(moments), strength_(strength), block_(block) {
    for (const Linear linear : kLinears) matrix(linear) = Matrix::of(block.layer(linear));
  }

  void run() {
    gains(Group::qkv, block_.input_norm);
    heads();
    gains(Group::gate_up, block_.post_attention_norm);
    const std::vector<double> factors =
        factors_of(moments(Group::down), column_squares(Group::down), strength_);
    matrix(Linear::up).divide_rows(factors);
    matrix(Linear::down).multiply_columns(factors);
    for (const Linear linear : kLinears) {
      Matrix& m = matrix(linear);
      block_.layer(linear) =
          LinearLayer(Weight::of_values(std::move(m.values), m.rows, m.cols), std::move(m.divisors));
    }
  }

 private:
  Matrix& matrix(Linear linear) { return matrices_[static_cast<std::size_t>(linear)]; }
  const std::vector<double>& moments(Group group) const { return moments_[static_cast<std::size_t>(group)]; }

  std::vector<double> column_squares(Group group) {
    std::vector<double> squares(moments(group).size());
    for (const Linear linear : linears_of(group)) matrix(linear).add_column_squares(squares);
    return squares;
  }

  void gains(Group group, std::vector<float>& gain) {
    std::vector<double> factors = factors_of(moments(group), column_squares(group), strength_);
    for (std::size_t j = 0; j < gain.size(); ++j) {
      const auto before = static_cast<double>(gain[j]);
      auto after = static_cast<float>(before / factors[j]);
      round_to_bf16(&after, 1);
      const bool usable = std::isnormal(after) && std::fabs(after) > 0x1p-14f && std::fabs(after) < 0x1p15f;
      factors[j] = usable ? before / static_cast<double>(after) : 1.0;
      if (usable) gain[j] = after;
    }
    for (const Linear linear : linears_of(group)) matrix(linear).multiply_columns(factors);
  }

  void heads() {
    const auto dim = static_cast<std::size_t>(config_.head_dim);
    const auto sharing = static_cast<std::size_t>(config_.heads / config_.kv_heads);
    const auto shared = [&](std::size_t channel) { return channel / dim / sharing * dim + channel % dim; };
    const std::vector<double> columns = column_squares(Group::o);
    std::vector<double> inputs(static_cast<std::size_t>(config_.kv_width())), weights(inputs.size());
    for (std::size_t j = 0; j < columns.size(); ++j) {
      inputs[shared(j)] += moments(Group::o)[j];
      weights[shared(j)] += columns[j];
    }
    const std::vector<double> factors = factors_of(inputs, weights, strength_);
    std::vector<double> spread(columns.size());
    for (std::size_t j = 0; j < spread.size(); ++j) spread[j] = factors[shared(j)];
    matrix(Linear::v).divide_rows(factors);
    matrix(Linear::o).multiply_columns(spread);
  }

  const ModelConfig& config_;
  const ChannelMoments& moments_;
  double strength_;
  Block& block_;
  std::array<Matrix, kLinears.size()> matrices_;
};

}  // namespace

void equalize(const ModelConfig& config, const ChannelMoments& moments, double strength, Block& block) {
  Equalizer(config, moments, strength, block).run();
}

}  // namespace fourge::quant
