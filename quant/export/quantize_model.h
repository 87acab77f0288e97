// From a float model folder to a 4-bit one.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "fourge/error.h"
#include "quant/export/stored_model.h"
#include "quant/gptq/ranks.h"
#include "quant/gptq/recipe.h"

namespace fourge::quant {

struct QuantizeJob {
  std::filesystem::path model;
  std::filesystem::path out;
  Recipe recipe;
  StoredFormat stored = StoredFormat::fourge;
  std::vector<std::vector<std::uint32_t>> sequences;  // calibration, each fed alone
  std::int64_t first_block = 0;
  std::int64_t last_block = -1;    // inclusive; -1: the last. A part is for recipes without calibration
  Ranks* ranks = &Ranks::alone();  // only rank 0 writes; the others need to read `model`, not `out`
};

struct QuantizeEvents {
  std::function<void(std::int64_t layer, std::int64_t layers, bool resumed, const QuantizedBlock& block)>
      on_block;
  std::function<void(std::int64_t layer, std::int64_t done, std::int64_t total)> on_progress;
  std::function<bool()> should_stop;  // asked after every block; what is done stays for the next run
};

struct QuantizeOutcome {
  bool complete = false;  // false: a part of the blocks is done and others are still missing
  std::int64_t blocks_present = 0;
  std::int64_t blocks_resumed = 0;
};

/// Checks everything first: recipe, export, sizes, every tensor of the source. Blocks that an interrupted run
/// of the same job left are kept. Every rank of the job makes this call.
Result<QuantizeOutcome> quantize_model(const QuantizeJob& job, const QuantizeEvents& events = {});

/// Calibration sequences as the anchors take them: `count` pieces of `length` tokens, the i-th from
/// i * stride. kBadArgument when the text is too short for one.
Result<std::vector<std::vector<std::uint32_t>>> calibration_sequences(const std::vector<std::uint32_t>& ids,
                                                                      std::int64_t count, std::int64_t length,
                                                                      std::int64_t stride);

}  // namespace fourge::quant
