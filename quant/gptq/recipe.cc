#include "quant/gptq/recipe.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <nlohmann/json.hpp>

#include "quant/hadamard.h"
#include "quant/text.h"

namespace fourge::quant {
namespace {

Recipe plain_recipe(Format format, bool quantize_activations) {
  Recipe recipe;
  recipe.name = "rtn";
  recipe.weights.format = format;
  recipe.weights.rule = format == Format::nvfp4 ? ScaleRule::static_6 : ScaleRule::floor;
  recipe.weights.order = ColumnOrder::natural;
  recipe.quantize_activations = quantize_activations;
  recipe.activation_rule = recipe.weights.rule;
  return recipe;
}

Recipe fp_quant_recipe(Format format, bool quantize_activations, std::int64_t rotation) {
  Recipe recipe = plain_recipe(format, quantize_activations);
  recipe.name = rotation == 1 ? "gptq" : "mr-gptq";
  recipe.method = Method::gptq;
  recipe.weights.rule = ScaleRule::search;
  recipe.weights.order = ColumnOrder::activation;
  recipe.rotations = {rotation};
  recipe.activation_rule = format == Format::nvfp4 ? ScaleRule::static_6 : ScaleRule::shift;
  recipe.static_activations = quantize_activations && format == Format::nvfp4;
  return recipe;
}

Recipe best_recipe(Format format, bool quantize_activations) {
  Recipe recipe = plain_recipe(format, quantize_activations);
  recipe.name = "best";
  recipe.method = Method::gptq;
  recipe.weights.rule = ScaleRule::sweep;
  recipe.weights.timing = ScaleTiming::within;
  recipe.weights.order = ColumnOrder::group;
  recipe.weights.descent_passes = 2;
  recipe.activation_rule = ScaleRule::sweep;
  recipe.static_activations = quantize_activations && format == Format::nvfp4;
  recipe.rotations = {128};
  recipe.flow = Flow::group;
  recipe.target = Target::float_output;
  recipe.equalize = quantize_activations ? 1.0 : 0.5;
  return recipe;
}

Status refuse(const char* reason, std::string where) {
  return {Error::kBadArgument, reason, std::move(where)};
}

Status check_rotations(const Recipe& recipe) {
  if (recipe.rotations.empty()) return refuse("expected at least one rotation, 1 for none", "rotate");
  for (const std::int64_t order : recipe.rotations) {
    if (order < 1 || order > kLargestHadamard || !std::has_single_bit(static_cast<std::uint64_t>(order)))
      return refuse("expected powers of two from 1 to 32768", "rotation of order " + std::to_string(order));
  }
  return {};
}

}  // namespace

bool Recipe::needs_calibration() const {
  return method == Method::gptq || rotations.size() > 1 || (quantize_activations && static_activations) ||
         tune_encode;
}

Result<Recipe> named_recipe(std::string_view name, Format format, bool quantize_activations) {
  if (name == "rtn") return plain_recipe(format, quantize_activations);
  if (name == "gptq") return fp_quant_recipe(format, quantize_activations, 1);
  if (name == "mr-gptq")
    return fp_quant_recipe(format, quantize_activations, format == Format::nvfp4 ? 16 : 32);
  if (name == "best") return best_recipe(format, quantize_activations);
  if (name == "4over6") {
    if (format != Format::nvfp4) {
      return {Error::kBadArgument,
              "Four Over Six chooses between scales 1.5 apart; mxfp4's are powers of two. Expected nvfp4",
              std::string("recipe 4over6 with format ") + name_of(format)};
    }
    Recipe recipe = plain_recipe(format, quantize_activations);
    recipe.name = "4over6";
    recipe.weights.rule = recipe.activation_rule = ScaleRule::mse_4_6;
    return recipe;
  }
  return {Error::kBadArgument, "expected rtn, 4over6, gptq, mr-gptq or best", "recipe " + in_quotes(name)};
}

Status check(const Recipe& recipe) {
  if (Status valid = fourge::check(recipe.weights); !valid) return valid;
  const QuantizeSpec activations{.format = recipe.format(), .rule = recipe.activation_rule};
  if (Status valid = fourge::check(activations); !valid) return valid;
  if (Status valid = check_rotations(recipe); !valid) return valid;
  const bool gptq = recipe.method == Method::gptq;
  if (!gptq && (recipe.weights.timing != ScaleTiming::before || recipe.weights.descent_passes != 0 ||
                recipe.weights.importance != Importance::none))
    return refuse("scales within GPTQ, descent and importance need a Hessian: use method gptq", "method rtn");
  if (!gptq && (recipe.flow != Flow::block || recipe.target != Target::own_input ||
                recipe.rotations.size() > 1 || recipe.tune_encode))
    return refuse("flow, target, the choice of a rotation and tuned scales belong to method gptq",
                  "method rtn");
  if (recipe.static_activations && !(recipe.quantize_activations && recipe.format() == Format::nvfp4))
    return refuse("a static activation scale belongs to nvfp4 with 4-bit activations", "static activations");
  if (gptq && recipe.flow == Flow::block &&
      (recipe.target != Target::own_input || recipe.rotations.size() > 1 || recipe.tune_encode))
    return refuse("targets, the choice of a rotation and tuned scales need flow group", "flow block");
  if (recipe.values != ValueType::f32 && recipe.flow != Flow::block)
    return refuse("flow group measures in f32: values of another type need flow block", "values");
  if (recipe.target == Target::quantized_input && !recipe.quantize_activations)
    return refuse("without 4-bit activations there is no quantised input", "target quantized_input");
  if (recipe.tune_encode && !(recipe.quantize_activations && recipe.format() != Format::nvfp4 &&
                              recipe.activation_rule == ScaleRule::sweep))
    return refuse("tuned tensor scales belong to mxfp4 activations with the rule sweep", "tune encode");
  if (!(recipe.target_damping > 0.0) || !std::isfinite(recipe.target_damping))
    return refuse("expected a positive damping", "target damping");
  if (!(recipe.equalize >= 0.0 && recipe.equalize <= 1.0))
    return refuse("expected a strength from 0 to 1", "equalize");
  if (recipe.equalize > 0.0 && !gptq)
    return refuse("equalisation measures activations: use method gptq", "method rtn");
  return {};
}

std::string to_json_text(const Recipe& recipe) {
  const GptqSpec& w = recipe.weights;
  const nlohmann::ordered_json json = {
      {"name", recipe.name},
      {"method", name_of(recipe.method)},
      {"format", name_of(w.format)},
      {"scale_rule", name_of(w.rule)},
      {"scale_timing", name_of(w.timing)},
      {"order", name_of(w.order)},
      {"importance", name_of(w.importance)},
      {"damping", w.damping},
      {"damping_retries", w.damping_retries},
      {"descent_passes", w.descent_passes},
      {"activations", recipe.quantize_activations ? name_of(recipe.format()) : "none"},
      {"activation_rule", name_of(recipe.activation_rule)},
      {"static_activations", recipe.static_activations},
      {"tune_encode", recipe.tune_encode},
      {"rotations", recipe.rotations},
      {"flow", name_of(recipe.flow)},
      {"target", name_of(recipe.target)},
      {"target_damping", recipe.target_damping},
      {"equalize", recipe.equalize},
      {"values", name_of(recipe.values)},
  };
  return json.dump();
}

}  // namespace fourge::quant
