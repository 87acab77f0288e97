// From a checkpoint folder to a model in memory.
#pragma once

#include "fourge/error.h"
#include "quant/model/checkpoint.h"
#include "quant/model/model.h"

namespace fourge::quant {

/// Checks that every tensor that the architecture needs is there with its shape, a float type, and finite
/// values. The failure names folder, tensor and reason.
Status check_float_checkpoint(const Checkpoint& checkpoint);

/// Embeddings, final norm, head. The checkpoint must outlive the result: weights stay in its mapping.
Result<ModelEnds> read_ends(const Checkpoint& checkpoint);

/// A block with its norms and no linear layers yet.
Result<Block> read_norms_only(const Checkpoint& checkpoint, std::int64_t layer);

/// One block with float weights.
Result<Block> read_float_block(const Checkpoint& checkpoint, std::int64_t layer);

/// A float model, all blocks.
Result<LanguageModel> load_float_model(const Checkpoint& checkpoint);

}  // namespace fourge::quant
