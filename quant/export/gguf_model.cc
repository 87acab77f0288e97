// Llama and Qwen3 models as GGUF: llama.cpp's names, metadata and row order.
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>

#include "quant/atomic_file.h"
#include "quant/export/convert.h"
#include "quant/export/output_folder.h"
#include "quant/model/load.h"
#include "quant/text.h"

namespace fourge::quant {
namespace {

const char* gguf_name(Linear linear) {
  switch (linear) {
    case Linear::q:
      return "attn_q";
    case Linear::k:
      return "attn_k";
    case Linear::v:
      return "attn_v";
    case Linear::o:
      return "attn_output";
    case Linear::gate:
      return "ffn_gate";
    case Linear::up:
      return "ffn_up";
    case Linear::down:
      return "ffn_down";
  }
  return "";
}
std::string gguf_path(std::int64_t layer, const std::string& name) {
  return "blk." + std::to_string(layer) + "." + name;
}

/// Norms of a block: name here, name in GGUF, whether only Qwen3 has it.
struct NormName {
  const char* here;
  const char* gguf;
  bool only_qwen3;
};
constexpr NormName kNorms[] = {{"input_layernorm", "attn_norm", false},
                               {"post_attention_layernorm", "ffn_norm", false},
                               {"self_attn.q_norm", "attn_q_norm", true},
                               {"self_attn.k_norm", "attn_k_norm", true}};

/// llama.cpp turns neighbours (2i, 2i + 1) where Hugging Face turns halves (i, i + half): row 2i + j of a
/// head there is row j * half + i here. Only in the llama architecture; qwen3 keeps halves.
std::int64_t row_here(std::int64_t row_there, std::int64_t head_dim) {
  const std::int64_t head = row_there / head_dim, r = row_there % head_dim;
  return head * head_dim + r % 2 * (head_dim / 2) + r / 2;
}

bool is_reordered(const ModelConfig& config, Linear linear) {
  return config.architecture == Architecture::llama && (linear == Linear::q || linear == Linear::k);
}

/// Rows of codes and scales moved; `to_there` says which way.
QuantizedMatrix reorder_rows(const QuantizedMatrix& matrix, std::int64_t head_dim, bool to_there) {
  QuantizedMatrix out = matrix;
  const std::int64_t code_bytes = matrix.cols / 2, scale_count = matrix.scale_cols();
  for (std::int64_t there = 0; there < matrix.rows; ++there) {
    const std::int64_t here = row_here(there, head_dim);
    const std::int64_t from = to_there ? here : there, into = to_there ? there : here;
    std::memcpy(out.codes.data() + into * code_bytes, matrix.codes.data() + from * code_bytes,
                static_cast<std::size_t>(code_bytes));
    std::memcpy(out.scales.data() + into * scale_count, matrix.scales.data() + from * scale_count,
                static_cast<std::size_t>(scale_count));
  }
  return out;
}

std::vector<std::uint8_t> bytes_of(std::span<const float> values) {
  std::vector<std::uint8_t> bytes(values.size_bytes());
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

void add_metadata(const ModelConfig& c, GgufWriter& writer) {
  const std::string arch = name_of(c.architecture);
  writer.add_metadata("general.architecture", arch);
  writer.add_metadata("general.name", std::string("fourge"));
  writer.add_metadata("tokenizer.ggml.model", std::string("none"));
  writer.add_u32(arch + ".block_count", c.layers);
  writer.add_u32(arch + ".context_length", c.context);
  writer.add_u32(arch + ".embedding_length", c.hidden);
  writer.add_u32(arch + ".feed_forward_length", c.intermediate);
  writer.add_u32(arch + ".attention.head_count", c.heads);
  writer.add_u32(arch + ".attention.head_count_kv", c.kv_heads);
  writer.add_u32(arch + ".attention.key_length", c.head_dim);
  writer.add_u32(arch + ".attention.value_length", c.head_dim);
  writer.add_u32(arch + ".rope.dimension_count", c.head_dim);
  writer.add_u32(arch + ".vocab_size", c.vocabulary);
  writer.add_f32(arch + ".attention.layer_norm_rms_epsilon", static_cast<double>(c.rms_norm_eps));
  writer.add_f32(arch + ".rope.freq_base", c.rope_theta);
}

Status add_layer(const ModelConfig& config, std::int64_t layer, Linear linear, const QuantizedLayer& stored,
                 GgufWriter& writer) {
  const std::string name = gguf_path(layer, gguf_name(linear));
  if (stored.input.rotation != 1)
    return {Error::kUnsupportedFormat, "GGUF has no place for a rotation of the inputs", name};
  const float scale = stored.matrix.tensor_scale.as_decode_multiplier();
  if (stored.matrix.format != Format::nvfp4 && scale != 1.0f)
    return {Error::kUnsupportedFormat, "GGUF's MXFP4 has no tensor scale: not scale rule shift or search",
            name};
  const QuantizedMatrix matrix =
      is_reordered(config, linear) ? reorder_rows(stored.matrix, config.head_dim, true) : stored.matrix;
  Result<std::vector<std::uint8_t>> blocks = to_gguf_blocks(matrix.view());
  if (!blocks) return blocks.failure();
  const bool nv = matrix.format == Format::nvfp4;
  writer.add_tensor(name + ".weight", nv ? GgmlType::nvfp4 : GgmlType::mxfp4, {matrix.rows, matrix.cols},
                    std::move(*blocks));
  if (nv) writer.add_tensor(name + ".scale", GgmlType::f32, {1}, bytes_of(std::span(&scale, 1)));
  return {};
}

Status add_float(const Checkpoint& source, const std::string& here, const std::string& there,
                 GgufWriter& writer) {
  const Result<Tensor> tensor = source.find(here);
  if (!tensor) return tensor.failure();
  const Result<std::vector<float>> values = tensor_to_f32(*tensor);
  if (!values) return values.failure();
  writer.add_tensor(there, GgmlType::f32, tensor->shape, bytes_of(*values));
  return {};
}

}  // namespace

Status convert_to_gguf(const std::filesystem::path& from, const std::filesystem::path& to) {
  const Result<Checkpoint> source = Checkpoint::open(from);
  if (!source) return source.failure();
  const Result<StoredScheme> scheme = read_scheme(*source);
  if (!scheme) return scheme.failure();
  const ModelConfig& config = source->config();
  if (config.rope_scaling.kind != RopeScaling::Kind::none)
    return {Error::kUnsupportedFormat, "stretched RoPE is not written to GGUF", printable(from.string())};
  GgufWriter writer;
  add_metadata(config, writer);
  if (Status added = add_float(*source, "model.embed_tokens.weight", "token_embd.weight", writer); !added)
    return added;
  if (Status added = add_float(*source, "model.norm.weight", "output_norm.weight", writer); !added)
    return added;
  if (!config.tied_embeddings)
    if (Status added = add_float(*source, "lm_head.weight", "output.weight", writer); !added) return added;
  for (std::int64_t layer = 0; layer < config.layers; ++layer) {
    for (const NormName& norm : kNorms) {
      if (norm.only_qwen3 && !config.qk_norm()) continue;
      const std::string here = "model.layers." + std::to_string(layer) + "." + norm.here + ".weight";
      Status added = add_float(*source, here, gguf_path(layer, norm.gguf) + ".weight", writer);
      if (!added) return added;
    }
    for (const Linear linear : kLinears) {
      const Result<QuantizedLayer> stored = read_stored_layer(*source, *scheme, layer, linear);
      if (!stored) return stored.failure();
      if (Status added = add_layer(config, layer, linear, *stored, writer); !added) return added;
    }
  }
  return writer.write(to);
}

namespace {

/// Reads one GGUF model into the tensors of a fourge folder.
class GgufImport {
 public:
  explicit GgufImport(const GgufFile& file) : file_(file) {}

