#include "quant/gptq/block_quantizer.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <memory>
#include <utility>

#include "quant/gptq/gram.h"
#include "quant/gptq/group_moments.h"
#include "quant/gptq/shared_gptq.h"
#include "quant/hadamard.h"
#include "quant/model/load.h"
#include "quant/model/vector_kernels.h"
#include "quant/quantize.h"
#include "quant/text.h"

namespace fourge::quant {
namespace {

constexpr std::int64_t kTrialSequences = 16;  // that rotations are compared on, and output errors measured

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

Result<std::vector<float>> rotated_weights(const Weight& weight, std::int64_t rotation,
                                           ValueType type = ValueType::f32) {
  std::vector<float> values = weight.to_values();
  if (rotation > 1) {
    if (Status done = hadamard_blocks(values, rotation); !done) return done.failure();
  }
  if (type == ValueType::fake_bf16) round_to_bf16(values.data(), static_cast<std::int64_t>(values.size()));
  return values;
}

/// What the recipe makes of a group's input, before calibration fills in amax or encode.
InputTransform transform_of(const Recipe& recipe, std::int64_t rotation) {
  return {.rotation = rotation,
          .quantized = recipe.quantize_activations,
          .format = recipe.format(),
          .rule = recipe.activation_rule};
}

Failure in_module(const Failure& failure, const std::string& module) {
  Failure out = failure;
  out.where = module + (out.where.empty() ? "" : ": " + out.where);
  return out;
}

/// Sizes that the recipe cannot handle, before any work.
Status check_sizes(const ModelConfig& config, const Recipe& recipe) {
  for (const Linear linear : kLinears) {
    const LinearShape shape = shape_of(config, linear);
    const std::string where =
        std::string(module_name(linear)) + ": " + std::to_string(shape.cols) + " columns";
    if (const std::int64_t block = info(recipe.format()).block; shape.cols % block != 0) {
      return {Error::kBadShape, "a block of elements that share a scale does not divide the columns",
              where + ", block " + std::to_string(block)};
    }
    const bool any = std::any_of(recipe.rotations.begin(), recipe.rotations.end(),
                                 [&](std::int64_t order) { return shape.cols % order == 0; });
    if (!any)
      return {Error::kBadShape, "the order of the rotation does not divide the columns",
              where + ", order " + std::to_string(recipe.rotations.front())};
  }
  return {};
}

/// The group-by-group flow of one block.
class GroupFlow {
 public:
  GroupFlow(const Recipe& recipe, std::int64_t layer, Block& source, Ranks& ranks)
      : recipe_(recipe), layer_(layer), source_(source), ranks_(ranks) {}

  Status quantize(Group group, const GroupInputs& inputs, QuantizedBlock& out) {
    Result<InputTransform> transform = choose_transform(group, inputs);
    if (!transform) return transform.failure();
    const auto before = std::chrono::steady_clock::now();
    const Result<GroupMoments> moments = measure(inputs, *transform, recipe_.target, 1, false);
    if (!moments) return moments.failure();
    const Result<GroupMoments> sample = trial_moments(inputs, *transform);
    if (!sample) return sample.failure();
    out.moment_seconds += seconds_since(before);
    for (const Linear linear : linears_of(group)) {
      const auto start = std::chrono::steady_clock::now();
      LayerLog log{.name = module_path(layer_, linear),
                   .report = {},
                   .rotation = transform->rotation,
                   .encode = transform->encode};
      const Result<GptqResult> result =
          quantize_layer(linear, *transform, *moments, recipe_.weights, *sample, log.output_error);
      if (!result) return in_module(result.failure(), log.name);
      log.report = result->report;
      log.seconds = seconds_since(start);
      out.layer(linear) = {result->matrix, *transform, {}};
      out.log.push_back(std::move(log));
    }
    return {};
  }

 private:
  static std::int64_t trial_stride(const GroupInputs& inputs) {
    return std::max<std::int64_t>(1, inputs.total_sequences / kTrialSequences);
  }
  /// Moments over a few sequences with everything that output_error() takes: always of the 4-bit inputs.
  Result<GroupMoments> trial_moments(const GroupInputs& inputs, const InputTransform& transform) const {
    return measure(inputs, transform, Target::float_output, trial_stride(inputs), true);
  }

