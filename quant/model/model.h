// A Llama or Qwen3 language model in memory and its forward pass in f32.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "fourge/error.h"
#include "quant/model/checkpoint.h"
#include "quant/model/config.h"
#include "quant/model/linear.h"

namespace fourge::quant {

/// One transformer block.
struct Block {
  std::vector<float> input_norm, post_attention_norm;
  std::vector<float> q_norm, k_norm;  // Qwen3, [head_dim] each
  std::array<LinearLayer, kLinears.size()> linears;
  std::array<InputTransform, kGroups.size()> inputs;

  LinearLayer& layer(Linear linear) { return linears[static_cast<std::size_t>(linear)]; }
  const LinearLayer& layer(Linear linear) const { return linears[static_cast<std::size_t>(linear)]; }
  InputTransform& input(Group group) { return inputs[static_cast<std::size_t>(group)]; }
  const InputTransform& input(Group group) const { return inputs[static_cast<std::size_t>(group)]; }
};

/// The parts outside the blocks. lm_head is empty when the embeddings are tied.
struct ModelEnds {
  Weight embeddings;  // vocabulary x hidden
  std::vector<float> final_norm;
  Weight lm_head;  // vocabulary x hidden
};

/// cos and sin of position * frequency, [positions][head_dim / 2].
struct RopeTable {
  std::int64_t half = 0;
  std::vector<float> cosines, sines;

  /// Angles are formed in f32 as position * (1 / theta^(2i / head_dim)), the way published checkpoints were
  /// trained; llama3 scaling as in transformers modeling_rope_utils.py.
  static RopeTable of(const ModelConfig& config, std::int64_t positions);
  /// HF half rotation of one head's vector in place: (x1, x2) -> (x1 c - x2 s, x2 c + x1 s), x2 the second
  /// half.
  void rotate(float* head, std::int64_t position) const;
  /// The same with cos, sin, each product and each sum rounded to bf16.
  void rotate_bf16(float* head, std::int64_t position) const;
  std::int64_t positions() const { return half == 0 ? 0 : static_cast<std::int64_t>(cosines.size()) / half; }
};

/// One sequence on its way through a block.
struct BlockState {
  std::int64_t tokens = 0;     // at positions 0, 1, ...
  std::vector<float> x;        // residual stream, tokens x hidden
  std::vector<float> pending;  // input of the group that comes next, before its transform
};

/// Sees the pending input of every group, in the order qkv, o, gate_up, down.
using InputHook = std::function<Status(Group group, const BlockState& state)>;

/// Everything of a pass that is neither block nor sequence.
struct ForwardContext {
  const ModelConfig* config = nullptr;
  const RopeTable* rope = nullptr;  // at least as many positions as tokens
  Numerics numerics = Numerics::fast;
  ValueType values = ValueType::f32;
  InputHook hook = {};  // may be empty
};

/// Makes the input of the qkv group pending.
void begin_block(const Block& block, const ForwardContext& context, BlockState& state);
/// Runs the group whose input is pending and makes the next group's input pending; after down, nothing is and
/// x is the block's output.
Status advance(Block& block, const ForwardContext& context, Group group, BlockState& state);
/// All of it.
Status forward_block(Block& block, const ForwardContext& context, BlockState& state);

/// tokens x hidden from token ids, each below the vocabulary (kBadArgument).
Result<std::vector<float>> embed(const ModelEnds& ends, std::span<const std::uint32_t> ids);

/// tokens x vocabulary: final norm and head.
std::vector<float> logits_of(const ModelEnds& ends, const ModelConfig& config, std::span<const float> x,
                             std::int64_t tokens, ValueType values = ValueType::f32);

/// A model whose blocks are all in memory.
struct LanguageModel {
  ModelConfig config;
  ModelEnds ends;
  std::vector<Block> blocks;
  RopeTable rope;  // grows with the longest sequence seen
  Numerics numerics = Numerics::fast;
  ValueType values = ValueType::f32;

  /// tokens x vocabulary logits of one sequence.
  Result<std::vector<float>> forward(std::span<const std::uint32_t> ids);
};

}  // namespace fourge::quant
