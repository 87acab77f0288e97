#include "quant/model/compare.h"

#include <algorithm>
#include <cmath>

namespace fourge::quant {
namespace {

struct Ratio {
  double error = 0.0, norm = 0.0;

  void add(std::span<const float> y, std::span<const float> yq) {
    for (std::size_t i = 0; i < y.size(); ++i) {
      const double value = static_cast<double>(y[i]), difference = value - static_cast<double>(yq[i]);
      error += difference * difference;
      norm += value * value;
    }
  }
  double value() const { return norm > 0.0 ? error / norm : 0.0; }
};

/// Every row of x, times factors; none: unchanged.
void multiply_rows(std::span<const float> factors, std::vector<float>& x) {
  if (factors.empty()) return;
  for (std::size_t i = 0; i < x.size(); ++i) x[i] *= factors[i % factors.size()];
}

/// tokens x rows. Where equalize() divided the layer's rows, it multiplies them again.
Result<std::vector<float>> output_of(Block& block, Linear linear, std::span<const float> x,
                                     std::int64_t tokens, Numerics numerics) {
  const auto cols = static_cast<std::int64_t>(x.size()) / tokens;
  const Result<GroupInput> input =
      GroupInput::of(x, tokens, cols, block.input(group_of(linear)), numerics == Numerics::fast);
  if (!input) return input.failure();
  LinearLayer& layer = block.layer(linear);
  std::vector<float> out(static_cast<std::size_t>(tokens * layer.weight().rows()));
  if (Status applied = layer.apply(*input, numerics, out.data()); !applied) return applied.failure();
  multiply_rows(layer.output_divisors(), out);
  return out;
}

std::vector<float> ratio_of_gains(const std::vector<float>& quantized, const std::vector<float>& reference) {
  std::vector<float> ratio(reference.size(), 1.0f);
  for (std::size_t j = 0; j < ratio.size(); ++j)
    if (reference[j] != 0.0f) ratio[j] = quantized[j] / reference[j];
  return ratio;
}

/// What the reference's inputs of a group have to be multiplied by to be the quantised block's: equalize()
/// moved scale between channels and columns.
std::vector<float> input_factors(const ModelConfig& config, const Block& reference, const Block& quantized,
                                 Group group) {
  if (group == Group::qkv) return ratio_of_gains(quantized.input_norm, reference.input_norm);
  if (group == Group::gate_up)
    return ratio_of_gains(quantized.post_attention_norm, reference.post_attention_norm);
  const Linear maker = group == Group::o ? Linear::v : Linear::up;
  const std::vector<float>& divisors = quantized.layer(maker).output_divisors();
  if (divisors.empty()) return {};
  std::vector<float> factors;
  const std::int64_t copies = group == Group::o ? config.heads / config.kv_heads : 1;
  const std::int64_t width = group == Group::o ? config.head_dim : static_cast<std::int64_t>(divisors.size());
  for (auto at = divisors.begin(); at != divisors.end(); at += width)
    for (std::int64_t copy = 0; copy < copies; ++copy)
      for (auto d = at; d != at + width; ++d) factors.push_back(1.0f / *d);
  return factors;
}

class Comparison {
 public:
  Comparison(LanguageModel& reference, LanguageModel& quantized)
      : reference_(reference),
        quantized_(quantized),
        layers_(reference.blocks.size() * kLinears.size()),
        streams_(reference.blocks.size()) {}

  Status add(std::span<const std::uint32_t> ids) {
    BlockState own, float_state;
    for (auto [model, state] : {std::pair{&quantized_, &own}, std::pair{&reference_, &float_state}}) {
      Result<std::vector<float>> x = embed(model->ends, ids);
      if (!x) return x.failure();
      *state = {static_cast<std::int64_t>(ids.size()), std::move(*x), {}};
      if (model->rope.positions() < state->tokens) model->rope = RopeTable::of(model->config, state->tokens);
    }
    for (std::size_t b = 0; b < reference_.blocks.size(); ++b) {
      ForwardContext context{&reference_.config, &reference_.rope, Numerics::fast, reference_.values, {}};
      context.hook = [&](Group group, const BlockState& state) { return add_group(b, group, state); };
      if (Status passed = forward_block(reference_.blocks[b], context, float_state); !passed) return passed;
      const ForwardContext other{
          &quantized_.config, &quantized_.rope, quantized_.numerics, quantized_.values, {}};
      if (Status passed = forward_block(quantized_.blocks[b], other, own); !passed) return passed;
      streams_[b].add(float_state.x, own.x);
    }
    return {};
  }

  ModelDifference result() const {
    ModelDifference out;
    for (std::size_t i = 0; i < layers_.size(); ++i) {
      const auto block = static_cast<std::int64_t>(i / kLinears.size());
      out.layers.push_back({module_path(block, kLinears[i % kLinears.size()]), layers_[i].value()});
    }
    for (const Ratio& stream : streams_) out.stream_error.push_back(stream.value());
    return out;
  }

 private:
  Status add_group(std::size_t b, Group group, const BlockState& state) {
    std::vector<float> x = state.pending;
    multiply_rows(input_factors(reference_.config, reference_.blocks[b], quantized_.blocks[b], group), x);
    for (const Linear linear : linears_of(group)) {
      const Result<std::vector<float>> y =
          output_of(reference_.blocks[b], linear, state.pending, state.tokens, Numerics::fast);
      if (!y) return y.failure();
      const Result<std::vector<float>> yq =
          output_of(quantized_.blocks[b], linear, x, state.tokens, quantized_.numerics);
      if (!yq) return yq.failure();
      layers_[b * kLinears.size() + static_cast<std::size_t>(linear)].add(*y, *yq);
    }
    return {};
  }

  LanguageModel &reference_, &quantized_;
  std::vector<Ratio> layers_, streams_;
};

}  // namespace

Result<ModelDifference> compare_models(LanguageModel& reference, LanguageModel& quantized,
                                       std::span<const std::uint32_t> ids, std::int64_t window) {
  const ModelConfig &a = reference.config, &b = quantized.config;
  if (a.hidden != b.hidden || a.layers != b.layers || a.intermediate != b.intermediate ||
      a.vocabulary != b.vocabulary || a.q_width() != b.q_width() || a.kv_width() != b.kv_width())
    return {Error::kBadShape, "expected two models of one shape",
            std::to_string(a.layers) + " blocks of " + std::to_string(a.hidden) + " and " +
                std::to_string(b.layers) + " of " + std::to_string(b.hidden)};
  if (window < 1) return {Error::kBadArgument, "a window needs at least 1 token", std::to_string(window)};
  Comparison comparison(reference, quantized);
  for (std::size_t first = 0; first < ids.size(); first += static_cast<std::size_t>(window)) {
    const std::size_t count = std::min(static_cast<std::size_t>(window), ids.size() - first);
    if (Status added = comparison.add(ids.subspan(first, count)); !added) return added.failure();
  }
  return comparison.result();
}

}  // namespace fourge::quant
