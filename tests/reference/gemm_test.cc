#include "reference/gemm.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "reference/arithmetic.h"
#include "reference/mma/mxf4.h"

namespace fourge::reference {
namespace {

// Random codes; scales near one so that sums neither vanish nor overflow, or any byte.
QuantizedMatrix random_matrix(Format format, std::int64_t rows, std::int64_t cols, std::mt19937& random,
                              bool any_scale) {
  QuantizedMatrix matrix;
  matrix.format = format;
  matrix.rows = rows;
  matrix.cols = cols;
  matrix.codes.resize(static_cast<std::size_t>(rows * cols / 2));
  matrix.scales.resize(static_cast<std::size_t>(rows * cols / info(format).block));
  for (std::uint8_t& byte : matrix.codes) byte = static_cast<std::uint8_t>(random());
  const std::uint32_t one = format == Format::nvfp4 ? 0x38 : 0x7f;
  for (std::uint8_t& byte : matrix.scales) {
    byte = static_cast<std::uint8_t>(any_scale ? random() : one - 8 + random() % 17);
    if (any_scale && (byte & 0x7f) == 0x7f && random() % 16 != 0) byte = 0;  // fewer NaN
  }
  return matrix;
}

// One output by the definition: the byte form of the instruction, a tail written out as zero bytes.
std::uint32_t chain_of_instructions(const QuantizedMatrix& a, std::int64_t i, const QuantizedMatrix& b,
                                    std::int64_t j, std::uint32_t c) {
  const auto step_of = [](const QuantizedMatrix& m, std::int64_t row, std::int64_t k, bool scales) {
    const std::int64_t unit = scales ? info(m.format).block : 2;
    std::vector<std::uint8_t> bytes(static_cast<std::size_t>(64 / unit), 0);
    for (std::int64_t x = 0; x < 64 && k + x < m.cols; x += unit) {
      bytes[static_cast<std::size_t>(x / unit)] =
          (scales ? m.scales : m.codes)[static_cast<std::size_t>((row * m.cols + k + x) / unit)];
    }
    return bytes;
  };
  for (std::int64_t k = 0; k < a.cols; k += 64) {
    const auto a_codes = step_of(a, i, k, false), b_codes = step_of(b, j, k, false);
    c = mma_mxf4(a.format, std::span<const std::uint8_t, 32>(a_codes), step_of(a, i, k, true),
                 std::span<const std::uint8_t, 32>(b_codes), step_of(b, j, k, true), c);
  }
  return c;
}

class ReferenceGemm : public testing::TestWithParam<Format> {};

TEST_P(ReferenceGemm, IsTheChainOfInstructions) {
  std::mt19937 random(2);
  for (bool any_scale : {false, true}) {
    for (std::int64_t k : {32, 64, 96, 160, 512}) {
      const GemmSpec spec{.m = 37, .n = 70, .k = k, .format = GetParam(), .accumulate = true};
      const QuantizedMatrix a = random_matrix(spec.format, spec.m, k, random, any_scale);
      const QuantizedMatrix b = random_matrix(spec.format, spec.n, k, random, any_scale);
      std::vector<float> c(static_cast<std::size_t>(spec.m * spec.n)), d(c.size());
      for (float& x : c) x = std::bit_cast<float>(static_cast<std::uint32_t>(random()));
      ASSERT_TRUE(gemm(spec, a.view(), b.view(), {.c = c.data(), .d = d.data()}).ok());
      for (std::int64_t i = 0; i < spec.m; ++i) {
        for (std::int64_t j = 0; j < spec.n; ++j) {
          const auto index = static_cast<std::size_t>(i * spec.n + j);
          ASSERT_EQ(std::bit_cast<std::uint32_t>(d[index]),
                    chain_of_instructions(a, i, b, j, std::bit_cast<std::uint32_t>(c[index])))
              << i << ' ' << j << " k " << k;
        }
      }
    }
  }
}

// What docs/numerics.md, "Tails", argues: filling k up to 64 changes no bit, whatever c and the scales are.
// Here the filled matrix is given as such.
TEST_P(ReferenceGemm, ATailEqualsZeroCodesAndZeroScales) {
  std::mt19937 random(3);
  const int block = info(GetParam()).block;
  const std::int64_t k = 96, padded = 128;
  const GemmSpec spec{.m = 9, .n = 9, .k = k, .format = GetParam()};
  const QuantizedMatrix a = random_matrix(spec.format, spec.m, k, random, true);
  const QuantizedMatrix b = random_matrix(spec.format, spec.n, k, random, true);
  const auto fill_up = [&](const QuantizedMatrix& from) {
    QuantizedMatrix to = from;
    to.cols = padded;
    to.codes.assign(static_cast<std::size_t>(from.rows * padded / 2), 0);
    to.scales.assign(static_cast<std::size_t>(from.rows * padded / block), 0);
    for (std::int64_t row = 0; row < from.rows; ++row) {
      std::copy_n(from.codes.begin() + row * k / 2, k / 2, to.codes.begin() + row * padded / 2);
      std::copy_n(from.scales.begin() + row * k / block, k / block, to.scales.begin() + row * padded / block);
    }
    return to;
  };
  std::vector<float> d(81), d_padded(81);
  GemmSpec padded_spec = spec;
  padded_spec.k = padded;
  ASSERT_TRUE(gemm(spec, a.view(), b.view(), {.d = d.data()}).ok());
  const QuantizedMatrix a_padded = fill_up(a), b_padded = fill_up(b);
  ASSERT_TRUE(gemm(padded_spec, a_padded.view(), b_padded.view(), {.d = d_padded.data()}).ok());
  for (std::size_t i = 0; i < d.size(); ++i) {
    EXPECT_EQ(std::bit_cast<std::uint32_t>(d[i]), std::bit_cast<std::uint32_t>(d_padded[i]));
  }
}

TEST_P(ReferenceGemm, ScaleLayoutsAndPartsGiveTheSameBits) {
  std::mt19937 random(4);
  const GemmSpec spec{.m = 130, .n = 67, .k = 192, .format = GetParam()};
  QuantizedMatrix a = random_matrix(spec.format, spec.m, spec.k, random, true);
  QuantizedMatrix b = random_matrix(spec.format, spec.n, spec.k, random, true);
  std::vector<float> d(static_cast<std::size_t>(spec.m * spec.n)), parts(d.size());
  ASSERT_TRUE(gemm(spec, a.view(), b.view(), {.d = d.data()}).ok());
  for (QuantizedMatrix* matrix : {&a, &b}) {
    const ScaleLayout layout = matrix == &a ? ScaleLayout::swizzled_128x4 : ScaleLayout::swizzled_8x4;
    std::vector<std::uint8_t> swizzled(
        static_cast<std::size_t>(scale_bytes(layout, matrix->rows, matrix->scale_cols())));
    convert_scales(ScaleLayout::linear, matrix->scales.data(), layout, swizzled.data(), matrix->rows,
                   matrix->scale_cols());
    matrix->scales = swizzled;
    matrix->layout = layout;
  }
  for (std::int64_t row = 0; row < spec.m; row += 41) {
    for (std::int64_t column = 0; column < spec.n; column += 66) {
      const GemmRange range = {row, std::min(row + 41, spec.m), column, std::min(column + 66, spec.n)};
      ASSERT_TRUE(gemm_part(spec, a.view(), b.view(), {.d = parts.data()}, range).ok());
    }
  }
  for (std::size_t i = 0; i < d.size(); ++i) {
    ASSERT_EQ(std::bit_cast<std::uint32_t>(d[i]), std::bit_cast<std::uint32_t>(parts[i])) << i;
  }
}

TEST_P(ReferenceGemm, EpilogueOutputsAndStrides) {
  std::mt19937 random(5);
  GemmSpec spec{.m = 5, .n = 6, .k = 64, .format = GetParam(), .accumulate = true};
  const QuantizedMatrix a = random_matrix(spec.format, spec.m, spec.k, random, false);
  const QuantizedMatrix b = random_matrix(spec.format, spec.n, spec.k, random, false);
  std::vector<float> c(5 * 8, 0.25f), acc(5 * 6), bias = {0.5f, -1e30f, NAN, INFINITY, 1e-40f, 3.0f};
  c[8] = NAN;
  c[9] = -INFINITY;
  ASSERT_TRUE(gemm(spec, a.view(), b.view(), {.c = c.data(), .c_stride = 8, .d = acc.data()}).ok());
  const float alpha = 0.7f;
  for (bool with_bias : {false, true}) {
    spec.bias = with_bias;
    for (OutputType output : {OutputType::f32, OutputType::bf16, OutputType::f16}) {
      spec.output = output;
      std::vector<std::uint8_t> d(static_cast<std::size_t>(5 * 9 * bytes_of(output)), 0xee);
      ASSERT_TRUE(gemm(spec, a.view(), b.view(),
                       {.c = c.data(),
                        .c_stride = 8,
                        .bias = bias.data(),
                        .alpha = alpha,
                        .d = d.data(),
                        .d_stride = 9})
                      .ok());
      for (std::size_t i = 0; i < 5; ++i) {
        for (std::size_t j = 0; j < 9; ++j) {
          std::uint32_t bits = 0;
          const auto bytes = static_cast<std::size_t>(bytes_of(output));
          std::memcpy(&bits, &d[(i * 9 + j) * bytes], bytes);
          if (j >= 6) {
            EXPECT_EQ(bits, output == OutputType::f32 ? 0xeeeeeeeeu : 0xeeeeu);  // not written
            continue;
          }
          const float x = acc[i * 6 + j];
          const float y = with_bias ? std::fma(alpha, x, bias[j]) : alpha * x;
          const ElementFormat format = output == OutputType::f32    ? ElementFormat::f32
                                       : output == OutputType::bf16 ? ElementFormat::bf16
                                                                    : ElementFormat::f16;
          EXPECT_EQ(bits,
                    std::isnan(y) ? nan_code(format) : encode(format, y, Rounding::rne, Overflow::infinity));
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(ReferenceGemm, ReferenceGemm, testing::ValuesIn(kFormats),
                         [](const auto& test) { return std::string(name_of(test.param)); });

TEST(ReferenceGemmErrors, SayWhatDoesNotFit) {
  std::mt19937 random(6);
  const GemmSpec spec{.m = 2, .n = 3, .k = 64};
  const QuantizedMatrix a = random_matrix(Format::nvfp4, 2, 64, random, false);
  const QuantizedMatrix b = random_matrix(Format::nvfp4, 3, 64, random, false);
  std::vector<float> d(6);
  const auto error = [&](const GemmSpec& s, const GemmOperands& operands) {
    return gemm(s, a.view(), b.view(), operands).error();
  };
  EXPECT_EQ(error(spec, {.d = d.data()}), Error::kOk);
  EXPECT_EQ(error(spec, {}), Error::kBadArgument);
  EXPECT_EQ(error(spec, {.d = d.data(), .d_stride = 2}), Error::kBadShape);
  EXPECT_EQ(error({.m = 3, .n = 3, .k = 64}, {.d = d.data()}), Error::kBadShape);
  EXPECT_EQ(error({.m = 2, .n = 3, .k = 72}, {.d = d.data()}), Error::kBadShape);
  EXPECT_EQ(error({.m = 0, .n = 3, .k = 64}, {.d = d.data()}), Error::kBadShape);
  EXPECT_EQ(error({.m = 2, .n = 3, .k = 64, .format = Format::mxfp4}, {.d = d.data()}),
            Error::kUnsupportedFormat);
  EXPECT_EQ(error({.m = 2, .n = 3, .k = 64, .numerics = Numerics::fast}, {.d = d.data()}),
            Error::kUnsupportedFormat);
  EXPECT_EQ(error({.m = 2, .n = 3, .k = 64, .bias = true}, {.d = d.data()}), Error::kBadArgument);
  EXPECT_EQ(error({.m = 2, .n = 3, .k = 64, .accumulate = true}, {.d = d.data()}), Error::kBadArgument);
  EXPECT_EQ(gemm_part(spec, a.view(), b.view(), {.d = d.data()}, {0, 3, 0, 3}).error(), Error::kBadShape);
  EXPECT_EQ(gemm(spec, b.view(), b.view(), {.d = d.data()}).failure().message(),
            "bad shape: A is 3 x 64, the spec says 2 x 64: expected the sizes of the spec");
}

}  // namespace
}  // namespace fourge::reference
