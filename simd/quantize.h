// Block quantisation for every vector instruction set: one block in each lane, so that every sum and maximum
// over a block runs in the order of quant/'s.
#pragma once

#include <array>
#include <cstdint>

#include "fourge/quantizer.h"
#include "simd/target.h"

namespace fourge::simd {

inline constexpr int kGroup = 256;  // elements that a kernel works on at once
inline constexpr int kPhiloxRounds = 10;

/// A run of groups, one row or with block_2d the rows that share scales: what compiled (simd/) and generated
/// (jit/) code reads.
struct StripArgs {
  const void* x;
  std::int64_t x_stride;  // bytes from row to row
  std::int64_t rows;      // 1, or up to the block with block_2d
  std::int64_t groups;    // >= 1
  std::uint8_t* codes;
  std::int64_t codes_stride;  // bytes from row to row
  std::uint8_t* scales;       // of the first row
  std::int64_t scale_step;    // bytes from four scales to the next four
  std::uint16_t* flags;       // one a group: bit b: block b is to be done again by portable code

  // Rotation: sign words in the order of sign_word_index(), 256 of them; the factor at the end.
  const std::uint32_t* sign_words;
  float rotation_scale;

  // nvfp4 (quant/nvfp4.h): amax of the tensor and what follows from it.
  float amax, encode, decode;
  float error_scale;  // amax / denominator, rounded once: close to the factor from code * scale to value

  // Stochastic rounding: number of the first 16 elements of x, that of a row further, and the keys of the
  // ten rounds.
  std::uint64_t first_run;
  std::int64_t run_step;
  std::array<std::uint32_t, 2 * kPhiloxRounds> keys;
};

/// Whole groups of one row.
struct AmaxArgs {
  const void* x;
  std::int64_t groups;  // >= 1
  const std::uint32_t* sign_words;
  float rotation_scale;
  float amax;       // result: largest |x|, NaN not counted
  float lanes[16];  // scratch of generated code
};

/// Kernels see a group as 8 pairs of 16-lane vectors: pair v holds blocks of 16 number 2v (lanes 0..7) and
/// 2v + 1 (lanes 8..15), even elements in the first vector, odd ones in the second. The position of element i
/// in that order.
constexpr int sign_word_index(int element) {
  const int pair = element / 32, half = element / 16 % 2, odd = element % 2;
  return (2 * pair + odd) * 16 + half * 8 + element % 16 / 2;
}

/// Functions of one target. The spec is that of what happens inside a strip: no transposition, rotations of
/// 16 to 256 elements only.
struct QuantizeFunctions {
  void (*strip)(const QuantizerSpec& spec, const StripArgs& args) = nullptr;
  void (*amax)(const QuantizerSpec& spec, AmaxArgs& args) = nullptr;
};

/// Null functions where simd/ was not compiled for `target`. They may be called only on a processor that has
/// the target.
QuantizeFunctions quantize(Target target);

}  // namespace fourge::simd