  Result<GptqResult> quantize_layer(Linear linear, const InputTransform& transform,
                                    const GroupMoments& moments, const GptqSpec& spec,
                                    const GroupMoments& sample, double& error) {
    const Weight& weight = source_.layer(linear).weight();
    const Result<std::vector<float>> rotated = rotated_weights(weight, transform.rotation);
    if (!rotated) return rotated.failure();
    std::vector<float> target = *rotated;
    if (moves_weights(recipe_.target)) {
      Result<std::vector<float>> moved =
          target_weights(*rotated, weight.rows(), moments, recipe_.target_damping);
      if (!moved) return moved.failure();
      target = std::move(*moved);
    }
    Result<GptqResult> result =
        shared_gptq(target, weight.rows(), weight.cols(), moments.inputs, spec, ranks_);
    if (!result) return result;
    std::vector<float> values(target.size());
    if (Status decoded = dequantize(result->matrix.view(), values); !decoded) return decoded.failure();
    error = output_error(*rotated, values, weight.rows(), sample);
    return result;
  }

  Status fix_amax(const GroupInputs& inputs, InputTransform& transform) const {
    if (!recipe_.static_activations) return {};
    const Result<float> amax = rotated_amax(inputs, transform.rotation);
    if (!amax) return amax.failure();
    transform.amax = *amax;
    return {};
  }

  /// Mean output error of the group's layers under a transform, weights quantised without refinements.
  Result<double> trial_error(Group group, const GroupInputs& inputs, const InputTransform& transform) {
    const Result<GroupMoments> sample = trial_moments(inputs, transform);
    if (!sample) return sample.failure();
    GptqSpec spec = recipe_.weights;
    spec.descent_passes = 0;
    double total = 0.0;
    for (const Linear linear : linears_of(group)) {
      double error = 0.0;
      const Result<GptqResult> result = quantize_layer(linear, transform, *sample, spec, *sample, error);
      if (!result) return in_module(result.failure(), module_path(layer_, linear));
      total += error;
    }
    return total;
  }

  Result<InputTransform> choose_transform(Group group, const GroupInputs& inputs) {
    std::vector<InputTransform> candidates;
    for (const std::int64_t order : recipe_.rotations)
      if (inputs.cols % order == 0) candidates.push_back(transform_of(recipe_, order));
    Result<InputTransform> best = best_of(group, inputs, candidates);
    if (!best || !recipe_.tune_encode) return best;
    candidates.clear();
    for (int eighth = 0; eighth < 8; eighth += 2) {
      candidates.push_back(*best);
      candidates.back().encode = std::exp2(static_cast<float>(eighth) / 8.0f);
    }
    return best_of(group, inputs, candidates);
  }

  Result<InputTransform> best_of(Group group, const GroupInputs& inputs,
                                 std::vector<InputTransform> candidates) {
    double least = 0.0;
    std::size_t best = 0;
    for (std::size_t i = 0; i < candidates.size(); ++i) {
      if (Status fixed = fix_amax(inputs, candidates[i]); !fixed) return fixed.failure();
      if (candidates.size() == 1) break;
      const Result<double> error = trial_error(group, inputs, candidates[i]);
      if (!error) return error.failure();
      if (i == 0 || *error < least) {
        least = *error;
        best = i;
      }
    }
    return candidates[best];
  }

