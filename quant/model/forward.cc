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

constexpr std::int64_t kChunk = 4096;  // values that a thread rounds at a time

void round_values(ValueType type, std::span<float> x) {
  if (type == ValueType::f32) return;
  const auto count = static_cast<std::int64_t>(x.size());
#pragma omp parallel for
  for (std::int64_t i = 0; i < count; i += kChunk) round_to_bf16(x.data() + i, std::min(kChunk, count - i));
}

/// In bf16 the product with the gain is a second rounding.
void norm_row(ValueType type, const float* x, std::span<const float> gain, float eps, float* out) {
  const auto width = static_cast<std::int64_t>(gain.size());
  if (type == ValueType::f32) return rms_norm(x, gain.data(), eps, width, out);
  const std::vector<float> ones(gain.size(), 1.0f);
  rms_norm(x, ones.data(), eps, width, out);
  round_to_bf16(out, width);
  multiply_by(out, gain.data(), width);
  round_to_bf16(out, width);
}

void norm_rows(ValueType type, const float* x, std::span<const float> gain, float eps, std::int64_t rows,
               float* out) {
  const auto width = static_cast<std::int64_t>(gain.size());
#pragma omp parallel for
  for (std::int64_t row = 0; row < rows; ++row) norm_row(type, x + row * width, gain, eps, out + row * width);
}

/// q/k norms (Qwen3) and RoPE on every head of a tokens x (heads * head_dim) matrix.
void turn_heads(const ForwardContext& context, std::span<const float> gain, std::int64_t tokens,
                std::int64_t heads, float* x) {
  const ModelConfig& config = *context.config;
#pragma omp parallel for
  for (std::int64_t t = 0; t < tokens; ++t) {
    for (std::int64_t h = 0; h < heads; ++h) {
      float* head = x + (t * heads + h) * config.head_dim;
      if (!gain.empty()) norm_row(context.values, head, gain, config.rms_norm_eps, head);
      if (context.values == ValueType::f32) {
        context.rope->rotate(head, t);
      } else {
        context.rope->rotate_bf16(head, t);
      }
    }
  }
}

struct AttentionInput {
  const float *q, *k, *v;  // tokens x (heads | kv_heads | kv_heads) * head_dim
};

/// softmax(Q K^T / sqrt(head_dim)) V for queries [first, first + rows) of one head, causal.
void attend_rows(const ForwardContext& context, const AttentionInput& in, std::int64_t head,
                 std::int64_t first, std::int64_t rows, float* scores, float* out) {
  const ModelConfig& c = *context.config;
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
    if (context.values != ValueType::f32) round_to_bf16(row, visible);
    std::fill(row + visible, row + keys, 0.0f);
  }
  multiply({scores, keys, 1}, StridedSource(v, kv_stride, 1),
           {.m = rows,
            .n = c.head_dim,
            .k = keys,
            .c = out + first * q_stride + head * c.head_dim,
            .c_stride = q_stride});
}

