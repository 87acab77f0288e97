// NumPy .npy files, versions 1 to 3, C order, little-endian. Source: numpy/lib/format.py.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "fourge/error.h"
#include "quant/dtype.h"
#include "quant/mapped_file.h"
#include "quant/safetensors.h"

namespace fourge::quant {

/// A mapped array. f2 f4 f8, u1 u2 u4 u8, i1 i2 i4 i8, b1.
class NpyFile {
 public:
  /// kBadFile when the header is malformed, Fortran order, big-endian, or of another size than the file.
  static Result<NpyFile> open(const std::filesystem::path& path);
  /// The same on bytes in memory, which must outlive the result.
  static Result<NpyFile> parse(std::span<const std::uint8_t> bytes, std::string name);

  const Tensor& tensor() const { return tensor_; }
  DType dtype() const { return tensor_.dtype; }
  const std::vector<std::int64_t>& shape() const { return tensor_.shape; }
  std::span<const std::uint8_t> bytes() const { return tensor_.bytes; }

 private:
  MappedFile file_;
  Tensor tensor_;  // its name is the file's
};

/// Version 1.0, written whole or not at all. kUnsupportedFormat for a dtype without a NumPy name.
Status write_npy(const std::filesystem::path& path, DType dtype, std::span<const std::int64_t> shape,
                 std::span<const std::uint8_t> bytes);

}  // namespace fourge::quant
