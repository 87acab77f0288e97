#include "quant/model/config.h"

#include <cmath>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "quant/text.h"

namespace fourge::quant {
namespace {

using Json = nlohmann::json;

constexpr std::int64_t kLargestSize = std::int64_t{1} << 24;

/// Reads members of one JSON object; the first failure is kept and later reads do nothing.
class Fields {
 public:
  Fields(const Json& object, std::string where) : object_(object), where_(std::move(where)) {}

  const Json* find(const char* key) const {
    const auto found = object_.find(key);
    return found == object_.end() || found->is_null() ? nullptr : &*found;
  }
  /// A size from 1 to 2^24; `fallback` 0 means that the key must be there.
  std::int64_t size(const char* key, std::int64_t fallback = 0) {
    const Json* value = find(key);
    if (value == nullptr) {
      if (fallback == 0) fail(key, "expected this key with a whole number");
      return fallback;
    }
    if (!value->is_number_integer() || *value < 1 || *value > kLargestSize) {
      fail(key, "expected a whole number from 1 to 2^24");
      return 1;
    }
    return value->get<std::int64_t>();
  }
  double number(const char* key, double fallback) {
    const Json* value = find(key);
    if (value == nullptr) return fallback;
    if (!value->is_number() || !(value->get<double>() > 0.0) || !std::isfinite(value->get<double>())) {
      fail(key, "expected a positive number");
      return fallback;
    }
    return value->get<double>();
  }
  bool flag(const char* key, bool fallback) {
    const Json* value = find(key);
    if (value == nullptr) return fallback;
    if (!value->is_boolean()) fail(key, "expected true or false");
    return value->is_boolean() ? value->get<bool>() : fallback;
  }
  std::string text(const char* key, const char* fallback) {
    const Json* value = find(key);
    if (value == nullptr) return fallback;
    if (!value->is_string()) fail(key, "expected a string");
    return value->is_string() ? value->get<std::string>() : fallback;
  }
  void fail(const char* key, const char* reason) {
    if (!status_) return;
    const Json* value = find(key);
    const std::string given = value == nullptr ? "absent" : printable(value->dump(-1, ' ', true));
    status_ = Status(Error::kBadFile, reason, where_ + ": \"" + key + "\" " + given);
  }
  const Status& status() const { return status_; }

 private:
  const Json& object_;
  std::string where_;
  Status status_;
};

/// transformers 4: rope_theta beside rope_scaling; transformers 5: both in rope_parameters.
void read_rope(Fields& config, const std::string& where, ModelConfig& out, Status& status) {
  out.rope_theta = config.number("rope_theta", out.rope_theta);
  const Json* object = config.find("rope_parameters");
  if (object == nullptr) object = config.find("rope_scaling");
  if (object == nullptr) return;
  if (!object->is_object()) return config.fail("rope_scaling", "expected an object or null");

  Fields rope(*object, where + ": rope scaling");
  out.rope_theta = rope.number("rope_theta", out.rope_theta);
  const std::string type = rope.text("rope_type", rope.text("type", "default").c_str());
  RopeScaling& scaling = out.rope_scaling;
  if (type == "llama3") {
    scaling.kind = RopeScaling::Kind::llama3;
    scaling.factor = rope.number("factor", 8.0);
    scaling.low_freq_factor = rope.number("low_freq_factor", 1.0);
    scaling.high_freq_factor = rope.number("high_freq_factor", 4.0);
    scaling.original_context = rope.number("original_max_position_embeddings", 8192.0);
    if (!(scaling.high_freq_factor > scaling.low_freq_factor))
      rope.fail("high_freq_factor", "expected more than low_freq_factor");
  } else if (type == "linear") {
    scaling.kind = RopeScaling::Kind::linear;
    scaling.factor = rope.number("factor", 1.0);
  } else if (type != "default") {
    rope.fail("rope_type", "expected default, linear or llama3");
  }
  if (!rope.status()) status = rope.status();
}

void read_architecture(Fields& config, ModelConfig& out) {
  const std::string type = config.text("model_type", "");
  if (type == "llama") {
    out.architecture = Architecture::llama;
  } else if (type == "qwen3") {
    out.architecture = Architecture::qwen3;
  } else {
    config.fail("model_type", "expected an architecture that can be computed here: llama or qwen3");
  }
}

void refuse_what_is_not_computed(Fields& config) {
  if (config.text("hidden_act", "silu") != "silu") config.fail("hidden_act", "expected silu");
  for (const char* key : {"attention_bias", "mlp_bias", "use_sliding_window"}) {
    if (config.flag(key, false)) config.fail(key, "expected false: this is not computed here");
  }
}

Status check_sizes(const ModelConfig& c, const std::string& where) {
  if (c.heads % c.kv_heads != 0) {
    return {Error::kBadFile, "num_attention_heads must be a multiple of num_key_value_heads",
            where + ": " + std::to_string(c.heads) + " and " + std::to_string(c.kv_heads)};
  }
  if (c.head_dim % 2 != 0) {
    return {Error::kBadFile, "head_dim must be even: RoPE turns pairs",
            where + ": " + std::to_string(c.head_dim)};
  }
  return {};
}

}  // namespace

Result<std::string> read_config_text(const std::filesystem::path& folder) {
  const std::filesystem::path path = folder / "config.json";
  std::ifstream stream(path, std::ios::binary);
  if (!stream) {
    return {Error::kNotFound, "expected a model folder with a config.json", printable(path.string())};
  }
  std::string text{std::istreambuf_iterator<char>(stream), {}};
  if (stream.bad()) return {Error::kIo, "cannot read", printable(path.string())};
  return text;
}

Result<ModelConfig> parse_model_config(const std::string& text, const std::string& where) {
  const Json document = Json::parse(text, nullptr, false);
  if (!document.is_object()) return {Error::kBadFile, "expected one JSON object", where};

  Fields config(document, where);
  ModelConfig out;
  Status rope_status;
  read_architecture(config, out);
  refuse_what_is_not_computed(config);
  out.hidden = config.size("hidden_size");
  out.intermediate = config.size("intermediate_size");
  out.layers = config.size("num_hidden_layers");
  out.heads = config.size("num_attention_heads");
  out.kv_heads = config.size("num_key_value_heads", out.heads);
  if (config.find("head_dim") == nullptr && out.hidden % out.heads != 0)
    config.fail("num_attention_heads", "expected a divisor of hidden_size when head_dim is absent");
  out.head_dim = config.size("head_dim", std::max<std::int64_t>(out.hidden / out.heads, 1));
  out.vocabulary = config.size("vocab_size");
  out.context = config.size("max_position_embeddings", 2048);
  out.rms_norm_eps = static_cast<float>(config.number("rms_norm_eps", 1e-6));
  out.tied_embeddings = config.flag("tie_word_embeddings", false);
  read_rope(config, where, out, rope_status);
  if (!config.status()) return config.status().failure();
  if (!rope_status) return rope_status.failure();
  if (Status sizes = check_sizes(out, where); !sizes) return sizes.failure();
  return out;
}

}  // namespace fourge::quant
