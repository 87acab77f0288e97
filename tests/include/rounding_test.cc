#include "fourge/rounding.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace fourge {
namespace {

constexpr ElementFormat kEncodable[] = {ElementFormat::e2m1, ElementFormat::e2m3, ElementFormat::e3m2,
                                        ElementFormat::e4m3, ElementFormat::e5m2, ElementFormat::f16,
                                        ElementFormat::bf16};

TEST(Encode, EveryFiniteCodeRoundTrips) {
  for (ElementFormat format : kEncodable) {
    for (std::uint32_t code = 0; code < 1u << info(format).code_bits(); ++code) {
      const Number x = decode(format, code);
      if (x.kind != NumberKind::finite) continue;
      for (Rounding rounding : {Rounding::rne, Rounding::rz}) {
        EXPECT_EQ(encode_bits(format, f32_bits_of(x), rounding, Overflow::satfinite), code)
            << name_of(format);
      }
    }
  }
}

// Between two neighbouring codes: below the midpoint down, above it up, on it to the even code; RZ always
// down.
TEST(Encode, NeighboursSplitAtTheMidpoint) {
  for (ElementFormat format : kEncodable) {
    for (std::uint32_t code = 0; code < info(format).max_code(); ++code) {
      const float low = decode_f32(format, code), high = decode_f32(format, code + 1);
      const float middle = low + (high - low) / 2;
      const float below = std::nextafter(middle, 0.0f), above = std::nextafter(middle, INFINITY);
      EXPECT_EQ(encode(format, below), code) << name_of(format) << ' ' << code;
      EXPECT_EQ(encode(format, middle), code + (code & 1)) << name_of(format) << ' ' << code;
      EXPECT_EQ(encode(format, above), code + 1) << name_of(format) << ' ' << code;
      EXPECT_EQ(encode(format, above, Rounding::rz), code) << name_of(format) << ' ' << code;
      const std::uint32_t sign = 1u << (info(format).code_bits() - 1);
      EXPECT_EQ(encode(format, -above), sign | (code + 1)) << name_of(format) << ' ' << code;
    }
  }
}

TEST(Encode, OverflowAndNan) {
  EXPECT_EQ(encode(ElementFormat::e4m3, 464.0f), 0x7eu);
  EXPECT_EQ(encode(ElementFormat::e4m3, 464.0f, Rounding::rne, Overflow::infinity), 0x7eu);
  EXPECT_EQ(encode(ElementFormat::e4m3, std::nextafter(-464.0f, -500.0f), Rounding::rne, Overflow::infinity),
            0xffu);
  EXPECT_EQ(encode(ElementFormat::e5m2, 61440.0f, Rounding::rne, Overflow::infinity), 0x7cu);
  EXPECT_EQ(encode(ElementFormat::e5m2, 61439.0f, Rounding::rne, Overflow::infinity), 0x7bu);
  EXPECT_EQ(encode(ElementFormat::e2m1, -INFINITY), 0xfu);
  EXPECT_EQ(encode(ElementFormat::e2m1, std::numeric_limits<float>::quiet_NaN()), 0x7u);
  EXPECT_EQ(encode(ElementFormat::f16, 65520.0f, Rounding::rne, Overflow::infinity), 0x7c00u);
  EXPECT_EQ(encode(ElementFormat::f16, 65520.0f, Rounding::rz, Overflow::infinity), 0x7bffu);
  EXPECT_EQ(encode(ElementFormat::bf16, std::numeric_limits<float>::max(), Rounding::rne, Overflow::infinity),
            0x7f80u);
}

// Wide significands: 2^60 + 1 to f32, and discarded parts of 63, 64 and more bits.
TEST(RoundPack, WideSignificands) {
  constexpr std::uint64_t kOne = std::uint64_t{1} << 60;
  EXPECT_EQ(round_pack(ElementFormat::f32, false, kOne + 1, -60, Rounding::rz, Overflow::infinity),
            0x3f80'0000u);
  EXPECT_EQ(round_pack(ElementFormat::f32, true, kOne - 1, -60, Rounding::rz, Overflow::infinity),
            0xbf7f'ffffu);
  EXPECT_EQ(round_pack(ElementFormat::f32, true, kOne - 1, -60, Rounding::rne, Overflow::infinity),
            0xbf80'0000u);
  EXPECT_EQ(
      round_pack(ElementFormat::f32, false, ~std::uint64_t{0}, -149 - 64, Rounding::rne, Overflow::infinity),
      1u);
  EXPECT_EQ(round_pack(ElementFormat::f32, false, kOne << 3, -149 - 64, Rounding::rne, Overflow::infinity),
            0u);
  EXPECT_EQ(
      round_pack(ElementFormat::f32, false, ~std::uint64_t{0}, -149 - 65, Rounding::rne, Overflow::infinity),
      0u);
  EXPECT_EQ(
      round_pack(ElementFormat::f32, false, ~std::uint64_t{0}, -149 - 64, Rounding::rz, Overflow::infinity),
      0u);
  EXPECT_EQ(round_pack(ElementFormat::f32, false, 1, 128, Rounding::rz, Overflow::infinity), 0x7f80'0000u);
  EXPECT_EQ(round_pack(ElementFormat::f32, false, (1u << 24) - 1, 104, Rounding::rz, Overflow::infinity),
            0x7f7f'ffffu);
  EXPECT_EQ(round_pack(ElementFormat::f32, false, 1, 5000, Rounding::rz, Overflow::infinity), 0x7f80'0000u);
}

TEST(EncodeUe8m0, RoundsTheExponent) {
  EXPECT_EQ(encode_ue8m0(3.0f, Rounding::rz), 128);
  EXPECT_EQ(encode_ue8m0(-3.0f, Rounding::rp), 129);
  EXPECT_EQ(encode_ue8m0(4.0f, Rounding::rp), 129);
  EXPECT_EQ(encode_ue8m0(0.0f, Rounding::rp), 0);
  EXPECT_EQ(encode_ue8m0(0x1p-127f, Rounding::rp), 0);
  EXPECT_EQ(encode_ue8m0(std::nextafter(0x1p-127f, 1.0f), Rounding::rp), 1);
  EXPECT_EQ(encode_ue8m0(INFINITY, Rounding::rz), 0xfe);
  EXPECT_EQ(encode_ue8m0(std::numeric_limits<float>::max(), Rounding::rp, Overflow::infinity), 0xff);
  EXPECT_EQ(encode_ue8m0(std::numeric_limits<float>::quiet_NaN(), Rounding::rz), 0xff);
}

// E8M13: an f32 word with 13 fraction bits. 1 + 2^-13 is kept, 1 + 2^-14 is cut or, as a tie, goes to even.
TEST(RoundPack, E8m13IsAnF32WordWithThirteenFractionBits) {
  const auto pack = [](std::uint64_t significand, int exponent, Rounding rounding) {
    return round_pack(kE8m13, false, significand, exponent, rounding, Overflow::infinity);
  };
  EXPECT_EQ(pack((1u << 13) + 1, -13, Rounding::rz), 0x3f80'0400u);
  EXPECT_EQ(pack((1u << 14) + 3, -14, Rounding::rz), 0x3f80'0400u);
  EXPECT_EQ(pack((1u << 14) + 3, -14, Rounding::rne), 0x3f80'0800u);
  EXPECT_EQ(pack(1, -139, Rounding::rz), 0x0000'0400u);  // the smallest subnormal
  EXPECT_EQ(pack(1, -140, Rounding::rz), 0u);
  EXPECT_EQ(pack(1, 128, Rounding::rz), 0x7f80'0000u);
}

}  // namespace
}  // namespace fourge
