// GGUF files (version 3) with float, MXFP4 (type 39) and NVFP4 (type 40) tensors.
// Source: github.com/ggml-org/ggml d99724f2b141, docs/gguf.md, ggml.h, ggml-common.h.
//
// Blocks: quant/gguf_blocks.h.
// NVFP4's tensor scale stands beside the tensor: X.weight and X.scale, a decode multiplier, F32 [1].
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "fourge/error.h"
#include "fourge/matrix.h"
#include "quant/gguf_blocks.h"
#include "quant/mapped_file.h"

namespace fourge::quant {

enum class GgmlType : std::uint32_t { f32 = 0, f16 = 1, bf16 = 30, mxfp4 = 39, nvfp4 = 40 };

/// A metadata value; arrays and strings that are not needed here are skipped, but checked.
using GgufValue = std::variant<std::uint64_t, double, std::string, bool>;

struct GgufTensor {
  std::string name;
  GgmlType type = GgmlType::f32;
  std::vector<std::int64_t> shape;      // row-major: rows, cols (GGUF stores it the other way round)
  std::span<const std::uint8_t> bytes;  // in the file
};

/// A file checked from end to end: every tensor lies inside, overlaps nothing, has a known type and whole
/// blocks.
class GgufFile {
 public:
  static Result<GgufFile> open(const std::filesystem::path& path);
  /// The same on bytes in memory, which must outlive the result.
  static Result<GgufFile> parse(std::span<const std::uint8_t> bytes, std::string name);

  const std::map<std::string, GgufTensor, std::less<>>& tensors() const { return tensors_; }
  const std::map<std::string, GgufValue, std::less<>>& metadata() const { return metadata_; }
  Result<GgufTensor> find(std::string_view name) const;
  /// A number or text of the metadata; kNotFound, kBadFile when it has another type.
  Result<std::int64_t> integer(std::string_view key) const;
  Result<double> number(std::string_view key) const;
  Result<std::string> text(std::string_view key) const;
  const std::string& name() const { return name_; }

 private:
  friend class GgufParser;
  MappedFile file_;
  std::string name_;
  std::map<std::string, GgufTensor, std::less<>> tensors_;
  std::map<std::string, GgufValue, std::less<>> metadata_;
};

/// Writes a file whole or not at all.
class GgufWriter {
 public:
  void add_metadata(std::string key, GgufValue value) { metadata_[std::move(key)] = std::move(value); }
  /// Unsigned 32-bit where readers expect that type.
  void add_u32(std::string key, std::int64_t value) {
    small_[std::move(key)] = static_cast<std::uint32_t>(value);
  }
  void add_f32(std::string key, double value) { floats_[std::move(key)] = static_cast<float>(value); }
  void add_tensor(std::string name, GgmlType type, std::vector<std::int64_t> shape,
                  std::vector<std::uint8_t> bytes);
  Status write(const std::filesystem::path& path) const;

 private:
  std::map<std::string, GgufValue> metadata_;
  std::map<std::string, std::uint32_t> small_;
  std::map<std::string, float> floats_;
  std::vector<std::pair<GgufTensor, std::vector<std::uint8_t>>> tensors_;
};

/// The matrix of an mxfp4 or nvfp4 tensor, as from_gguf_blocks() of its bytes.
Result<QuantizedMatrix> from_gguf_blocks(const GgufTensor& tensor);

}  // namespace fourge::quant
