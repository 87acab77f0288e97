#include "reference/mma/mxf4.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace fourge::reference {
namespace {

constexpr unsigned kHalf = 0x1, kOne = 0x2, kSix = 0x7, kMinus = 0x8;

using PackedCodes = std::array<std::uint8_t, 32>;

// 64 e2m1 codes from a function of the index.
template <class Function>
PackedCodes packed(Function code) {
  PackedCodes bytes{};
  for (unsigned i = 0; i < 64; ++i) {
    bytes[i / 2] = static_cast<std::uint8_t>(bytes[i / 2] | code(i) << (i % 2 * 4));
  }
  return bytes;
}
PackedCodes all(unsigned code) {
  return packed([=](unsigned) { return code; });
}
PackedCodes first(unsigned code) {
  return packed([=](unsigned i) { return i == 0 ? code : 0; });
}
const PackedCodes kZeros{};

struct Example {
  const char* name;
  Format format;
  PackedCodes a, b;
  std::vector<std::uint8_t> a_scales, b_scales;  // block 0 first
  std::uint32_t c, d;
};

std::uint32_t run(const Example& x, const Mxf4Rules& rules = kMxf4Rules) {
  return mma_mxf4(x.format, x.a, x.a_scales, x.b, x.b_scales, x.c, rules);
}

using Scales = std::vector<std::uint8_t>;
const Scales kUnit = {0x38, 0x38, 0x38, 0x38};

const PackedCodes kAlternating = packed([](unsigned i) { return kSix | (i % 2 != 0 ? kMinus : 0); });
const PackedCodes kPlusOneThenMinusOne = packed([](unsigned i) {
  return i == 0 ? kOne : i == 32 ? kOne | kMinus : 0;
});

// docs/numerics.md, "Worked examples": computed with MMA-Sim c785138.
const Example kExamples[] = {
    {"N1", Format::nvfp4, all(kOne), all(kOne), kUnit, kUnit, 0, 0x42800000},
    {"N2",
     Format::nvfp4,
     all(kSix),
     all(kSix),
     {0x7e, 0x7e, 0x7e, 0x7e},
     {0x7e, 0x7e, 0x7e, 0x7e},
     0,
     0x4ddc8000},
    {"N3",
     Format::nvfp4,
     all(kSix),
     kAlternating,
     {0x7e, 0x7e, 0x7e, 0x7e},
     {0x7e, 0x7e, 0x7e, 0x7e},
     0x80000000,
     0},
    {"N4",
     Format::nvfp4,
     first(kHalf),
     first(kHalf),
     {0x01, 0x38, 0x38, 0x38},
     {0x01, 0x38, 0x38, 0x38},
     0x3f800000,
     0x3f800008},
    {"N5",
     Format::nvfp4,
     first(kHalf),
     first(kHalf),
     {0x01, 0x38, 0x38, 0x38},
     {0x01, 0x38, 0x38, 0x38},
     0xbf800000,
     0xbf7ffff0},
    {"N6",
     Format::nvfp4,
     first(kHalf),
     first(kHalf),
     {0x01, 0x7e, 0x38, 0x38},
     {0x01, 0x7e, 0x38, 0x38},
     0xbf800000,
     0xbf800000},
    {"N7", Format::nvfp4, kZeros, kZeros, {0x38, 0x7e, 0x38, 0x38}, {0x38, 0x7e, 0x38, 0x38}, 0x30800000, 0},
    {"N8", Format::nvfp4, kZeros, kZeros, kUnit, kUnit, 0x30800001, 0x30800000},
    {"N9", Format::nvfp4, all(kOne), all(kOne), {0x7f, 0x38, 0x38, 0x38}, kUnit, 0, 0x7fffffff},
    {"N10", Format::nvfp4, all(kOne), all(kOne), {0xff, 0x38, 0x38, 0x38}, kUnit, 0, 0x7fffffff},
    {"N11", Format::nvfp4, all(kOne), all(kOne), {0xb8, 0xb8, 0xb8, 0xb8}, kUnit, 0, 0x42800000},
    {"N12", Format::nvfp4, all(kOne), all(kOne), {0, 0, 0, 0}, kUnit, 0x3f800000, 0x3f800000},
    {"N13", Format::nvfp4, all(kOne), all(kOne), kUnit, kUnit, 0xffc01234, 0x7fffffff},
    {"M1", Format::mxfp4, all(kSix), all(kSix), {0x7f, 0x7f}, {0x7f, 0x7f}, 0, 0x45100000},
    {"M2", Format::mxfp4, all(kSix), all(kSix), {0xfe, 0xfe}, {0xfe, 0xfe}, 0, 0x7f800000},
    {"M3", Format::mxfp4, all(kSix), all(kSix), {0x00, 0x00}, {0x00, 0x00}, 0, 0},
    {"M4", Format::mxfp4, first(kOne), first(kOne), {0x00, 0x00}, {0x7f, 0x7f}, 0, 0x00400000},
    {"M5", Format::mxfp4, kPlusOneThenMinusOne, all(kOne), {0x7f, 0x5c}, {0x7f, 0x7f}, 0, 0x3f7fffff},
    {"M6", Format::mxfp4, kPlusOneThenMinusOne, all(kOne), {0x7f, 0x5a}, {0x7f, 0x7f}, 0, 0x3f800000},
    {"M7", Format::mxfp4, kPlusOneThenMinusOne, all(kOne), {0x7f, 0xff}, {0x7f, 0x7f}, 0, 0x7fffffff},
};

TEST(MmaMxf4, WorkedExamples) {
  for (const Example& example : kExamples) EXPECT_EQ(run(example), example.d) << example.name;
}

// Groups hold 16 products also where a scale covers 32 elements, and block 16 scales act on their own group.
TEST(MmaMxf4, EachScaleActsOnItsBlock) {
  for (unsigned i = 0; i < 64; ++i) {
    const PackedCodes one = packed([=](unsigned k) { return k == i ? kOne : 0; });
    const Example nvfp4 = {"", Format::nvfp4, one, all(kOne), {0x38, 0x40, 0x48, 0x50}, kUnit, 0, 0};
    EXPECT_EQ(run(nvfp4), (127u + i / 16) << 23);
    const Example b16 = {"", Format::mxfp4_b16, one, all(kOne), {127, 128, 129, 130}, {127, 127, 127, 127}, 0,
                         0};
    EXPECT_EQ(run(b16), (127u + i / 16) << 23);
    const Example mxfp4 = {"", Format::mxfp4, one, all(kOne), {127, 130}, {127, 127}, 0, 0};
    EXPECT_EQ(run(mxfp4), (127u + i / 32 * 3) << 23);
  }
}

// Every pair of element codes, every pair of ue4m3 scales whose product is exact in f32 beside c = 0.
TEST(MmaMxf4, OneProductIsExact) {
  for (unsigned x = 0; x < 16; ++x) {
    for (unsigned y = 0; y < 16; ++y) {
      const float product = decode_f32(ElementFormat::e2m1, x) * decode_f32(ElementFormat::e2m1, y);
      for (unsigned scale = 0; scale < 0x7f; ++scale) {
        const auto byte = static_cast<std::uint8_t>(scale);
        const Example example = {"", Format::nvfp4, first(x), first(y), {byte, 0, 0, 0}, {0x7e, 0, 0, 0}, 0,
                                 0};
        const float expected = product * decode_f32(ElementFormat::ue4m3, scale) * 448.0f + 0.0f;
        EXPECT_EQ(run(example), std::bit_cast<std::uint32_t>(expected)) << x << ' ' << y << ' ' << scale;
      }
    }
  }
}

TEST(MmaMxf4, InfiniteCIsKept) {
  for (std::uint32_t c : {0x7f800000u, 0xff800000u}) {
    EXPECT_EQ(run({"", Format::nvfp4, all(kSix), kAlternating, kUnit, kUnit, c, 0}), c);
  }
}

// Each rule of the sum, when changed, changes a worked example or the case given here.
TEST(MmaMxf4, ASabotagedRuleIsSeen) {
  const auto examples_that_differ = [](const Mxf4Rules& rules) {
    std::string names;
    for (const Example& example : kExamples) {
      if (run(example, rules) != example.d) names += std::string(example.name) + ' ';
    }
    return names;
  };
  EXPECT_EQ(examples_that_differ(kMxf4Rules), "");

  Mxf4Rules rules = kMxf4Rules;
  rules.zero_groups_count = false;
  EXPECT_NE(examples_that_differ(rules), "");

  rules = kMxf4Rules;
  rules.sum.rounding = Rounding::rne;
  EXPECT_NE(examples_that_differ(rules), "");

  rules = kMxf4Rules;
  rules.sum.fraction_bits = 34;
  EXPECT_NE(examples_that_differ(rules), "");

  // One bit more keeps 2^-36 of M6's family: 1 - 2^-36 truncates to 3f7fffff.
  const Example kBelowTheLastBit = {
      "", Format::mxfp4, kPlusOneThenMinusOne, all(kOne), {0x7f, 0x5b}, {0x7f, 0x7f}, 0, 0x3f800000};
  EXPECT_EQ(run(kBelowTheLastBit), kBelowTheLastBit.d);
  rules.sum.fraction_bits = 36;
  EXPECT_EQ(run(kBelowTheLastBit, rules), 0x3f7fffffu);
}

}  // namespace
}  // namespace fourge::reference
