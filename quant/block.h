// What the quantisers of all formats share: a block of a matrix, its largest magnitude, rounding and packing.
#pragma once

#include <bit>
#include <cstdint>

#include "fourge/quantize.h"
#include "fourge/stochastic.h"
#include "quant/e2m1.h"

namespace fourge::quant {

/// Largest block side: 32 (mxfp4), squared with block_2d.
inline constexpr int kWidestBlock = 32;

/// The elements that share one scale: `rows` segments of `width` elements, `stride` elements apart. One row,
/// or with block_2d up to `width` rows; rows that a matrix lacks at its lower edge count as zeros.
struct ScaleBlock {
  const float* values;
  std::int64_t stride;
  int rows;
  int width;

  const float* row(int r) const { return values + r * stride; }
};

/// Bits of the largest |x|; NaN does not count. Magnitudes are ordered like their bits.
inline std::uint32_t amax_bits(const float* values, std::int64_t count, std::uint32_t so_far = 0) {
  for (std::int64_t i = 0; i < count; ++i) {
    const std::uint32_t magnitude = std::bit_cast<std::uint32_t>(values[i]) & 0x7fff'ffffu;
    const std::uint32_t number = magnitude > 0x7f80'0000u ? 0 : magnitude;
    so_far = number > so_far ? number : so_far;
  }
  return so_far;
}

inline float block_amax(const ScaleBlock& block) {
  std::uint32_t bits = 0;
  for (int r = 0; r < block.rows; ++r) bits = amax_bits(block.row(r), block.width, bits);
  return std::bit_cast<float>(bits);
}

inline constexpr float kKeepSignOfZero = -0.0f;  // x + -0 is x
inline constexpr float kDropSignOfZero = 0.0f;   // x + 0 is x, but for -0, which becomes 0

/// How the elements of a block become codes. `index` counts elements of the matrix in row-major order: that
/// of the block's first one.
struct ElementRounder {
  ElementRounding rounding = ElementRounding::nearest;
  std::uint64_t seed = 0;
  std::int64_t index = 0;
  std::int64_t row_step = 0;

  std::uint8_t random_byte(int row, int column) const {
    return stochastic_byte(seed, static_cast<std::uint64_t>(index + row * row_step + column));
  }
};

/// codes[i] = e2m1((values[i] + zero) * multiplier) to nearest even, one code a byte. Boundary by boundary
/// over runs of 16, so that compilers make vector compares of it.
inline void encode_row_nearest(const float* values, int width, float multiplier, float zero,
                               std::uint8_t* codes) {
  constexpr int kRun = 16;
  for (int first = 0; first < width; first += kRun) {
    std::int32_t magnitude[kRun], sign[kRun], code[kRun];
    for (int i = 0; i < kRun; ++i) {
      const auto bits = std::bit_cast<std::int32_t>((values[first + i] + zero) * multiplier);
      magnitude[i] = bits & 0x7fff'ffff;
      sign[i] = magnitude[i] > 0x7f80'0000 ? 0 : bits >> 28 & 8;
      code[i] = 0;
    }
    for (const std::uint32_t boundary : kE2m1Boundaries) {
      for (int i = 0; i < kRun; ++i) code[i] += magnitude[i] > static_cast<std::int32_t>(boundary) ? 1 : 0;
    }
    for (int i = 0; i < kRun; ++i) codes[first + i] = static_cast<std::uint8_t>(code[i] | sign[i]);
  }
}

/// The same in the rounder's way; `row` is the block's row.
inline void encode_row(const float* values, int width, float multiplier, float zero,
                       const ElementRounder& rounder, int row, std::uint8_t* codes) {
  if (rounder.rounding == ElementRounding::nearest) {
    encode_row_nearest(values, width, multiplier, zero, codes);
    return;
  }
  for (int i = 0; i < width; ++i)
    codes[i] = e2m1_stochastic((values[i] + zero) * multiplier, rounder.random_byte(row, i));
}

/// Two codes a byte, the even element in the low nibble.
inline void pack_row(const std::uint8_t* codes, int width, std::uint8_t* packed) {
  for (int i = 0; i < width / 2; ++i) {
    packed[i] = static_cast<std::uint8_t>(codes[2 * i] | codes[2 * i + 1] << 4);
  }
}

}  // namespace fourge::quant
