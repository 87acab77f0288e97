#include "quant/export/output_folder.h"

#include <array>
#include <bit>
#include <cstring>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <system_error>

#include "fourge/rounding.h"
#include "quant/atomic_file.h"
#include "quant/text.h"

namespace fourge::quant {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr const char* kStateFile = "state.json";
constexpr const char* kRotationsKey = "fourge.rotations";

std::string read_text(const fs::path& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

Status write_text(const fs::path& path, const std::string& text) {
  Result<AtomicFile> file = AtomicFile::create(path);
  if (!file) return file.failure();
  if (Status written = file->write(text); !written) return written;
  return file->commit();
}

/// Files that a tokenizer or a generator of the same model needs.
bool is_companion(const std::string& name) {
  static constexpr std::array<std::string_view, 9> kNames = {"tokenizer.json",
                                                             "tokenizer_config.json",
                                                             "tokenizer.model",
                                                             "special_tokens_map.json",
                                                             "generation_config.json",
                                                             "vocab.json",
                                                             "merges.txt",
                                                             "chat_template.jinja",
                                                             "added_tokens.json"};
  for (const std::string_view known : kNames)
    if (name == known) return true;
  return false;
}

bool is_in_block(const std::string& tensor, std::int64_t layer) {
  return tensor.starts_with("model.layers." + std::to_string(layer) + ".");
}
bool is_in_a_block(const std::string& tensor) { return tensor.starts_with("model.layers."); }

/// Of one of the quantised modules, in whatever format the source has it.
bool is_quantized_weight(const std::string& tensor, std::int64_t layer) {
  for (const Linear linear : kLinears)
    if (tensor.starts_with(module_path(layer, linear) + ".")) return true;
  return false;
}

/// A norm's gains in the type of the tensor that they replace; bf16's values are exact in all three types.
Result<std::vector<std::uint8_t>> gains_as(const Tensor& tensor, std::span<const float> gains) {
  if (tensor.elements() != static_cast<std::int64_t>(gains.size()))
    return {Error::kBadShape, "expected one gain a channel", in_quotes(tensor.name)};
  std::vector<std::uint8_t> bytes(tensor.bytes.size());
  const std::size_t width = bytes.size() / gains.size();
  for (std::size_t i = 0; i < gains.size(); ++i) {
    const auto bits = std::bit_cast<std::uint32_t>(gains[i]);
    const std::uint32_t stored = tensor.dtype == DType::bf16  ? bits >> 16
                                 : tensor.dtype == DType::f16 ? encode(ElementFormat::f16, gains[i])
                                                              : bits;
    std::memcpy(bytes.data() + i * width, &stored, width);  // little-endian
  }
  return bytes;
}

Status remove_shards(const fs::path& folder) {
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename().string();
    const bool ours = name == kStateFile || name.ends_with(".safetensors") || name.ends_with(".tmp") ||
                      name == "config.json" || name == "hf_quant_config.json" ||
                      name == "model.safetensors.index.json" || is_companion(name);
    if (!ours)
      return {Error::kBadArgument, "the folder of an unfinished run holds a file that is not its own",
              printable(entry.path().string())};
    fs::remove(entry.path(), error);
  }
  if (error) return io_failure("cannot clear the folder of an unfinished run", folder, error.value());
  return {};
}

}  // namespace

std::string fnv1a(std::string_view bytes) {
  std::uint64_t hash = 0xcbf2'9ce4'8422'2325u;
  for (const char c : bytes) hash = (hash ^ static_cast<std::uint8_t>(c)) * 0x100'0000'01b3u;
  std::string text(16, '0');
  for (std::size_t i = 16; i-- > 0; hash >>= 4) text[i] = "0123456789abcdef"[hash & 15];
  return text;
}

