// fourge layout: draws where a scale layout puts each block scale, and moves a file's scales between layouts.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <cstdint>
#include <initializer_list>
#include <memory>

#include "fourge/matrix.h"
#include "fourge/scale_layout.h"
#include "tools/cli/commands.h"
#include "tools/cli/context.h"
#include "tools/cli/layout_convert.h"
#include "tools/cli/layout_drawing.h"
#include "tools/cli/options.h"

namespace fourge::cli {
namespace {

constexpr std::int64_t kMostRows = std::int64_t{1} << 31;  // offsets of a 2^31 x 2^31 matrix fit 63 bits
constexpr std::int64_t kMostOffsetsInJson = 1 << 16;
constexpr std::initializer_list<ScaleLayout> kScaleLayouts = {
    ScaleLayout::linear, ScaleLayout::swizzled_128x4, ScaleLayout::swizzled_8x4};

struct LayoutOptions {
  std::int64_t rows = 0;
  std::int64_t columns = 0;  // scale columns; elements when a block is given
  ScaleLayout layout = ScaleLayout::linear;
  std::int64_t block = 0;  // 0: columns count scales
  Format format = Format::nvfp4;
  bool has_format = false;
  std::string input;  // FILE.safetensors:TENSOR: convert instead of drawing
  LayoutConversion conversion;
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

Result<Outcome> draw(const LayoutOptions& options, Context& context) {
  const Result<ScaleShape> shape = shape_of(options);
  if (!shape.ok()) return shape.failure();
  if (context.json()) {
    context.print(to_json(*shape));
  } else {
    print_text(*shape, context);
  }
  return Outcome::kTrue;
}

Result<Outcome> convert(const LayoutOptions& options, Context& context) {
  Result<TensorPath> input = split_tensor_path(options.input);
  if (!input.ok()) return input.failure();
  LayoutConversion conversion = options.conversion;
  conversion.input = std::move(*input);
  conversion.rows = options.rows;
  conversion.columns = options.columns;
  const Result<LayoutConversion> done = convert_layout(conversion);
  if (!done.ok()) return done.failure();
  if (context.json()) {
    context.print(Json{{"tensor", done->input.tensor},
                       {"rows", done->rows},
                       {"cols", done->columns},
                       {"from", name_of(done->from)},
                       {"to", name_of(done->to)},
                       {"bytes", scale_bytes(done->to, done->rows, done->columns)},
                       {"output", done->output}});
  } else {
    fmt::print("{}: {} x {} scales, {} -> {}, {} bytes -> {}\n", done->input.tensor, done->rows,
               done->columns, name_of(done->from), name_of(done->to),
               scale_bytes(done->to, done->rows, done->columns), done->output);
  }
  return Outcome::kTrue;
}

/// Drawing and converting share --rows and --cols and nothing else.
void add_drawing_options(CLI::App& command, LayoutOptions& options, CLI::Option* input) {
  add_choice(command, "--layout", options.layout, kScaleLayouts, "Scale layout to draw")
      ->default_str("")
      ->excludes(input);
  add_count(command, "--block", options.block, 1, kMostRows, "Elements that share one scale: 16 or 32")
      ->excludes(input);
  add_choice(command, "--format", options.format, {Format::nvfp4, Format::mxfp4, Format::mxfp4_b16},
             "Block format, in place of --block")
      ->default_str("")
      ->excludes(input);
}

void add_conversion_options(CLI::App& command, LayoutConversion& conversion, CLI::Option* input) {
  CLI::Option* from = add_choice(command, "--from", conversion.from, kScaleLayouts, "Layout of the input");
  CLI::Option* to = add_choice(command, "--to", conversion.to, kScaleLayouts, "Layout of the output");
  CLI::Option* out =
      command.add_option("--out", conversion.output, "Output file, written whole or not at all")
          ->type_name("OUT.safetensors");
  for (CLI::Option* option : {from, to, out}) {
    option->default_str("")->needs(input);
    input->needs(option);
  }
}

Result<Outcome> run(const CLI::App& command, const LayoutOptions& options, Context& context) {
  if (!options.input.empty()) return convert(options, context);
  for (const char* option : {"--rows", "--cols", "--layout"}) {
    if (command.count(option) == 0) {
      return {Error::kBadArgument, "expected --rows, --cols and --layout to draw, or --in to convert",
              fmt::format("no {}", option)};
    }
  }
  return draw(options, context);
}

}  // namespace

void add_layout_command(CLI::App& app, Context& context) {
  auto options = std::make_shared<LayoutOptions>();
  CLI::App* command =
      app.add_subcommand("layout", "Draw where a layout puts each block scale, or convert between layouts");
  command->footer(
      "Draw:    --rows R --cols C --layout L [--block B | --format F]\n"
      "         --cols counts scales; with --block or --format it counts the elements of the matrix.\n"
      "         Large matrices are drawn with gaps. --json gives every offset up to 65536 of them.\n"
      "Convert: --in FILE:TENSOR --from L --to L --out FILE [--rows R --cols C]\n"
      "         --rows and --cols count scales without padding; the tensor's own shape when left out.");
  add_count(*command, "--rows", options->rows, 1, kMostRows, "Rows");
  add_count(*command, "--cols", options->columns, 1, kMostRows, "Columns");
  CLI::Option* input =
      command->add_option("--in", options->input, "Scales to convert")->type_name("IN.safetensors:TENSOR");
  add_drawing_options(*command, *options, input);
  add_conversion_options(*command, options->conversion, input);
  context.add_json_flag(*command);
  context.on_run(*command, [command, options, &context] {
    options->has_format = command->count("--format") > 0;
    return run(*command, *options, context);
  });
}

}  // namespace fourge::cli
