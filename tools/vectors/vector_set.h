// Tensor-core vectors in memory: tiles of one instruction each, with the operands' bytes and the outputs'
// words.
//
// Format `tensor-core-vectors-1`, a .safetensors file. Metadata (strings): format, model, a_format, b_format,
// m, n, k, source, and, optional, zero_rule and note. Tensors:
//
//   a         u8  [tiles, m, row bytes]      rows of A
//   b         u8  [tiles, n, row bytes]      columns of B: row j holds the k elements of column j
//   c, d      u32 [tiles, m, n]              words of f32; u16 of f16 or bf16 where that is the output
//   a_scales  u8  [tiles, m, k / block]      block-scaled models only; b_scales [tiles, n, k / block]
//   mode      u8  [tiles]                    optional: which distribution the tile was drawn from
//
// e2m1 takes half a byte, low nibble first (or, outside the fp4 kinds, bits 5:2 of a byte); all words little
// endian.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "reference/mma/model.h"

namespace fourge::vectors {

inline constexpr const char* kFormatName = "tensor-core-vectors-1";

struct VectorSet {
  std::string model_name;  // as given: a custom accumulator keeps its parameters
  reference::MmaModel model;
  reference::MmaShape shape;
  std::int64_t tiles = 0;
  int a_row_bytes = 0;
  int b_row_bytes = 0;
  std::vector<std::uint8_t> a, b, a_scales, b_scales;
  std::vector<std::uint8_t> mode;  // empty: not recorded
  std::vector<std::uint32_t> c, d;
  std::map<std::string, std::string> metadata;  // source, zero_rule, note and whatever else a file says

  int scales_per_row() const { return reference::scales_per_row(model, shape.k); }
  std::int64_t outputs_per_tile() const { return std::int64_t{shape.m} * shape.n; }
  std::int64_t outputs() const { return tiles * outputs_per_tile(); }

  std::span<const std::uint8_t> a_row(std::int64_t tile, int i) const {
    return row(a, tile * shape.m + i, a_row_bytes);
  }
  std::span<const std::uint8_t> b_row(std::int64_t tile, int j) const {
    return row(b, tile * shape.n + j, b_row_bytes);
  }
  std::span<const std::uint8_t> a_scale_row(std::int64_t tile, int i) const {
    return row(a_scales, tile * shape.m + i, scales_per_row());
  }
  std::span<const std::uint8_t> b_scale_row(std::int64_t tile, int j) const {
    return row(b_scales, tile * shape.n + j, scales_per_row());
  }
  std::size_t output(std::int64_t tile, int i, int j) const {
    return static_cast<std::size_t>((tile * shape.m + i) * shape.n + j);
  }

 private:
  static std::span<const std::uint8_t> row(const std::vector<std::uint8_t>& bytes, std::int64_t index,
                                           int length) {
    return std::span(bytes).subspan(static_cast<std::size_t>(index * length),
                                    static_cast<std::size_t>(length));
  }
};

/// The largest m and n, and the largest k, that this project reads or makes.
inline constexpr int kMostRows = 4096;
inline constexpr int kMostDepth = 1 << 16;

/// Reads and checks a file. kBadFile names the tensor or the metadata and says what the model asks for.
Result<VectorSet> read_vectors(const std::string& path);
/// The same on the bytes of a file; `name` stands for it in messages.
Result<VectorSet> parse_vectors(std::span<const std::uint8_t> bytes, const std::string& name);

/// Writes a file whole or not at all, in the form that the suffix of `path` names:
/// .safetensors   the format above
/// .hex           for Verilog's $readmemh: one output a line, fields joined by '_'; the header explains them
/// .json          {"format", "model", ..., "tiles": [{"a": [hex rows], ..., "d": [[words]]}]}
Status write_vectors(const VectorSet& set, const std::string& path);

}  // namespace fourge::vectors
