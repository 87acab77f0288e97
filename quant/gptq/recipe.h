// How a whole model is quantised: one aggregate, named settings, and a check that refuses half-set ones.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "fourge/error.h"
#include "fourge/gptq.h"
#include "quant/model/linear.h"

namespace fourge::quant {

enum class Method : std::uint8_t { rtn, gptq };
constexpr const char* name_of(Method method) { return method == Method::rtn ? "rtn" : "gptq"; }

/// In which order a block's statistics and weights come to be.
enum class Flow : std::uint8_t {
  block,  // FP-Quant: all Hessians of a block in one pass with its float weights, then all its layers
  group,  // qkv, o, gate_up, down: each group's statistics with the groups before it quantised
};
constexpr const char* name_of(Flow flow) { return flow == Flow::block ? "block" : "group"; }

/// What GPTQ's quadratic form measures.
enum class Target : std::uint8_t {
  own_input,        // ||(W - Wq) x||^2, x the layer's input before activation quantisation (GPTQ, FP-Quant)
  quantized_input,  // the same with x as the 4-bit activations have it
  float_output,  // ||W x - Wq xq||^2: xq the 4-bit input, x the input in the unquantised model. Weights first
                 // move to the least-squares answer to xq, then GPTQ rounds them with xq's Hessian
  stream_output,  // float_output; o and down also answer for the error that the residual stream already has
};
constexpr const char* name_of(Target target) {
  switch (target) {
    case Target::own_input:
      return "own_input";
    case Target::quantized_input:
      return "quantized_input";
    case Target::float_output:
      return "float_output";
    case Target::stream_output:
      return "stream_output";
  }
  return "";
}
/// Whether the weights move to a least-squares answer before they are rounded.
constexpr bool moves_weights(Target target) {
  return target == Target::float_output || target == Target::stream_output;
}

struct Recipe {
  std::string name = "custom";
  Method method = Method::rtn;
  GptqSpec weights;                  // format and scale rule also for rtn
  bool quantize_activations = true;  // W4A4
  ScaleRule activation_rule = ScaleRule::static_6;
  bool static_activations = false;  // nvfp4: one tensor scale from calibration instead of each call's own
  bool tune_encode = false;         // mxfp4 with activation rule sweep: choose a tensor scale per group
  std::vector<std::int64_t> rotations = {1};  // orders to choose from per group by measured error; 1: none
  Flow flow = Flow::block;
  Target target = Target::own_input;
  double target_damping = 0.01;       // float_output: of the least squares
  double equalize = 0.0;              // strength of equalize() before the block is quantised; 0: none, 1: all
  ValueType values = ValueType::f32;  // of the calibration pass

  Format format() const { return weights.format; }
  /// Whether anything has to be measured on calibration text.
  bool needs_calibration() const;

  bool operator==(const Recipe&) const = default;
};

/// The settings that go by one name, for a format and W4A4 or W4A16:
///   rtn       static_6 / floor, no rotation
///   4over6    Four Over Six, mse, weights and activations (nvfp4 only)
///   gptq      FP-Quant's GPTQ: search, static activation order, no rotation
///   mr-gptq   the same with Hadamard rotation, 16 (nvfp4) or 32 (mxfp4) unless --rotate says otherwise
///   best      the best found on calibration text (docs/models.md)
/// kBadArgument for another name or a combination that means nothing.
Result<Recipe> named_recipe(std::string_view name, Format format, bool quantize_activations);

/// Combinations that mean nothing, with the reason.
Status check(const Recipe& recipe);

/// Everything in one line of JSON: what a checkpoint records, and what a resumed run compares.
std::string to_json_text(const Recipe& recipe);

}  // namespace fourge::quant
