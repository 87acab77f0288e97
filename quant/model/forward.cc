#include <algorithm>
#include <cmath>
#include <numbers>
#include <string>

#include "quant/model/model.h"
#include "quant/model/vector_kernels.h"

namespace fourge::quant {
namespace {

constexpr std::int64_t kQueryRows = 96;  // queries of one head that meet the keys together

float scaled_frequency(const RopeScaling& scaling, float frequency) {
  const auto factor = static_cast<float>(scaling.factor);
  if (scaling.kind == RopeScaling::Kind::none) return frequency;
  if (scaling.kind == RopeScaling::Kind::linear) return frequency / factor;
  const double wavelength = 2.0 * std::numbers::pi / static_cast<double>(frequency);
  if (wavelength < scaling.original_context / scaling.high_freq_factor) return frequency;
  if (wavelength > scaling.original_context / scaling.low_freq_factor) return frequency / factor;
  const double smooth = (scaling.original_context / wavelength - scaling.low_freq_factor) /
                        (scaling.high_freq_factor - scaling.low_freq_factor);
  return static_cast<float>((1.0 - smooth) * static_cast<double>(frequency) / scaling.factor +
                            smooth * static_cast<double>(frequency));
}

void norm_rows(const float* x, std::span<const float> gain, float eps, std::int64_t rows, float* out) {
  const auto width = static_cast<std::int64_t>(gain.size());
#pragma omp parallel for
  for (std::int64_t row = 0; row < rows; ++row)
    rms_norm(x + row * width, gain.data(), eps, width, out + row * width);
}

/// q/k norms (Qwen3) and RoPE on every head of a tokens x (heads * head_dim) matrix.
void turn_heads(const ModelConfig& config, const RopeTable& rope, std::span<const float> gain,
                std::int64_t tokens, std::int64_t heads, float* x) {
#pragma omp parallel for
  for (std::int64_t t = 0; t < tokens; ++t) {
    for (std::int64_t h = 0; h < heads; ++h) {
      float* head = x + (t * heads + h) * config.head_dim;
      if (!gain.empty()) rms_norm(head, gain.data(), config.rms_norm_eps, config.head_dim, head);
      rope.rotate(head, t);
    }
  }
}

struct AttentionInput {
  const float *q, *k, *v;  // tokens x (heads | kv_heads | kv_heads) * head_dim
};

/// softmax(Q K^T / sqrt(head_dim)) V for queries [first, first + rows) of one head, causal.
void attend_rows(const ModelConfig& c, const AttentionInput& in, std::int64_t head, std::int64_t first,
                 std::int64_t rows, float* scores, float* out) {
  const std::int64_t keys = first + rows, kv_head = head / (c.heads / c.kv_heads);
  const std::int64_t q_stride = c.q_width(), kv_stride = c.kv_width();
  const float* k = in.k + kv_head * c.head_dim;
  const float* v = in.v + kv_head * c.head_dim;
  multiply({in.q + first * q_stride + head * c.head_dim, q_stride, 1}, StridedSource(k, 1, kv_stride),
           {.m = rows, .n = keys, .k = c.head_dim, .c = scores, .c_stride = keys});
  const float factor = 1.0f / std::sqrt(static_cast<float>(c.head_dim));
  for (std::int64_t i = 0; i < rows; ++i) {
    float* row = scores + i * keys;
    const std::int64_t visible = first + i + 1;
    softmax(row, factor, visible);
    std::fill(row + visible, row + keys, 0.0f);
  }
  multiply({scores, keys, 1}, StridedSource(v, kv_stride, 1),
           {.m = rows,
            .n = c.head_dim,
            .k = keys,
            .c = out + first * q_stride + head * c.head_dim,
            .c_stride = q_stride});
}

void attend(const ModelConfig& c, const AttentionInput& in, std::int64_t tokens, float* out) {
  const std::int64_t chunks = (tokens + kQueryRows - 1) / kQueryRows;
#pragma omp parallel
  {
    std::vector<float> scores(static_cast<std::size_t>(kQueryRows * tokens));
#pragma omp for collapse(2) schedule(dynamic)
    for (std::int64_t head = 0; head < c.heads; ++head) {
      for (std::int64_t chunk = 0; chunk < chunks; ++chunk) {
        const std::int64_t first = (chunks - 1 - chunk) * kQueryRows;  // the longest first
        attend_rows(c, in, head, first, std::min(kQueryRows, tokens - first), scores.data(), out);
      }
    }
  }
}

using GroupOutputs = std::array<std::vector<float>, 3>;

/// The products of one group. outputs[i] receives tokens x rows of the group's i-th layer.
Status run_group(Block& block, const ForwardContext& context, Group group, const BlockState& state,
                 GroupOutputs& outputs) {
  const auto cols = static_cast<std::int64_t>(state.pending.size()) / state.tokens;
  const bool keep_values = context.numerics == Numerics::fast;
  const Result<GroupInput> input =
      GroupInput::of(state.pending, state.tokens, cols, block.input(group), keep_values);
  if (!input) return input.failure();
  std::size_t i = 0;
  for (const Linear linear : linears_of(group)) {
    LinearLayer& layer = block.layer(linear);
    outputs[i].resize(static_cast<std::size_t>(state.tokens * layer.weight().rows()));
    if (Status applied = layer.apply(*input, context.numerics, outputs[i].data()); !applied) return applied;
    ++i;
  }
  return {};
}

void mix_tokens(const Block& block, const ForwardContext& context, std::int64_t tokens, GroupOutputs& qkv,
                std::vector<float>& mixed) {
  const ModelConfig& config = *context.config;
  turn_heads(config, *context.rope, block.q_norm, tokens, config.heads, qkv[0].data());
  turn_heads(config, *context.rope, block.k_norm, tokens, config.kv_heads, qkv[1].data());
  mixed.resize(static_cast<std::size_t>(tokens * config.q_width()));
  attend(config, {qkv[0].data(), qkv[1].data(), qkv[2].data()}, tokens, mixed.data());
}

void activate(std::int64_t tokens, std::int64_t width, GroupOutputs& gate_up, std::vector<float>& out) {
#pragma omp parallel for
  for (std::int64_t t = 0; t < tokens; ++t)
    silu_times(gate_up[0].data() + t * width, gate_up[1].data() + t * width, width);
  out = std::move(gate_up[0]);
}

void norm_residual(const std::vector<float>& gain, const ForwardContext& context, BlockState& state) {
  state.pending.resize(state.x.size());
  norm_rows(state.x.data(), gain, context.config->rms_norm_eps, state.tokens, state.pending.data());
}

}  // namespace

RopeTable RopeTable::of(const ModelConfig& config, std::int64_t positions) {
  RopeTable table;
  table.half = config.head_dim / 2;
  const auto entries = static_cast<std::size_t>(positions * table.half);
  table.cosines.resize(entries);
  table.sines.resize(entries);
  for (std::int64_t i = 0; i < table.half; ++i) {
    const double exponent = 2.0 * static_cast<double>(i) / static_cast<double>(config.head_dim);
    const float frequency = scaled_frequency(config.rope_scaling,
                                             static_cast<float>(1.0 / std::pow(config.rope_theta, exponent)));
    for (std::int64_t position = 0; position < positions; ++position) {
      const float angle = static_cast<float>(position) * frequency;
      const auto at = static_cast<std::size_t>(position * table.half + i);
      table.cosines[at] = static_cast<float>(std::cos(static_cast<double>(angle)));
      table.sines[at] = static_cast<float>(std::sin(static_cast<double>(angle)));
    }
  }
  return table;
}

void RopeTable::rotate(float* head, std::int64_t position) const {
  const float* c = cosines.data() + position * half;
  const float* s = sines.data() + position * half;
  for (std::int64_t i = 0; i < half; ++i) {
    const float x1 = head[i], x2 = head[i + half];
    head[i] = x1 * c[i] - x2 * s[i];
    head[i + half] = x2 * c[i] + x1 * s[i];
  }
}

void begin_block(const Block& block, const ForwardContext& context, BlockState& state) {
  norm_residual(block.input_norm, context, state);
}

Status advance(Block& block, const ForwardContext& context, Group group, BlockState& state) {
  GroupOutputs outputs;
  if (Status done = run_group(block, context, group, state, outputs); !done) return done;
  const auto elements = static_cast<std::int64_t>(state.x.size());
  switch (group) {
    case Group::qkv:
      mix_tokens(block, context, state.tokens, outputs, state.pending);
      break;
    case Group::o:
      add_to(state.x.data(), outputs[0].data(), elements);
      norm_residual(block.post_attention_norm, context, state);
      break;
    case Group::gate_up:
      activate(state.tokens, context.config->intermediate, outputs, state.pending);
      break;
    case Group::down:
      add_to(state.x.data(), outputs[0].data(), elements);
      state.pending.clear();
      break;
  }
  return {};
}

Status forward_block(Block& block, const ForwardContext& context, BlockState& state) {
  begin_block(block, context, state);
  for (const Group group : kGroups) {
    if (context.hook) {
      if (Status seen = context.hook(group, state); !seen) return seen;
    }
    if (Status done = advance(block, context, group, state); !done) return done;
  }
  return {};
}

Result<std::vector<float>> embed(const ModelEnds& ends, std::span<const std::uint32_t> ids) {
  const std::int64_t hidden = ends.embeddings.cols();
  std::vector<float> x(ids.size() * static_cast<std::size_t>(hidden));
  for (std::size_t t = 0; t < ids.size(); ++t) {
    if (ids[t] >= static_cast<std::uint64_t>(ends.embeddings.rows())) {
      return {Error::kBadArgument, "a token id is beyond the model's vocabulary",
              "token " + std::to_string(t) + ": id " + std::to_string(ids[t]) + ", vocabulary " +
                  std::to_string(ends.embeddings.rows())};
    }
    ends.embeddings.decode_row(ids[t], 0, hidden, x.data() + t * static_cast<std::size_t>(hidden));
  }
  return x;
}

std::vector<float> logits_of(const ModelEnds& ends, const ModelConfig& config, std::span<const float> x,
                             std::int64_t tokens) {
  std::vector<float> normed(x.size());
  norm_rows(x.data(), ends.final_norm, config.rms_norm_eps, tokens, normed.data());
  const Weight& head = config.tied_embeddings ? ends.embeddings : ends.lm_head;
  std::vector<float> logits(static_cast<std::size_t>(tokens * head.rows()));
  multiply({normed.data(), config.hidden, 1}, head,
           {.m = tokens, .n = head.rows(), .k = config.hidden, .c = logits.data(), .c_stride = head.rows()});
  return logits;
}

Result<std::vector<float>> LanguageModel::forward(std::span<const std::uint32_t> ids) {
  Result<std::vector<float>> x = embed(ends, ids);
  if (!x) return x;
  BlockState state{static_cast<std::int64_t>(ids.size()), std::move(*x), {}};
  if (rope.positions() < state.tokens) rope = RopeTable::of(config, state.tokens);
  const ForwardContext context{&config, &rope, numerics, {}};
  for (Block& block : blocks) {
    if (Status done = forward_block(block, context, state); !done) return done.failure();
  }
  return logits_of(ends, config, state.x, state.tokens);
}

}  // namespace fourge::quant
