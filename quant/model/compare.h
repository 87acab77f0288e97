// What 4 bits do to every layer: a quantised model's linear layers on the float model's inputs.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "fourge/error.h"
#include "quant/model/model.h"

namespace fourge::quant {

struct LayerDifference {
  std::string name;           // "model.layers.0.self_attn.q_proj"
  double output_error = 0.0;  // ||y - yq||^2 / ||y||^2; y = W x, yq the 4-bit layer's output from the same x,
                              // equalisation undone
};

struct ModelDifference {
  std::vector<LayerDifference> layers;
  std::vector<double> stream_error;  // after each block: the same ratio of the two models' residual streams
};

/// Both models read the ids in windows, as evaluate() does. kBadShape when they are not of one shape.
Result<ModelDifference> compare_models(LanguageModel& reference, LanguageModel& quantized,
                                       std::span<const std::uint32_t> ids, std::int64_t window);

}  // namespace fourge::quant
