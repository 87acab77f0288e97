// config.json of a Hugging Face model folder: the dense Llama and Qwen3 architectures.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "fourge/error.h"

namespace fourge::quant {

enum class Architecture : std::uint8_t { llama, qwen3 };
constexpr const char* name_of(Architecture a) { return a == Architecture::llama ? "llama" : "qwen3"; }

/// How RoPE's frequencies are stretched beyond the context of pre-training.
struct RopeScaling {
  enum class Kind : std::uint8_t { none, linear, llama3 };
  Kind kind = Kind::none;
  double factor = 1.0;
  double low_freq_factor = 1.0;   // llama3
  double high_freq_factor = 4.0;  // llama3
  double original_context = 0.0;  // llama3: tokens

  bool operator==(const RopeScaling&) const = default;
};

/// Sizes of a model. Rows count outputs: q_proj is [heads * head_dim, hidden].
struct ModelConfig {
  Architecture architecture = Architecture::llama;
  std::int64_t hidden = 0;
  std::int64_t intermediate = 0;
  std::int64_t layers = 0;
  std::int64_t heads = 0;
  std::int64_t kv_heads = 0;
  std::int64_t head_dim = 0;
  std::int64_t vocabulary = 0;
  std::int64_t context = 0;  // max_position_embeddings
  float rms_norm_eps = 1e-5f;
  double rope_theta = 10000.0;
  RopeScaling rope_scaling;
  bool tied_embeddings = false;

  bool qk_norm() const { return architecture == Architecture::qwen3; }
  std::int64_t q_width() const { return heads * head_dim; }
  std::int64_t kv_width() const { return kv_heads * head_dim; }

  bool operator==(const ModelConfig&) const = default;
};

/// The text of FOLDER/config.json. kNotFound, kIo.
Result<std::string> read_config_text(const std::filesystem::path& folder);

/// Reads every size and refuses what the forward pass does not compute: another architecture, biases, an
/// activation other than silu, sliding windows, an unknown RoPE scaling. `where` names the file in messages.
Result<ModelConfig> parse_model_config(const std::string& text, const std::string& where);

}  // namespace fourge::quant