Result<OutputFolder> OutputFolder::open(const fs::path& path, const Checkpoint& source,
                                        const StoredScheme& scheme, const std::string& fingerprint) {
  std::error_code error;
  const bool exists = fs::exists(path, error);
  if (exists && !(fs::is_directory(path, error) && fs::is_empty(path, error))) {
    return {Error::kBadArgument, "the output exists already: expected a new name or an empty folder",
            printable(path.string())};
  }
  OutputFolder out;
  out.path_ = path.has_filename() ? path : path.parent_path();
  out.partial_ = out.path_;
  out.partial_ += ".partial";
  out.source_ = &source;
  out.scheme_ = scheme;
  fs::create_directories(out.partial_, error);
  if (error) return io_failure("cannot create the output folder", out.partial_, error.value());
  const Json state = {{"fingerprint", fingerprint}};
  const Json found = Json::parse(read_text(out.partial_ / kStateFile), nullptr, false);
  if (found == state) return out;
  if (Status cleared = remove_shards(out.partial_); !cleared) return cleared.failure();
  if (Status written = write_text(out.partial_ / kStateFile, state.dump()); !written)
    return written.failure();
  return out;
}

fs::path OutputFolder::shard_path(std::int64_t shard) const {
  const auto padded = [](std::int64_t number) {
    const std::string digits = std::to_string(number);
    return std::string(5 - std::min<std::size_t>(5, digits.size()), '0') + digits;
  };
  return partial_ /
         ("model-" + padded(shard + 1) + "-of-" + padded(source_->config().layers + 1) + ".safetensors");
}

bool OutputFolder::has_block(std::int64_t layer) const {
  std::error_code ignored;
  return fs::is_regular_file(shard_path(layer), ignored);
}

std::int64_t OutputFolder::blocks_present() const {
  std::int64_t count = 0;
  for (std::int64_t layer = 0; layer < source_->config().layers; ++layer) count += has_block(layer) ? 1 : 0;
  return count;
}

Result<StoredScheme> OutputFolder::scheme_of_shard(const Checkpoint& shard) const {
  StoredScheme scheme = scheme_;
  const auto& metadata = shard.metadata();
  const auto found = metadata.find(kRotationsKey);
  if (found == metadata.end()) return scheme;
  const Json rotations = Json::parse(found->second, nullptr, false);
  if (!rotations.is_object())
    return {Error::kBadFile, "expected the rotations of the block's layers", kRotationsKey};
  for (const auto& [module, order] : rotations.items())
    if (order.is_number_integer()) scheme.rotations[module] = order.get<std::int64_t>();
  return scheme;
}

Result<QuantizedBlock> OutputFolder::read_block(std::int64_t layer) const {
  const Result<Checkpoint> shard = Checkpoint::of_shard(*source_, shard_path(layer));
  if (!shard) return shard.failure();
  const Result<StoredScheme> scheme = scheme_of_shard(*shard);
  if (!scheme) return scheme.failure();
  QuantizedBlock block;
  for (const Linear linear : kLinears) {
    Result<QuantizedLayer> stored = read_stored_layer(*shard, *scheme, layer, linear);
    if (!stored) return stored.failure();
    block.layer(linear) = std::move(*stored);
  }
  return block;
}

Status OutputFolder::write_block(std::int64_t layer, const QuantizedBlock& block) {
  SafetensorsWriter writer;
  Json rotations = Json::object();
  for (const Linear linear : kLinears) {
    const std::string module = module_path(layer, linear);
    if (Status added = add_stored_layer(scheme_.stored, module, block.layer(linear), writer); !added)
      return added;
    rotations[module] = block.layer(linear).input.rotation;
  }
  for (const auto& [name, tensor] : source_->tensors()) {
    if (!is_in_block(name, layer) || is_quantized_weight(name, layer)) continue;
    const std::vector<float>* gains = name.ends_with(".input_layernorm.weight") ? &block.input_norm
                                      : name.ends_with(".post_attention_layernorm.weight")
                                          ? &block.post_attention_norm
                                          : nullptr;
    if (gains != nullptr && !gains->empty()) {
      Result<std::vector<std::uint8_t>> bytes = gains_as(tensor, *gains);
      if (!bytes) return bytes.failure();
      if (Status added = writer.add_owned(name, tensor.dtype, tensor.shape, std::move(*bytes)); !added)
        return added;
      continue;
    }
    if (Status added = writer.add(name, tensor.dtype, tensor.shape, tensor.bytes); !added) return added;
  }
  if (Status added = writer.add_metadata("format", "pt"); !added) return added;
  if (Status added = writer.add_metadata(kRotationsKey, rotations.dump()); !added) return added;
  return writer.write(shard_path(layer));
}

