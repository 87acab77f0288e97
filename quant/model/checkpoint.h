// A Hugging Face model folder: config.json and one or more safetensors files, checked before any work.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "fourge/error.h"
#include "quant/model/config.h"
#include "quant/safetensors.h"

namespace fourge::quant {

/// Every tensor of the folder by name, mapped read-only. Copies share the mappings.
class Checkpoint {
 public:
  /// Reads config.json and model.safetensors, or the shards that model.safetensors.index.json names. Refuses
  /// (with file and tensor) a missing shard, a tensor that its shard lacks, a shard outside the folder.
  static Result<Checkpoint> open(const std::filesystem::path& folder);

  /// One safetensors file under another checkpoint's configuration.
  static Result<Checkpoint> of_shard(const Checkpoint& model, const std::filesystem::path& file);

  const std::filesystem::path& folder() const { return folder_; }
  const std::string& config_text() const { return config_text_; }
  const ModelConfig& config() const { return config_; }

  const std::map<std::string, Tensor, std::less<>>& tensors() const { return tensors_; }
  bool contains(std::string_view name) const { return tensors_.find(name) != tensors_.end(); }
  /// Of every file, the last one winning.
  std::map<std::string, std::string> metadata() const;
  /// kNotFound with the folder and the tensor's name.
  Result<Tensor> find(std::string_view name) const;
  /// The same, and it must have this shape (kBadFile with the tensor's file).
  Result<Tensor> find(std::string_view name, const std::vector<std::int64_t>& shape) const;
  /// The same, and it must hold finite BF16, F16 or F32 values (kBadFile says which element is not).
  Result<Tensor> find_finite(std::string_view name, const std::vector<std::int64_t>& shape) const;

 private:
  /// The file that holds the tensor, or the folder where none does, and the tensor's name: for messages.
  std::string where_of(std::string_view name) const;
  Status read_shards(const std::vector<std::string>& files);
  Result<std::vector<std::string>> shard_files(std::map<std::string, std::string>& weight_map) const;

  std::filesystem::path folder_;
  std::string config_text_;
  ModelConfig config_;
  std::vector<std::shared_ptr<const Safetensors>> shards_;
  std::map<std::string, Tensor, std::less<>> tensors_;
};

/// Index of the first NaN or infinity of a BF16, F16 or F32 tensor; none when all are finite.
std::optional<std::int64_t> first_not_finite(const Tensor& tensor);

}  // namespace fourge::quant
