// Every registered quantise kernel that this machine can run, against quant/ (and reference/ for rotations),
// bit for bit.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>

#include "fourge/hadamard.h"
#include "fourge/quantizer.h"
#include "jit/quantize/quantize_kernel.h"
#include "tests/support/guarded_buffer.h"
#include "tests/support/kernel_names.h"
#include "tests/support/plain_matrix.h"
#include "tests/support/quantize_problem.h"

namespace fourge::tests {
namespace {

using jit::QuantizeKernelEntry;

class QuantizeKernelTest : public testing::TestWithParam<QuantizeKernelEntry> {
 protected:
  void SetUp() override {
    const char* missing = jit::host_features().missing_for(GetParam().isa);
    if (missing != nullptr) GTEST_SKIP() << "this machine cannot run it: " << missing;
  }

  bool takes(const QuantizerSpec& spec) { return GetParam().refusal(spec) == nullptr; }

  Quantizer make(const QuantizerSpec& spec) {
    const std::string name = GetParam().name(spec);
    Result<Quantizer> made =
        Quantizer::create(spec, {.kernel = name.c_str(), .max_isa = name_of(GetParam().isa)});
    EXPECT_TRUE(made.ok()) << made.failure().message();
    EXPECT_EQ(made->code().name, name);
    return *made;
  }

  QuantizeAnswer answer(const QuantizeProblem& problem, int threads = 1) {
    QuantizeAnswer got{std::vector<std::uint8_t>(problem.code_bytes(), 0xa5),
                       std::vector<std::uint8_t>(problem.scale_count(), 0xa5),
                       0.0f,
                       {}};
    const Result<QuantizeOutcome> outcome =
        make(problem.spec).run(problem.operands(got.codes.data(), got.scales.data()), {.threads = threads});
    EXPECT_TRUE(outcome.ok()) << outcome.failure().message() << " " << problem.describe();
    if (!outcome.ok()) return got;
    got.amax = outcome->amax;
    got.tensor_scale = outcome->tensor_scale;
    got.outcome = *outcome;
    return got;
  }

