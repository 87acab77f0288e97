// A model folder that appears under its name complete or not at all, and can be continued after an
// interruption.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "fourge/error.h"
#include "quant/export/stored_model.h"
#include "quant/model/checkpoint.h"

namespace fourge::quant {

/// Block shards gather in OUT.partial; finish() adds the rest and renames it to OUT. The fingerprint in
/// OUT.partial/state.json says what the shards belong to: another one starts from nothing.
class OutputFolder {
 public:
  /// kBadArgument when `path` exists and is not an empty folder.
  static Result<OutputFolder> open(const std::filesystem::path& path, const Checkpoint& source,
                                   const StoredScheme& scheme, const std::string& fingerprint);

  bool has_block(std::int64_t layer) const;
  std::int64_t blocks_present() const;
  /// The quantised layers of a block that is present.
  Result<QuantizedBlock> read_block(std::int64_t layer) const;
  /// The layers, and the block's other tensors (norms) as the source has them.
  Status write_block(std::int64_t layer, const QuantizedBlock& block);
  /// Everything outside the blocks, config.json, the index, tokenizer files; then the rename. All blocks must
  /// be present.
  Status finish(const std::string& recipe_json);

  const std::filesystem::path& partial() const { return partial_; }

 private:
  OutputFolder() = default;
  std::filesystem::path shard_path(std::int64_t shard) const;
  Result<StoredScheme> scheme_of_shard(const Checkpoint& shard) const;
  Status write_ends() const;
  Status write_index() const;
  Status copy_companions() const;
  Status adopt_rotations();

  std::filesystem::path path_, partial_;
  const Checkpoint* source_ = nullptr;
  StoredScheme scheme_;
};

/// 64-bit FNV-1a as 16 hexadecimal digits.
std::string fnv1a(std::string_view bytes);

}  // namespace fourge::quant
