#include "quant/export/quantize_model.h"

#include <algorithm>
#include <string>

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

}  // namespace

Result<QuantizeOutcome> quantize_model(const QuantizeJob& job, const QuantizeEvents& events) {
  if (Status valid = check(job.recipe); !valid) return valid.failure();
  if (Status fits = check_stored_format(job.stored, job.recipe); !fits) return fits.failure();
  const Result<Checkpoint> source = Checkpoint::open(job.model);
  if (!source) return source.failure();
  if (Status valid = check_source(*source); !valid) return valid.failure();
  const std::int64_t layers = source->config().layers;
  if (Status valid = check_range(job, layers); !valid) return valid.failure();
  Result<BlockQuantizer> quantizer = BlockQuantizer::create(*source, job.recipe, job.sequences);
  if (!quantizer) return quantizer.failure();

  StoredScheme scheme;
  scheme.stored = job.stored;
  scheme.format = job.recipe.format();
  scheme.quantize_activations = job.recipe.quantize_activations;
  scheme.activation_rule = job.recipe.activation_rule;
  scheme.rotation = job.recipe.rotations.front();
  Result<OutputFolder> folder = OutputFolder::open(job.out, *source, scheme, fingerprint_of(job, *source));
  if (!folder) return folder.failure();

  QuantizeOutcome outcome;
  const std::int64_t last = job.last_block < 0 ? layers - 1 : job.last_block;
  for (std::int64_t layer = 0; layer <= last; ++layer) {
    const bool resumed = layer < job.first_block || folder->has_block(layer);
    if (layer < job.first_block) {
      quantizer->pass_over();
      continue;
    }
    Result<QuantizedBlock> block = resumed ? folder->read_block(layer)
                                           : quantizer->quantize_next([&](std::int64_t done, std::int64_t total) {
                                               if (events.on_progress) events.on_progress(layer, done, total);
                                             });
    if (!block) return block.failure();
    if (resumed) {
      if (Status skipped = quantizer->skip_next(*block); !skipped) return skipped.failure();
      ++outcome.blocks_resumed;
    } else if (Status written = folder->write_block(layer, *block); !written) {
      return written.failure();
    }
    if (events.on_block) events.on_block(layer, layers, resumed, *block);
    if (layer < last && events.should_stop && events.should_stop()) break;
  }
  outcome.blocks_present = folder->blocks_present();
  if (outcome.blocks_present < layers) return outcome;
  if (Status finished = folder->finish(to_json_text(job.recipe)); !finished) return finished.failure();
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