  const Recipe& recipe_;
  std::int64_t layer_;
  Block& source_;
  Ranks& ranks_;
};

std::int64_t input_width(const ModelConfig& config, Group group) {
  return shape_of(config, linears_of(group).front()).cols;
}

}  // namespace

Block block_of(const Block& source, const QuantizedBlock& quantized) {
  Block block = source;
  for (const Linear linear : kLinears) {
    const QuantizedLayer& layer = quantized.layer(linear);
    block.layer(linear) = LinearLayer(Weight::of_quantized(layer.matrix), layer.output_divisors);
    block.input(group_of(linear)) = layer.input;
  }
  if (!quantized.input_norm.empty()) block.input_norm = quantized.input_norm;
  if (!quantized.post_attention_norm.empty()) block.post_attention_norm = quantized.post_attention_norm;
  return block;
}

Block BlockQuantizer::passing_block(const Block& source, const QuantizedBlock& quantized) const {
  Block block = block_of(source, quantized);
  if (recipe_.values == ValueType::fake_bf16)
    for (const Linear linear : kLinears) block.layer(linear) = block.layer(linear).rounded_to_bf16();
  return block;
}

Result<BlockQuantizer> BlockQuantizer::create(const Checkpoint& checkpoint, const Recipe& recipe,
                                              const std::vector<std::vector<std::uint32_t>>& sequences,
                                              Ranks& ranks) {
  if (Status valid = check(recipe); !valid) return valid.failure();
  if (Status fits = check_sizes(checkpoint.config(), recipe); !fits) return fits.failure();
  if (recipe.needs_calibration() && sequences.empty()) {
    return {Error::kBadArgument, "this recipe measures activations: expected calibration text",
            "recipe " + recipe.name};
  }
  const Result<ModelEnds> ends = read_ends(checkpoint);
  if (!ends) return ends.failure();
  BlockQuantizer out;
  out.checkpoint_ = &checkpoint;
  out.recipe_ = recipe;
  out.ranks_ = &ranks;
  out.total_sequences_ = recipe.needs_calibration() ? static_cast<std::int64_t>(sequences.size()) : 0;
  out.first_sequence_ = ranks.begin(out.total_sequences_);
  std::int64_t longest = 0;
  for (std::int64_t s = out.first_sequence_; s < ranks.end(out.total_sequences_); ++s) {
    const std::vector<std::uint32_t>& ids = sequences[static_cast<std::size_t>(s)];
    Result<std::vector<float>> x = embed(*ends, ids);
    if (!x) return x.failure();
    const auto tokens = static_cast<std::int64_t>(ids.size());
    longest = std::max(longest, tokens);
    out.quantized_stream_.push_back({tokens, std::move(*x), {}});
  }
  if (out.keeps_float_stream()) out.float_stream_ = out.quantized_stream_;
  out.rope_ = RopeTable::of(checkpoint.config(), longest);
  return out;
}

Result<ChannelMoments> BlockQuantizer::channel_moments(const Block& source) {
  const ModelConfig& config = checkpoint_->config();
  std::vector<Gram> grams;
  for (const Group group : kGroups) grams.emplace_back(input_width(config, group));
  ForwardContext measuring = context();
  measuring.hook = [&](Group group, const BlockState& state) -> Status {
    return grams[static_cast<std::size_t>(group)].add(state.pending, state.tokens);
  };
  Block block = source;
  const std::int64_t stride = std::max<std::int64_t>(1, total_sequences_ / kTrialSequences);
  std::int64_t sequence = first_sequence_;
  const Status measured = pass(quantized_stream_, [&](const BlockState& state) -> Status {
    if (sequence++ % stride != 0) return {};
    BlockState copy = state;
    return forward_block(block, measuring, copy);
  });
  if (!measured) return measured.failure();
  ChannelMoments moments;
  for (const Group group : kGroups) {
    const auto g = static_cast<std::size_t>(group);
    const Result<std::vector<double>> sums = grams[g].sums(*ranks_);
    if (!sums) return sums.failure();
    const auto cols = static_cast<std::size_t>(grams[g].cols());
    for (std::size_t j = 0; j < cols; ++j) moments[g].push_back((*sums)[j * (cols + 1)]);
  }
  return moments;
}

Result<Block> BlockQuantizer::read_source() {
  Result<Block> source = read_float_block(*checkpoint_, next_);
  if (!source || recipe_.equalize == 0.0) return source;
  const Result<ChannelMoments> moments = channel_moments(*source);
  if (!moments) return moments.failure();
  equalize(checkpoint_->config(), *moments, recipe_.equalize, *source);
  return source;
}

Result<QuantizedBlock> BlockQuantizer::quantize_next(const BlockProgress& progress) {
  Result<Block> source = read_source();
  if (!source) return source.failure();
  Result<QuantizedBlock> quantized = !recipe_.needs_calibration()  ? quantize_without_calibration(*source)
                                     : recipe_.flow == Flow::block ? quantize_by_block(*source, progress)
                                                                   : quantize_by_group(*source, progress);
  if (!quantized) return quantized;
  if (recipe_.equalize != 0.0) {
    quantized->input_norm = source->input_norm;
    quantized->post_attention_norm = source->post_attention_norm;
    for (const Linear linear : kLinears)
      quantized->layer(linear).output_divisors = source->layer(linear).output_divisors();
  }
  ++next_;
  return quantized;
}

Status BlockQuantizer::skip_next(const QuantizedBlock& done) {
  Result<Block> source = read_source();
  if (!source) return source.failure();
  Block block = passing_block(*source, done);
  if (Status passed =
          pass(quantized_stream_, [&](BlockState& s) { return forward_block(block, context(), s); });
      !passed)
    return passed;
  if (Status passed =
          pass(float_stream_, [&](BlockState& s) { return forward_block(*source, context(), s); });
      !passed)
    return passed;
  ++next_;
  return {};
}

Status BlockQuantizer::pass(std::vector<BlockState>& states, const std::function<Status(BlockState&)>& step) {
  Status status;
  for (std::size_t i = 0; i < states.size() && status.ok(); ++i) status = step(states[i]);
  return ranks_->agree(status);
}

Result<QuantizedBlock> BlockQuantizer::quantize_without_calibration(const Block& source) {
  QuantizedBlock out;
  const std::int64_t rotation = recipe_.rotations.front();
  for (const Linear linear : kLinears) {
    const auto start = std::chrono::steady_clock::now();
    const Weight& weight = source.linears[static_cast<std::size_t>(linear)].weight();
    const std::string module = module_path(next_, linear);
    const Result<std::vector<float>> values = rotated_weights(weight, rotation, recipe_.values);
    if (!values) return in_module(values.failure(), module);
    Result<GptqResult> result = round_to_nearest(*values, weight.rows(), weight.cols(), recipe_.weights);
    if (!result) return in_module(result.failure(), module);
    out.layer(linear) = {std::move(result->matrix), transform_of(recipe_, rotation), {}};
    out.log.push_back({.name = module, .report = {}, .rotation = rotation, .seconds = seconds_since(start)});
  }
  return out;
}

Result<QuantizedBlock> BlockQuantizer::quantize_by_block(Block& source, const BlockProgress& progress) {
  const ModelConfig& config = checkpoint_->config();
  const std::int64_t rotation = recipe_.rotations.front();
  const bool needs_hessian = recipe_.method == Method::gptq;
  QuantizedBlock out;
  std::vector<Gram> grams;
  std::array<float, kGroups.size()> amax{};
  for (const Group group : kGroups) grams.emplace_back(needs_hessian ? input_width(config, group) : 0);

  // Pass one: float weights, rotated, and activations as they will be.
  Block rotated = source;
  for (const Linear linear : kLinears) {
    const Weight& weight = source.layer(linear).weight();
    Result<std::vector<float>> values = rotated_weights(weight, rotation, recipe_.values);
    if (!values) return in_module(values.failure(), module_path(next_, linear));
    rotated.layer(linear) = LinearLayer(Weight::of_values(std::move(*values), weight.rows(), weight.cols()));
  }
  for (const Group group : kGroups) rotated.input(group) = transform_of(recipe_, rotation);
  ForwardContext measuring = context();
  measuring.hook = [&](Group group, const BlockState& state) -> Status {
    const auto g = static_cast<std::size_t>(group);
    const auto start = std::chrono::steady_clock::now();
    if (needs_hessian)
      if (Status added = grams[g].add(state.pending, state.tokens); !added) return added;
    out.moment_seconds += seconds_since(start);
    if (!recipe_.static_activations) return {};
    const Result<float> largest = rotated_amax({.own = std::span(&state, 1)}, rotation);
    if (!largest) return largest.failure();
    amax[g] = std::max(amax[g], *largest);
    return {};
  };
  const auto sequences = static_cast<std::int64_t>(quantized_stream_.size());
  const std::int64_t total = 2 * sequences + static_cast<std::int64_t>(kLinears.size());
  std::int64_t done = 0;
  const auto step = [&] {
    if (progress) progress(++done, total);
  };
  const auto first_pass = std::chrono::steady_clock::now();
  const Status measured = pass(quantized_stream_, [&](const BlockState& state) {
    BlockState copy = state;
    step();
    return forward_block(rotated, measuring, copy);
  });
  if (!measured) return measured.failure();
  out.pass_seconds = seconds_since(first_pass) - out.moment_seconds;
  ranks_->largest(amax);

  for (const Group group : kGroups) {
    const auto g = static_cast<std::size_t>(group);
    const auto summing = std::chrono::steady_clock::now();
    Result<std::vector<double>> hessian = grams[g].sums(*ranks_);
    if (!hessian) return hessian.failure();
    out.moment_seconds += seconds_since(summing);
    if (needs_hessian)
      if (Status turned = rotate_both_sides(*hessian, grams[g].cols(), rotation); !turned)
        return turned.failure();
    InputTransform transform = transform_of(recipe_, rotation);
    transform.amax = recipe_.static_activations ? amax[g] : 0.0f;
    for (const Linear linear : linears_of(group)) {
      const auto start = std::chrono::steady_clock::now();
      const Weight& weight = rotated.layer(linear).weight();
      const std::vector<float> values = weight.to_values();
      Result<GptqResult> result =
          needs_hessian
              ? shared_gptq(values, weight.rows(), weight.cols(), *hessian, recipe_.weights, *ranks_)
              : round_to_nearest(values, weight.rows(), weight.cols(), recipe_.weights);
      if (!result) return in_module(result.failure(), module_path(next_, linear));
      out.layer(linear) = {std::move(result->matrix), transform, {}};
      out.log.push_back({.name = module_path(next_, linear),
                         .report = result->report,
                         .rotation = rotation,
                         .seconds = seconds_since(start)});
      step();
    }
  }

  Block block = passing_block(source, out);
  const auto second_pass = std::chrono::steady_clock::now();
  const Status passed = pass(quantized_stream_, [&](BlockState& state) {
    step();
    return forward_block(block, context(), state);
  });
  if (!passed) return passed.failure();
  out.pass_seconds += seconds_since(second_pass);
  return out;
}

Result<QuantizedBlock> BlockQuantizer::quantize_by_group(Block& source, const BlockProgress& progress) {
  const ModelConfig& config = checkpoint_->config();
  QuantizedBlock out;
  Block block = source;
  for (BlockState& state : quantized_stream_) begin_block(block, context(), state);
  for (BlockState& state : float_stream_) begin_block(source, context(), state);
  GroupFlow flow(recipe_, next_, source, *ranks_);
  const auto total = static_cast<std::int64_t>(kGroups.size());
  for (const Group group : kGroups) {
    const GroupInputs inputs{.own = quantized_stream_,
                             .reference = keeps_float_stream() ? float_stream_ : quantized_stream_,
                             .cols = input_width(config, group),
                             .hidden = config.hidden,
                             .adds_to_stream = group == Group::o || group == Group::down,
                             .first_sequence = first_sequence_,
                             .total_sequences = total_sequences_,
                             .ranks = ranks_};
    if (Status done = flow.quantize(group, inputs, out); !done) return done.failure();
    for (const Linear linear : linears_of(group)) {
      block.layer(linear) = LinearLayer(Weight::of_quantized(out.layer(linear).matrix));
      block.input(group) = out.layer(linear).input;
    }
    const auto before = std::chrono::steady_clock::now();
    if (Status passed =
            pass(quantized_stream_, [&](BlockState& s) { return advance(block, context(), group, s); });
        !passed)
      return passed.failure();
    if (Status passed =
            pass(float_stream_, [&](BlockState& s) { return advance(source, context(), group, s); });
        !passed)
      return passed.failure();
    out.pass_seconds += seconds_since(before);
    if (progress) progress(static_cast<std::int64_t>(group) + 1, total);
  }
  return out;
}

}  // namespace fourge::quant
