#include "quant/e2m1.h"

#include <gtest/gtest.h>

#include <random>

#include "fourge/rounding.h"

namespace fourge::quant {
namespace {

std::uint8_t by_round_pack(std::uint32_t bits) {
  return static_cast<std::uint8_t>(
      encode_bits(ElementFormat::e2m1, bits, Rounding::rne, Overflow::satfinite));
}

// A float whose bits are `bits`, both signs.
void expect_equal_to_encode(std::uint32_t bits) {
  for (const std::uint32_t sign : {0u, 0x8000'0000u}) {
    ASSERT_EQ(e2m1_rne(std::bit_cast<float>(bits | sign)), by_round_pack(bits | sign))
        << std::hex << (bits | sign);
  }
}

TEST(E2m1Rne, EqualsEncodeAroundEveryBoundary) {
  for (std::uint32_t code = 0; code < 7; ++code) {
    const float midpoint = (kE2m1Values[code] + kE2m1Values[code + 1]) / 2;
    for (int step = -3; step <= 3; ++step) {
      expect_equal_to_encode(std::bit_cast<std::uint32_t>(midpoint) + static_cast<std::uint32_t>(step));
    }
  }
}

TEST(E2m1Rne, EqualsEncodeForEveryUpperHalf) {
  for (std::uint32_t upper = 0; upper < 0x8000; ++upper) {
    for (const std::uint32_t lower : {0u, 1u, 0xffffu}) expect_equal_to_encode(upper << 16 | lower);
  }
}

TEST(E2m1Rne, SpecialValues) {
  EXPECT_EQ(e2m1_rne(0.0f), 0);
  EXPECT_EQ(e2m1_rne(-0.0f), 8);
  EXPECT_EQ(e2m1_rne(-0.25f), 8);
  EXPECT_EQ(e2m1_rne(1e30f), 7);
  EXPECT_EQ(e2m1_rne(-1e30f), 15);
  EXPECT_EQ(e2m1_rne(std::bit_cast<float>(0xffc0'0000u)), 7);  // NaN of either sign: +6
}

TEST(LongE2m1Rne, EqualsEncodeForEveryF32) {
  for (std::uint64_t bits = 0; bits < std::uint64_t{1} << 31; ++bits) {
    expect_equal_to_encode(static_cast<std::uint32_t>(bits));
  }
}

}  // namespace
}  // namespace fourge::quant
