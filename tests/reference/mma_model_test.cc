#include "reference/mma/model.h"

#include <gtest/gtest.h>

#include <bit>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "reference/arithmetic.h"
#include "reference/conversions.h"

namespace fourge::reference {
namespace {

using Codes = std::vector<std::uint32_t>;

// k codes: `first` ones, then zeros.
Codes codes(int k, std::initializer_list<std::uint32_t> first) {
  Codes all(first);
  all.resize(static_cast<std::size_t>(k), 0);
  return all;
}
Codes repeated(int k, std::uint32_t code) { return Codes(static_cast<std::size_t>(k), code); }

std::vector<std::uint8_t> bytes_of(ElementFormat format, const Codes& row) {
  const auto bits = static_cast<unsigned>(info(format).storage_bits);
  std::vector<std::uint8_t> bytes(row.size() * bits / 8, 0);
  for (std::size_t i = 0; i < row.size(); ++i) {
    for (unsigned bit = 0; bit < bits; ++bit) {
      const std::size_t at = i * bits + bit;
      bytes[at / 8] = static_cast<std::uint8_t>(bytes[at / 8] | (row[i] >> bit & 1) << at % 8);
    }
  }
  return bytes;
}

struct Case {
  const char* model;
  ElementFormat format;
  Codes a, b;
  std::uint32_t c;
  std::uint32_t d;
  int a_scale = 127, b_scale = 127;
};

std::uint32_t run(const Case& x, const MmaPolicy& policy = {},
                  const std::function<void(MmaModel&)>& change = nullptr) {
  Result<MmaModel> model = find_model(x.model);
  EXPECT_TRUE(model.ok()) << x.model;
  if (change) change(*model);
  const int k = static_cast<int>(x.a.size());
  const auto scales = [&](int scale) {
    return std::vector<std::uint8_t>(static_cast<std::size_t>(scales_per_row(*model, k)),
                                     static_cast<std::uint8_t>(scale));
  };
  EXPECT_TRUE(check(*model, {1, 1, k, x.format, x.format}).ok()) << x.model;
  const MmaRow a = decode_row(*model, x.format, k, bytes_of(x.format, x.a), scales(x.a_scale), policy);
  const MmaRow b = decode_row(*model, x.format, k, bytes_of(x.format, x.b), scales(x.b_scale), policy);
  return mma(*model, a, b, x.c, policy);
}

constexpr auto kE4m3 = ElementFormat::e4m3;
constexpr auto kF16 = ElementFormat::f16;
constexpr auto kBf16 = ElementFormat::bf16;
constexpr const char* kMx = "blackwell.mxf8f6f4.ue8m0.block32";

// e4m3 and f16 codes of powers of two.
constexpr std::uint32_t e4m3(int exponent) {
  return encode(kE4m3, std::bit_cast<float>((127 + exponent) << 23));
}
constexpr std::uint32_t f16(int exponent) {
  return encode(kF16, std::bit_cast<float>((127 + exponent) << 23));
}
constexpr std::uint32_t bf16(int exponent) { return static_cast<std::uint32_t>(127 + exponent) << 7; }
constexpr std::uint32_t kMinusF16 = 0x8000, kMinusE4m3 = 0x80;

// docs/numerics.md, "Worked examples": MMA-Sim c785138 and probes of an H100.
const Case kWorked[] = {
    // kind::mxf8f6f4, e4m3
    {kMx, kE4m3, repeated(32, 0x38), repeated(32, 0x38), 0x3f800000, 0x42040000},
    {kMx, kE4m3, repeated(32, 0x38), repeated(32, 0x38), 0, 0x02800000, 0, 127},
    {kMx, kE4m3, repeated(32, 0x38), repeated(32, 0x38), 0, 0x7f800000, 254, 254},
    {kMx, kE4m3, repeated(32, 0x38), repeated(32, 0x38), 0, 0x7fffffff, 255, 127},
    {kMx, kE4m3, repeated(32, 0xb8), repeated(32, 0x38), 0x3f800000, 0x3f800000, 114, 114},
    // wgmma fp8: 13 fraction bits in the sum and in D
    {"hopper.wgmma.fp8.f32", kE4m3, repeated(32, 0), repeated(32, 0), 0x3f8007ff, 0x3f800400},
    {"blackwell.f8f6f4.f32", kE4m3, repeated(32, 0), repeated(32, 0), 0x3f8007ff, 0x3f8007ff},
    {"hopper.wgmma.fp8.f32", kE4m3, codes(32, {0x38, e4m3(-9)}), codes(32, {0x38, kMinusE4m3 | e4m3(-5)}), 0,
     0x3f800000},
    {"blackwell.f8f6f4.f32", kE4m3, codes(32, {0x38, e4m3(-9)}), codes(32, {0x38, kMinusE4m3 | e4m3(-5)}), 0,
     0x3f7ffc00},
    // ... in D too: 3 + 2^-13
    {"hopper.wgmma.fp8.f32", kE4m3, codes(32, {0x38, 0x38, 0x38, e4m3(-6)}),
     codes(32, {0x38, 0x38, 0x38, e4m3(-7)}), 0, 0x40400000},
    {"hopper.wgmma.fp8.f16", kE4m3, codes(32, {0x7e}), codes(32, {0x7e}), 0, 0x7c00},
    {"hopper.wgmma.fp8.f16", kE4m3, codes(32, {0x7f}), codes(32, {0x38}), 0, 0x7fff},
    // f16: 25 fraction bits below the largest exponent
    {"hopper.f16.f32", kF16, codes(16, {0x3c00, f16(-13)}), codes(16, {0x3c00, kMinusF16 | f16(-13)}), 0,
     0x3f800000},
    {"hopper.f16.f32", kF16, codes(16, {0x3c00, f16(-13)}), codes(16, {0x3c00, kMinusF16 | f16(-12)}), 0,
     0x3f7fffff},
    {"hopper.f16.f16", kF16, codes(16, {0x3c00, f16(-5)}), codes(16, {0x3c00, f16(-6)}), 0, 0x3c00},
    {"hopper.f16.f16", kF16, codes(16, {0x7bff, 0x4c00}), codes(16, {0x3c00, 0x3c00}), 0, 0x7c00},
    // bf16: no overflow inside the sum
    {"hopper.bf16.f32", kBf16, codes(16, {bf16(127), bf16(127)}), codes(16, {bf16(1), 0x8000 | bf16(0)}), 0,
     0x7f000000},
    {"hopper.bf16.f32", kBf16, codes(16, {bf16(127)}), codes(16, {0x4040}), 0, 0x7f800000},
    // Probes: zero products and c = 0 take no part in Emax, which is at least -133.
    {"hopper.bf16.f32", kBf16, codes(16, {0}), codes(16, {bf16(127)}), 0x30800000, 0x30800000},
    {"hopper.bf16.f32", kBf16, codes(16, {bf16(-65), bf16(-76)}), codes(16, {bf16(-65), 0x8000 | bf16(-77)}),
     0, 0x0007ffff},
    {"hopper.bf16.f32", kBf16, codes(16, {bf16(-70), bf16(-80)}), codes(16, {bf16(-70), 0x8000 | bf16(-80)}),
     0, 0x00000200},
    {"hopper.f16.f32", kF16, codes(16, {0}), codes(16, {0x7bff}), 0x30800000, 0x30800000},
    // Signed zero, infinities, NaN.
    {"hopper.f16.f32", kF16, codes(16, {0x8000}), codes(16, {0x3c00}), 0x80000000, 0},
    {"hopper.f16.f32", kF16, codes(16, {0x3c00}), codes(16, {0x3c00}), 0xff800000, 0xff800000},
    {"hopper.f16.f32", kF16, codes(16, {0xfc00}), codes(16, {0x3c00}), 0x7f800000, 0x7fffffff},
    {"hopper.f16.f32", kF16, codes(16, {0xfc00}), codes(16, {0x0000}), 0, 0x7fffffff},
    {"hopper.f16.f32", kF16, codes(16, {0xfc00}), codes(16, {0x3c00}), 0, 0xff800000},
    {"hopper.f16.f16", kF16, codes(16, {0xfe01}), codes(16, {0x3c00}), 0, 0x7fff},
    {"hopper.f16.f32", kF16, codes(16, {0x3c00}), codes(16, {0x3c00}), 0xffc01234, 0x7fffffff},
    // tf32 reads f32 words without their low 13 bits: a NaN whose payload lies there is an infinity.
    {"hopper.tf32.f32", ElementFormat::tf32, codes(8, {0x3f801fff}), codes(8, {0x3f800000}), 0, 0x3f800000},
    {"hopper.tf32.f32", ElementFormat::tf32, codes(8, {0x7f800001}), codes(8, {0x3f800000}), 0, 0x7f800000},
};

TEST(MmaModel, WorkedExamples) {
  int index = 0;
  for (const Case& x : kWorked) EXPECT_EQ(run(x), x.d) << x.model << ", case " << index++;
}

// MMA-Sim's rule gives other bits than the hardware just where a zero meets a huge value, or c = 0 tiny
// products.
TEST(MmaModel, TheTwoZeroRulesDiffer) {
  const MmaPolicy mma_sim = {.zeros = ZeroRule::mma_sim};
  EXPECT_EQ(run({"hopper.bf16.f32", kBf16, codes(16, {0}), codes(16, {bf16(127)}), 0x30800000, 0}, mma_sim),
            0u);
  EXPECT_EQ(run({"hopper.bf16.f32", kBf16, codes(16, {bf16(-65), bf16(-76)}),
                 codes(16, {bf16(-65), 0x8000 | bf16(-77)}), 0, 0},
                mma_sim),
            0x00080000u);
  int differing = 0;
  for (const Case& x : kWorked) differing += run(x, mma_sim) != x.d;
  EXPECT_EQ(differing, 2);
}

// Every rule of the core, changed by one step, changes a worked example.
TEST(MmaModel, ASabotagedRuleIsSeen) {
  const auto seen = [](const std::function<void(MmaModel&)>& change) {
    int differing = 0;
    for (const Case& x : kWorked) differing += run(x, {}, change) != x.d;
    return differing;
  };
  EXPECT_EQ(seen([](MmaModel&) {}), 0);
  EXPECT_GT(seen([](MmaModel& m) { ++m.rules.fraction_bits; }), 0);
  EXPECT_GT(seen([](MmaModel& m) { --m.rules.fraction_bits; }), 0);
  EXPECT_GT(seen([](MmaModel& m) { m.rules.rounding = Rounding::rne; }), 0);
  EXPECT_GT(seen([](MmaModel& m) { m.rules.lowest_exponent = kNoLowestExponent; }), 0);
  EXPECT_GT(seen([](MmaModel& m) { m.rules.products_per_sum = 1; }), 0);
  EXPECT_GT(seen([](MmaModel& m) {
              if (m.rules.output.fraction_bits == 13) m.rules.output = info(ElementFormat::f32);
            }),
            0);
}

// Emax is at least -133: under it 2^-158 still counts and 2^-159 does not.
TEST(MmaModel, TheFloorOfEmax) {
  const auto difference = [](int exponent) {
    return run({"hopper.bf16.f32", kBf16, codes(16, {bf16(-70), bf16(exponent + 80)}),
                codes(16, {bf16(-70), 0x8000 | bf16(-80)}), 0, 0});
  };
  EXPECT_EQ(difference(-158), 0x000001ffu);
  EXPECT_EQ(difference(-159), 0x00000200u);
}

// Ampere's K = 16 is two sums of 8, the low half first, rounded in between: 1 + 2^-24 twice is cut twice,
// where one sum keeps the carry.
TEST(MmaModel, AmpereChainsTwoSumsOfEight) {
  Codes a = repeated(16, 0), b = repeated(16, 0);
  a[0] = b[0] = 0x3c00;
  a[1] = b[1] = f16(-12);
  a[9] = b[9] = f16(-12);
  EXPECT_EQ(run({"hopper.f16.f32", kF16, a, b, 0, 0}), 0x3f800001u);
  EXPECT_EQ(run({"ampere.f16.f32", kF16, a, b, 0, 0}), 0x3f800000u);
  // Both in one half: one sum keeps the carry.
  a[9] = b[9] = 0;
  a[2] = b[2] = f16(-12);
  EXPECT_EQ(run({"ampere.f16.f32", kF16, a, b, 0, 0}), 0x3f800001u);
}

// mma.sync fp8 on sm_90 and sm_100: elements 0, 1, 4, 5, ... first, then 2, 3, 6, 7, ..., then c by an RN
// addition.
TEST(MmaModel, LoweredFp8TakesTheLowBytePairsFirst) {
  std::set<int> first, second;
  const MmaModel model = *find_model("hopper.mma_sync.fp8.f32");
  for (int position = 0; position < 32; ++position) {
    (position < 16 ? first : second).insert(element_of_position(model, 32, position));
  }
  for (int k = 0; k < 32; ++k) EXPECT_EQ(first.count(k), (k >> 1 & 1) == 0 ? 1u : 0u) << k;
  EXPECT_EQ(second.size(), 16u);

  // k = 16: 0, 1, 4, 5, 8, 9, 12, 13, then 2, 3, 6, 7, ...
  for (int position = 0; position < 16; ++position) {
    EXPECT_EQ(element_of_position(model, 16, position) >> 1 & 1, position / 8) << position;
  }
  EXPECT_EQ(products_per_sum(model, 16), 8);

  // f16 output: 2048 + 1 rounds to 2048 in the first instruction when both are in it; apart, the same; with
  // three ones the order shows: (2048 + 1 + 1) + 1 against (2048 + 1) + 1 + 1.
  const auto with_ones_at = [](std::initializer_list<int> ones) {
    Codes a = repeated(32, 0), b = repeated(32, 0);
    a[0] = e4m3(8);
    b[0] = e4m3(3);
    for (const int k : ones) a[static_cast<std::size_t>(k)] = b[static_cast<std::size_t>(k)] = e4m3(0);
    return run({"hopper.mma_sync.fp8.f16", kE4m3, a, b, 0, 0});
  };
  EXPECT_EQ(with_ones_at({1}), 0x6800u);
  EXPECT_EQ(with_ones_at({1, 4}), 0x6801u);  // both in the first instruction: 2050
  EXPECT_EQ(with_ones_at({1, 2}), 0x6800u);  // one in each: cut twice by ties to even
  EXPECT_EQ(with_ones_at({2, 3}), 0x6801u);

  // c joins last and to nearest: 1 + 2^-24 + 2^-24 is a tie that goes to even; in one sum it would be exact.
  EXPECT_EQ(
      run({"hopper.mma_sync.fp8.f32", kE4m3, codes(32, {e4m3(-6)}), codes(32, {e4m3(-6)}), 0x4b000000, 0}),
      0x4b000000u);
  EXPECT_EQ(
      run({"hopper.mma_sync.fp8.f32", kE4m3, codes(32, {e4m3(0)}), codes(32, {e4m3(0)}), 0x4b800001, 0}),
      0x4b800002u);  // 2^24 + 2 + 1: the tie goes up, truncation would keep 0x4b800001
}

// Any two of the five formats: one product is exact, whatever the pair.
TEST(MmaModel, Mxf8f6f4TakesAllPairsOfFormats) {
  const MmaModel model = *find_model(kMx);
  constexpr ElementFormat kFormats5[] = {ElementFormat::e4m3, ElementFormat::e5m2, ElementFormat::e3m2,
                                         ElementFormat::e2m3, ElementFormat::e2m1};
  const std::vector<std::uint8_t> scale = {127};
  for (ElementFormat x : kFormats5) {
    for (ElementFormat y : kFormats5) {
      ASSERT_TRUE(check(model, {16, 8, 32, x, y}).ok());
      for (std::uint32_t i = 0; i < 1u << info(x).code_bits(); ++i) {
        for (std::uint32_t j = 0; j < 1u << info(y).code_bits(); j += 3) {
          const MmaRow a = decode_row(model, x, 32, bytes_of(x, codes(32, {i})), scale);
          const MmaRow b = decode_row(model, y, 32, bytes_of(y, codes(32, {j})), scale);
          const std::uint32_t product =
              multiply(ElementFormat::f32, f32_bits_of(decode(x, i)), f32_bits_of(decode(y, j)));
          ASSERT_EQ(mma(model, a, b, 0), product == 0x80000000u ? 0 : product)
              << name_of(x) << ' ' << i << ' ' << name_of(y) << ' ' << j;
        }
      }
    }
  }
}

// The policy for fp6 and fp4 subnormals shows where an aligned term loses bits: e2m1 0.5 has exponent 0 or
// -1, and at c = 2^-27 one bit of c is at stake.
TEST(MmaModel, NarrowSubnormalsArePolicy) {
  const Case x = {"blackwell.f8f6f4.f32", ElementFormat::e2m1, codes(32, {1, 1}),
                  codes(32, {1, 9}),      0x33000001,          0};
  EXPECT_EQ(run(x), 0x33000000u);  // 2^-25 of 2^0
  MmaPolicy policy;
  policy.narrow_subnormals = NarrowSubnormals::normalised;
  EXPECT_EQ(run(x, policy), 0x33000000u);
  Case y = x;
  y.c = 0x32800000;  // 2^-26: below the quantum 2^-25 of Emax = 0, above that of Emax = -2
  EXPECT_EQ(run(y), 0u);
  EXPECT_EQ(run(y, policy), 0x32800000u);
}

// The byte form of e2m1 of mma.sync: bits 5:2.
TEST(MmaModel, Fp4MayTakeAByteEach) {
  const MmaModel model = *find_model("blackwell.f8f6f4.f32");
  EXPECT_TRUE(takes_row_bytes(model, ElementFormat::e2m1, 32, 16));
  EXPECT_TRUE(takes_row_bytes(model, ElementFormat::e2m1, 32, 32));
  EXPECT_FALSE(takes_row_bytes(model, ElementFormat::e4m3, 32, 16));
  EXPECT_FALSE(takes_row_bytes(*find_model("blackwell.mxf4.ue8m0.block32"), ElementFormat::e2m1, 64, 64));
  std::vector<std::uint8_t> packed(16), bytes(32);
  for (std::size_t i = 0; i < 32; ++i) {
    bytes[i] = static_cast<std::uint8_t>(i % 16 << 2 | 0xc3);  // what lies outside bits 5:2 is ignored
    packed[i / 2] = static_cast<std::uint8_t>(packed[i / 2] | (i % 16) << i % 2 * 4);
  }
  for (int i = 0; i < 32; ++i) {
    EXPECT_EQ(element_code(ElementFormat::e2m1, 32, bytes, i),
              element_code(ElementFormat::e2m1, 32, packed, i));
  }
}

TEST(FindModel, KnowsEveryRowOfTheTableAndNothingElse) {
  std::set<std::string_view> names;
  for (const MmaModel& model : kMmaModels) {
    EXPECT_TRUE(names.insert(model.name).second) << model.name;
    EXPECT_EQ(find_model(model.name)->name, model.name);
    EXPECT_FALSE(model.source.empty());
  }
  for (const char* name : {"", "hopper", "hopper.f16.f32 ", "custom", "blackwell.mxf4.ue4m3.block32"}) {
    EXPECT_EQ(find_model(name).error(), Error::kNotFound) << name;
  }
}

TEST(FindModel, CustomAccumulators) {
  const auto error = [](const char* text) { return find_model("custom:" + std::string(text)).error(); };
  EXPECT_EQ(error("fraction_bits=25,products=16,output=f32,rounding=rz"), Error::kOk);
  EXPECT_EQ(error("fraction_bits=44,products=1024,output=bf16,rounding=rne,emax_floor=-133"), Error::kOk);
  EXPECT_EQ(error("fraction_bits=10,products=4,output=e8m13,rounding=rz,scales=ue4m3,block=16"), Error::kOk);
  for (const char* text : {"", "fraction_bits=25", "fraction_bits=0,products=16,output=f32,rounding=rz",
                           "fraction_bits=45,products=16,output=f32,rounding=rz",
                           "fraction_bits=25,products=0,output=f32,rounding=rz",
                           "fraction_bits=25x,products=16,output=f32,rounding=rz",
                           "fraction_bits=25,products=16,output=f64,rounding=rz",
                           "fraction_bits=25,products=16,output=f32,rounding=up",
                           "fraction_bits=25,products=16,output=f32,rounding=rz,colour=red",
                           "fraction_bits=25,fraction_bits=25,products=16,output=f32,rounding=rz",
                           "fraction_bits=25,products=16,output=f32,rounding=rz,",
                           "fraction_bits=25,products=16,output=f32,rounding=rz,=",
                           "fraction_bits=25,products=16,output=f32,rounding=rz,scales=ue8m0",
                           "fraction_bits=25,products=16,output=f32,rounding=rz,block=16",
                           "fraction_bits=99999999999999999999,products=16,output=f32,rounding=rz"}) {
    EXPECT_EQ(error(text), Error::kBadArgument) << text;
  }
}

// A custom accumulator with a known model's numbers is that model; each number matters.
TEST(FindModel, CustomAccumulatorsComputeAsSaid) {
  const Case hopper = {
      "hopper.f16.f32", kF16, codes(16, {0x3c00, f16(-13)}), codes(16, {0x3c00, kMinusF16 | f16(-13)}),
      0x33800000,       0};
  Case custom = hopper;
  custom.model = "custom:fraction_bits=25,products=16,output=f32,rounding=rz";
  EXPECT_EQ(run(custom), run(hopper));
  EXPECT_EQ(run(hopper), 0x3f800000u);  // 1 + 2^-24
  custom.model = "custom:fraction_bits=26,products=16,output=f32,rounding=rz";
  EXPECT_EQ(run(custom), 0x3f800000u);  // 1 + 2^-24 - 2^-26, cut
  custom.model = "custom:fraction_bits=26,products=1,output=f32,rounding=rz";
  EXPECT_EQ(run(custom), 0x3f7fffffu);  // c is lost in the first sum, then 1 - 2^-26
  custom.model = "custom:fraction_bits=26,products=16,output=f32,rounding=rne";
  custom.c = 0x34000000;
  EXPECT_EQ(run(custom), 0x3f800001u);  // 1 + 2^-23 - 2^-26
  custom.model = "custom:fraction_bits=26,products=16,output=bf16,rounding=rne";
  custom.c = 0x3c00;  // 2^-7
  EXPECT_EQ(run(custom), 0x3f81u);
  // Scales: 1 * 1 * 2^3 * 2^-1 per block of 8.
  Case scaled = {"custom:fraction_bits=25,products=16,output=f32,rounding=rz,scales=ue8m0,block=8",
                 kE4m3,
                 repeated(16, 0x38),
                 repeated(16, 0x38),
                 0,
                 0,
                 130,
                 126};
  EXPECT_EQ(run(scaled), 0x42800000u);
  scaled.model = "custom:fraction_bits=25,products=16,output=f32,rounding=rz,scales=ue4m3,block=8";
  scaled.a_scale = 0x3c;  // 1.5
  scaled.b_scale = 0x40;  // 2
  EXPECT_EQ(run(scaled), 0x42400000u);
}

TEST(CheckShape, RefusesWhatTheModelDoesNotTake) {
  const MmaModel f16_model = *find_model("hopper.f16.f32"), fp4 = *find_model("blackwell.mxf4.ue8m0.block32");
  EXPECT_TRUE(check(f16_model, {1, 1, 8, kF16, kF16}).ok());
  EXPECT_EQ(check(f16_model, {1, 1, 12, kF16, kF16}).error(), Error::kBadShape);
  EXPECT_EQ(check(f16_model, {0, 1, 16, kF16, kF16}).error(), Error::kBadShape);
  EXPECT_EQ(check(f16_model, {1, 1, 16, kF16, kBf16}).error(), Error::kUnsupportedFormat);
  EXPECT_EQ(
      check(fp4, {1, 1, 96, ElementFormat::e2m1, ElementFormat::e2m1}).failure().message(),
      "bad shape: blackwell.mxf4.ue8m0.block32: k = 96, not 64: the model has no instruction of this depth");
  EXPECT_EQ(check(fp4, {1, 1, 64, kE4m3, ElementFormat::e2m1}).error(), Error::kUnsupportedFormat);
}

}  // namespace
}  // namespace fourge::reference
