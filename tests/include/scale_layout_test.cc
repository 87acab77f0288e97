#include "fourge/scale_layout.h"

#include <gtest/gtest.h>

#include <set>
#include <vector>

namespace fourge {
namespace {

constexpr ScaleLayout kLayouts[] = {ScaleLayout::linear, ScaleLayout::swizzled_128x4,
                                    ScaleLayout::swizzled_8x4};

// The permutation as torchao's to_blocked describes it: view(R/128, 128, C/4, 4) -> tiles -> (4, 32, 4) ->
// (32, 16).
std::int64_t to_blocked_offset(std::int64_t r, std::int64_t c, std::int64_t columns) {
  const std::int64_t tiles = round_up(columns, 4) / 4;
  const std::int64_t quarter = r % 128 / 32, lane = r % 32;
  return (r / 128 * tiles + c / 4) * 512 + (lane * 4 + quarter) * 4 + c % 4;
}

TEST(ScaleLayout, Swizzled128x4MatchesToBlocked) {
  for (std::int64_t columns : {1, 4, 5, 16}) {
    for (std::int64_t r = 0; r < 300; ++r) {
      for (std::int64_t c = 0; c < columns; ++c) {
        EXPECT_EQ(scale_offset(ScaleLayout::swizzled_128x4, r, c, columns), to_blocked_offset(r, c, columns));
      }
    }
  }
}

TEST(ScaleLayout, OffsetsAreDistinctAndInside) {
  for (ScaleLayout layout : kLayouts) {
    for (std::int64_t rows : {1, 7, 8, 128, 129}) {
      for (std::int64_t columns : {1, 3, 4, 9}) {
        std::set<std::int64_t> seen;
        for (std::int64_t r = 0; r < rows; ++r) {
          for (std::int64_t c = 0; c < columns; ++c) {
            const std::int64_t offset = scale_offset(layout, r, c, columns);
            EXPECT_GE(offset, 0);
            EXPECT_LT(offset, scale_bytes(layout, rows, columns));
            EXPECT_TRUE(seen.insert(offset).second);
          }
        }
      }
    }
  }
}

TEST(ScaleLayout, ConversionsRoundTripAndPadWithZero) {
  const std::int64_t rows = 131, columns = 6;
  std::vector<std::uint8_t> linear(static_cast<std::size_t>(rows * columns));
  for (std::size_t i = 0; i < linear.size(); ++i) linear[i] = static_cast<std::uint8_t>(1 + i % 255);
  for (ScaleLayout layout : kLayouts) {
    std::vector<std::uint8_t> other(static_cast<std::size_t>(scale_bytes(layout, rows, columns)), 0xee);
    convert_scales(ScaleLayout::linear, linear.data(), layout, other.data(), rows, columns);
    std::size_t zeros = 0;
    for (std::uint8_t byte : other) zeros += byte == 0;
    EXPECT_EQ(zeros, other.size() - linear.size()) << name_of(layout);
    std::vector<std::uint8_t> back(linear.size(), 0xee);
    convert_scales(layout, other.data(), ScaleLayout::linear, back.data(), rows, columns);
    EXPECT_EQ(back, linear) << name_of(layout);
  }
}

}  // namespace
}  // namespace fourge
