#include "reference/conversions.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <thread>
#include <vector>

#include "tests/support/test_data.h"

namespace fourge::reference {
namespace {

struct Conversion {
  const char* file;  // its name in tests/data/cvt
  std::uint8_t (*convert)(float);
};

constexpr Conversion kConversions[] = {
    {"e2m1_rn", cvt_rn_satfinite_e2m1_f32},      {"e2m1_rz", cvt_rz_satfinite_e2m1_f32},
    {"e2m3_rn", cvt_rn_satfinite_e2m3_f32},      {"e2m3_rz", cvt_rz_satfinite_e2m3_f32},
    {"e3m2_rn", cvt_rn_satfinite_e3m2_f32},      {"e3m2_rz", cvt_rz_satfinite_e3m2_f32},
    {"e4m3_sat", cvt_rn_satfinite_e4m3_f32},     {"e4m3_nosat", cvt_rn_e4m3_f32},
    {"e5m2_sat", cvt_rn_satfinite_e5m2_f32},     {"e5m2_nosat", cvt_rn_e5m2_f32},
    {"e8m0_rz_sat", cvt_rz_satfinite_ue8m0_f32}, {"e8m0_rz_nosat", cvt_rz_ue8m0_f32},
    {"e8m0_rp_sat", cvt_rp_satfinite_ue8m0_f32}, {"e8m0_rp_nosat", cvt_rp_ue8m0_f32}};

std::filesystem::path golden(const std::string& name) { return tests::test_data() / "cvt" / name; }

std::uint64_t fnv1a64(std::uint64_t hash, std::uint8_t byte) { return (hash ^ byte) * 1099511628211u; }
constexpr std::uint64_t kHashStart = 1469598103934665603u;

class Convert : public testing::TestWithParam<Conversion> {};

TEST_P(Convert, SamplesMatchCuda) {
  const auto inputs = tests::read_words<std::uint32_t>(golden("sample_inputs.u32.bin"));
  const auto expected =
      tests::read_words<std::uint8_t>(golden("sample_" + std::string(GetParam().file) + ".u8.bin"));
  ASSERT_EQ(inputs.size(), 65536u);
  ASSERT_EQ(expected.size(), inputs.size());
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    ASSERT_EQ(GetParam().convert(std::bit_cast<float>(inputs[i])), expected[i]) << std::hex << inputs[i];
  }
}

// The exhaustive run in small: one slab of 2^24 inputs, around 1.0.
TEST_P(Convert, OneSlabOfInputsMatchesCuda) {
  constexpr std::uint32_t kSlab = 0x3f;
  const auto hashes =
      tests::read_words<std::uint64_t>(golden("exhaustive_" + std::string(GetParam().file) + ".fnv1a64.bin"));
  ASSERT_EQ(hashes.size(), 256u);
  std::uint64_t hash = kHashStart;
  for (std::uint32_t i = 0; i < 1u << 24; ++i) {
    hash = fnv1a64(hash, GetParam().convert(std::bit_cast<float>(kSlab << 24 | i)));
  }
  EXPECT_EQ(hash, hashes[kSlab]);
}

INSTANTIATE_TEST_SUITE_P(Convert, Convert, testing::ValuesIn(kConversions),
                         [](const auto& test) { return std::string(test.param.file); });

class LongConvert : public testing::TestWithParam<Conversion> {};

TEST_P(LongConvert, AllInputsMatchCuda) {
  const auto expected =
      tests::read_words<std::uint64_t>(golden("exhaustive_" + std::string(GetParam().file) + ".fnv1a64.bin"));
  ASSERT_EQ(expected.size(), 256u);
  std::atomic<std::uint32_t> next{0};
  std::vector<std::uint64_t> hashes(256, kHashStart);
  const auto work = [&] {
    for (std::uint32_t slab = next++; slab < 256; slab = next++) {
      std::uint64_t hash = kHashStart;
      for (std::uint32_t i = 0; i < 1u << 24; ++i) {
        hash = fnv1a64(hash, GetParam().convert(std::bit_cast<float>(slab << 24 | i)));
      }
      hashes[slab] = hash;
    }
  };
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < std::max(1u, std::thread::hardware_concurrency()); ++t) threads.emplace_back(work);
  for (std::thread& thread : threads) thread.join();
  for (std::size_t slab = 0; slab < 256; ++slab) EXPECT_EQ(hashes[slab], expected[slab]) << "slab " << slab;
}

