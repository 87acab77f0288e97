// Model folders of a few thousand random weights, for tests of what reads and computes them.
#pragma once

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "quant/model/config.h"
#include "quant/model/linear.h"
#include "quant/safetensors.h"

namespace fourge::tests {

inline quant::ModelConfig tiny_config(quant::Architecture architecture) {
  quant::ModelConfig config;
  config.architecture = architecture;
  config.hidden = 64;
  config.intermediate = 160;
  config.layers = 2;
  config.heads = 4;
  config.kv_heads = 2;
  config.head_dim = architecture == quant::Architecture::qwen3 ? 32 : 16;
  config.vocabulary = 256;
  config.context = 64;
  config.rms_norm_eps = 1e-5f;
  return config;
}

inline std::string config_json(const quant::ModelConfig& c) {
  std::string rope = "null";
  if (c.rope_scaling.kind == quant::RopeScaling::Kind::llama3) {
    rope = "{\"rope_type\": \"llama3\", \"factor\": " + std::to_string(c.rope_scaling.factor) +
           ", \"low_freq_factor\": " + std::to_string(c.rope_scaling.low_freq_factor) +
           ", \"high_freq_factor\": " + std::to_string(c.rope_scaling.high_freq_factor) +
           ", \"original_max_position_embeddings\": " + std::to_string(c.rope_scaling.original_context) + "}";
  }
  const auto number = [](std::int64_t n) { return std::to_string(n); };
  return "{\"model_type\": \"" + std::string(name_of(c.architecture)) +
         "\", \"hidden_size\": " + number(c.hidden) + ", \"intermediate_size\": " + number(c.intermediate) +
         ", \"num_hidden_layers\": " + number(c.layers) + ", \"num_attention_heads\": " + number(c.heads) +
         ", \"num_key_value_heads\": " + number(c.kv_heads) + ", \"head_dim\": " + number(c.head_dim) +
         ", \"vocab_size\": " + number(c.vocabulary) + ", \"max_position_embeddings\": " + number(c.context) +
         ", \"rms_norm_eps\": 1e-5, \"rope_theta\": 10000.0, \"rope_scaling\": " + rope +
         ", \"tie_word_embeddings\": " + (c.tied_embeddings ? "true" : "false") +
         ", \"hidden_act\": \"silu\", \"torch_dtype\": \"float32\"}";
}

/// Name -> values of every tensor. Weights are normal with deviation 1 / sqrt(cols), gains near 1.
using TensorMap = std::map<std::string, std::pair<std::vector<std::int64_t>, std::vector<float>>>;

inline TensorMap tiny_tensors(const quant::ModelConfig& c, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  TensorMap tensors;
  const auto add = [&](const std::string& name, std::vector<std::int64_t> shape, float offset, float scale) {
    std::vector<float> values(
        static_cast<std::size_t>(shape[0] * (shape.size() > 1 ? shape[1] : std::int64_t{1})));
    for (float& v : values) v = offset + scale * normal(random);
    tensors[name] = {std::move(shape), std::move(values)};
  };
  const auto matrix = [&](const std::string& name, std::int64_t rows, std::int64_t cols) {
    add(name, {rows, cols}, 0.0f, 1.0f / std::sqrt(static_cast<float>(cols)));
  };
  matrix("model.embed_tokens.weight", c.vocabulary, c.hidden);
  if (!c.tied_embeddings) matrix("lm_head.weight", c.vocabulary, c.hidden);
  add("model.norm.weight", {c.hidden}, 1.0f, 0.2f);
  for (std::int64_t layer = 0; layer < c.layers; ++layer) {
    const std::string block = "model.layers." + std::to_string(layer) + ".";
    add(block + "input_layernorm.weight", {c.hidden}, 1.0f, 0.2f);
    add(block + "post_attention_layernorm.weight", {c.hidden}, 1.0f, 0.2f);
    if (c.qk_norm()) {
      add(block + "self_attn.q_norm.weight", {c.head_dim}, 1.0f, 0.2f);
      add(block + "self_attn.k_norm.weight", {c.head_dim}, 1.0f, 0.2f);
    }
    for (const quant::Linear linear : quant::kLinears) {
      const quant::LinearShape shape = shape_of(c, linear);
      matrix(module_path(layer, linear) + ".weight", shape.rows, shape.cols);
    }
  }
  return tensors;
}

inline std::vector<std::uint8_t> f32_bytes(const std::vector<float>& values) {
  std::vector<std::uint8_t> bytes(values.size() * sizeof(float));
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

inline void write_text(const std::filesystem::path& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

/// A folder with config.json and `shards` safetensors files (with an index from two on).
inline void write_tiny_model(const std::filesystem::path& folder, const quant::ModelConfig& config,
                             const TensorMap& tensors, int shards = 1) {
  std::filesystem::create_directories(folder);
  write_text(folder / "config.json", config_json(config));
  std::vector<quant::SafetensorsWriter> writers(static_cast<std::size_t>(shards));
  const auto file_of = [shards](std::size_t i) {
    return shards == 1 ? std::string("model.safetensors") : "model-" + std::to_string(i) + ".safetensors";
  };
  std::string map;
  std::size_t next = 0;
  for (const auto& [name, tensor] : tensors) {
    const std::size_t shard = next++ % writers.size();
    ASSERT_TRUE(
        writers[shard].add_owned(name, quant::DType::f32, tensor.first, f32_bytes(tensor.second)).ok());
    map += (map.empty() ? "\"" : ", \"") + name + "\": \"" + file_of(shard) + "\"";
  }
  for (std::size_t i = 0; i < writers.size(); ++i) ASSERT_TRUE(writers[i].write(folder / file_of(i)).ok());
  if (shards > 1)
    write_text(folder / "model.safetensors.index.json", "{\"metadata\": {}, \"weight_map\": {" + map + "}}");
}

}  // namespace fourge::tests
