// A .safetensors, .gguf or .npy file as one list of tensors.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "fourge/error.h"
#include "fourge/matrix.h"
#include "quant/export/gguf.h"
#include "quant/npy.h"
#include "quant/safetensors.h"

namespace fourge::cli {

struct FileTensor {
  std::string name;
  std::string format;                 // as the file calls it: BF16, F4, NVFP4
  std::optional<quant::DType> dtype;  // none: blocks of GGUF, of `block_format`
  Format block_format = Format::nvfp4;
  std::vector<std::int64_t> shape;      // elements, row-major
  std::span<const std::uint8_t> bytes;  // in the file

  std::int64_t elements() const { return quant::element_count(shape).value_or(0); }
};

class TensorFile {
 public:
  /// By the content's first bytes, whatever the name: "GGUF", "\x93NUMPY", else safetensors.
  static Result<TensorFile> open(const std::filesystem::path& path);

  const char* kind() const;  // "safetensors", "gguf", "npy"
  const std::string& name() const { return name_; }
  const std::vector<FileTensor>& tensors() const { return tensors_; }
  const std::vector<std::pair<std::string, std::string>>& metadata() const { return metadata_; }
  /// kNotFound says how many there are and names the first.
  Result<FileTensor> find(const std::string& name) const;

 private:
  void list(const quant::Safetensors& file);
  void list(const quant::GgufFile& file);
  void list(const quant::NpyFile& file);

  std::variant<std::monostate, quant::Safetensors, quant::GgufFile, quant::NpyFile> file_;
  std::string name_;
  std::vector<FileTensor> tensors_;
  std::vector<std::pair<std::string, std::string>> metadata_;
};

/// Values as f32: floats, FP8, FP4, integers (rounded to nearest), GGUF blocks times their scales.
/// kUnsupportedFormat for FP6 and complex numbers.
Result<std::vector<float>> values_of(const FileTensor& tensor);

/// Bytes that are block scales of a 4-bit matrix, and their format.
struct Scales {
  ElementFormat format = ElementFormat::ue4m3;
  std::vector<std::uint8_t> codes;
};
/// The block scales that the tensor holds: GGUF blocks; F8_E8M0; F8_E4M3 and U8 tensors named as scales that
/// stand beside packed codes (NAME.codes, _packed, _blocks, weight). None for any other.
std::optional<Scales> scales_of(const TensorFile& file, const FileTensor& tensor);

/// Packed e2m1 codes, two a byte: F4, U8 beside scales, GGUF blocks. None for any other.
std::optional<std::vector<std::uint8_t>> codes_of(const TensorFile& file, const FileTensor& tensor);

}  // namespace fourge::cli
