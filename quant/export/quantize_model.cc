#include "quant/export/quantize_model.h"

#include <algorithm>
#include <optional>
#include <span>
#include <string>
#include <type_traits>

#include "quant/export/output_folder.h"
#include "quant/model/load.h"
#include "quant/text.h"

namespace fourge::quant {
namespace {

std::string fingerprint_of(const QuantizeJob& job, const Checkpoint& source) {
  std::string text = to_json_text(job.recipe) + name_of(job.stored) + source.config_text();
  for (const auto& [name, tensor] : source.tensors()) text += name + std::to_string(tensor.bytes.size());
  for (const std::vector<std::uint32_t>& ids : job.sequences)
    text += fnv1a({reinterpret_cast<const char*>(ids.data()), ids.size() * sizeof(ids[0])});
  return fnv1a(text);
}

Status check_source(const Checkpoint& source) {
  const Result<StoredScheme> scheme = read_scheme(source);
  if (!scheme) return scheme.failure();
  if (scheme->stored != StoredFormat::none) {
    return {Error::kBadArgument, "expected float weights: the model is quantised already",
            printable(source.folder().string()) + ": " + name_of(scheme->stored)};
  }
  return check_float_checkpoint(source);
}

Status check_range(const QuantizeJob& job, std::int64_t layers) {
  const std::int64_t last = job.last_block < 0 ? layers - 1 : job.last_block;
  if (job.first_block < 0 || job.first_block > last || last >= layers)
    return {Error::kBadArgument, "expected FIRST:LAST within the model's blocks",
            "blocks " + std::to_string(job.first_block) + ":" + std::to_string(last) + " of " +
                std::to_string(layers)};
  const bool part = job.first_block > 0 || last < layers - 1;
  if (part && job.recipe.needs_calibration())
    return {Error::kBadArgument, "calibration has to pass through all blocks in turn: not a part of them",
            "recipe " + job.recipe.name};
  return {};
}

StoredScheme scheme_of(const QuantizeJob& job) {
  StoredScheme scheme;
  scheme.stored = job.stored;
  scheme.format = job.recipe.format();
  scheme.quantize_activations = job.recipe.quantize_activations;
  scheme.activation_rule = job.recipe.activation_rule;
  scheme.rotation = job.recipe.rotations.front();
  return scheme;
}

/// The output folder in rank 0's hands, and what of it the other ranks need.
class SharedOutput {
 public:
  static Result<SharedOutput> open(const QuantizeJob& job, const Checkpoint& source) {
    SharedOutput out(*job.ranks, source.config(), job.recipe.format());
    Status status;
    if (job.ranks->rank() == 0) {
      Result<OutputFolder> folder =
          OutputFolder::open(job.out, source, scheme_of(job), fingerprint_of(job, source));
      if (folder) {
        out.folder_ = std::move(*folder);
      } else {
        status = folder.failure();
      }
    }
    if (status = job.ranks->agree(status); !status) return status.failure();
    return out;
  }

  bool has_block(std::int64_t layer) const {
    std::uint8_t has = folder_ && folder_->has_block(layer) ? 1 : 0;
    ranks_->broadcast(std::span(&has, 1));
    return has != 0;
  }

  Result<QuantizedBlock> read_block(std::int64_t layer) const {
    Result<QuantizedBlock> block =
        folder_ ? folder_->read_block(layer) : Result<QuantizedBlock>(blank_block());
    const Status agreed = ranks_->agree(block.ok() ? Status{} : Status(block.failure()));
    if (!agreed) return agreed.failure();
    for (QuantizedLayer& layer_data : block->layers) {
      ranks_->broadcast(layer_data.matrix.codes);
      ranks_->broadcast(layer_data.matrix.scales);
      ranks_->broadcast(bytes_of(layer_data.matrix.tensor_scale));
      ranks_->broadcast(bytes_of(layer_data.input));
    }
    return block;
  }

  Status write_block(std::int64_t layer, const QuantizedBlock& block) {
    return ranks_->agree(folder_ ? folder_->write_block(layer, block) : Status{});
  }
  Status finish(const std::string& recipe) {
    return ranks_->agree(folder_ ? folder_->finish(recipe) : Status{});
  }
  std::int64_t blocks_present() const {
    std::int64_t count = folder_ ? folder_->blocks_present() : 0;
    ranks_->broadcast(bytes_of(count));
    return count;
  }

