// 4-bit matrices in files of single tensors: which tensors belong together, under whose names, in which
// order.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "fourge/error.h"
#include "fourge/matrix.h"
#include "quant/dtype.h"
#include "tools/cli/tensor_file.h"

namespace fourge::cli {

/// Which elements share a byte of codes.
enum class NibbleOrder : std::uint8_t {
  low_first,   // 2i low, 2i + 1 high: fourge, compressed-tensors, ModelOpt, FP-Quant, gpt-oss
  high_first,  // 2i high, 2i + 1 low
  halves,      // within a block, i low and i + block / 2 high: GGUF
};
constexpr const char* name_of(NibbleOrder order) {
  return order == NibbleOrder::low_first    ? "low_first"
         : order == NibbleOrder::high_first ? "high_first"
                                            : "halves";
}

/// Codes in whole blocks of the format.
void change_nibbles(NibbleOrder from, NibbleOrder to, Format format, std::vector<std::uint8_t>& codes);

/// Whose names the tensors of a matrix bear. STEM is a module's name.
enum class Naming : std::uint8_t {
  fourge,              // STEM.codes, .scales, .decode_scale or .encode_scale
  compressed_tensors,  // STEM.weight_packed, .weight_scale, .weight_global_scale (encode)
  modelopt,            // STEM.weight, .weight_scale, .weight_scale_2 (decode)
  fp_quant,            // STEM.qweight, .scales, .weight_global_scale (encode)
  gpt_oss,             // STEM_blocks [..., K / 32, 16], STEM_scales
  gguf,                // STEM.weight of type NVFP4 or MXFP4, .scale (decode)
};
constexpr const char* name_of(Naming naming) {
  switch (naming) {
    case Naming::fourge:
      return "fourge";
    case Naming::compressed_tensors:
      return "compressed-tensors";
    case Naming::modelopt:
      return "modelopt";
    case Naming::fp_quant:
      return "fp-quant";
    case Naming::gpt_oss:
      return "gpt-oss";
    case Naming::gguf:
      return "gguf";
  }
  return "";
}

/// What a file does not say of itself, or says otherwise. Unset: "fourge.scale_layout", "fourge.nibbles" and
/// "fourge.format" of the metadata, then linear, low_first, and the format that the sizes allow.
struct ReadHints {
  std::optional<ScaleLayout> layout;
  std::optional<NibbleOrder> nibbles;
  std::optional<Format> format;
};

struct NamedMatrix {
  std::string stem;
  Naming naming = Naming::fourge;
  QuantizedMatrix matrix;  // linear scales, codes low_first
};

/// A file as its matrices and what remains.
struct MatrixFile {
  std::vector<NamedMatrix> matrices;
  std::vector<FileTensor> plain;  // bytes live as long as the TensorFile
};

/// Finds codes beside scales under every naming. kBadShape, kBadFile name the tensor; kBadArgument where the
/// format is not to be told from the sizes.
Result<MatrixFile> read_matrices(const TensorFile& file, const ReadHints& hints);

/// One matrix from tensors that bear no known names.
Result<QuantizedMatrix> matrix_from(const FileTensor& codes, const FileTensor& scales,
                                    const ReadHints& hints);

struct WriteOptions {
  std::filesystem::path output;
  std::optional<Naming> naming;                     // of matrices; none: decoded
  std::optional<quant::DType> dtype;                // of everything that is not a matrix; none: as it is
  ScaleLayout layout = ScaleLayout::linear;         // fourge only
  NibbleOrder nibbles = NibbleOrder::low_first;     // fourge only
  std::optional<TensorScale::Direction> direction;  // fourge only; none: as it is
};

/// Writes .safetensors, .gguf or (one tensor) .npy, whole or not at all. kUnsupportedFormat when a matrix
/// does not fit the naming, with the reason.
Status write_matrices(const MatrixFile& content, const WriteOptions& options);

}  // namespace fourge::cli
