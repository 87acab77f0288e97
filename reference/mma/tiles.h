// Many tiles of one instruction, from arrays of bits: what the C and Python interfaces compute.
#pragma once

#include <cstdint>

#include "fourge/error.h"
#include "reference/mma/model.h"

namespace fourge::reference {

inline constexpr int kMostDepth = 1 << 16;   // of a tile
inline constexpr int kMostExtent = 1 << 16;  // m and n of a tile

/// An instruction with its sizes: D = A B^T + C, m x n outputs of depth k.
struct MmaTile {
  MmaModel model;
  MmaShape shape;
  MmaPolicy policy;

  int a_row_bytes() const { return row_bytes(shape.a_format, shape.k); }
  int b_row_bytes() const { return row_bytes(shape.b_format, shape.k); }
  int scales() const { return scales_per_row(model, shape.k); }
  /// Bytes of an element of C and D.
  int c_bytes() const { return info(model.c_format()).storage_bits / 8; }
};

/// check(model, shape), and extents that are not absurd.
Status check(const MmaTile& tile);

/// One tile after the other in every array.
struct MmaArrays {
  const std::uint8_t* a = nullptr;         // [tiles][m][a_row_bytes]
  const std::uint8_t* b = nullptr;         // [tiles][n][b_row_bytes]
  const std::uint8_t* a_scales = nullptr;  // [tiles][m][scales], null where the model has none
  const std::uint8_t* b_scales = nullptr;  // [tiles][n][scales]
  const void* c = nullptr;                 // [tiles][m][n] words of c_format(); null: +0
  void* d = nullptr;                       // [tiles][m][n]
};

/// Single-threaded. kBadArgument for missing pointers, kBadShape for a negative number of tiles.
Status mma_tiles(const MmaTile& tile, std::int64_t tiles, const MmaArrays& arrays);

}  // namespace fourge::reference
