// A scale layout as text: where each scale lies, and what lies at each byte.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "fourge/scale_layout.h"

namespace fourge::cli {

struct ScaleShape {
  ScaleLayout layout = ScaleLayout::linear;
  std::int64_t rows = 0;
  std::int64_t columns = 0;  // scale columns, unpadded
};

struct TileShape {
  std::int64_t rows = 1;
  std::int64_t columns = 1;
  constexpr std::int64_t bytes() const { return rows * columns; }
};
/// The unit that a layout repeats, row-major over tiles; 1 x 1 for linear.
TileShape tile_of(ScaleLayout layout);
/// The offset of (r, c) as a formula.
std::string_view formula_of(ScaleLayout layout);

/// The (row, column) whose scale lies at a byte: the inverse of scale_offset. It may lie in the padding, at
/// or beyond shape.rows or shape.columns.
struct ScalePosition {
  std::int64_t row = 0;
  std::int64_t column = 0;
};
ScalePosition position_at(const ScaleShape& shape, std::int64_t offset);

/// Rows and columns against byte offsets. Large shapes keep the rows at tile and sub-tile edges and the
/// columns that fit `width` characters; "..." stands for the rest.
std::string draw_offsets(const ScaleShape& shape, int width);
/// Lines of up to 16 bytes of memory, each byte as row.column, "." for padding; elided as above.
std::string draw_memory(const ScaleShape& shape, int width);

}  // namespace fourge::cli
