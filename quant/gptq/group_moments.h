// What the layers of one input group have to know about calibration inputs, and the error they leave on them.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "fourge/error.h"
#include "quant/gptq/ranks.h"
#include "quant/gptq/recipe.h"
#include "quant/model/linear.h"
#include "quant/model/model.h"

namespace fourge::quant {

/// Inputs of one group over this rank's calibration sequences. `reference` is what the layers should have
/// seen: the float model's inputs, or the same sequences when there is no other.
struct GroupInputs {
  std::span<const BlockState> own = {};
  std::span<const BlockState> reference = {};
  std::int64_t cols = 0;
  std::int64_t hidden = 0;           // width of the residual stream
  bool adds_to_stream = false;       // o and down
  std::int64_t first_sequence = 0;   // index of own[0] among all sequences
  std::int64_t total_sequences = 0;  // of all ranks
  Ranks* ranks = &Ranks::alone();
};

/// Second moments of inputs after rotation. x: reference, xq: what meets the weights, d = x - xq; s: the
/// residual stream that the layer's output is added to, as the float model has it less as the quantised one
/// has it.
struct GroupMoments {
  std::int64_t cols = 0;
  std::vector<double> inputs = {};      // sum xq xq^T, cols x cols
  std::vector<double> cross = {};       // sum d xq^T, cols x cols; empty when d is 0
  std::vector<double> difference = {};  // sum d d^T, cols x cols; only when asked for
  std::vector<double> stream =
      {};  // sum s xq^T, hidden x cols; only for stream_output and layers that add to it
};

/// Largest |x| after the rotation, over every sequence of every rank.
Result<float> rotated_amax(const GroupInputs& inputs, std::int64_t rotation);

/// `stride`: only every stride-th sequence. `measured`: whether `difference` is wanted (for output_error()).
Result<GroupMoments> measure(const GroupInputs& inputs, const InputTransform& transform, Target target,
                             std::int64_t stride, bool measured);

/// The weights that GPTQ is to round for float_output and stream_output: W + (W C + S) (H + damping)^-1, the
/// least-squares answer to xq.
Result<std::vector<float>> target_weights(std::span<const float> rotated, std::int64_t rows,
                                          const GroupMoments& moments, double damping);

/// ||W x - Wq xq||^2 / ||W xq||^2 over the moments' tokens. `rotated`: W as it meets the rotated input.
double output_error(std::span<const float> rotated, std::span<const float> quantized, std::int64_t rows,
                    const GroupMoments& moments);

}  // namespace fourge::quant