 private:
  SharedOutput(Ranks& ranks, const ModelConfig& config, Format format)
      : ranks_(&ranks), config_(&config), format_(format) {}

  template <class T>
  static std::span<std::uint8_t> bytes_of(T& value) {
    static_assert(std::is_trivially_copyable_v<T>);
    return {reinterpret_cast<std::uint8_t*>(&value), sizeof(T)};
  }

  /// With room for what rank 0 sends.
  QuantizedBlock blank_block() const {
    QuantizedBlock block;
    for (const Linear linear : kLinears) {
      const LinearShape shape = shape_of(*config_, linear);
      QuantizedMatrix& matrix = block.layer(linear).matrix;
      matrix.format = format_;
      matrix.rows = shape.rows;
      matrix.cols = shape.cols;
      matrix.codes.resize(static_cast<std::size_t>(shape.rows * shape.cols / 2));
      matrix.scales.resize(static_cast<std::size_t>(shape.rows * matrix.scale_cols()));
    }
    return block;
  }

  Ranks* ranks_;
  const ModelConfig* config_;
  Format format_;
  std::optional<OutputFolder> folder_;  // of rank 0
};

/// Whether rank 0 wants to stop; the others are not asked.
bool stops(const QuantizeEvents& events, Ranks& ranks) {
  std::uint8_t stop = ranks.rank() == 0 && events.should_stop && events.should_stop() ? 1 : 0;
  ranks.broadcast(std::span(&stop, 1));
  return stop != 0;
}

}  // namespace

Result<QuantizeOutcome> quantize_model(const QuantizeJob& job, const QuantizeEvents& events) {
  if (Status valid = check(job.recipe); !valid) return valid.failure();
  if (Status fits = check_stored_format(job.stored, job.recipe); !fits) return fits.failure();
  const Result<Checkpoint> source = Checkpoint::open(job.model);
  if (!source) return source.failure();
  if (Status valid = check_source(*source); !valid) return valid.failure();
  const std::int64_t layers = source->config().layers;
  if (Status valid = check_range(job, layers); !valid) return valid.failure();
  Result<BlockQuantizer> quantizer = BlockQuantizer::create(*source, job.recipe, job.sequences, *job.ranks);
  if (const Status agreed = job.ranks->agree(quantizer.ok() ? Status{} : Status(quantizer.failure()));
      !agreed)
    return agreed.failure();
  Result<SharedOutput> output = SharedOutput::open(job, *source);
  if (!output) return output.failure();

  QuantizeOutcome outcome;
  const std::int64_t last = job.last_block < 0 ? layers - 1 : job.last_block;
  for (std::int64_t layer = 0; layer < job.first_block; ++layer) quantizer->pass_over();
  for (std::int64_t layer = job.first_block; layer <= last; ++layer) {
    const bool resumed = output->has_block(layer);
    const auto progress = [&](std::int64_t done, std::int64_t total) {
      if (events.on_progress) events.on_progress(layer, done, total);
    };
    Result<QuantizedBlock> block = resumed ? output->read_block(layer) : quantizer->quantize_next(progress);
    if (!block) return block.failure();
    const Status kept = resumed ? quantizer->skip_next(*block) : output->write_block(layer, *block);
    if (!kept) return kept.failure();
    outcome.blocks_resumed += resumed ? 1 : 0;
    if (events.on_block) events.on_block(layer, layers, resumed, *block);
    if (layer < last && stops(events, *job.ranks)) break;
  }
  outcome.blocks_present = output->blocks_present();
  if (outcome.blocks_present < layers) return outcome;
  if (Status finished = output->finish(to_json_text(job.recipe)); !finished) return finished.failure();
  outcome.complete = true;
  return outcome;
}

Result<std::vector<std::vector<std::uint32_t>>> calibration_sequences(const std::vector<std::uint32_t>& ids,
                                                                      std::int64_t count, std::int64_t length,
                                                                      std::int64_t stride) {
  std::vector<std::vector<std::uint32_t>> sequences;
  const auto size = static_cast<std::int64_t>(ids.size());
  for (std::int64_t i = 0; i < count && i * stride + length <= size; ++i)
    sequences.emplace_back(ids.begin() + i * stride, ids.begin() + i * stride + length);
  if (sequences.empty()) {
    return {Error::kBadArgument, "the calibration text is shorter than one sequence",
            std::to_string(size) + " tokens, a sequence has " + std::to_string(length)};
  }
  return sequences;
}

}  // namespace fourge::quant