  void expect_exact(const QuantizeProblem& problem, int threads = 1) {
    if (!takes(problem.spec)) return;
    ASSERT_EQ(first_difference(problem, truth(problem), answer(problem, threads)), "");
  }
};

TEST_P(QuantizeKernelTest, EveryRuleOnEveryKindOfData) {
  std::mt19937_64 rng(1);
  for (const QuantizeSpec& quantize : every_quantize_spec()) {
    for (const PlainData data : kPlainData) {
      const QuantizerSpec spec{.quantize = quantize, .input = kPlain[rng() % 3]};
      const std::uint64_t most_rows = quantize.block_2d ? 35 : 6;
      expect_exact(quantize_problem(spec, 1 + static_cast<std::int64_t>(rng() % most_rows),
                                    32 * (1 + static_cast<std::int64_t>(rng() % 10)), rng() % 2 == 0, data,
                                    rng));
      if (HasFatalFailure()) return;
    }
  }
}

TEST_P(QuantizeKernelTest, EveryRotation) {
  std::mt19937_64 rng(2);
  const std::vector<QuantizeSpec> rules = every_quantize_spec();
  for (const std::int64_t order : {2, 8, 16, 32, 64, 128, 256, 512, 12, 96, 192, 1024}) {
    for (int i = 0; i < 24; ++i) {
      QuantizerSpec spec{.quantize = rules[rng() % rules.size()], .input = kPlain[rng() % 3]};
      spec.rotate = order;
      spec.signs = rng() % 2 == 0;
      const std::int64_t unit = order % 32 == 0 ? order : order * 16;
      const PlainData data = kPlainData[rng() % std::size(kPlainData)];
      QuantizeProblem problem =
          quantize_problem(spec, 1 + static_cast<std::int64_t>(rng() % 20),
                           unit * (1 + static_cast<std::int64_t>(rng() % 5)), rng() % 2 == 0, data, rng);
      if (data == PlainData::huge) problem.amax = 0x1p127f;  // sums overflow
      if (rng() % 4 == 0) problem.rotation_scale = 0.1767578125f;
      expect_exact(problem);
      if (HasFatalFailure()) return;
    }
  }
}

TEST_P(QuantizeKernelTest, TransposedEqualsTheQuantisedTranspose) {
  std::mt19937_64 rng(3);
  for (const QuantizeSpec& quantize : every_quantize_spec()) {
    QuantizerSpec spec{.quantize = quantize, .input = kPlain[rng() % 3], .transpose = true};
    if (rng() % 2 == 0) spec.rotate = 32;
    expect_exact(quantize_problem(spec, 32 * (1 + static_cast<std::int64_t>(rng() % 12)),
                                  1 + static_cast<std::int64_t>(rng() % 70), rng() % 2 == 0,
                                  PlainData::gaussian, rng));
    if (HasFatalFailure()) return;
  }
}

TEST_P(QuantizeKernelTest, EveryLayoutAndItsPadding) {
  std::mt19937_64 rng(4);
  for (const ScaleLayout layout : {ScaleLayout::swizzled_128x4, ScaleLayout::swizzled_8x4}) {
    for (QuantizeSpec quantize : every_quantize_spec()) {
      if (quantize.scale_max != 0) continue;
      quantize.layout = layout;
      for (const std::int64_t rows : {7, 130}) {
        expect_exact(quantize_problem({.quantize = quantize}, rows,
                                      32 * (1 + static_cast<std::int64_t>(rng() % 6)), false,
                                      PlainData::gaussian, rng));
        if (HasFatalFailure()) return;
      }
    }
  }
}

TEST_P(QuantizeKernelTest, EveryTail) {
  std::mt19937_64 rng(5);
  for (const Format format : kFormats) {
    for (std::int64_t cols = info(format).block; cols <= 3 * 256; cols += info(format).block) {
      const QuantizerSpec spec{.quantize = {.format = format}};
      for (const bool strided : {false, true})
        expect_exact(quantize_problem(spec, 3, cols, strided, PlainData::gaussian, rng));
      if (HasFatalFailure()) return;
    }
  }
}

// A given amax below the data saturates codes and scales; one far above makes scales zero.
TEST_P(QuantizeKernelTest, GivenAmax) {
  std::mt19937_64 rng(6);
  for (const QuantizeSpec& quantize : every_quantize_spec()) {
    if (quantize.format != Format::nvfp4) continue;
    for (const float amax : {1e-3f, 0.5f, 3.0f, 50.0f, 1e4f, 1e7f, 1e-39f, 3e38f, 0.0f}) {
      QuantizeProblem problem = quantize_problem({.quantize = quantize}, quantize.block_2d ? 17 : 3, 272,
                                                 false, PlainData::lognormal, rng);
      problem.amax = amax;
      expect_exact(problem);
      if (HasFatalFailure()) return;
    }
  }
}

TEST_P(QuantizeKernelTest, EdgesOfScalesAndChoices) {
  for (const QuantizeProblem& problem : edge_problems()) {
    expect_exact(problem);
    if (HasFatalFailure()) return;
  }
}

TEST_P(QuantizeKernelTest, ThreadCountDoesNotChangeABit) {
  std::mt19937_64 rng(7);
  for (const bool transpose : {false, true}) {
    for (const bool block_2d : {false, true}) {
      QuantizerSpec spec{.quantize = {.rule = ScaleRule::mse_4_6, .block_2d = block_2d},
                         .transpose = transpose};
      spec.quantize.rounding = ElementRounding::stochastic;
      if (!takes(spec)) spec.quantize.rounding = ElementRounding::nearest;
      const QuantizeProblem problem = quantize_problem(spec, 272, 1040, true, PlainData::gaussian, rng);
      for (const int threads : {1, 2, 5}) expect_exact(problem, threads);
    }
  }
}

TEST_P(QuantizeKernelTest, StaysInsideGuardPages) {
  std::mt19937_64 rng(8);
  const std::vector<QuantizeSpec> rules = every_quantize_spec();
  for (const auto place : {GuardedBuffer::Place::kAtBegin, GuardedBuffer::Place::kAtEnd}) {
    for (int i = 0; i < 200; ++i) {
      QuantizerSpec spec{.quantize = rules[rng() % rules.size()], .input = kPlain[rng() % 3]};
      spec.transpose = rng() % 4 == 0;
      if (rng() % 2 == 0) spec.rotate = 32;
      spec.quantize.layout = static_cast<ScaleLayout>(rng() % 3);
      if (!takes(spec)) continue;
      const std::int64_t blocked = 32 * (1 + static_cast<std::int64_t>(rng() % 18));
      const std::int64_t other = 1 + static_cast<std::int64_t>(rng() % 40);
      QuantizeProblem problem =
          quantize_problem(spec, spec.transpose ? blocked : other, spec.transpose ? other : blocked,
                           rng() % 2 == 0, PlainData::gaussian, rng);
      GuardedBuffer x(problem.x, place), codes(problem.code_bytes(), place),
          scales(problem.scale_count(), place);
      QuantizeOperands operands = problem.operands(codes.data(), scales.data());
      operands.x = x.data();
      ASSERT_TRUE(make(spec).run(operands).ok());
      const QuantizeAnswer want = truth(problem);
      ASSERT_EQ(std::memcmp(want.codes.data(), codes.data(), codes.size()), 0) << problem.describe();
      ASSERT_EQ(std::memcmp(want.scales.data(), scales.data(), scales.size()), 0) << problem.describe();
    }
  }
}

// What generated code leaves to portable code is rare on ordinary data, and counted.
TEST_P(QuantizeKernelTest, FewBlocksAreDoneAgain) {
  std::mt19937_64 rng(9);
  for (const QuantizeSpec& quantize : every_quantize_spec()) {
    if (!takes({.quantize = quantize})) continue;
    const QuantizeAnswer got = answer(quantize_problem({.quantize = quantize, .input = ElementFormat::bf16},
                                                       32, 512, false, PlainData::gaussian, rng));
    const std::int64_t block = info(quantize.format).block;
    EXPECT_EQ(got.outcome.blocks, (quantize.block_2d ? 32 / block : 32) * (512 / block));
    EXPECT_LE(got.outcome.redone_blocks, got.outcome.blocks / 1000 + 2)
        << kernel_name(QuantizerSpec{.quantize = quantize});
  }
}

TEST_P(QuantizeKernelTest, NothingToDoTouchesNothing) {
  const Quantizer quantizer = make({});
  EXPECT_TRUE(quantizer.run({.rows = 0, .cols = 64}).ok());
  EXPECT_TRUE(quantizer.run({.rows = 5, .cols = 0}).ok());
}

TEST_P(QuantizeKernelTest, InfinityIsRefusedWhenAmaxIsSought) {
  std::vector<float> x(256, 1.0f);
  std::vector<std::uint8_t> codes(128), scales(16);
  QuantizeOperands operands{
      .x = x.data(), .rows = 1, .cols = 256, .codes = codes.data(), .scales = scales.data()};
  x[77] = std::numeric_limits<float>::infinity();
  EXPECT_EQ(make({}).run(operands).error(), Error::kBadArgument);
  x[77] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_TRUE(make({}).run(operands).ok());
  EXPECT_EQ(codes[77 / 2] >> 4, 7);
}

INSTANTIATE_TEST_SUITE_P(Registry, QuantizeKernelTest,
                         testing::ValuesIn(jit::quantize_kernels().begin(), jit::quantize_kernels().end()),
                         [](const auto& kernel) { return std::string(kernel.param.isa_variant); });

TEST(Quantizer, BadSpecsAreRefusedWithAReason) {
  EXPECT_EQ(Quantizer::create({.quantize = {.rule = ScaleRule::floor}}).error(), Error::kBadArgument);
  EXPECT_EQ(Quantizer::create({.quantize = {.format = Format::mxfp4, .rule = ScaleRule::mse_4_6}}).error(),
            Error::kBadArgument);
  QuantizerSpec odd_max;
  odd_max.quantize.scale_max = 300;
  EXPECT_EQ(Quantizer::create(odd_max).error(), Error::kBadArgument);
  odd_max.quantize = {.format = Format::mxfp4, .rule = ScaleRule::floor};
  odd_max.quantize.scale_max = 448;
  EXPECT_EQ(Quantizer::create(odd_max).error(), Error::kBadArgument);
  EXPECT_EQ(Quantizer::create({.input = ElementFormat::e4m3}).error(), Error::kUnsupportedFormat);
  EXPECT_EQ(Quantizer::create({.rotate = 24 * 3}).error(), Error::kBadArgument);
  EXPECT_EQ(Quantizer::create({.signs = true}).error(), Error::kBadArgument);
}

TEST(Quantizer, BadOperandsAreRefusedWithAReason) {
  std::vector<float> x(1024, 1.0f);
  std::vector<std::uint8_t> codes(512), scales(64);
  const QuantizeOperands good{
      .x = x.data(), .rows = 2, .cols = 64, .codes = codes.data(), .scales = scales.data()};
  const auto error_of = [&](const QuantizerSpec& spec, auto change) {
    QuantizeOperands operands = good;
    change(operands);
    const Result<Quantizer> quantizer = Quantizer::create(spec);
    EXPECT_TRUE(quantizer.ok());
    return quantizer->run(operands).error();
  };
  EXPECT_EQ(error_of({}, [](auto&) {}), Error::kOk);
  EXPECT_EQ(error_of({}, [](auto& o) { o.cols = 40; }), Error::kBadShape);
  EXPECT_EQ(error_of({.rotate = 128}, [](auto&) {}), Error::kBadShape);
  EXPECT_EQ(error_of({.transpose = true}, [](auto&) {}), Error::kBadShape);
  EXPECT_EQ(error_of({}, [](auto& o) { o.rows = -1; }), Error::kBadShape);
  EXPECT_EQ(error_of({}, [](auto& o) { o.x_stride = 32; }), Error::kBadShape);
  EXPECT_EQ(error_of({}, [](auto& o) { o.x = nullptr; }), Error::kBadArgument);
  EXPECT_EQ(error_of({}, [](auto& o) { o.codes = nullptr; }), Error::kBadArgument);
  EXPECT_EQ(error_of({}, [](auto& o) { o.amax = -1.0f; }), Error::kBadArgument);
  EXPECT_EQ(error_of({}, [](auto& o) { o.amax = std::nanf(""); }), Error::kBadArgument);
  EXPECT_EQ(error_of({.rotate = 16, .signs = true}, [](auto&) {}), Error::kBadArgument);
}

// What the AVX-512 kernel divides by, for every significand; other binades only shift.
TEST(Quantizer, DivisionByConstantsIsCorrectlyRounded) {
  for (const float denominator : {6.0f * 256.0f, 6.0f * 448.0f}) {
    const float reciprocal = 1.0f / denominator;
    std::int64_t wrong = 0;
    for (std::uint32_t fraction = 0; fraction < 1u << 23; ++fraction) {
      const auto x = std::bit_cast<float>(0x3f800000u | fraction);
      const float quotient = x * reciprocal, remainder = std::fma(-quotient, denominator, x);
      wrong += std::fma(remainder, reciprocal, quotient) != x / denominator ? 1 : 0;
    }
    EXPECT_EQ(wrong, 0) << denominator;
  }
}

}  // namespace
}  // namespace fourge::tests