  Status run(const std::filesystem::path& to) {
    if (Status read = read_config(); !read) return read;
    if (Status read = read_tensors(); !read) return read;
    std::error_code error;
    if (std::filesystem::exists(to, error))
      return {Error::kBadArgument, "the output exists already", printable(to.string())};
    std::filesystem::path partial = to.has_filename() ? to : to.parent_path();
    partial += ".partial";
    std::filesystem::create_directories(partial, error);
    if (error) return io_failure("cannot create the output folder", partial, error.value());
    if (Status written = writer_.write(partial / "model.safetensors"); !written) return written;
    StoredScheme scheme;
    scheme.stored = StoredFormat::fourge;
    scheme.format = format_;
    Result<AtomicFile> config = AtomicFile::create(partial / "config.json");
    if (!config) return config.failure();
    if (Status written = config->write(stored_config(config_json().dump(), scheme, "")); !written)
      return written;
    if (Status committed = config->commit(); !committed) return committed;
    std::filesystem::rename(partial, to, error);
    if (error) return io_failure("cannot give the output folder its name", to, error.value());
    return {};
  }

 private:
  Status read_size(const std::string& key, std::int64_t& value) {
    const Result<std::int64_t> read = file_.integer(std::string(name_of(config_.architecture)) + key);
    if (!read) return read.failure();
    value = *read;
    return {};
  }

  Status read_config() {
    const Result<std::string> arch = file_.text("general.architecture");
    if (!arch) return arch.failure();
    if (*arch != "llama" && *arch != "qwen3")
      return {Error::kUnsupportedFormat, "expected llama or qwen3", file_.name() + ": " + in_quotes(*arch)};
    config_.architecture = *arch == "llama" ? Architecture::llama : Architecture::qwen3;
    const std::pair<const char*, std::int64_t*> sizes[] = {
        {".block_count", &config_.layers},         {".context_length", &config_.context},
        {".embedding_length", &config_.hidden},    {".feed_forward_length", &config_.intermediate},
        {".attention.head_count", &config_.heads}, {".attention.head_count_kv", &config_.kv_heads}};
    for (const auto& [key, value] : sizes)
      if (Status read = read_size(key, *value); !read) return read;
    if (config_.heads < 1) return {Error::kBadFile, "expected at least one head", file_.name()};
    config_.head_dim = config_.hidden / config_.heads;
    if (!read_size(".attention.key_length", config_.head_dim))
      config_.head_dim = config_.hidden / config_.heads;
    if (const Result<double> eps = file_.number(*arch + ".attention.layer_norm_rms_epsilon"); eps)
      config_.rms_norm_eps = static_cast<float>(*eps);
    if (const Result<double> theta = file_.number(*arch + ".rope.freq_base"); theta)
      config_.rope_theta = *theta;
    const Result<GgufTensor> embeddings = file_.find("token_embd.weight");
    if (!embeddings) return embeddings.failure();
    config_.vocabulary = embeddings->shape.front();
    config_.tied_embeddings = file_.tensors().find("output.weight") == file_.tensors().end();
    return {};
  }

