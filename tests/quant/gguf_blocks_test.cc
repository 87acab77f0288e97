#include "quant/gguf_blocks.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "quant/quantize.h"
#include "tests/quant/golden.h"
#include "tests/support/shared_data.h"

namespace fourge::quant {
namespace {

TEST(Nibbles, BothOrdersOfOneRun) {
  // Codes 0..15: interleaved 10 32 54 ..., halves 80 91 a2 ...
  const std::vector<std::uint8_t> interleaved = {0x10, 0x32, 0x54, 0x76, 0x98, 0xba, 0xdc, 0xfe};
  const std::vector<std::uint8_t> halves = {0x80, 0x91, 0xa2, 0xb3, 0xc4, 0xd5, 0xe6, 0xf7};
  std::vector<std::uint8_t> out(8);
  interleaved_to_halves(interleaved.data(), out.data(), 16);
  EXPECT_EQ(out, halves);
  halves_to_interleaved(halves.data(), out.data(), 16);
  EXPECT_EQ(out, interleaved);
}

QuantizedMatrix random_matrix(Format format, std::int64_t rows, std::int64_t cols) {
  std::mt19937 engine(3);
  QuantizedMatrix matrix;
  matrix.format = format;
  matrix.rows = rows;
  matrix.cols = cols;
  matrix.codes.resize(static_cast<std::size_t>(rows * cols / 2));
  matrix.scales.resize(static_cast<std::size_t>(rows * matrix.scale_cols()));
  for (std::uint8_t& byte : matrix.codes) byte = static_cast<std::uint8_t>(engine());
  for (std::uint8_t& byte : matrix.scales) byte = static_cast<std::uint8_t>(engine() % 0x7f);
  return matrix;
}

TEST(GgufBlocks, RoundTripIsExactFromEveryLayout) {
  for (const Format format : {Format::nvfp4, Format::mxfp4}) {
    const QuantizedMatrix matrix = random_matrix(format, 5, 192);
    const Result<std::vector<std::uint8_t>> blocks = to_gguf_blocks(matrix.view());
    ASSERT_TRUE(blocks.ok());
    EXPECT_EQ(blocks->size(), format == Format::nvfp4 ? 5u * 3 * 36 : 5u * 6 * 17);
    const Result<QuantizedMatrix> back = from_gguf_blocks(format, 5, 192, *blocks);
    ASSERT_TRUE(back.ok());
    EXPECT_EQ(back->codes, matrix.codes);
    EXPECT_EQ(back->scales, matrix.scales);

    std::vector<std::uint8_t> swizzled(
        static_cast<std::size_t>(scale_bytes(ScaleLayout::swizzled_128x4, 5, matrix.scale_cols())));
    convert_scales(ScaleLayout::linear, matrix.scales.data(), ScaleLayout::swizzled_128x4, swizzled.data(), 5,
                   matrix.scale_cols());
    QuantizedView view = matrix.view();
    view.scales = swizzled.data();
    view.layout = ScaleLayout::swizzled_128x4;
    EXPECT_EQ(*to_gguf_blocks(view), *blocks);
  }
}

TEST(GgufBlocks, RefusesWhatDoesNotFit) {
  QuantizedMatrix nvfp4 = random_matrix(Format::nvfp4, 2, 64), odd = random_matrix(Format::nvfp4, 2, 48);
  EXPECT_EQ(to_gguf_blocks(odd.view()).error(), Error::kBadShape);
  EXPECT_EQ(to_gguf_blocks(random_matrix(Format::mxfp4_b16, 2, 64).view()).error(),
            Error::kUnsupportedFormat);
  std::vector<std::uint8_t> blocks = *to_gguf_blocks(nvfp4.view());
  EXPECT_EQ(from_gguf_blocks(Format::nvfp4, 3, 64, blocks).error(), Error::kBadShape);
  EXPECT_EQ(from_gguf_blocks(Format::nvfp4, 2, 63, blocks).error(), Error::kBadShape);
  EXPECT_EQ(from_gguf_blocks(Format::nvfp4, -2, -64, blocks).error(), Error::kBadShape);
  EXPECT_EQ(from_gguf_blocks(Format::nvfp4, 2, 64, std::span(blocks).first(71)).error(), Error::kBadShape);
  blocks[36] = 0x7f;
  EXPECT_EQ(from_gguf_blocks(Format::nvfp4, 2, 64, blocks).error(), Error::kBadFile);
  nvfp4.scales[7] = 0x7f;
  EXPECT_EQ(to_gguf_blocks(nvfp4.view()).failure().where, "scale [1, 3]: 127");
}

// What ggml itself decodes, and that packing gives its bytes again.
TEST(GgufBlocks, GoldenBlocksDecodeAndRepack) {
  FOURGE_NEEDS_SHARED(shared);
  const std::filesystem::path folder = shared / "golden" / "quant" / "gguf";
  const struct {
    const char* name;
    std::int64_t rows, cols;
    bool has_values;
  } inputs[] = {{"gauss_bf16", 128, 256, true},
                {"ones_bf16", 128, 64, false},
                {"paper_example_f32", 128, 64, false},
                {"some_zero_blocks_f32", 128, 128, false},
                {"ties_amax2688_f32", 128, 64, false}};
  for (const auto& input : inputs) {
    for (const Format format : {Format::nvfp4, Format::mxfp4}) {
      SCOPED_TRACE(std::string(input.name) + " " + name_of(format));
      const std::string stem = (folder / (std::string(input.name) + "." + name_of(format))).string();
      const GoldenBytes blocks = read_golden_bytes(stem + ".blocks.npy");
      const Result<QuantizedMatrix> matrix = from_gguf_blocks(format, input.rows, input.cols, blocks.bytes);
      ASSERT_TRUE(matrix.ok()) << matrix.failure().message();
      EXPECT_EQ(*to_gguf_blocks(matrix->view()), blocks.bytes);
      if (!input.has_values) continue;
      const GoldenInput expected = read_golden_input(stem + ".dequant_f32.npy");
      std::vector<float> values(expected.values.size());
      ASSERT_TRUE(dequantize(matrix->view(), values).ok());
      EXPECT_EQ(values, expected.values);
    }
  }
}

// ggml's MXFP4 quantiser is the floor rule with ties toward zero and without -0.
TEST(GgufBlocks, FloorRuleGivesGgmlsBlocksButForTies) {
  FOURGE_NEEDS_SHARED(shared);
  const std::filesystem::path golden = shared / "golden" / "quant";
  const GoldenInput x = read_golden_input(golden / "inputs" / "gauss_bf16.bf16bits.npy");
  const Result<QuantizedMatrix> theirs =
      from_gguf_blocks(Format::mxfp4, x.rows, x.cols,
                       read_golden_bytes(golden / "gguf" / "gauss_bf16.mxfp4.blocks.npy").bytes);
  const Result<QuantizedMatrix> ours =
      quantize(x.values, x.rows, x.cols, {.format = Format::mxfp4, .rule = ScaleRule::floor});
  ASSERT_TRUE(theirs.ok() && ours.ok());
  EXPECT_EQ(ours->scales, theirs->scales);
  std::vector<float> a(x.values.size()), b(x.values.size());
  ASSERT_TRUE(dequantize(ours->view(), a).ok() && dequantize(theirs->view(), b).ok());
  int ties = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (a[i] == b[i]) continue;
    ASSERT_EQ((a[i] + b[i]) / 2, x.values[i]) << i;
    ASSERT_GT(std::fabs(a[i]), std::fabs(b[i]));
    ++ties;
  }
  EXPECT_GT(ties, 0);
  EXPECT_LT(ties, 2000);
}

}  // namespace
}  // namespace fourge::quant
