// quantization_config: what config.json says about 4-bit layers.
#include <algorithm>
#include <bit>
#include <nlohmann/json.hpp>
#include <set>

#include "quant/export/stored_model.h"
#include "quant/model/load.h"
#include "quant/quantize.h"
#include "quant/text.h"

namespace fourge::quant {
namespace {

using Json = nlohmann::ordered_json;

std::string config_path(const Checkpoint& checkpoint) {
  return printable((checkpoint.folder() / "config.json").string()) + ": quantization_config";
}

/// A string member; empty when it is absent or something else.
std::string text_of(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

Result<std::int64_t> order_of(const Json& value, const std::string& where) {
  if (!value.is_number_integer() || value < 1 || value > 32768 ||
      !std::has_single_bit(static_cast<std::uint64_t>(value.get<std::int64_t>())))
    return {Error::kBadFile, "expected a rotation order, a power of two from 1 to 32768", where};
  return value.get<std::int64_t>();
}

Result<Format> format_of(const std::string& name, const std::string& where) {
  for (const Format format : {Format::nvfp4, Format::mxfp4})
    if (name == name_of(format)) return format;
  return {Error::kUnsupportedFormat, "expected nvfp4 or mxfp4", where + ": " + in_quotes(name)};
}

Status read_fourge_scheme(const Json& config, const std::string& where, StoredScheme& scheme) {
  scheme.stored = StoredFormat::fourge;
  if (config.value("version", 0) != 1) return {Error::kUnsupportedFormat, "expected version 1", where};
  const Result<Format> format = format_of(text_of(config, "format"), where + ".format");
  if (!format) return format.failure();
  scheme.format = *format;
  scheme.quantize_activations = text_of(config, "activations") != "none";
  if (scheme.quantize_activations) {
    const Result<ScaleRule> rule = scale_rule_of_name(scheme.format, text_of(config, "activation_rule"));
    if (!rule) return rule.failure();
    scheme.activation_rule = *rule;
  }
  const Result<std::int64_t> rotation = order_of(config.value("rotation", Json(1)), where + ".rotation");
  if (!rotation) return rotation.failure();
  scheme.rotation = *rotation;
  const auto rotations = config.find("rotations");
  if (rotations == config.end()) return {};
  if (!rotations->is_object()) return {Error::kBadFile, "expected an object", where + ".rotations"};
  for (const auto& [module, value] : rotations->items()) {
    const Result<std::int64_t> order = order_of(value, where + ".rotations." + printable(module));
    if (!order) return order.failure();
    scheme.rotations[module] = *order;
  }
  return {};
}

Status read_fp_quant_scheme(const Json& config, const std::string& where, StoredScheme& scheme) {
  scheme.stored = StoredFormat::fp_quant;
  const Result<Format> format = format_of(text_of(config, "forward_dtype"), where + ".forward_dtype");
  if (!format) return format.failure();
  if (config.value("pseudoquantization", Json(false)) == true)
    return {Error::kUnsupportedFormat, "expected a realquant checkpoint", where + ".pseudoquantization"};
  if (text_of(config, "forward_method") != "abs_max")
    return {Error::kUnsupportedFormat, "expected abs_max", where + ".forward_method"};
  scheme.format = *format;
  scheme.quantize_activations = true;
  scheme.activation_rule = *format == Format::nvfp4 ? ScaleRule::static_6 : ScaleRule::shift;
  const Result<std::int64_t> rotation =
      order_of(config.value("hadamard_group_size", Json()), where + ".hadamard_group_size");
  if (!rotation) return rotation.failure();
  scheme.rotation = *rotation;
  return {};
}

Status read_compressed_tensors_scheme(const Json& config, const std::string& where, StoredScheme& scheme) {
  scheme.stored = StoredFormat::compressed_tensors;
  const std::string packing = text_of(config, "format");
  if (packing == "nvfp4-pack-quantized") {
    scheme.format = Format::nvfp4;
    scheme.activation_rule = ScaleRule::static_6;
  } else if (packing == "mxfp4-pack-quantized") {
    scheme.format = Format::mxfp4;
    scheme.activation_rule = ScaleRule::even;
  } else {
    return {Error::kUnsupportedFormat, "expected nvfp4-pack-quantized or mxfp4-pack-quantized",
            where + ".format: " + in_quotes(packing)};
  }
  if (const auto transform = config.find("transform_config");
      transform != config.end() && !transform->is_null() && !transform->empty())
    return {Error::kUnsupportedFormat, "transforms of compressed-tensors are not computed here",
            where + ".transform_config"};
  const auto groups = config.find("config_groups");
  if (groups == config.end() || !groups->is_object() || groups->size() != 1)
    return {Error::kUnsupportedFormat, "expected one group for all linear layers", where + ".config_groups"};
  const Json& group = *groups->begin();
  const auto activations = group.find("input_activations");
  scheme.quantize_activations = activations != group.end() && !activations->is_null();
  return {};
}

Status read_modelopt_scheme(const Json& config, const std::string& where, StoredScheme& scheme) {
  scheme.stored = StoredFormat::modelopt;
  const std::string algorithm = text_of(config, "quant_algo");
  if (algorithm != "NVFP4" && algorithm != "W4A16_NVFP4")
    return {Error::kUnsupportedFormat, "expected NVFP4 or W4A16_NVFP4", where + ".quant_algo"};
  scheme.format = Format::nvfp4;
  scheme.quantize_activations = algorithm == "NVFP4";
  scheme.activation_rule = ScaleRule::static_6;
  return {};
}

Json fourge_config(const StoredScheme& scheme, const std::string& recipe_json) {
  Json config = {{"quant_method", "fourge"},
                 {"version", 1},
                 {"format", name_of(scheme.format)},
                 {"activations", scheme.quantize_activations ? name_of(scheme.format) : "none"}};
  if (scheme.quantize_activations) config["activation_rule"] = name_of(scheme.activation_rule);
  config["rotation"] = scheme.rotation;
  if (!scheme.rotations.empty()) config["rotations"] = scheme.rotations;
  if (!recipe_json.empty()) config["recipe"] = Json::parse(recipe_json, nullptr, false);
  config["modules_to_not_convert"] = {"lm_head"};
  return config;
}

Json fp_quant_config(const StoredScheme& scheme) {
  const std::int64_t order = scheme.rotation > 1 ? scheme.rotation : scheme.format == Format::nvfp4 ? 16 : 32;
  return {{"quant_method", "fp_quant"},    {"forward_dtype", name_of(scheme.format)},
          {"forward_method", "abs_max"},   {"backward_dtype", "bf16"},
          {"hadamard_group_size", order},  {"modules_to_not_convert", {"lm_head"}},
          {"store_master_weights", false}, {"pseudoquantization", false}};
}

Json compressed_tensors_config(const StoredScheme& scheme) {
  const bool nv = scheme.format == Format::nvfp4;
  Json weights = {{"num_bits", 4},
                  {"type", "float"},
                  {"symmetric", true},
                  {"strategy", nv ? "tensor_group" : "group"},
                  {"group_size", info(scheme.format).block},
                  {"dynamic", false}};
  if (!nv) weights["scale_dtype"] = "torch.uint8";
  Json activations = nullptr;
  if (scheme.quantize_activations) {
    activations = weights;
    activations["dynamic"] = nv ? Json("local") : Json(true);
  }
  const char* packing = nv ? "nvfp4-pack-quantized" : "mxfp4-pack-quantized";
  return {{"quant_method", "compressed-tensors"},
          {"format", packing},
          {"quantization_status", "compressed"},
          {"config_groups",
           {{"group_0",
             {{"format", packing},
              {"targets", {"Linear"}},
              {"weights", weights},
              {"input_activations", activations},
              {"output_activations", nullptr}}}}},
          {"ignore", {"lm_head"}},
          {"kv_cache_scheme", nullptr},
          {"global_compression_ratio", nullptr}};
}

Json modelopt_config(const StoredScheme& scheme) {
  return {{"quant_method", "modelopt"}, {"quant_algo", scheme.quantize_activations ? "NVFP4" : "W4A16_NVFP4"},
          {"group_size", 16},           {"kv_cache_quant_algo", nullptr},
          {"ignore", {"lm_head"}},      {"exclude_modules", {"lm_head"}}};
}

Status refuse(const char* reason, StoredFormat stored) {
  return {Error::kUnsupportedFormat, reason, std::string("export ") + name_of(stored)};
}

Status check_fp_quant(const Recipe& recipe) {
  const bool nv = recipe.format() == Format::nvfp4;
  if (!recipe.quantize_activations) return refuse("FP-Quant's realquant is W4A4", StoredFormat::fp_quant);
  if (recipe.rotations.size() != 1)
    return refuse("FP-Quant has one rotation for all layers", StoredFormat::fp_quant);
  const std::int64_t order = recipe.rotations.front();
  if (order != 1 && (order > 128 || order < (nv ? 16 : 32)))
    return refuse("FP-Quant rotates by 16 (nvfp4 only), 32, 64 or 128", StoredFormat::fp_quant);
  if (nv && !(recipe.activation_rule == ScaleRule::static_6 && recipe.static_activations))
    return refuse("FP-Quant's NVFP4 activations have rule static_6 and a static tensor scale",
                  StoredFormat::fp_quant);
  if (!nv && recipe.activation_rule != ScaleRule::shift)
    return refuse("FP-Quant's MXFP4 activations have rule shift", StoredFormat::fp_quant);
  if (!nv && recipe.weights.rule != ScaleRule::shift && recipe.weights.rule != ScaleRule::search)
    return refuse("FP-Quant's MXFP4 weights have the tensor scale 1 / 3: scale rule shift or search",
                  StoredFormat::fp_quant);
  return {};
}

Status check_plain(StoredFormat stored, const Recipe& recipe) {
  const bool nv = recipe.format() == Format::nvfp4;
  if (stored == StoredFormat::modelopt && !nv) return refuse("expected nvfp4", stored);
  if (recipe.rotations != std::vector<std::int64_t>{1})
    return refuse("the format has no place for a rotation: use --rotate none, or export fourge or fp-quant",
                  stored);
  if (!nv && (recipe.weights.rule == ScaleRule::shift || recipe.weights.rule == ScaleRule::search))
    return refuse("the format has no tensor scale for mxfp4: not scale rule shift or search", stored);
  if (!recipe.quantize_activations) return {};
  if (nv && !(recipe.activation_rule == ScaleRule::static_6 && recipe.static_activations))
    return refuse(
        "readers of the format quantise activations by static_6 under a static tensor scale: use "
        "--activation-rule static_6 --static-activations",
        stored);
  if (!nv && recipe.activation_rule != ScaleRule::even)
    return refuse("readers of the format quantise activations by even: use --activation-rule even", stored);
  return {};
}

}  // namespace

Result<StoredScheme> read_scheme(const Checkpoint& checkpoint) {
  StoredScheme scheme;
  const Json document = Json::parse(checkpoint.config_text(), nullptr, false);
  const auto found = document.find("quantization_config");
  if (found == document.end() || found->is_null()) return scheme;
  const std::string where = config_path(checkpoint);
  if (!found->is_object()) return {Error::kBadFile, "expected an object", where};
  const std::string method = text_of(*found, "quant_method");
  Status read = {Error::kUnsupportedFormat, "expected fourge, fp_quant, compressed-tensors or modelopt",
                 where + ".quant_method: " + in_quotes(method)};
  if (method == "fourge") read = read_fourge_scheme(*found, where, scheme);
  if (method == "fp_quant") read = read_fp_quant_scheme(*found, where, scheme);
  if (method == "compressed-tensors") read = read_compressed_tensors_scheme(*found, where, scheme);
  if (method == "modelopt") read = read_modelopt_scheme(*found, where, scheme);
  if (!read) return read.failure();
  return scheme;
}

std::string stored_config(const std::string& config_text, const StoredScheme& scheme,
                          const std::string& recipe_json) {
  Json config = Json::parse(config_text, nullptr, false);
  switch (scheme.stored) {
    case StoredFormat::fourge:
      config["quantization_config"] = fourge_config(scheme, recipe_json);
      break;
    case StoredFormat::fp_quant:
      config["quantization_config"] = fp_quant_config(scheme);
      break;
    case StoredFormat::compressed_tensors:
      config["quantization_config"] = compressed_tensors_config(scheme);
      break;
    case StoredFormat::modelopt:
      config["quantization_config"] = modelopt_config(scheme);
      break;
    case StoredFormat::none:
      config.erase("quantization_config");
      break;
  }
  return config.dump(2) + "\n";
}

Status check_stored_format(StoredFormat stored, const Recipe& recipe) {
  switch (stored) {
    case StoredFormat::fourge:
      return {};
    case StoredFormat::fp_quant:
      return check_fp_quant(recipe);
    case StoredFormat::compressed_tensors:
    case StoredFormat::modelopt:
      return check_plain(stored, recipe);
    case StoredFormat::none:
      break;
  }
  return refuse("expected a 4-bit format", stored);
}

Result<Block> read_stored_block(const Checkpoint& checkpoint, const StoredScheme& scheme,
                                std::int64_t layer) {
  if (scheme.stored == StoredFormat::none) return read_float_block(checkpoint, layer);
  Result<Block> block = read_norms_only(checkpoint, layer);
  if (!block) return block;
  for (const Linear linear : kLinears) {
    Result<QuantizedLayer> stored = read_stored_layer(checkpoint, scheme, layer, linear);
    if (!stored) return stored.failure();
    const Group group = group_of(linear);
    const bool first = linears_of(group).front() == linear;
    if (!first && block->input(group) != stored->input) {
      return {Error::kUnsupportedFormat, "expected layers of one input to share its rotation and scale",
              module_path(layer, linear)};
    }
    block->input(group) = stored->input;
    block->layer(linear) =
        LinearLayer(Weight::of_quantized(std::move(stored->matrix)), std::move(stored->output_divisors));
  }
  return block;
}

Result<LanguageModel> load_model(const Checkpoint& checkpoint, const StoredScheme& scheme) {
  LanguageModel model;
  model.config = checkpoint.config();
  Result<ModelEnds> ends = read_ends(checkpoint);
  if (!ends) return ends.failure();
  model.ends = std::move(*ends);
  for (std::int64_t layer = 0; layer < model.config.layers; ++layer) {
    Result<Block> block = read_stored_block(checkpoint, scheme, layer);
    if (!block) return block.failure();
    model.blocks.push_back(std::move(*block));
  }
  return model;
}

}  // namespace fourge::quant
