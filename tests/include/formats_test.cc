// Every value of the small formats, typed in from the documents: a mistake in the decoder that reference/ and
// the generators share cannot hide here.
#include "fourge/formats.h"

#include <gtest/gtest.h>

#include <cmath>

namespace fourge {
namespace {

TEST(E2m1Decode, AllCodesMatchSpec) {
  constexpr float kValues[16] = {0.0f,  0.5f,  1.0f,  1.5f,  2.0f,  3.0f,  4.0f,  6.0f,
                                 -0.0f, -0.5f, -1.0f, -1.5f, -2.0f, -3.0f, -4.0f, -6.0f};
  for (unsigned code = 0; code < 16; ++code) {
    EXPECT_EQ(decode_f32(ElementFormat::e2m1, code), kValues[code]) << code;
    EXPECT_EQ(std::signbit(decode_f32(ElementFormat::e2m1, code)), code >= 8);
    EXPECT_EQ(static_cast<float>(twice_e2m1(code)), 2 * kValues[code]);
  }
}

TEST(E2m3Decode, AllPositiveCodesMatchSpec) {
  constexpr float kValues[32] = {0.0f, 0.125f, 0.25f, 0.375f, 0.5f, 0.625f, 0.75f, 0.875f,
                                 1.0f, 1.125f, 1.25f, 1.375f, 1.5f, 1.625f, 1.75f, 1.875f,
                                 2.0f, 2.25f,  2.5f,  2.75f,  3.0f, 3.25f,  3.5f,  3.75f,
                                 4.0f, 4.5f,   5.0f,  5.5f,   6.0f, 6.5f,   7.0f,  7.5f};
  for (unsigned code = 0; code < 32; ++code) {
    EXPECT_EQ(decode_f32(ElementFormat::e2m3, code), kValues[code]) << code;
    EXPECT_EQ(decode_f32(ElementFormat::e2m3, code | 32), -kValues[code]) << code;
  }
}

TEST(E3m2Decode, AllPositiveCodesMatchSpec) {
  constexpr float kValues[32] = {0.0f, 0.0625f, 0.125f, 0.1875f, 0.25f, 0.3125f, 0.375f, 0.4375f,
                                 0.5f, 0.625f,  0.75f,  0.875f,  1.0f,  1.25f,   1.5f,   1.75f,
                                 2.0f, 2.5f,    3.0f,   3.5f,    4.0f,  5.0f,    6.0f,   7.0f,
                                 8.0f, 10.0f,   12.0f,  14.0f,   16.0f, 20.0f,   24.0f,  28.0f};
  for (unsigned code = 0; code < 32; ++code) {
    EXPECT_EQ(decode_f32(ElementFormat::e3m2, code), kValues[code]) << code;
  }
}

// OCP FP8 v1.0 table 1: the landmarks of each format.
TEST(E4m3Decode, Landmarks) {
  EXPECT_EQ(decode_f32(ElementFormat::e4m3, 0x7e), 448.0f);
  EXPECT_EQ(decode_f32(ElementFormat::e4m3, 0xfe), -448.0f);
  EXPECT_EQ(decode_f32(ElementFormat::e4m3, 0x08), 0x1p-6f);
  EXPECT_EQ(decode_f32(ElementFormat::e4m3, 0x07), 0.875f * 0x1p-6f);
  EXPECT_EQ(decode_f32(ElementFormat::e4m3, 0x01), 0x1p-9f);
  EXPECT_EQ(decode_f32(ElementFormat::e4m3, 0x38), 1.0f);
  EXPECT_TRUE(std::isnan(decode_f32(ElementFormat::e4m3, 0x7f)));
  EXPECT_TRUE(std::isnan(decode_f32(ElementFormat::e4m3, 0xff)));
}

TEST(Ue4m3Decode, IgnoresBit7) {
  for (unsigned code = 0; code < 128; ++code) {
    const Number low = decode(ElementFormat::ue4m3, code), high = decode(ElementFormat::ue4m3, code | 0x80);
    EXPECT_EQ(f32_bits_of(low), f32_bits_of(high)) << code;
    EXPECT_EQ(f32_bits_of(low), f32_bits_of(decode(ElementFormat::e4m3, code))) << code;
  }
}

TEST(E5m2Decode, Landmarks) {
  EXPECT_EQ(decode_f32(ElementFormat::e5m2, 0x7b), 57344.0f);
  EXPECT_EQ(decode_f32(ElementFormat::e5m2, 0x04), 0x1p-14f);
  EXPECT_EQ(decode_f32(ElementFormat::e5m2, 0x01), 0x1p-16f);
  EXPECT_EQ(decode_f32(ElementFormat::e5m2, 0x7c), INFINITY);
  EXPECT_EQ(decode_f32(ElementFormat::e5m2, 0xfc), -INFINITY);
  for (unsigned code : {0x7du, 0x7eu, 0x7fu, 0xffu})
    EXPECT_TRUE(std::isnan(decode_f32(ElementFormat::e5m2, code)));
}

TEST(Ue8m0Decode, EveryCodeIsAPowerOfTwo) {
  for (unsigned code = 0; code < 255; ++code) {
    EXPECT_EQ(decode_f32(ElementFormat::ue8m0, code), std::ldexp(1.0f, static_cast<int>(code) - 127)) << code;
  }
  EXPECT_EQ(f32_bits_of(decode(ElementFormat::ue8m0, 0)), 0x0040'0000u);
  EXPECT_EQ(decode(ElementFormat::ue8m0, 255).kind, NumberKind::nan);
}

// The f32 decoder against the host's own reading of the bits; strided through all 2^32.
TEST(F32Decode, RoundTripsEveryPattern) {
  for (std::uint64_t bits = 0; bits < std::uint64_t{1} << 32; bits += 65521) {
    const Number x = decode(ElementFormat::f32, static_cast<std::uint32_t>(bits));
    if (x.kind == NumberKind::nan) continue;
    EXPECT_EQ(f32_bits_of(x), static_cast<std::uint32_t>(bits));
  }
}

TEST(F16Decode, MatchesTheArithmeticDefinition) {
  for (unsigned code = 0; code < 0x7c00; ++code) {
    const unsigned e = code >> 10, m = code & 1023;
    const float expected = e == 0
                               ? std::ldexp(static_cast<float>(m), -24)
                               : std::ldexp(1.0f + static_cast<float>(m) / 1024.0f, static_cast<int>(e) - 15);
    EXPECT_EQ(decode_f32(ElementFormat::f16, code), expected) << code;
  }
  EXPECT_EQ(decode_f32(ElementFormat::f16, 0x7c00), INFINITY);
}

TEST(Tf32Decode, IgnoresTheLow13Bits) {
  EXPECT_EQ(f32_bits_of(decode(ElementFormat::tf32, 0x3f80'1fffu)), 0x3f80'0000u);
  EXPECT_EQ(f32_bits_of(decode(ElementFormat::tf32, 0xbf80'2000u)), 0xbf80'2000u);
  EXPECT_EQ(decode(ElementFormat::tf32, 0x7f80'1fffu).kind, NumberKind::infinity);
}

static_assert(decode_f32(ElementFormat::e2m1, 0b0111) == 6.0f);
static_assert(info(ElementFormat::e4m3).max_code() == 0x7e && info(ElementFormat::e5m2).max_code() == 0x7b);

}  // namespace
}  // namespace fourge
