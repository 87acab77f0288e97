// Where the scale of row r, scale column c lies: plain rows, or the tiles that tensor cores read.
#pragma once

#include <cstdint>

namespace fourge {

/// linear:           r * columns + c.
/// swizzled_128x4:   tiles of 128 rows x 4 columns, 512 bytes each, row-major over tiles; inside a tile
///                   (r % 32) * 16 + (r % 128) / 32 * 4 + c % 4. cuBLAS "block scaling factors layout",
///                   CUTLASS, cuDNN, torchao to_blocked. Rows pad to 128, columns to 4, padding bytes are 0.
/// swizzled_8x4:     tiles of 8 rows x 4 columns, 32 bytes each, row-major over tiles and inside them.
///                   TensorRT-LLM and FlashInfer "8x4". Rows pad to 8, columns to 4.
enum class ScaleLayout : std::uint8_t { linear, swizzled_128x4, swizzled_8x4 };

constexpr const char* name_of(ScaleLayout layout) {
  switch (layout) {
    case ScaleLayout::linear:
      return "linear";
    case ScaleLayout::swizzled_128x4:
      return "swizzled_128x4";
    case ScaleLayout::swizzled_8x4:
      return "swizzled_8x4";
  }
  return "";
}

constexpr std::int64_t round_up(std::int64_t value, std::int64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

constexpr std::int64_t padded_scale_rows(ScaleLayout layout, std::int64_t rows) {
  return layout == ScaleLayout::linear ? rows
                                       : round_up(rows, layout == ScaleLayout::swizzled_128x4 ? 128 : 8);
}
constexpr std::int64_t padded_scale_columns(ScaleLayout layout, std::int64_t columns) {
  return layout == ScaleLayout::linear ? columns : round_up(columns, 4);
}
/// Bytes that a rows x columns scale matrix takes, padding included.
constexpr std::int64_t scale_bytes(ScaleLayout layout, std::int64_t rows, std::int64_t columns) {
  return padded_scale_rows(layout, rows) * padded_scale_columns(layout, columns);
}

/// Byte offset of the scale at (row, column) of a matrix with `columns` scale columns (unpadded).
constexpr std::int64_t scale_offset(ScaleLayout layout, std::int64_t row, std::int64_t column,
                                    std::int64_t columns) {
  const std::int64_t column_tiles = padded_scale_columns(layout, columns) / 4;
  switch (layout) {
    case ScaleLayout::linear:
      return row * columns + column;
    case ScaleLayout::swizzled_128x4: {
      const std::int64_t tile = row / 128 * column_tiles + column / 4;
      return tile * 512 + row % 32 * 16 + row % 128 / 32 * 4 + column % 4;
    }
    case ScaleLayout::swizzled_8x4: {
      const std::int64_t tile = row / 8 * column_tiles + column / 4;
      return tile * 32 + row % 8 * 4 + column % 4;
    }
  }
  return 0;
}

/// Copies a scale matrix from one layout to another; padding of the destination becomes 0.
/// `from` holds scale_bytes(from_layout, ...) bytes, `to` scale_bytes(to_layout, ...); they must not overlap.
constexpr void convert_scales(ScaleLayout from_layout, const std::uint8_t* from, ScaleLayout to_layout,
                              std::uint8_t* to, std::int64_t rows, std::int64_t columns) {
  const std::int64_t bytes = scale_bytes(to_layout, rows, columns);
  for (std::int64_t i = 0; i < bytes; ++i) to[i] = 0;
  for (std::int64_t r = 0; r < rows; ++r) {
    for (std::int64_t c = 0; c < columns; ++c) {
      to[scale_offset(to_layout, r, c, columns)] = from[scale_offset(from_layout, r, c, columns)];
    }
  }
}

}  // namespace fourge