void attend(const ForwardContext& context, const AttentionInput& in, std::int64_t tokens, float* out) {
  const std::int64_t chunks = (tokens + kQueryRows - 1) / kQueryRows;
#pragma omp parallel
  {
    std::vector<float> scores(static_cast<std::size_t>(kQueryRows * tokens));
#pragma omp for collapse(2) schedule(dynamic)
    for (std::int64_t head = 0; head < context.config->heads; ++head) {
      for (std::int64_t chunk = 0; chunk < chunks; ++chunk) {
        const std::int64_t first = (chunks - 1 - chunk) * kQueryRows;  // the longest first
        attend_rows(context, in, head, first, std::min(kQueryRows, tokens - first), scores.data(), out);
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
      GroupInput::of(state.pending, state.tokens, cols, block.input(group), keep_values, context.values);
  if (!input) return input.failure();
  std::size_t i = 0;
  for (const Linear linear : linears_of(group)) {
    LinearLayer& layer = block.layer(linear);
    outputs[i].resize(static_cast<std::size_t>(state.tokens * layer.weight().rows()));
    if (Status applied = layer.apply(*input, context.numerics, outputs[i].data()); !applied) return applied;
    round_values(context.values, outputs[i]);
    ++i;
  }
  return {};
}

void mix_tokens(const Block& block, const ForwardContext& context, std::int64_t tokens, GroupOutputs& qkv,
                std::vector<float>& mixed) {
  const ModelConfig& config = *context.config;
  turn_heads(context, block.q_norm, tokens, config.heads, qkv[0].data());
  turn_heads(context, block.k_norm, tokens, config.kv_heads, qkv[1].data());
  mixed.resize(static_cast<std::size_t>(tokens * config.q_width()));
  attend(context, {qkv[0].data(), qkv[1].data(), qkv[2].data()}, tokens, mixed.data());
  round_values(context.values, mixed);
}

void activate(const ForwardContext& context, std::int64_t tokens, GroupOutputs& gate_up,
              std::vector<float>& out) {
  const std::int64_t width = context.config->intermediate;
  const std::vector<float> ones(context.values == ValueType::f32 ? 0 : static_cast<std::size_t>(width), 1.0f);
#pragma omp parallel for
  for (std::int64_t t = 0; t < tokens; ++t) {
    float* gate = gate_up[0].data() + t * width;
    const float* up = gate_up[1].data() + t * width;
    if (context.values == ValueType::f32) {
      silu_times(gate, up, width);
      continue;
    }
    silu_times(gate, ones.data(), width);
    round_to_bf16(gate, width);
    multiply_by(gate, up, width);
    round_to_bf16(gate, width);
  }
  out = std::move(gate_up[0]);
}

void norm_residual(const std::vector<float>& gain, const ForwardContext& context, BlockState& state) {
  state.pending.resize(state.x.size());
  norm_rows(context.values, state.x.data(), gain, context.config->rms_norm_eps, state.tokens,
            state.pending.data());
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

void RopeTable::rotate_bf16(float* head, std::int64_t position) const {
  const auto rounded = [](float value) {
    round_to_bf16(&value, 1);
    return value;
  };
  for (std::int64_t i = 0; i < half; ++i) {
    const auto at = static_cast<std::size_t>(position * half + i);
    const float x1 = head[i], x2 = head[i + half], c = rounded(cosines[at]), s = rounded(sines[at]);
    head[i] = rounded(rounded(x1 * c) - rounded(x2 * s));
    head[i + half] = rounded(rounded(x2 * c) + rounded(x1 * s));
  }
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
      round_values(context.values, state.x);
      norm_residual(block.post_attention_norm, context, state);
      break;
    case Group::gate_up:
      activate(context, state.tokens, outputs, state.pending);
      break;
    case Group::down:
      add_to(state.x.data(), outputs[0].data(), elements);
      round_values(context.values, state.x);
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
                             std::int64_t tokens, ValueType values) {
  std::vector<float> normed(x.size());
  norm_rows(values, x.data(), ends.final_norm, config.rms_norm_eps, tokens, normed.data());
  const Weight& head = config.tied_embeddings ? ends.embeddings : ends.lm_head;
  std::vector<float> logits(static_cast<std::size_t>(tokens * head.rows()));
  multiply({normed.data(), config.hidden, 1}, head,
           {.m = tokens, .n = head.rows(), .k = config.hidden, .c = logits.data(), .c_stride = head.rows()});
  round_values(values, logits);
  return logits;
}

Result<std::vector<float>> LanguageModel::forward(std::span<const std::uint32_t> ids) {
  Result<std::vector<float>> x = embed(ends, ids);
  if (!x) return x;
  BlockState state{static_cast<std::int64_t>(ids.size()), std::move(*x), {}};
  if (rope.positions() < state.tokens) rope = RopeTable::of(config, state.tokens);
  const ForwardContext context{&config, &rope, numerics, values, {}};
  for (Block& block : blocks) {
    if (Status done = forward_block(block, context, state); !done) return done.failure();
  }
  return logits_of(ends, config, state.x, state.tokens, values);
}

}  // namespace fourge::quant
