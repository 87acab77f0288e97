#include "fourge/stochastic.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "fourge/rounding.h"

namespace fourge {
namespace {

// Random123's kat_vectors, "philox4x32 10".
TEST(Philox4x32, KnownAnswers) {
  EXPECT_EQ(philox4x32({0, 0, 0, 0}, 0, 0), (PhiloxWords{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox4x32({~0u, ~0u, ~0u, ~0u}, ~0u, ~0u),
            (PhiloxWords{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, 0xa4093822, 0x299f31d0),
            (PhiloxWords{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(StochasticByte, SixteenElementsShareACounter) {
  const std::uint64_t seed = 0x123456789abcdef0u;
  for (std::uint64_t index : {std::uint64_t{0}, std::uint64_t{35}, (std::uint64_t{5} << 40) + 7}) {
    const PhiloxWords words = philox4x32(
        {static_cast<std::uint32_t>(index / 16), static_cast<std::uint32_t>(index / 16 >> 32), 0, 0},
        0x9abcdef0u, 0x12345678u);
    EXPECT_EQ(stochastic_byte(seed, index), words[index % 16 / 4] >> (8 * (index % 4)) & 255u);
  }
}

// For every gap and many places in it: the share of the 256 bytes that go up is the place, to 1/256.
TEST(E2m1Stochastic, GoesUpAsOftenAsTheFractionSays) {
  for (std::uint32_t code = 0; code < 7; ++code) {
    const float low = decode_f32(ElementFormat::e2m1, code), high = decode_f32(ElementFormat::e2m1, code + 1);
    for (int place = 0; place < 1000; ++place) {
      const float x = low + (high - low) * static_cast<float>(place) / 1000.0f;
      int up = 0;
      for (int r = 0; r < 256; ++r) {
        const std::uint8_t got = e2m1_stochastic(x, static_cast<std::uint8_t>(r));
        ASSERT_TRUE(got == code || got == code + 1);
        ASSERT_EQ(e2m1_stochastic(-x, static_cast<std::uint8_t>(r)), got | 8);
        up += got == code + 1 ? 1 : 0;
      }
      ASSERT_NEAR(up / 256.0, static_cast<double>((x - low) / (high - low)), 1.0 / 256);
    }
  }
}

TEST(E2m1Stochastic, RepresentableValuesStay) {
  for (std::uint32_t code = 0; code < 16; ++code) {
    for (int r = 0; r < 256; ++r)
      EXPECT_EQ(e2m1_stochastic(decode_f32(ElementFormat::e2m1, code), static_cast<std::uint8_t>(r)), code);
  }
}

TEST(E2m1Stochastic, SaturatesAndGivesSixForNan) {
  for (int r = 0; r < 256; ++r) {
    const auto random = static_cast<std::uint8_t>(r);
    EXPECT_EQ(e2m1_stochastic(6.001f, random), 7);
    EXPECT_EQ(e2m1_stochastic(-std::numeric_limits<float>::infinity(), random), 15);
    EXPECT_EQ(e2m1_stochastic(-std::numeric_limits<float>::quiet_NaN(), random), 7);
    EXPECT_EQ(e2m1_stochastic(0x1p-149f, random), 0);
  }
  EXPECT_EQ(e2m1_stochastic(std::nextafter(1.0f / 1024, 1.0f), 255), 1);
  EXPECT_EQ(e2m1_stochastic(std::nextafter(1.0f / 1024, 0.0f), 255), 0);
}

}  // namespace
}  // namespace fourge
