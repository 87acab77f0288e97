#include "reference/stochastic.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

#include "reference/conversions.h"

namespace fourge::reference {
namespace {

struct Target {
  ElementFormat format;
  int random_bits;
};
constexpr Target kTargets[] = {{ElementFormat::e2m1, 8},
                               {ElementFormat::e2m1, 3},
                               {ElementFormat::e4m3, 16},
                               {ElementFormat::e4m3, 8},
                               {ElementFormat::e2m1, 1}};

std::uint8_t convert(const Target& target, float x, std::uint32_t rbits) {
  return cvt_rs_satfinite_grid_aligned(target.format, x, rbits, target.random_bits);
}

std::uint32_t magnitude_code(ElementFormat format, float x) {
  return encode(format, std::fabs(x), Rounding::rz, Overflow::satfinite);
}

// Between two neighbours the number of rbits that round away is the discarded part in units of 2^-R, cut: in
// double arithmetic, which is exact here, the count is compared for values spread over every gap, subnormal
// gaps included.
TEST(StochasticRounding, AsManyRandomBitsRoundAwayAsTheDiscardedPartSays) {
  for (const Target& target : kTargets) {
    const std::uint32_t all = 1u << target.random_bits;
    const std::uint32_t step = all > 4096 ? 61 : 1;
    for (std::uint32_t code = 0; code < info(target.format).max_code(); ++code) {
      const double low = decode_f32(target.format, code), high = decode_f32(target.format, code + 1);
      for (const double part : {0.0, 1.0 / 8, 0.3, 0.5, 0.77777, 255.0 / 256, 1 - 1e-7}) {
        const auto x = static_cast<float>(low + (high - low) * part);
        if (x >= high) continue;
        const auto discarded =
            static_cast<std::uint32_t>(std::floor((static_cast<double>(x) - low) / (high - low) * all));
        for (std::uint32_t rbits = 0; rbits < all; rbits += step) {
          const std::uint32_t expected = code + (discarded + rbits >= all ? 1 : 0);
          ASSERT_EQ(convert(target, x, rbits), expected)
              << name_of(target.format) << ' ' << x << ' ' << rbits;
        }
        const std::uint32_t sign = 1u << (info(target.format).code_bits() - 1);
        EXPECT_EQ(convert(target, -x, all - 1), sign | (code + (discarded + all - 1 >= all ? 1 : 0)));
      }
    }
  }
}

// The mean over all random bits is the number itself, but for the cut of the discarded part to R bits.
TEST(StochasticRounding, IsUnbiased) {
  std::mt19937 engine(1);
  for (const Target& target : kTargets) {
    const std::uint32_t all = 1u << target.random_bits;
    std::uniform_real_distribution<float> uniform(-decode_f32(target.format, info(target.format).max_code()),
                                                  decode_f32(target.format, info(target.format).max_code()));
    for (int i = 0; i < 60; ++i) {
      const float x = uniform(engine) * (i % 3 == 0 ? 0.01f : 1.0f);
      double mean = 0;
      for (std::uint32_t rbits = 0; rbits < all; ++rbits)
        mean += decode_f32(target.format, convert(target, x, rbits));
      mean /= all;
      const std::uint32_t low = magnitude_code(target.format, x);
      const double gap = decode_f32(target.format, low + 1) - decode_f32(target.format, low);
      EXPECT_LE(std::fabs(mean), std::fabs(x));
      EXPECT_LT(std::fabs(x) - std::fabs(mean), gap / all) << x;
    }
  }
}

TEST(StochasticRounding, SpecialValuesAndSaturation) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  EXPECT_EQ(cvt_rs_satfinite_e2m1_f32_grid_aligned(NAN, 0xff), 0x7);
  EXPECT_EQ(cvt_rs_satfinite_e4m3_f32_grid_aligned(NAN, 0xff), 0x7f);
  EXPECT_EQ(cvt_rs_satfinite_e2m1_f32_grid_aligned(-kInfinity, 0), 0xf);
  EXPECT_EQ(cvt_rs_satfinite_e4m3_f32_grid_aligned(kInfinity, 0), 0x7e);
  EXPECT_EQ(cvt_rs_satfinite_e2m1_f32_grid_aligned(6.5f, 0xff), 0x7);
  EXPECT_EQ(cvt_rs_satfinite_e2m1_f32_grid_aligned(1e30f, 0), 0x7);
  EXPECT_EQ(cvt_rs_satfinite_e4m3_f32_grid_aligned(-500.0f, 0xffff), 0xfe);
  EXPECT_EQ(cvt_rs_satfinite_e2m1_f32_grid_aligned(-0.0f, 0xff), 0x8);
  EXPECT_EQ(cvt_rs_satfinite_e2m1_f32_grid_aligned(-1e-30f, 0xff),
            0x8);                                                        // cut to nothing before the addition
  EXPECT_EQ(cvt_rs_satfinite_e2m1_f32_grid_aligned(0.002f, 0xff), 0x1);  // 1/256 of 0.5, rounded away
  EXPECT_EQ(cvt_rs_satfinite_e2m1_f32_grid_aligned(0.002f, 0xfe), 0x0);
  EXPECT_EQ(cvt_rs_satfinite_e2m1_f32_grid_aligned(1.75f, 0x80), 0x4);  // the carry reaches 2.0
  EXPECT_EQ(cvt_rs_satfinite_e2m1_f32_grid_aligned(1.75f, 0x7f), 0x3);
  EXPECT_EQ(cvt_rs_satfinite_e2m1_f32_grid_aligned(1.75f, 0xffffff80u), 0x4);  // higher bits are ignored
}

// rbits = half rounds to nearest, ties away from zero: rn but for ties.
TEST(StochasticRounding, HalfIsRoundToNearestWithTiesAway) {
  std::mt19937 engine(2);
  std::uniform_real_distribution<float> uniform(-6.0f, 6.0f);
  for (int i = 0; i < 20000; ++i) {
    const float x =
        std::ldexp(std::round(std::ldexp(uniform(engine), 9)), -9);  // the discarded part fits 8 bits
    const std::uint8_t nearest = cvt_rn_satfinite_e2m1_f32(x);
    const std::uint8_t rounded = cvt_rs_satfinite_e2m1_f32_grid_aligned(x, 0x80);
    if (rounded == nearest) continue;
    const float middle =
        (decode_f32(ElementFormat::e2m1, nearest) + decode_f32(ElementFormat::e2m1, rounded)) / 2;
    EXPECT_EQ(std::fabs(x), std::fabs(middle)) << x;
    EXPECT_EQ(rounded, nearest + 1);
  }
}

}  // namespace
}  // namespace fourge::reference
