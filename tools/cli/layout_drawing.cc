#include "tools/cli/layout_drawing.h"

#include <fmt/core.h>

#include <algorithm>
#include <set>
#include <vector>

namespace fourge::cli {
namespace {

constexpr std::int64_t kGap = -1;           // an index that stands for "..."
constexpr std::int64_t kWholeUpTo = 16;     // rows or lines that are drawn without a gap
constexpr std::int64_t kBytesPerLine = 16;  // one row of a 128x4 tile
constexpr std::int64_t kEdgesDrawn = 4;     // tile edges shown around before the tail

/// The sorted indices with kGap between those that are not neighbours.
std::vector<std::int64_t> with_gaps(const std::set<std::int64_t>& indices) {
  std::vector<std::int64_t> list;
  for (const std::int64_t index : indices) {
    if (!list.empty() && index != list.back() + 1) list.push_back(kGap);
    list.push_back(index);
  }
  return list;
}

/// 0 .. count-1, or its start, its end and both sides of the first multiples of `period`.
std::vector<std::int64_t> landmarks(std::int64_t count, std::int64_t period) {
  std::set<std::int64_t> indices;
  const auto add = [&](std::int64_t index) {
    if (index >= 0 && index < count) indices.insert(index);
  };
  if (count <= kWholeUpTo) {
    for (std::int64_t i = 0; i < count; ++i) add(i);
  } else {
    for (const std::int64_t i : {std::int64_t{0}, std::int64_t{1}, std::int64_t{2}, count - 2, count - 1})
      add(i);
    for (std::int64_t edge = 1; edge <= kEdgesDrawn; ++edge) {
      add(edge * period - 1);
      add(edge * period);
    }
  }
  return with_gaps(indices);
}

/// All columns, or the first that fit beside the last two.
std::vector<std::int64_t> fitting_columns(std::int64_t count, std::int64_t fit) {
  std::set<std::int64_t> indices;
  const std::int64_t first = count <= fit ? count : std::max<std::int64_t>(fit - 3, 1);
  for (std::int64_t i = 0; i < first; ++i) indices.insert(i);
  for (std::int64_t i = std::max<std::int64_t>(count - 2, 0); i < count; ++i) indices.insert(i);
  return with_gaps(indices);
}

std::int64_t digits(std::int64_t value) { return static_cast<std::int64_t>(std::to_string(value).size()); }

// Rows between two edges worth a look: a 128x4 tile puts rows 32 apart side by side.
std::int64_t row_period(ScaleLayout layout) {
  switch (layout) {
    case ScaleLayout::linear:
      return kWholeUpTo;
    case ScaleLayout::swizzled_128x4:
      return 32;
    case ScaleLayout::swizzled_8x4:
      return 8;
  }
  return 1;
}

std::string cell_at(const ScaleShape& shape, std::int64_t offset) {
  const ScalePosition at = position_at(shape, offset);
  if (at.row >= shape.rows || at.column >= shape.columns) return ".";
  return fmt::format("{}.{}", at.row, at.column);
}

}  // namespace

TileShape tile_of(ScaleLayout layout) {
  switch (layout) {
    case ScaleLayout::linear:
      return {1, 1};
    case ScaleLayout::swizzled_128x4:
      return {128, 4};
    case ScaleLayout::swizzled_8x4:
      return {8, 4};
  }
  return {};
}

std::string_view formula_of(ScaleLayout layout) {
  switch (layout) {
    case ScaleLayout::linear:
      return "r * columns + c";
    case ScaleLayout::swizzled_128x4:
      return "(r / 128 * ceil(columns / 4) + c / 4) * 512 + r % 32 * 16 + r % 128 / 32 * 4 + c % 4";
    case ScaleLayout::swizzled_8x4:
      return "(r / 8 * ceil(columns / 4) + c / 4) * 32 + r % 8 * 4 + c % 4";
  }
  return "";
}

ScalePosition position_at(const ScaleShape& shape, std::int64_t offset) {
  const TileShape tile = tile_of(shape.layout);
  const std::int64_t column_tiles = padded_scale_columns(shape.layout, shape.columns) / tile.columns;
  const std::int64_t index = offset / tile.bytes();
  const ScalePosition corner{index / column_tiles * tile.rows, index % column_tiles * tile.columns};
  for (std::int64_t r = corner.row; r < corner.row + tile.rows; ++r) {
    for (std::int64_t c = corner.column; c < corner.column + tile.columns; ++c) {
      if (scale_offset(shape.layout, r, c, shape.columns) == offset) return {r, c};
    }
  }
  return corner;
}

std::string draw_offsets(const ScaleShape& shape, int width) {
  const std::int64_t label = std::max<std::int64_t>(digits(shape.rows - 1), 5);
  const std::int64_t last = scale_bytes(shape.layout, shape.rows, shape.columns) - 1;
  const std::int64_t cell = std::max({digits(last), digits(shape.columns - 1), std::int64_t{3}});
  const auto columns = fitting_columns(shape.columns, (width - label - 1) / (cell + 1));
  std::string text = fmt::format("{:>{}} ", "r\\c", label);
  for (const std::int64_t c : columns) {
    text += c == kGap ? fmt::format(" {:>{}}", "...", cell) : fmt::format(" {:>{}}", c, cell);
  }
  text += '\n';
  for (const std::int64_t r : landmarks(shape.rows, row_period(shape.layout))) {
    if (r == kGap) {
      text += fmt::format("{:>{}}\n", "...", label);
      continue;
    }
    text += fmt::format("{:>{}} ", r, label);
    for (const std::int64_t c : columns) {
      text += c == kGap ? fmt::format(" {:>{}}", "...", cell)
                        : fmt::format(" {:>{}}", scale_offset(shape.layout, r, c, shape.columns), cell);
    }
    text += '\n';
  }
  return text;
}

std::string draw_memory(const ScaleShape& shape, int width) {
  const std::int64_t bytes = scale_bytes(shape.layout, shape.rows, shape.columns);
  const std::int64_t label = std::max<std::int64_t>(digits(bytes - 1), 5);
  const std::int64_t cell = digits(shape.rows - 1) + 1 + digits(shape.columns - 1);
  std::int64_t per_line = kBytesPerLine;
  while (per_line > 1 && label + 1 + per_line * (cell + 1) > width) per_line /= 2;
  const std::int64_t tile_lines =
      std::max<std::int64_t>(tile_of(shape.layout).bytes() / per_line, kWholeUpTo);

  std::string text;
  for (const std::int64_t line : landmarks((bytes + per_line - 1) / per_line, tile_lines)) {
    if (line == kGap) {
      text += fmt::format("{:>{}}\n", "...", label);
      continue;
    }
    text += fmt::format("{:>{}} ", line * per_line, label);
    for (std::int64_t offset = line * per_line; offset < std::min((line + 1) * per_line, bytes); ++offset) {
      text += fmt::format(" {:>{}}", cell_at(shape, offset), cell);
    }
    text += '\n';
  }
  return text;
}

}  // namespace fourge::cli