INSTANTIATE_TEST_SUITE_P(LongConvert, LongConvert, testing::ValuesIn(kConversions),
                         [](const auto& test) { return std::string(test.param.file); });

struct Decoding {
  ElementFormat format;
  const char* file;
};

TEST(Decode, AllCodesMatchCuda) {
  constexpr Decoding kDecodings[] = {{ElementFormat::e2m1, "e2m1"}, {ElementFormat::e2m3, "e2m3"},
                                     {ElementFormat::e3m2, "e3m2"}, {ElementFormat::e4m3, "e4m3"},
                                     {ElementFormat::e5m2, "e5m2"}, {ElementFormat::ue8m0, "e8m0"}};
  for (const Decoding& decoding : kDecodings) {
    const auto expected =
        tests::read_words<float>(golden("decode_" + std::string(decoding.file) + ".f32.bin"));
    ASSERT_EQ(expected.size(), std::size_t{1} << info(decoding.format).code_bits()) << decoding.file;
    for (std::size_t code = 0; code < expected.size(); ++code) {
      const float value = decode_f32(decoding.format, static_cast<std::uint32_t>(code));
      if (std::isnan(expected[code])) {
        EXPECT_TRUE(std::isnan(value)) << decoding.file << ' ' << code;
      } else {
        EXPECT_EQ(std::bit_cast<std::uint32_t>(value), std::bit_cast<std::uint32_t>(expected[code]))
            << decoding.file << ' ' << code;
      }
    }
  }
}

// PTX ISA 9.7.9.21: of "d, a, b" the first source lies in the upper half.
TEST(ConvertPacked, FirstSourceIsTheUpperHalf) {
  EXPECT_EQ(cvt_rn_satfinite_e2m1x2_f32(1.0f, -6.0f), 0x2fu);
  EXPECT_EQ(cvt_rn_satfinite_e4m3x2_f32(448.0f, -1.0f), 0x7eb8u);
  EXPECT_EQ(cvt_rn_satfinite_e5m2x2_f32(1.0f, NAN), 0x3c7fu);
  EXPECT_EQ(cvt_rn_satfinite_e2m3x2_f32(-7.5f, 1.0f), 0x3f08u);
  EXPECT_EQ(cvt_rn_satfinite_e3m2x2_f32(28.0f, -0.0f), 0x1f20u);
  EXPECT_EQ(cvt_rp_satfinite_ue8m0x2_f32(3.0f, 1.0f), 0x817fu);
  EXPECT_EQ(cvt_rz_satfinite_ue8m0x2_f32(3.0f, 1.0f), 0x807fu);
}

TEST(ConvertWiden, IsExactAndNanIsCanonical) {
  EXPECT_EQ(cvt_rn_f16_e2m1(0x1), 0x3800u);
  EXPECT_EQ(cvt_rn_f16_e2m1(0xf), 0xc600u);
  EXPECT_EQ(cvt_rn_f16_e4m3(0x01), 0x1800u);  // 2^-9
  EXPECT_EQ(cvt_rn_f16_e4m3(0xff), 0x7fffu);
  EXPECT_EQ(cvt_rn_f16_e5m2(0x01), 0x0100u);  // a subnormal of f16 too
  EXPECT_EQ(cvt_rn_f16_e5m2(0xfc), 0xfc00u);
  EXPECT_EQ(cvt_rn_f16_e5m2(0xfd), 0x7fffu);
  EXPECT_EQ(cvt_rn_bf16_ue8m0(0x00), 0x0040u);
  EXPECT_EQ(cvt_rn_bf16_ue8m0(0x7f), 0x3f80u);
  EXPECT_EQ(cvt_rn_bf16_ue8m0(0xff), 0x7fffu);
  for (unsigned code = 0; code < 256; ++code) {  // f16 has every value of e5m2 with the same bits on top
    if ((code & 0x7f) > 0x7c) continue;
    EXPECT_EQ(cvt_rn_f16_e5m2(static_cast<std::uint8_t>(code)), code << 8);
  }
}

}  // namespace
}  // namespace fourge::reference
