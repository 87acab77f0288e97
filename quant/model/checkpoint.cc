#include "quant/model/checkpoint.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "quant/text.h"

namespace fourge::quant {
namespace {

using Json = nlohmann::json;

constexpr const char* kSingleFile = "model.safetensors";
constexpr const char* kIndexFile = "model.safetensors.index.json";

bool is_plain_file_name(const std::string& name) {
  return !name.empty() && name != "." && name != ".." && name.find('/') == std::string::npos &&
         name.find('\0') == std::string::npos;
}

/// Exponent bits of one element: all ones means NaN or infinity.
struct ExponentField {
  std::size_t bytes;
  std::uint32_t mask;
};
std::optional<ExponentField> exponent_field(DType dtype) {
  switch (dtype) {
    case DType::bf16:
      return ExponentField{2, 0x7f80};
    case DType::f16:
      return ExponentField{2, 0x7c00};
    case DType::f32:
      return ExponentField{4, 0x7f80'0000};
    default:
      return std::nullopt;
  }
}

template <class Word>
std::int64_t first_all_ones(std::span<const std::uint8_t> bytes, std::uint32_t mask) {
  const auto count = static_cast<std::int64_t>(bytes.size() / sizeof(Word));
  std::int64_t first = count;
#pragma omp parallel for reduction(min : first)
  for (std::int64_t i = 0; i < count; ++i) {
    Word word;
    std::memcpy(&word, bytes.data() + static_cast<std::size_t>(i) * sizeof(Word), sizeof(Word));
    if ((word & mask) == mask) first = std::min(first, i);
  }
  return first;
}

}  // namespace

std::optional<std::int64_t> first_not_finite(const Tensor& tensor) {
  const std::optional<ExponentField> field = exponent_field(tensor.dtype);
  if (!field) return std::nullopt;
  const std::int64_t first = field->bytes == 2 ? first_all_ones<std::uint16_t>(tensor.bytes, field->mask)
                                               : first_all_ones<std::uint32_t>(tensor.bytes, field->mask);
  if (first == tensor.elements()) return std::nullopt;
  return first;
}

Result<Checkpoint> Checkpoint::open(const std::filesystem::path& folder) {
  Result<std::string> text = read_config_text(folder);
  if (!text) return text.failure();
  const std::string where = printable((folder / "config.json").string());
  Result<ModelConfig> config = parse_model_config(*text, where);
  if (!config) return config.failure();

  Checkpoint checkpoint;
  checkpoint.folder_ = folder;
  checkpoint.config_text_ = std::move(*text);
  checkpoint.config_ = *config;
  std::map<std::string, std::string> weight_map;
  const Result<std::vector<std::string>> files = checkpoint.shard_files(weight_map);
  if (!files) return files.failure();
  if (Status read = checkpoint.read_shards(*files); !read) {
    Failure failure = read.failure();
    for (const auto& [tensor, file] : weight_map) {
      if (failure.error != Error::kNotFound || failure.where != printable((folder / file).string())) continue;
      failure.where += ": tensor " + in_quotes(tensor);
      failure.reason = "no such file, but the index places a tensor in it";
      break;
    }
    return failure;
  }
  for (const auto& [tensor, file] : weight_map) {
    if (!checkpoint.contains(tensor)) {
      return {Error::kNotFound, "the index places a tensor here that the file does not hold",
              printable((folder / file).string()) + ": tensor " + in_quotes(tensor)};
    }
  }
  return checkpoint;
}

Result<Checkpoint> Checkpoint::of_shard(const Checkpoint& model, const std::filesystem::path& file) {
  Checkpoint checkpoint;
  checkpoint.folder_ = file.parent_path();
  checkpoint.config_text_ = model.config_text_;
  checkpoint.config_ = model.config_;
  if (Status read = checkpoint.read_shards({file.filename().string()}); !read) return read.failure();
  return checkpoint;
}

std::map<std::string, std::string> Checkpoint::metadata() const {
  std::map<std::string, std::string> all;
  for (const auto& shard : shards_)
    for (const auto& [key, value] : shard->metadata()) all[key] = value;
  return all;
}

Result<std::vector<std::string>> Checkpoint::shard_files(
    std::map<std::string, std::string>& weight_map) const {
  const std::filesystem::path index = folder_ / kIndexFile;
  std::error_code ignored;
  if (!std::filesystem::exists(index, ignored)) return std::vector<std::string>{kSingleFile};

  const std::string where = printable(index.string());
  std::ifstream stream(index, std::ios::binary);
  const Json document = Json::parse(std::string{std::istreambuf_iterator<char>(stream), {}}, nullptr, false);
  const auto map = document.is_object() ? document.find("weight_map") : document.end();
  if (!document.is_object() || map == document.end() || !map->is_object() || map->empty()) {
    return {Error::kBadFile, "expected an object with a weight_map of tensors to files", where};
  }
  std::set<std::string> files;
  for (const auto& [tensor, file] : map->items()) {
    if (!file.is_string() || !is_plain_file_name(file.get<std::string>())) {
      return {Error::kBadFile, "expected the name of a file beside the index",
              where + ": tensor " + in_quotes(tensor)};
    }
    weight_map[tensor] = file.get<std::string>();
    files.insert(file.get<std::string>());
  }
  return std::vector<std::string>(files.begin(), files.end());
}

Status Checkpoint::read_shards(const std::vector<std::string>& files) {
  for (const std::string& file : files) {
    Result<Safetensors> shard = Safetensors::open(folder_ / file);
    if (!shard) return shard.failure();
    shards_.push_back(std::make_shared<const Safetensors>(std::move(*shard)));
    for (const Tensor& tensor : shards_.back()->tensors()) {
      if (!tensors_.emplace(tensor.name, tensor).second) {
        return {Error::kBadFile, "two shards hold a tensor of this name",
                printable((folder_ / file).string()) + ": tensor " + in_quotes(tensor.name)};
      }
    }
  }
  return {};
}

std::string Checkpoint::where_of(std::string_view name) const {
  const auto shard =
      std::find_if(shards_.begin(), shards_.end(), [&](const auto& s) { return s->contains(name); });
  return (shard == shards_.end() ? printable(folder_.string()) : (*shard)->name()) + ": tensor " +
         in_quotes(name);
}

Result<Tensor> Checkpoint::find(std::string_view name) const {
  const auto found = tensors_.find(name);
  if (found != tensors_.end()) return found->second;
  return {Error::kNotFound, "the checkpoint lacks this tensor", where_of(name)};
}

Result<Tensor> Checkpoint::find(std::string_view name, const std::vector<std::int64_t>& shape) const {
  Result<Tensor> tensor = find(name);
  if (!tensor || tensor->shape == shape) return tensor;
  return {Error::kBadFile, "the tensor does not have the shape that config.json asks for",
          where_of(name) + ": " + shape_text(tensor->shape) + ", expected " + shape_text(shape)};
}

Result<Tensor> Checkpoint::find_finite(std::string_view name, const std::vector<std::int64_t>& shape) const {
  Result<Tensor> tensor = find(name, shape);
  if (!tensor) return tensor;
  const std::string where = where_of(name);
  if (!exponent_field(tensor->dtype)) {
    return {Error::kUnsupportedFormat, "expected BF16, F16 or F32",
            where + ": dtype " + std::string(name_of(tensor->dtype))};
  }
  if (const std::optional<std::int64_t> bad = first_not_finite(*tensor)) {
    return {Error::kBadFile, "expected finite weights",
            where + ": element " + std::to_string(*bad) + " is NaN or infinite"};
  }
  return tensor;
}

}  // namespace fourge::quant
