#include "quant/hadamard.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <random>

#include "quant/quantize.h"
#include "tests/quant/golden.h"
#include "tests/support/shared_data.h"

namespace fourge::quant {
namespace {

std::vector<float> gaussian(std::size_t count, unsigned seed) {
  std::mt19937 engine(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(count);
  for (float& x : values) x = normal(engine);
  return values;
}

TEST(Hadamard, EqualsTheMatrixInF64) {
  for (std::int64_t order = 2; order <= 1024; order *= 2) {
    const std::vector<float> x = gaussian(static_cast<std::size_t>(2 * order), 7);
    std::vector<float> y = x;
    ASSERT_TRUE(hadamard_blocks(y, order).ok());
    for (std::int64_t i = 0; i < 2 * order; ++i) {
      double sum = 0;
      for (std::int64_t j = 0; j < order; ++j) {
        const double term = x[static_cast<std::size_t>(i / order * order + j)];
        sum += std::popcount(static_cast<std::uint64_t>(i % order & j)) % 2 == 0 ? term : -term;
      }
      const double expected = sum / std::sqrt(static_cast<double>(order));
      ASSERT_NEAR(y[static_cast<std::size_t>(i)], expected, 1e-5) << order << " " << i;
    }
  }
}

// Values chosen so that a stage rounds: the bits tell the order of the stages (half = 1 first).
TEST(Hadamard, StagesRunFromTheNearestPair) {
  std::vector<float> x = {0x1p24f, 1.0f, -0x1p24f, 1.0f};
  ASSERT_TRUE(hadamard_blocks(x, 4).ok());
  // half 1: {2^24 + 1 -> 2^24, 2^24 - 1, -2^24 + 1, -2^24 - 1 -> -2^24}; half 2: {1, -1, 2^25 - 1 -> 2^25,
  // 2^25 - 1}
  EXPECT_EQ(x, (std::vector<float>{0.5f, -0.5f, 0x1p24f, 0x1p24f}));
}

TEST(Hadamard, TwiceGivesTheVectorBack) {
  for (const std::int64_t order : {16, 128, 32768}) {
    const std::vector<float> x = gaussian(65536 * 2, 9);  // above the parallel threshold
    std::vector<float> y = x;
    ASSERT_TRUE(hadamard_blocks(y, order).ok());
    ASSERT_TRUE(hadamard_blocks(y, order).ok());
    for (std::size_t i = 0; i < x.size(); ++i) ASSERT_NEAR(x[i], y[i], 1e-5);
  }
}

TEST(Hadamard, RefusesOtherOrders) {
  std::vector<float> x(48);
  for (const std::int64_t order : {-16, 0, 1, 3, 48, 65536}) {
    EXPECT_EQ(hadamard_blocks(x, order).error(), Error::kBadArgument) << order;
  }
  EXPECT_EQ(hadamard_blocks(x, 32).error(), Error::kBadShape);
  EXPECT_EQ(randomized_hadamard_16(std::span(x).first(24)).error(), Error::kBadShape);
  EXPECT_TRUE(hadamard_blocks(std::span(x).first(0), 32).ok());
}

TEST(RandomizedHadamard16, MatchesGoldenOutputAndItsQuantisation) {
  FOURGE_NEEDS_SHARED(shared);
  const std::filesystem::path golden = shared / "golden" / "quant";
  GoldenInput x = read_golden_input(golden / "inputs" / "gauss_bf16.bf16bits.npy");
  const GoldenInput expected = read_golden_input(golden / "rht" / "rht_out_cudaorder.bf16bits.npy");
  ASSERT_TRUE(randomized_hadamard_16(x.values).ok());
  ASSERT_EQ(x.values, expected.values);
  for (const ScaleRule rule : {ScaleRule::static_6, ScaleRule::mse_4_6}) {
    const std::string stem = std::string("rht_") + name_of(rule);
    const Result<QuantizedMatrix> ours = quantize(x.values, x.rows, x.cols, {.rule = rule});
    const Mismatches count = compare(*ours, read_golden_bytes(golden / "rht" / (stem + ".codes.npy")),
                                     read_golden_bytes(golden / "rht" / (stem + ".scales.npy")));
    EXPECT_EQ(count.scales, 0);
    EXPECT_EQ(count.codes, 0);
  }
}

TEST(Transposed, QuantisesAsTheGoldenTranspose) {
  FOURGE_NEEDS_SHARED(shared);
  const std::filesystem::path golden = shared / "golden" / "quant" / "rht";
  const GoldenInput x = read_golden_input(golden / "transpose_input.bf16bits.npy");
  const Result<QuantizedMatrix> ours =
      quantize(transposed(x.values, x.rows, x.cols), x.cols, x.rows, {.rule = ScaleRule::mse_4_6});
  ASSERT_TRUE(ours.ok());
  const Mismatches count = compare(*ours, read_golden_bytes(golden / "transpose_mse.codes.npy"),
                                   read_golden_bytes(golden / "transpose_mse.scales.npy"));
  EXPECT_EQ(count.scales, 0);
  EXPECT_EQ(count.codes, 0);
}

TEST(Transposed, AnyShape) {
  for (const std::int64_t rows : {0, 1, 15, 16, 33}) {
    for (const std::int64_t cols : {0, 1, 7, 40}) {
      std::vector<float> x(static_cast<std::size_t>(rows * cols));
      for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i);
      const std::vector<float> y = transposed(x, rows, cols);
      ASSERT_EQ(y.size(), x.size());
      for (std::int64_t r = 0; r < rows; ++r) {
        for (std::int64_t c = 0; c < cols; ++c) {
          ASSERT_EQ(y[static_cast<std::size_t>(c * rows + r)], x[static_cast<std::size_t>(r * cols + c)]);
        }
      }
    }
  }
}

}  // namespace
}  // namespace fourge::quant
