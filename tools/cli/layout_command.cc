// fourge layout: draws where a scale layout puts each block scale.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <cstdint>
#include <memory>

#include "fourge/matrix.h"
#include "fourge/scale_layout.h"
#include "tools/cli/commands.h"
#include "tools/cli/context.h"
#include "tools/cli/layout_drawing.h"
#include "tools/cli/options.h"

namespace fourge::cli {
namespace {

constexpr std::int64_t kMostRows = std::int64_t{1} << 31;  // offsets of a 2^31 x 2^31 matrix fit 63 bits
constexpr std::int64_t kMostOffsetsInJson = 1 << 16;

struct LayoutOptions {
  std::int64_t rows = 0;
  std::int64_t columns = 0;  // scale columns; elements when a block is given
  ScaleLayout layout = ScaleLayout::linear;
  std::int64_t block = 0;  // 0: columns count scales
  Format format = Format::nvfp4;
  bool has_format = false;
};

Result<ScaleShape> shape_of(const LayoutOptions& options) {
  const std::int64_t format_block = options.has_format ? info(options.format).block : 0;
  if (options.has_format && options.block != 0 && options.block != format_block) {
    return {Error::kBadArgument, "expected the block of the format, or only one of --block and --format",
            fmt::format("--block {} with --format {} (block {})", options.block, name_of(options.format),
                        format_block)};
  }
  const std::int64_t block = options.block != 0 ? options.block : std::max<std::int64_t>(format_block, 1);
  if (options.columns % block != 0) {
    return {Error::kBadShape, "expected a multiple of the block",
            fmt::format("--cols {} with a block of {}", options.columns, block)};
  }
  return ScaleShape{options.layout, options.rows, options.columns / block};
}

void print_text(const ScaleShape& shape, const Context& context) {
  const TileShape tile = tile_of(shape.layout);
  const std::int64_t rows = padded_scale_rows(shape.layout, shape.rows);
  const std::int64_t columns = padded_scale_columns(shape.layout, shape.columns);
  fmt::print("{}: {} x {} scales in {} x {} = {} bytes", context.paint(Color::kBold, name_of(shape.layout)),
             shape.rows, shape.columns, rows, columns, rows * columns);
  if (tile.bytes() > 1) {
    fmt::print(", {} x {} tiles of {} x {}", rows / tile.rows, columns / tile.columns, tile.rows,
               tile.columns);
  }
  fmt::print("\noffset(r, c) = {}\n\n", formula_of(shape.layout));
  fmt::print("{}\n{}\n", context.paint(Color::kBold, "Byte offset of the scale of row r, scale column c"),
             draw_offsets(shape, terminal_width()));
  fmt::print("{}\n{}", context.paint(Color::kBold, "Memory: r.c of each byte, . for padding"),
             draw_memory(shape, terminal_width()));
}

Json to_json(const ScaleShape& shape) {
  const TileShape tile = tile_of(shape.layout);
  Json document = {{"layout", name_of(shape.layout)},
                   {"rows", shape.rows},
                   {"cols", shape.columns},
                   {"padded_rows", padded_scale_rows(shape.layout, shape.rows)},
                   {"padded_cols", padded_scale_columns(shape.layout, shape.columns)},
                   {"bytes", scale_bytes(shape.layout, shape.rows, shape.columns)},
                   {"tile", {{"rows", tile.rows}, {"cols", tile.columns}}},
                   {"formula", formula_of(shape.layout)},
                   {"offsets", nullptr}};
  if (shape.rows <= kMostOffsetsInJson / shape.columns) {
    Json offsets = Json::array();
    for (std::int64_t r = 0; r < shape.rows; ++r) {
      Json row = Json::array();
      for (std::int64_t c = 0; c < shape.columns; ++c) {
        row.push_back(scale_offset(shape.layout, r, c, shape.columns));
      }
      offsets.push_back(std::move(row));
    }
    document["offsets"] = std::move(offsets);
  }
  return document;
}

Result<Outcome> run(const LayoutOptions& options, Context& context) {
  const Result<ScaleShape> shape = shape_of(options);
  if (!shape.ok()) return shape.failure();
  if (context.json()) {
    context.print(to_json(*shape));
  } else {
    print_text(*shape, context);
  }
  return Outcome::kTrue;
}

}  // namespace

void add_layout_command(CLI::App& app, Context& context) {
  auto options = std::make_shared<LayoutOptions>();
  CLI::App* command = app.add_subcommand("layout", "Draw where a layout puts each block scale");
  command->footer(
      "--cols counts scales; with --block or --format it counts the elements of the quantised matrix.\n"
      "Large matrices are drawn with gaps. --json gives every offset up to 65536 of them.");
  add_count(*command, "--rows", options->rows, 1, kMostRows, "Rows")->required();
  add_count(*command, "--cols", options->columns, 1, kMostRows, "Columns")->required();
  add_choice(*command, "--layout", options->layout,
             {ScaleLayout::linear, ScaleLayout::swizzled_128x4, ScaleLayout::swizzled_8x4}, "Scale layout")
      ->required()
      ->default_str("");
  add_count(*command, "--block", options->block, 1, kMostRows, "Elements that share one scale: 16 or 32");
  const CLI::Option* format = add_choice(*command, "--format", options->format,
                                         {Format::nvfp4, Format::mxfp4, Format::mxfp4_b16}, "Block format");
  context.add_json_flag(*command);
  context.on_run(*command, [options, format, &context] {
    options->has_format = format->count() > 0;
    return run(*options, context);
  });
}

}  // namespace fourge::cli
