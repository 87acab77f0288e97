#include "quant/model/load.h"

#include <string>

namespace fourge::quant {
namespace {

constexpr const char* kEmbeddings = "model.embed_tokens.weight";
constexpr const char* kFinalNorm = "model.norm.weight";
constexpr const char* kHead = "lm_head.weight";

std::string block_name(std::int64_t layer, const char* what) {
  return "model.layers." + std::to_string(layer) + "." + what + ".weight";
}

Result<std::vector<float>> read_vector(const Checkpoint& checkpoint, const std::string& name,
                                       std::int64_t size) {
  const Result<Tensor> tensor = checkpoint.find_finite(name, {size});
  if (!tensor) return tensor.failure();
  return tensor_to_f32(*tensor);
}

Result<Weight> read_weight(const Checkpoint& checkpoint, const std::string& name, std::int64_t rows,
                           std::int64_t cols) {
  const Result<Tensor> tensor = checkpoint.find_finite(name, {rows, cols});
  if (!tensor) return tensor.failure();
  return Weight::of_tensor(*tensor);
}

Status read_norms(const Checkpoint& checkpoint, std::int64_t layer, Block& block) {
  const ModelConfig& config = checkpoint.config();
  struct Norm {
    const char* name;
    std::vector<float>& gain;
    std::int64_t size;
    bool present;
  };
  const Norm norms[] = {
      {"input_layernorm", block.input_norm, config.hidden, true},
      {"post_attention_layernorm", block.post_attention_norm, config.hidden, true},
      {"self_attn.q_norm", block.q_norm, config.head_dim, config.qk_norm()},
      {"self_attn.k_norm", block.k_norm, config.head_dim, config.qk_norm()},
  };
  for (const Norm& norm : norms) {
    if (!norm.present) continue;
    Result<std::vector<float>> gain = read_vector(checkpoint, block_name(layer, norm.name), norm.size);
    if (!gain) return gain.failure();
    norm.gain = std::move(*gain);
  }
  return {};
}

}  // namespace

Result<ModelEnds> read_ends(const Checkpoint& checkpoint) {
  const ModelConfig& config = checkpoint.config();
  ModelEnds ends;
  Result<Weight> embeddings = read_weight(checkpoint, kEmbeddings, config.vocabulary, config.hidden);
  if (!embeddings) return embeddings.failure();
  ends.embeddings = std::move(*embeddings);
  Result<std::vector<float>> norm = read_vector(checkpoint, kFinalNorm, config.hidden);
  if (!norm) return norm.failure();
  ends.final_norm = std::move(*norm);
  if (config.tied_embeddings) return ends;
  Result<Weight> head = read_weight(checkpoint, kHead, config.vocabulary, config.hidden);
  if (!head) return head.failure();
  ends.lm_head = std::move(*head);
  return ends;
}

Result<Block> read_norms_only(const Checkpoint& checkpoint, std::int64_t layer) {
  Block block;
  if (Status norms = read_norms(checkpoint, layer, block); !norms) return norms.failure();
  return block;
}

Result<Block> read_float_block(const Checkpoint& checkpoint, std::int64_t layer) {
  Result<Block> block = read_norms_only(checkpoint, layer);
  if (!block) return block;
  for (const Linear linear : kLinears) {
    const LinearShape shape = shape_of(checkpoint.config(), linear);
    Result<Weight> weight =
        read_weight(checkpoint, module_path(layer, linear) + ".weight", shape.rows, shape.cols);
    if (!weight) return weight.failure();
    block->layer(linear) = LinearLayer(std::move(*weight));
  }
  return block;
}

Status check_float_checkpoint(const Checkpoint& checkpoint) {
  if (const Result<ModelEnds> ends = read_ends(checkpoint); !ends) return ends.failure();
  for (std::int64_t layer = 0; layer < checkpoint.config().layers; ++layer) {
    if (const Result<Block> block = read_float_block(checkpoint, layer); !block) return block.failure();
  }
  return {};
}

Result<LanguageModel> load_float_model(const Checkpoint& checkpoint) {
  LanguageModel model;
  model.config = checkpoint.config();
  Result<ModelEnds> ends = read_ends(checkpoint);
  if (!ends) return ends.failure();
  model.ends = std::move(*ends);
  for (std::int64_t layer = 0; layer < model.config.layers; ++layer) {
    Result<Block> block = read_float_block(checkpoint, layer);
    if (!block) return block.failure();
    model.blocks.push_back(std::move(*block));
  }
  return model;
}

}  // namespace fourge::quant
