// Layouts of block scales and 4-bit codes for every vector instruction set.
//
// Scales move four at a time, a word: a row of a tile. Kernels do whole units; the driver does the edges.
//   linear <-> tiles      16 rows x 16 column tiles: a transposition of words
//   128x4 <-> 8x4         128 rows x 1 column tile
//   codes                 64 bytes
#pragma once

#include <cstdint>

#include "fourge/layout.h"
#include "simd/target.h"

namespace fourge::simd {

inline constexpr int kUnitRows = 16, kUnitTiles = 16, kCodeBytes = 64;

/// A run of units, from column tile to column tile or through codes: what compiled (simd/) and generated
/// (jit/) code reads.
struct LayoutArgs {
  const std::uint8_t* from;
  std::uint8_t* to;
  std::int64_t row_stride;       // linear side: bytes from row to row
  std::int64_t tile_row_stride;  // 8x4 side: bytes from one row of tiles to the next
  std::int64_t units;            // >= 1
};

constexpr bool is_scales(ByteLayout layout) { return layout <= ByteLayout::swizzled_8x4; }
constexpr int tile_bytes(ByteLayout tiles) { return tiles == ByteLayout::swizzled_128x4 ? 512 : 32; }

using LayoutFunction = void (*)(const LayoutSpec& spec, const LayoutArgs& args);

/// Null where simd/ was not compiled for `target`. It may be called only on a processor that has the target.
LayoutFunction layout(Target target);

}  // namespace fourge::simd
