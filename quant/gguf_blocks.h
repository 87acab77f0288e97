// The blocks in which GGUF files hold FP4 matrices: types 39 (MXFP4) and 40 (NVFP4).
//
//   mxfp4  17 bytes: e, qs[16]          32 values: code * 2^(e - 127)
//   nvfp4  36 bytes: d[4], qs[32]       64 values in 4 sub-blocks of 16: code * ue4m3(d[s]), codes at qs[8 s]
//
// Nibbles are not interleaved: within a run of n = 32 (mxfp4) or 16 (nvfp4) values, byte j holds value j in
// its low and value j + n / 2 in its high nibble. Scale bytes are those of the OCP formats, but for 0xFF
// (mxfp4) and 0x7F (nvfp4), NaN there, which ggml reads as 2^128 and as 0: matrices that hold them are
// refused. Blocks have no tensor scale; files keep it in a tensor of its own.
//
// Source: ggml d99724f2b141, ggml-common.h and ggml-quants.c.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "fourge/error.h"
#include "fourge/matrix.h"

namespace fourge::quant {

/// Values and bytes of one block.
struct GgufBlock {
  std::int64_t values;
  std::int64_t bytes;
  std::int64_t run;  // values whose nibbles are paired
};

/// nvfp4 or mxfp4.
constexpr GgufBlock gguf_block(Format format) {
  return format == Format::nvfp4 ? GgufBlock{64, 36, 16} : GgufBlock{32, 17, 32};
}

/// One run of `values` codes, even: element 2i low and 2i + 1 high -> i low and i + values / 2 high.
void interleaved_to_halves(const std::uint8_t* from, std::uint8_t* to, std::int64_t values);
void halves_to_interleaved(const std::uint8_t* from, std::uint8_t* to, std::int64_t values);

/// rows * cols / 64 * 36 or rows * cols / 32 * 17 bytes. kUnsupportedFormat for mxfp4_b16; kBadShape unless
/// cols is a multiple of 64 (nvfp4) or 32; kBadArgument for a NaN scale.
Result<std::vector<std::uint8_t>> to_gguf_blocks(const QuantizedView& matrix);

/// The matrix of these blocks, linear scales, tensor scale 1. Codes and scales are moved, not rounded.
/// kBadShape when the bytes do not fit; kBadFile for a scale byte that ggml and the format read differently.
Result<QuantizedMatrix> from_gguf_blocks(Format format, std::int64_t rows, std::int64_t cols,
                                         std::span<const std::uint8_t> blocks);

}  // namespace fourge::quant
