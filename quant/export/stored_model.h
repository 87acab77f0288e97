// 4-bit checkpoints on disk: fourge's own folder and the formats of other tools, read into one shape.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "fourge/error.h"
#include "quant/gptq/block_quantizer.h"
#include "quant/model/checkpoint.h"
#include "quant/model/model.h"
#include "quant/safetensors.h"

namespace fourge::quant {

enum class StoredFormat : std::uint8_t {
  none,                // float weights
  fourge,              // this project's: every scale rule, rotation, tensor scale (docs/models.md)
  fp_quant,            // ISTA FP-Quant "realquant"; rotation, NVFP4 and MXFP4 with the 4/3 shift
  compressed_tensors,  // nvfp4-pack-quantized, mxfp4-pack-quantized; no rotation
  modelopt,            // NVIDIA ModelOpt NVFP4; no rotation
};
constexpr const char* name_of(StoredFormat format) {
  switch (format) {
    case StoredFormat::none:
      return "float";
    case StoredFormat::fourge:
      return "fourge";
    case StoredFormat::fp_quant:
      return "fp-quant";
    case StoredFormat::compressed_tensors:
      return "compressed-tensors";
    case StoredFormat::modelopt:
      return "modelopt";
  }
  return "";
}

/// What config.json says about all layers. Rotations by module ("model.layers.0.mlp.down_proj") override the
/// common one.
struct StoredScheme {
  StoredFormat stored = StoredFormat::none;
  Format format = Format::nvfp4;
  bool quantize_activations = false;
  ScaleRule activation_rule = ScaleRule::static_6;
  std::int64_t rotation = 1;
  std::map<std::string, std::int64_t> rotations;

  std::int64_t rotation_of(const std::string& module) const {
    const auto found = rotations.find(module);
    return found == rotations.end() ? rotation : found->second;
  }
};

/// kBadFile, kUnsupportedFormat with the key and what was expected.
Result<StoredScheme> read_scheme(const Checkpoint& checkpoint);

/// One 4-bit layer, its tensors' types and shapes checked.
Result<QuantizedLayer> read_stored_layer(const Checkpoint& checkpoint, const StoredScheme& scheme,
                                         std::int64_t layer, Linear linear);

/// A block as stored, float or 4-bit.
Result<Block> read_stored_block(const Checkpoint& checkpoint, const StoredScheme& scheme, std::int64_t layer);

/// A whole model from a folder of any of the formats.
Result<LanguageModel> load_model(const Checkpoint& checkpoint, const StoredScheme& scheme);

/// Adds the layer's tensors under the format's names. kUnsupportedFormat when the format cannot hold it (a
/// rotation, a tensor scale, a block format), with the reason.
Status add_stored_layer(StoredFormat stored, const std::string& module, const QuantizedLayer& layer,
                        SafetensorsWriter& writer);

/// config.json with the quantisation recorded. `config_text`: the float model's. `recipe_json` may be empty.
std::string stored_config(const std::string& config_text, const StoredScheme& scheme,
                          const std::string& recipe_json);

/// Whether the format can hold what the recipe makes; the reason when not.
Status check_stored_format(StoredFormat stored, const Recipe& recipe);

}  // namespace fourge::quant
