// fourge layout: the drawing and the JSON say what scale_offset says.
#include <gtest/gtest.h>

#include <sstream>
#include <string>

#include "fourge/scale_layout.h"
#include "tests/tools/cli.h"
#include "tools/cli/layout_drawing.h"

namespace fourge::tests {
namespace {

constexpr ScaleLayout kLayouts[] = {ScaleLayout::linear, ScaleLayout::swizzled_128x4,
                                    ScaleLayout::swizzled_8x4};

std::vector<std::string> layout_arguments(ScaleLayout layout, std::int64_t rows, std::int64_t columns) {
  return {"layout",   "--rows",       std::to_string(rows), "--cols", std::to_string(columns),
          "--layout", name_of(layout)};
}

// The numbers of every line that starts with one.
std::vector<std::vector<std::int64_t>> numbers_of(const std::string& text) {
  std::vector<std::vector<std::int64_t>> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) {
    std::istringstream words(line);
    std::vector<std::int64_t> numbers;
    for (std::int64_t number = 0; words >> number;) numbers.push_back(number);
    if (!numbers.empty()) lines.push_back(numbers);
  }
  return lines;
}

TEST(LayoutCommand, JsonGivesEveryOffset) {
  for (const ScaleLayout layout : kLayouts) {
    auto arguments = layout_arguments(layout, 130, 7);
    arguments.emplace_back("--json");
    const nlohmann::json document = json_of(arguments);
    EXPECT_EQ(document["layout"], name_of(layout));
    EXPECT_EQ(document["bytes"], scale_bytes(layout, 130, 7));
    ASSERT_EQ(document["offsets"].size(), 130u);
    for (std::int64_t r = 0; r < 130; ++r) {
      for (std::int64_t c = 0; c < 7; ++c)
        EXPECT_EQ(document["offsets"][r][c], scale_offset(layout, r, c, 7));
    }
  }
}

TEST(LayoutCommand, JsonOfAHugeMatrixOmitsOffsets) {
  auto arguments = layout_arguments(ScaleLayout::swizzled_128x4, 2147483648, 2147483648);
  arguments.emplace_back("--json");
  const nlohmann::json document = json_of(arguments);
  EXPECT_TRUE(document["offsets"].is_null());
  EXPECT_EQ(document["bytes"], std::int64_t{1} << 62);
}

TEST(LayoutCommand, BlockAndFormatCountElements) {
  for (const char* block : {"--block=16", "--format=nvfp4", "--format=mxfp4_b16"}) {
    auto arguments = layout_arguments(ScaleLayout::swizzled_8x4, 8, 96);
    arguments.insert(arguments.end(), {block, "--json"});
    EXPECT_EQ(json_of(arguments)["cols"], 6) << block;
  }
  auto arguments = layout_arguments(ScaleLayout::swizzled_8x4, 8, 96);
  arguments.insert(arguments.end(), {"--format", "mxfp4", "--json"});
  EXPECT_EQ(json_of(arguments)["cols"], 3);
}

TEST(LayoutCommand, EveryDrawnOffsetIsTheOffset) {
  for (const ScaleLayout layout : kLayouts) {
    const cli::ScaleShape shape{layout, 300, 5};
    const auto lines = numbers_of(cli::draw_offsets(shape, 100));
    ASSERT_GT(lines.size(), 4u);
    for (const auto& line : lines) {
      if (line.size() != 6) continue;  // the heading
      for (std::int64_t c = 0; c < 5; ++c) {
        EXPECT_EQ(line[static_cast<std::size_t>(c) + 1], scale_offset(layout, line[0], c, 5));
      }
    }
  }
}

TEST(LayoutCommand, DrawingsFitTheWidth) {
  for (const ScaleLayout layout : kLayouts) {
    for (const int width : {60, 80, 120}) {
      const cli::ScaleShape shape{layout, 5000, 700};
      for (const std::string& text : {cli::draw_offsets(shape, width), cli::draw_memory(shape, width)}) {
        std::istringstream stream(text);
        for (std::string line; std::getline(stream, line);)
          EXPECT_LE(line.size(), std::size_t(width)) << line;
      }
    }
  }
}

TEST(LayoutCommand, PositionAtInvertsScaleOffset) {
  for (const ScaleLayout layout : kLayouts) {
    const cli::ScaleShape shape{layout, 200, 9};
    for (std::int64_t r = 0; r < shape.rows; ++r) {
      for (std::int64_t c = 0; c < shape.columns; ++c) {
        const cli::ScalePosition at = cli::position_at(shape, scale_offset(layout, r, c, shape.columns));
        ASSERT_EQ(at.row, r);
        ASSERT_EQ(at.column, c);
      }
    }
  }
}

TEST(LayoutCommand, MemoryOfATileShowsRows32ApartAndPadding) {
  const std::string text = cli::draw_memory({ScaleLayout::swizzled_128x4, 40, 3}, 120);
  std::istringstream line(text);
  std::vector<std::string> words(17);
  for (std::string& word : words) line >> word;
  const std::vector<std::string> expected = {"0", "0.0", "0.1", "0.2", ".", "32.0", "32.1", "32.2", ".",
                                             ".", ".",   ".",   ".",   ".", ".",    ".",    "."};
  EXPECT_EQ(words, expected);
}

TEST(LayoutCommand, RefusesBadOptions) {
  const std::string range = "expected a whole number from 1 to 2147483648";
  const std::string hint = "see fourge layout --help";
  expect_refused({"layout"}, "fourge layout: missing option: --rows: " + hint);
  expect_refused({"layout", "--rows", "3"}, "fourge layout: missing option: --cols: " + hint);
  expect_refused({"layout", "--rows"}, "fourge layout: missing value: --rows: expected a whole number");
  for (const char* rows : {"0", "-5", "abc", "3.5", "99999999999999999999"}) {
    expect_refused({"layout", "--rows", rows, "--cols", "4", "--layout", "linear"},
                   "fourge layout: bad argument: --rows '" + std::string(rows) + "': " + range);
  }
  expect_refused({"layout", "--rows", "3", "--cols", "4", "--layout", "swizzled"},
                 "fourge layout: bad argument: --layout 'swizzled': expected one of linear, swizzled_128x4, "
                 "swizzled_8x4");
  expect_refused({"layout", "--rows", "3", "--cols", "4", "--layout", "linear", "extra"},
                 "fourge layout: unexpected argument: 'extra': " + hint);
  expect_refused({"layout", "--rows", "3", "--cols", "4", "--layout", "linear", "--block", "16"},
                 "fourge layout: bad shape: --cols 4 with a block of 16: expected a multiple of the block");
  expect_refused(
      {"layout", "--rows", "3", "--cols", "64", "--layout", "linear", "--block", "16", "--format", "mxfp4"},
      "fourge layout: bad argument: --block 16 with --format mxfp4 (block 32): expected the block of the "
      "format, or only one of --block and --format");
}

}  // namespace
}  // namespace fourge::tests
