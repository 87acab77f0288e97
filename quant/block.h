// What the quantisers of all formats share: a block of a matrix, its largest magnitude, rounding and packing.
#pragma once

#include <bit>
#include <cstdint>

#include "quant/e2m1.h"

namespace fourge::quant {

/// Largest block side: 32 (mxfp4), squared with block_2d.
inline constexpr int kWidestBlock = 32;

/// The elements that share one scale: `rows` segments of `width` elements, `stride` elements apart. One row,
/// or with block_2d up to `width` rows; rows that a matrix lacks at its lower edge count as zeros.
struct Block {
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

inline float block_amax(const Block& block) {
  std::uint32_t bits = 0;
  for (int r = 0; r < block.rows; ++r) bits = amax_bits(block.row(r), block.width, bits);
  return std::bit_cast<float>(bits);
}

/// codes[i] = e2m1(values[i] * multiplier), one code a byte.
inline void encode_row(const float* values, int width, float multiplier, std::uint8_t* codes) {
  for (int i = 0; i < width; ++i) codes[i] = e2m1_rne(values[i] * multiplier);
}

/// Two codes a byte, the even element in the low nibble.
inline void pack_row(const std::uint8_t* codes, int width, std::uint8_t* packed) {
  for (int i = 0; i < width / 2; ++i) {
    packed[i] = static_cast<std::uint8_t>(codes[2 * i] | codes[2 * i + 1] << 4);
  }
}

}  // namespace fourge::quant