Status OutputFolder::write_ends() const {
  SafetensorsWriter writer;
  for (const auto& [name, tensor] : source_->tensors()) {
    if (is_in_a_block(name)) continue;
    if (Status added = writer.add(name, tensor.dtype, tensor.shape, tensor.bytes); !added) return added;
  }
  if (Status added = writer.add_metadata("format", "pt"); !added) return added;
  return writer.write(shard_path(source_->config().layers));
}

Status OutputFolder::write_index() const {
  Json map = Json::object();
  std::int64_t bytes = 0;
  for (std::int64_t shard = 0; shard <= source_->config().layers; ++shard) {
    const Result<Safetensors> file = Safetensors::open(shard_path(shard));
    if (!file) return file.failure();
    for (const Tensor& tensor : file->tensors()) {
      map[tensor.name] = shard_path(shard).filename().string();
      bytes += static_cast<std::int64_t>(tensor.bytes.size());
    }
  }
  const Json index = {{"metadata", {{"total_size", bytes}}}, {"weight_map", map}};
  return write_text(partial_ / "model.safetensors.index.json", index.dump(2) + "\n");
}

Status OutputFolder::copy_companions() const {
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(source_->folder(), error)) {
    if (!entry.is_regular_file(error) || !is_companion(entry.path().filename().string())) continue;
    fs::copy_file(entry.path(), partial_ / entry.path().filename(), fs::copy_options::overwrite_existing,
                  error);
    if (error) return io_failure("cannot copy", entry.path(), error.value());
  }
  return {};
}

/// The rotation of most layers becomes the common one; the others are listed by module.
Status OutputFolder::adopt_rotations() {
  std::map<std::string, std::int64_t> all;
  std::map<std::int64_t, int> uses;
  for (std::int64_t layer = 0; layer < source_->config().layers; ++layer) {
    const Result<QuantizedBlock> block = read_block(layer);
    if (!block) return block.failure();
    for (const Linear linear : kLinears) {
      const std::int64_t order = block->layer(linear).input.rotation;
      all[module_path(layer, linear)] = order;
      ++uses[order];
    }
  }
  int most = 0;
  for (const auto& [order, count] : uses) {
    if (count <= most) continue;
    most = count;
    scheme_.rotation = order;
  }
  scheme_.rotations.clear();
  for (const auto& [module, order] : all)
    if (order != scheme_.rotation) scheme_.rotations[module] = order;
  return {};
}

Status OutputFolder::finish(const std::string& recipe_json) {
  if (blocks_present() != source_->config().layers)
    return {Error::kBadArgument, "not every block is there yet", printable(partial_.string())};
  if (Status adopted = adopt_rotations(); !adopted) return adopted;
  if (Status written = write_ends(); !written) return written;
  if (Status written = write_index(); !written) return written;
  if (Status copied = copy_companions(); !copied) return copied;
  const std::string config = stored_config(source_->config_text(), scheme_, recipe_json);
  if (Status written = write_text(partial_ / "config.json", config); !written) return written;
  if (scheme_.stored == StoredFormat::modelopt) {
    const Json quant = {{"producer", {{"name", "modelopt"}, {"version", "0.33.0"}}},
                        {"quantization",
                         {{"quant_algo", scheme_.quantize_activations ? "NVFP4" : "W4A16_NVFP4"},
                          {"kv_cache_quant_algo", nullptr},
                          {"group_size", 16},
                          {"exclude_modules", {"lm_head"}}}}};
    if (Status written = write_text(partial_ / "hf_quant_config.json", quant.dump(2) + "\n"); !written)
      return written;
  }
  std::error_code error;
  fs::remove(partial_ / kStateFile, error);
  fs::rename(partial_, path_, error);
  if (error) return io_failure("cannot give the output folder its name", path_, error.value());
  return {};
}

}  // namespace fourge::quant
