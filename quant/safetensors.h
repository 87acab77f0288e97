// safetensors: u64 header length, a JSON header, the tensors' bytes. Files are taken to be hostile.
// Source: github.com/huggingface/safetensors, README "Format", and tensor.rs 0.6 for dtypes and limits.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "fourge/error.h"
#include "quant/dtype.h"
#include "quant/mapped_file.h"

namespace fourge::quant {

/// One tensor of a file, by reference: the bytes live as long as the Safetensors they come from.
struct Tensor {
  std::string name;
  DType dtype = DType::f32;
  std::vector<std::int64_t> shape;      // elements, also for F4
  std::span<const std::uint8_t> bytes;  // packed, row-major; no alignment is promised

  std::int64_t elements() const { return element_count(shape).value_or(0); }
};

/// A file that has been checked from end to end: every tensor's bytes lie inside it, have the size that shape
/// and dtype ask for, overlap nothing, and leave no gap.
class Safetensors {
 public:
  static constexpr std::uint64_t kLongestHeader = 100'000'000;  // the limit of the format's own library
  static constexpr std::size_t kHighestRank = 32;

  /// Maps the file and checks it. kNotFound, kIo, or kBadFile with file, tensor, value and what was expected.
  static Result<Safetensors> open(const std::filesystem::path& path);
  /// The same on bytes in memory, which must outlive the result. `name` stands for the file in messages.
  static Result<Safetensors> parse(std::span<const std::uint8_t> bytes, std::string name);

  /// In the order of their bytes in the file.
  const std::vector<Tensor>& tensors() const { return tensors_; }
  /// kNotFound says how many tensors there are and names the first.
  Result<Tensor> find(std::string_view name) const;
  bool contains(std::string_view name) const { return index_.find(name) != index_.end(); }
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  const std::string& name() const { return name_; }

 private:
  Safetensors() = default;
  Status read_header(std::span<const std::uint8_t> bytes);

  MappedFile file_;
  std::string name_;
  std::vector<Tensor> tensors_;
  std::map<std::string, std::size_t, std::less<>> index_;  // name -> position in tensors_
  std::map<std::string, std::string> metadata_;
};

/// Writes a file whole or not at all (AtomicFile). Tensors are sorted by element size, largest first, then by
/// name, and the header is padded to 8 bytes, so every tensor is aligned to its element.
class SafetensorsWriter {
 public:
  /// The bytes are not copied and must live until write(). kBadArgument: a name taken twice, "__metadata__",
  /// or not UTF-8; kBadShape: bytes that do not fit dtype and shape.
  Status add(std::string name, DType dtype, std::vector<std::int64_t> shape,
             std::span<const std::uint8_t> bytes);
  /// The same, with the bytes handed over.
  Status add_owned(std::string name, DType dtype, std::vector<std::int64_t> shape,
                   std::vector<std::uint8_t> bytes);
  Status add_metadata(std::string key, std::string value);
  Status write(const std::filesystem::path& path) const;

 private:
  std::string header(const std::vector<const Tensor*>& order) const;

  std::map<std::string, Tensor> tensors_;
  std::map<std::string, std::string> metadata_;
  std::vector<std::unique_ptr<std::vector<std::uint8_t>>> owned_;
};

/// Values as f32, rounded to nearest even where the type is wider (F64). F64, F32, F16, BF16, F8_E4M3,
/// F8_E5M2, F8_E8M0, F4; kUnsupportedFormat for any other, kBadShape when the bytes do not fit the shape.
Result<std::vector<float>> tensor_to_f32(const Tensor& tensor);

}  // namespace fourge::quant
