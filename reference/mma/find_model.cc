// Names of models, and the syntax of an accumulator of the user's own.
#include <charconv>
#include <map>

#include "reference/mma/model.h"

namespace fourge::reference {
namespace {

constexpr std::string_view kCustom = "custom:";
constexpr const char* kSyntax =
    "expected custom:fraction_bits=F,products=P,output=f32|e8m13|f16|bf16,rounding=rz|rne[,emax_floor=E]"
    "[,scales=ue8m0|ue4m3,block=B]";

// A product with ue4m3 scales is below 2^4 in units of 2^E, so 1024 of them and c stay below 2^(F + 15) <
// 2^63.
constexpr int kMostFractionBits = 44;
constexpr int kMostProducts = 1024;

using Fields = std::map<std::string_view, std::string_view>;

Failure bad(std::string_view name, const char* reason = kSyntax) {
  return {Error::kBadArgument, reason, std::string(name)};
}

// key=value,key=value: false when a key is repeated or has no value.
bool split(std::string_view text, Fields& fields) {
  while (true) {
    const std::size_t comma = text.find(',');
    const std::string_view part = text.substr(0, comma);
    const std::size_t equals = part.find('=');
    if (equals == std::string_view::npos || equals == 0 || equals + 1 == part.size()) return false;
    if (!fields.emplace(part.substr(0, equals), part.substr(equals + 1)).second) return false;
    if (comma == std::string_view::npos) return true;
    text.remove_prefix(comma + 1);
  }
}

// Takes `key` out of the fields. False when it is there and not a whole number in the range.
bool take_number(Fields& fields, std::string_view key, int least, int most, int& value) {
  const auto field = fields.find(key);
  if (field == fields.end()) return true;
  const std::string_view text = field->second;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < least || value > most) return false;
  fields.erase(field);
  return true;
}

bool take_output(Fields& fields, FormatInfo& output) {
  const auto field = fields.find("output");
  if (field == fields.end()) return false;
  constexpr FormatInfo kOutputs[] = {info(ElementFormat::f32), kE8m13, info(ElementFormat::f16),
                                     info(ElementFormat::bf16)};
  for (const FormatInfo& candidate : kOutputs) {
    if (field->second == candidate.name) {
      output = candidate;
      fields.erase(field);
      return true;
    }
  }
  return false;
}

bool take_rounding(Fields& fields, Rounding& rounding) {
  const auto field = fields.find("rounding");
  if (field == fields.end() || (field->second != "rz" && field->second != "rne")) return false;
  rounding = field->second == "rz" ? Rounding::rz : Rounding::rne;
  fields.erase(field);
  return true;
}

bool take_scales(Fields& fields, MmaModel& model) {
  const bool has_block = fields.contains("block");
  const auto field = fields.find("scales");
  if (field == fields.end()) return !has_block;
  if (!has_block || (field->second != "ue8m0" && field->second != "ue4m3")) return false;
  model.scale_format = field->second == "ue8m0" ? ElementFormat::ue8m0 : ElementFormat::ue4m3;
  fields.erase(field);
  return take_number(fields, "block", 1, 4096, model.scale_block);
}

Result<MmaModel> parse_custom(std::string_view name) {
  Fields fields;
  if (!split(name.substr(kCustom.size()), fields)) return bad(name);
  MmaModel model;
  model.name = "custom";
  model.formats =
      FormatSet{ElementFormat::e2m1, ElementFormat::e2m3, ElementFormat::e3m2, ElementFormat::e4m3,
                ElementFormat::e5m2, ElementFormat::f16,  ElementFormat::bf16, ElementFormat::tf32};
  model.source = "chosen by the user";
  DotAddRules& rules = model.rules;
  rules.lowest_exponent = kNoLowestExponent;
  if (!fields.contains("fraction_bits") || !fields.contains("products")) return bad(name);
  if (!take_number(fields, "fraction_bits", 1, kMostFractionBits, rules.fraction_bits)) {
    return bad(name, "expected fraction_bits from 1 to 44");
  }
  if (!take_number(fields, "products", 1, kMostProducts, rules.products_per_sum)) {
    return bad(name, "expected products from 1 to 1024");
  }
  if (!take_number(fields, "emax_floor", -1000, 127, rules.lowest_exponent)) {
    return bad(name, "expected emax_floor from -1000 to 127");
  }
  if (!take_output(fields, rules.output) || !take_rounding(fields, rules.rounding) ||
      !take_scales(fields, model) || !fields.empty()) {
    return bad(name);
  }
  return model;
}

}  // namespace

Result<MmaModel> find_model(std::string_view name) {
  if (name.starts_with(kCustom)) return parse_custom(name);
  for (const MmaModel& model : kMmaModels) {
    if (model.name == name) return model;
  }
  return {Error::kNotFound, "expected a model of `fourge mma --list`, or custom:...", std::string(name)};
}

}  // namespace fourge::reference
