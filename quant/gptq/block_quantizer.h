// Quantises the blocks of a model one after the other, on calibration sequences that flow along.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "fourge/error.h"
#include "fourge/gptq.h"
#include "quant/gptq/equalize.h"
#include "quant/gptq/ranks.h"
#include "quant/gptq/recipe.h"
#include "quant/model/checkpoint.h"
#include "quant/model/model.h"

namespace fourge::quant {

/// What became of one linear layer.
struct LayerLog {
  std::string name;
  GptqReport report;  // of gptq
  std::int64_t rotation = 1;
  float encode = 1.0f;
  double output_error = 0.0;  // ||W x - Wq xq||^2 / ||W x||^2 on calibration inputs; 0 where not measured
  double seconds = 0.0;
};

/// One linear layer as it will be stored.
struct QuantizedLayer {
  QuantizedMatrix matrix;
  InputTransform input;
  std::vector<float> output_divisors = {};  // LinearLayer::output_divisors()
};

struct QuantizedBlock {
  std::array<QuantizedLayer, kLinears.size()> layers;
  std::vector<float> input_norm, post_attention_norm;  // where equalisation changed them, else empty
  std::vector<LayerLog> log;
  double pass_seconds = 0.0;    // of calibration passes, second moments left out
  double moment_seconds = 0.0;  // of second moments (Hessians)

  QuantizedLayer& layer(Linear linear) { return layers[static_cast<std::size_t>(linear)]; }
  const QuantizedLayer& layer(Linear linear) const { return layers[static_cast<std::size_t>(linear)]; }
};

/// A Block that computes with the quantised layers.
Block block_of(const Block& source, const QuantizedBlock& quantized);

/// `steps` of `total` in the current block are done.
using BlockProgress = std::function<void(std::int64_t done, std::int64_t total)>;

class BlockQuantizer {
 public:
  /// `sequences`: token ids, each fed alone from position 0; empty for recipes without calibration. Each rank
  /// gets all of them, passes its share through the model and rounds its share of every layer's rows; codes
  /// and scales are the same for every number of ranks. Checkpoint and ranks must outlive the quantiser.
  /// kBadArgument for a recipe that is refused or needs sequences.
  static Result<BlockQuantizer> create(const Checkpoint& checkpoint, const Recipe& recipe,
                                       const std::vector<std::vector<std::uint32_t>>& sequences,
                                       Ranks& ranks = Ranks::alone());

  /// Quantises the next block; its sequences then stand before the block after it.
  Result<QuantizedBlock> quantize_next(const BlockProgress& progress = {});
  /// The next block is quantised already: only lets the sequences pass through it.
  Status skip_next(const QuantizedBlock& done);
  /// Leaves out the next block; only for recipes without calibration.
  void pass_over() { ++next_; }
  std::int64_t next_block() const { return next_; }

 private:
  BlockQuantizer() = default;
  /// The next float block, equalised if the recipe says so.
  Result<Block> read_source();
  Result<ChannelMoments> channel_moments(const Block& source);
  Result<QuantizedBlock> quantize_without_calibration(const Block& source);
  Result<QuantizedBlock> quantize_by_block(Block& source, const BlockProgress& progress);
  Result<QuantizedBlock> quantize_by_group(Block& source, const BlockProgress& progress);
  /// Every sequence of this rank takes a step; fails on all ranks when it fails on one.
  Status pass(std::vector<BlockState>& states, const std::function<Status(BlockState&)>& step);
  bool keeps_float_stream() const { return moves_weights(recipe_.target); }
  ForwardContext context() const {
    return {&checkpoint_->config(), &rope_, Numerics::fast, recipe_.values, {}};
  }
  /// block_of() as it computes in the recipe's values.
  Block passing_block(const Block& source, const QuantizedBlock& quantized) const;

  const Checkpoint* checkpoint_ = nullptr;
  Recipe recipe_;
  RopeTable rope_;
  std::int64_t next_ = 0;
  std::vector<BlockState> quantized_stream_;  // one state a sequence, as the quantised model has it
  std::vector<BlockState> float_stream_;      // as the float model has it; only where weights move
  std::int64_t first_sequence_ = 0, total_sequences_ = 0;
  Ranks* ranks_ = &Ranks::alone();
};

}  // namespace fourge::quant
