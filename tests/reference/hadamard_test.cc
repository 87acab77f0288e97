#include "reference/hadamard.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <random>
#include <vector>

#include "fourge/hadamard_matrix.h"

namespace fourge::reference {
namespace {

// The matrix that a block is multiplied with, by its effect on unit vectors.
std::vector<std::vector<float>> matrix_of(std::int64_t order) {
  std::vector<std::vector<float>> rows(static_cast<std::size_t>(order),
                                       std::vector<float>(static_cast<std::size_t>(order)));
  for (std::size_t column = 0; column < rows.size(); ++column) {
    std::vector<float> x(rows.size(), 0.0f);
    x[column] = 1.0f;
    hadamard_block(x, nullptr, nullptr);
    for (std::size_t row = 0; row < rows.size(); ++row) rows[row][column] = x[row];
  }
  return rows;
}

constexpr std::int64_t kSmallOrders[] = {2,  4,  8,   16, 32, 64,  128, 256, 512, 12,
                                         24, 48, 192, 20, 40, 320, 28,  56,  448};

TEST(Hadamard, EveryOrderIsAHadamardMatrix) {
  for (const std::int64_t order : kSmallOrders) {
    const auto h = matrix_of(order);
    for (std::size_t i = 0; i < h.size(); ++i) {
      for (std::size_t j = 0; j < h.size(); ++j) {
        ASSERT_EQ(std::fabs(h[i][j]), 1.0f) << order;
        float product = 0.0f;
        for (std::size_t k = 0; k < h.size(); ++k) product += h[i][k] * h[j][k];
        ASSERT_EQ(product, i == j ? static_cast<float>(order) : 0.0f) << order << " " << i << " " << j;
      }
    }
  }
}

TEST(Hadamard, PowersOfTwoAreSylvestersMatrix) {
  for (const std::int64_t order : {2, 16, 64}) {
    const auto h = matrix_of(order);
    for (std::size_t i = 0; i < h.size(); ++i) {
      for (std::size_t j = 0; j < h.size(); ++j)
        ASSERT_EQ(h[i][j], std::popcount(i & j) % 2 == 0 ? 1.0f : -1.0f);
    }
  }
}

TEST(Hadamard, PaleyOrdersAreKroneckerProducts) {
  for (const int paley : kPaleyOrders) {
    const PaleyMatrix p(paley);
    const std::int64_t power = 8;
    const auto h = matrix_of(paley * power);
    for (std::size_t i = 0; i < h.size(); ++i) {
      for (std::size_t j = 0; j < h.size(); ++j) {
        const int sylvester = std::popcount((i % 8) & (j % 8)) % 2 == 0 ? 1 : -1;
        ASSERT_EQ(h[i][j],
                  static_cast<float>(sylvester * p(static_cast<int>(i / 8), static_cast<int>(j / 8))));
      }
    }
  }
}

TEST(PaleyMatrix, FirstColumnIsAllOnes) {
  for (const int order : kPaleyOrders) {
    const PaleyMatrix h(order);
    for (int i = 0; i < order; ++i) EXPECT_EQ(h(i, 0), 1);
  }
}

// First row of order 12, written down from the squares modulo 11: 1 3 4 5 9.
TEST(PaleyMatrix, SecondRowOfOrder12) {
  const PaleyMatrix h(12);
  const int expected[] = {1, -1, 1, -1, 1, 1, 1, -1, -1, -1, 1, -1};
  for (int j = 0; j < 12; ++j) EXPECT_EQ(h(1, j), expected[j]) << j;
}

// The order of the additions, seen where they round: 1 + 2^-24 is lost unless the small ones meet first.
TEST(Hadamard, AddsNeighboursFirst) {
  std::vector<float> x = {1.0f, 0x1p-24f, 0x1p-24f, 0x1p-24f};
  hadamard_block(x, nullptr, nullptr);
  EXPECT_EQ(x[0], 1.0f + 0x1p-23f);  // (1 + 2^-24) + (2^-24 + 2^-24)
  std::vector<float> y = {1.0f, 0x1p-24f, 0.0f, 0x1p-24f};
  hadamard_block(y, nullptr, nullptr);
  EXPECT_EQ(y[0], 1.0f);  // (1 + 2^-24) + (0 + 2^-24), a tie each time
}

TEST(Hadamard, ScaleComesLastAndSignsFirst) {
  std::vector<float> x = {3.0f, 5.0f};
  const std::uint8_t signs = 0b10;
  const float scale = 0.5f;
  hadamard_block(x, &signs, &scale);
  EXPECT_EQ(x[0], -1.0f);
  EXPECT_EQ(x[1], 4.0f);
  std::vector<float> huge = {0x1p127f, 0x1p127f};
  hadamard_block(huge, nullptr, &scale);
  EXPECT_TRUE(std::isinf(huge[0]));  // the sum overflows before the scale could help
}

TEST(Hadamard, OrthonormalTwiceIsTheIdentityButForRounding) {
  std::mt19937 rng(1);
  std::normal_distribution<float> normal;
  for (const std::int64_t order : {16, 1024, 8192}) {
    std::vector<float> x(static_cast<std::size_t>(order));
    for (float& value : x) value = normal(rng);
    std::vector<float> y = x;
    const float scale = 1.0f / std::sqrt(static_cast<float>(order));
    hadamard_block(y, nullptr, &scale);
    hadamard_block(y, nullptr, &scale);
    for (std::size_t i = 0; i < x.size(); ++i) ASSERT_NEAR(y[i], x[i], 1e-5f);
  }
}

}  // namespace
}  // namespace fourge::reference
