// One output, step by step, for a person: operands, terms, Emax, truncated sum, results side by side.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string>

#include "reference/mma/model.h"

namespace fourge::vectors {

/// What goes into one output, as bytes and words of a vector file.
struct OutputOperands {
  std::string model_name;
  reference::MmaModel model;
  ElementFormat a_format = ElementFormat::e2m1;
  ElementFormat b_format = ElementFormat::e2m1;
  int k = 64;
  std::span<const std::uint8_t> a, b, a_scales, b_scales;
  std::uint32_t c = 0;
  std::optional<std::uint32_t> given = {};  // a file's D, to stand beside the result
};

/// D of the operands; `trace` as reference::mma has it.
std::uint32_t compute(const OutputOperands& operands, const reference::MmaPolicy& policy,
                      reference::MmaTrace* trace = nullptr);

/// Several lines, the last one ends with a newline.
std::string explain_text(const OutputOperands& operands, const reference::MmaPolicy& policy);

/// {"model", "zero_rule", "a", "b", ..., "sums": [{"emax", "unit", "terms": [...], "sum", "result"}],
/// "result"}
nlohmann::ordered_json explain_json(const OutputOperands& operands, const reference::MmaPolicy& policy);

/// "3f800000" or "3c00".
std::string word_text(const reference::MmaModel& model, std::uint32_t word);

}  // namespace fourge::vectors
