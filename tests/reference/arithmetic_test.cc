#include "reference/arithmetic.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <random>

namespace fourge::reference {
namespace {

constexpr ElementFormat kF32 = ElementFormat::f32;

// The host's f32 arithmetic is IEEE 754; only its NaN is not canonical.
std::uint32_t canonical(float x) { return std::isnan(x) ? 0x7fff'ffffu : std::bit_cast<std::uint32_t>(x); }
float f32(std::uint32_t bits) { return std::bit_cast<float>(bits); }

constexpr std::uint32_t kEdges[] = {0x00000000, 0x80000000, 0x00000001, 0x80000001, 0x007fffff, 0x00800000,
                                    0x00800001, 0x0c000000, 0x33800000, 0x3f7fffff, 0x3f800000, 0xbf800000,
                                    0x3f800001, 0x4b7fffff, 0x4b800000, 0x7f7fffff, 0xff7fffff, 0x7f800000,
                                    0xff800000, 0x7fc00000, 0xffc01234, 0x7f800001, 0x5f7fffff, 0x1f800000,
                                    0x20000001, 0x00400000};

TEST(Arithmetic, EdgesMatchIeeeHardware) {
  for (std::uint32_t x : kEdges) {
    for (std::uint32_t y : kEdges) {
      ASSERT_EQ(multiply(kF32, x, y), canonical(f32(x) * f32(y))) << std::hex << x << ' ' << y;
      ASSERT_EQ(add(kF32, x, y), canonical(f32(x) + f32(y))) << std::hex << x << ' ' << y;
      for (std::uint32_t z : kEdges) {
        ASSERT_EQ(fused_multiply_add(kF32, x, y, z), canonical(std::fma(f32(x), f32(y), f32(z))))
            << std::hex << x << ' ' << y << ' ' << z;
      }
    }
  }
}

// Random bits, and operands whose exponents lie close together so that sums cancel.
TEST(Arithmetic, RandomOperandsMatchIeeeHardware) {
  std::mt19937 engine(1);
  const auto random = [&] { return static_cast<std::uint32_t>(engine()); };
  for (int i = 0; i < 300'000; ++i) {
    std::uint32_t x = random(), y = random(), z = random();
    if (i % 2 != 0) {
      x = (x & 0x807fffffu) | (100 + random() % 50) << 23;
      y = (y & 0x807fffffu) | (100 + random() % 50) << 23;
      const std::uint32_t product = multiply(kF32, x, y);
      z = (i % 4 == 1 ? product ^ 0x80000000u : (z & 0x807fffffu) | (product & 0x7f800000u)) + random() % 4;
    }
    ASSERT_EQ(multiply(kF32, x, y), canonical(f32(x) * f32(y))) << std::hex << x << ' ' << y;
    ASSERT_EQ(add(kF32, x, z), canonical(f32(x) + f32(z))) << std::hex << x << ' ' << z;
    ASSERT_EQ(fused_multiply_add(kF32, x, y, z), canonical(std::fma(f32(x), f32(y), f32(z))))
        << std::hex << x << ' ' << y << ' ' << z;
  }
}

// f16 sums are exact in f32 up to a difference of 13 in exponent, and f32 has more than twice the bits plus
// two: rounding the f32 sum once more is the f16 sum.
TEST(Arithmetic, F16AdditionMatchesF32RoundedOnceMore) {
  constexpr ElementFormat kF16 = ElementFormat::f16;
  for (std::uint32_t x = 0; x < 0x10000; x += 7) {
    for (std::uint32_t y : {0x0000u, 0x8000u, 0x0001u, 0x83ffu, 0x0400u, 0x3c00u, 0xbc01u, 0x7bffu, 0xfbffu,
                            0x7c00u, 0xfc00u, 0x7e00u, x ^ 0x8000u, x ^ 0x8001u}) {
      const float sum = decode_f32(kF16, x) + decode_f32(kF16, y);
      ASSERT_EQ(add(kF16, x, y), encode(kF16, sum, Rounding::rne, Overflow::infinity)) << x << ' ' << y;
    }
  }
}

}  // namespace
}  // namespace fourge::reference
