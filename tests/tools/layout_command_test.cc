// fourge layout: the drawing and the JSON say what scale_offset says.
#include <gtest/gtest.h>

#include <sstream>
#include <string>

#include "fourge/scale_layout.h"
#include "quant/safetensors.h"
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
      const auto row = document["offsets"][static_cast<std::size_t>(r)].get<std::vector<std::int64_t>>();
      ASSERT_EQ(row.size(), 7u);
      for (std::int64_t c = 0; c < 7; ++c) {
        EXPECT_EQ(row[static_cast<std::size_t>(c)], scale_offset(layout, r, c, 7));
      }
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
  const std::string needs = ": expected --rows, --cols and --layout to draw, or --in to convert";
  expect_refused({"layout"}, "fourge layout: bad argument: no --rows" + needs);
  expect_refused({"layout", "--rows", "3"}, "fourge layout: bad argument: no --cols" + needs);
  expect_refused({"layout", "--rows", "3", "--cols", "4"},
                 "fourge layout: bad argument: no --layout" + needs);
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

// ---- conversion ------------------------------------------------------------------------------------------

class LayoutConversion : public testing::Test {
 protected:
  static constexpr std::int64_t kRows = 131, kColumns = 6;

  LayoutConversion() : linear_(kRows * kColumns) {
    for (std::size_t i = 0; i < linear_.size(); ++i) linear_[i] = static_cast<std::uint8_t>(i * 7 + 1);
  }

  std::string file(const std::string& name) const { return (folder_ / name).string(); }

  void write(const std::string& name, quant::DType dtype, std::vector<std::int64_t> shape,
             const std::vector<std::uint8_t>& bytes) const {
    quant::SafetensorsWriter writer;
    ASSERT_TRUE(writer.add("w.scales", dtype, std::move(shape), bytes).ok());
    ASSERT_TRUE(writer.write(file(name)).ok());
  }

  std::vector<std::uint8_t> in_layout(ScaleLayout layout) const {
    std::vector<std::uint8_t> bytes(static_cast<std::size_t>(scale_bytes(layout, kRows, kColumns)));
    convert_scales(ScaleLayout::linear, linear_.data(), layout, bytes.data(), kRows, kColumns);
    return bytes;
  }

  std::vector<std::string> arguments(ScaleLayout from, ScaleLayout to, const std::string& out) const {
    return {"layout", "--in",   file("in") + ":w.scales", "--from", name_of(from), "--to", name_of(to),
            "--out",  file(out)};
  }

  const std::vector<std::uint8_t>& linear() const { return linear_; }
  const TemporaryFolder& folder() const { return folder_; }

 private:
  TemporaryFolder folder_;
  std::vector<std::uint8_t> linear_;
};

TEST_F(LayoutConversion, EveryPairMovesEveryScale) {
  for (const ScaleLayout from : kLayouts) {
    for (const ScaleLayout to : kLayouts) {
      write("in", quant::DType::f8_e4m3,
            {padded_scale_rows(from, kRows), padded_scale_columns(from, kColumns)}, in_layout(from));
      auto command = arguments(from, to, "out");
      command.insert(command.end(),
                     {"--rows", std::to_string(kRows), "--cols", std::to_string(kColumns), "--json"});
      const nlohmann::json document = json_of(command);
      EXPECT_EQ(document["bytes"], scale_bytes(to, kRows, kColumns));

      const auto out = quant::Safetensors::open(file("out"));
      ASSERT_TRUE(out.ok()) << out.failure().message();
      const auto tensor = out->find("w.scales");
      ASSERT_TRUE(tensor.ok());
      const std::vector<std::uint8_t> bytes(tensor->bytes.begin(), tensor->bytes.end());
      EXPECT_EQ(bytes, in_layout(to)) << name_of(from) << " to " << name_of(to);
      EXPECT_EQ(tensor->dtype, quant::DType::f8_e4m3);
      EXPECT_EQ(tensor->shape, (std::vector<std::int64_t>{padded_scale_rows(to, kRows),
                                                          padded_scale_columns(to, kColumns)}));
    }
  }
}

TEST_F(LayoutConversion, TheShapeOfTheTensorIsTheDefault) {
  write("in", quant::DType::u8, {kRows, kColumns}, linear());
  EXPECT_EQ(run_fourge(arguments(ScaleLayout::linear, ScaleLayout::swizzled_128x4, "out")).exit_code, 0);
  const auto out = quant::Safetensors::open(file("out"));
  ASSERT_TRUE(out.ok());
  EXPECT_EQ(out->find("w.scales")->shape, (std::vector<std::int64_t>{256, 8}));
}

TEST_F(LayoutConversion, RefusalsLeaveTheOutputAsItWas) {
  write("in", quant::DType::u8, {kRows, kColumns}, linear());
  write("out", quant::DType::u8, {kRows, kColumns}, linear());
  const auto before = read_bytes(file("out"));
  const std::string where = "fourge layout: bad shape: " + file("in") + ": tensor 'w.scales' U8 [131, 6]: ";
  const std::string expected = ": expected as many bytes as the scales and the padding of the layout take";
  expect_refused(arguments(ScaleLayout::swizzled_128x4, ScaleLayout::linear, "out"),
                 where + "786 bytes for 131 x 6 scales in swizzled_128x4" + expected);
  auto huge = arguments(ScaleLayout::linear, ScaleLayout::swizzled_8x4, "out");
  huge.insert(huge.end(), {"--rows", "2147483648", "--cols", "2147483648"});
  expect_refused(huge, where + "786 bytes for 2147483648 x 2147483648 scales in linear" + expected);
  EXPECT_EQ(read_bytes(file("out")), before);
  EXPECT_EQ(folder().entries(), 2u);
}

TEST_F(LayoutConversion, RefusesWhatHoldsNoScales) {
  write("in", quant::DType::bf16, {kRows, kColumns / 2}, linear());
  expect_refused(arguments(ScaleLayout::linear, ScaleLayout::linear, "out"),
                 "fourge layout: unsupported format: " + file("in") +
                     ": tensor 'w.scales' BF16 [131, 3]: expected U8, F8_E4M3 or F8_E8M0 scales");
  write("in", quant::DType::u8, {kRows * kColumns}, linear());
  expect_refused(arguments(ScaleLayout::linear, ScaleLayout::linear, "out"),
                 "fourge layout: bad shape: " + file("in") +
                     ": tensor 'w.scales' U8 [786]: expected two dimensions, or --rows and --cols");
  write("in", quant::DType::u8, {0, 4}, {});
  expect_refused(arguments(ScaleLayout::linear, ScaleLayout::linear, "out"),
                 "fourge layout: bad shape: " + file("in") +
                     ": tensor 'w.scales' U8 [0, 4]: expected at least one scale");
}

TEST_F(LayoutConversion, RefusesBadOptions) {
  expect_refused({"layout", "--in", "file", "--from", "linear", "--to", "linear", "--out", file("out")},
                 "fourge layout: bad argument: file: expected FILE.safetensors:TENSOR");
  expect_refused({"layout", "--in", "a:b"}, "fourge layout: bad argument: --in requires --from");
  expect_refused({"layout", "--out", "a"}, "fourge layout: bad argument: --out requires --in");
  const ProgramResult absent = run_fourge(
      {"layout", "--in", file("absent") + ":t", "--from", "linear", "--to", "linear", "--out", file("out")});
  EXPECT_EQ(absent.exit_code, 2);
  EXPECT_EQ(absent.err.rfind("fourge layout: not found: " + file("absent"), 0), 0u) << absent.err;
}

}  // namespace
}  // namespace fourge::tests