  nlohmann::ordered_json config_json() const {
    const bool llama = config_.architecture == Architecture::llama;
    return {{"architectures", {llama ? "LlamaForCausalLM" : "Qwen3ForCausalLM"}},
            {"model_type", name_of(config_.architecture)},
            {"hidden_size", config_.hidden},
            {"intermediate_size", config_.intermediate},
            {"num_hidden_layers", config_.layers},
            {"num_attention_heads", config_.heads},
            {"num_key_value_heads", config_.kv_heads},
            {"head_dim", config_.head_dim},
            {"vocab_size", config_.vocabulary},
            {"max_position_embeddings", config_.context},
            {"rms_norm_eps", config_.rms_norm_eps},
            {"rope_theta", config_.rope_theta},
            {"hidden_act", "silu"},
            {"tie_word_embeddings", config_.tied_embeddings}};
  }

  Status add_float(const std::string& there, const std::string& here) {
    const Result<GgufTensor> tensor = file_.find(there);
    if (!tensor) return tensor.failure();
    const DType dtype = tensor->type == GgmlType::f32   ? DType::f32
                        : tensor->type == GgmlType::f16 ? DType::f16
                                                        : DType::bf16;
    if (tensor->type == GgmlType::mxfp4 || tensor->type == GgmlType::nvfp4)
      return {Error::kUnsupportedFormat, "expected float values",
              file_.name() + ": tensor " + in_quotes(there)};
    return writer_.add(here, dtype, tensor->shape, tensor->bytes);
  }

  Status add_layer(std::int64_t layer, Linear linear) {
    const std::string name = gguf_path(layer, gguf_name(linear));
    const Result<GgufTensor> tensor = file_.find(name + ".weight");
    if (!tensor) return tensor.failure();
    const LinearShape shape = shape_of(config_, linear);
    if (tensor->shape != std::vector<std::int64_t>{shape.rows, shape.cols})
      return {Error::kBadFile, "the tensor does not have the shape that the metadata asks for",
              file_.name() + ": tensor " + in_quotes(name + ".weight")};
    Result<QuantizedMatrix> matrix = from_gguf_blocks(*tensor);
    if (!matrix) return matrix.failure();
    if (layer == 0 && linear == Linear::q) format_ = matrix->format;
    if (matrix->format != format_)
      return {Error::kUnsupportedFormat, "expected all layers in one format", file_.name() + ": " + name};
    QuantizedLayer stored;
    stored.matrix = is_reordered(config_, linear) ? reorder_rows(*matrix, config_.head_dim, false) : *matrix;
    stored.input.format = format_;
    if (const Result<GgufTensor> scale = file_.find(name + ".scale"); scale) {
      if (scale->type != GgmlType::f32 || scale->bytes.size() != sizeof(float))
        return {Error::kBadFile, "expected one F32", file_.name() + ": tensor " + in_quotes(name + ".scale")};
      float value = 1.0f;
      std::memcpy(&value, scale->bytes.data(), sizeof(float));
      stored.matrix.tensor_scale = TensorScale::decode_multiplier(value);
    }
    return add_stored_layer(StoredFormat::fourge, module_path(layer, linear), stored, writer_);
  }

  Status read_tensors() {
    if (Status added = add_float("token_embd.weight", "model.embed_tokens.weight"); !added) return added;
    if (Status added = add_float("output_norm.weight", "model.norm.weight"); !added) return added;
    if (!config_.tied_embeddings)
      if (Status added = add_float("output.weight", "lm_head.weight"); !added) return added;
    for (std::int64_t layer = 0; layer < config_.layers; ++layer) {
      for (const NormName& norm : kNorms) {
        if (norm.only_qwen3 && !config_.qk_norm()) continue;
        const std::string here = "model.layers." + std::to_string(layer) + "." + norm.here + ".weight";
        if (Status added = add_float(gguf_path(layer, norm.gguf) + ".weight", here); !added) return added;
      }
      for (const Linear linear : kLinears)
        if (Status added = add_layer(layer, linear); !added) return added;
    }
    return {};
  }

  const GgufFile& file_;
  ModelConfig config_;
  Format format_ = Format::nvfp4;
  SafetensorsWriter writer_;
};

}  // namespace

Status convert_from_gguf(const std::filesystem::path& from, const std::filesystem::path& to) {
  const Result<GgufFile> file = GgufFile::open(from);
  if (!file) return file.failure();
  return GgufImport(*file).run(to);
}

}  // namespace fourge::quant
