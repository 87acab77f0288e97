// W4A16: every registered kernel against reference/, bit for bit; the order against sums in double precision.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <random>

#include "jit/cpu.h"
#include "jit/gemm/w4a16_gemm.h"
#include "jit/select.h"
#include "reference/w4a16.h"
#include "tests/support/w4a16_problem.h"

namespace fourge::tests {
namespace {

using jit::GemmKernelEntry;
using Rng = std::mt19937_64;

std::vector<GemmKernelEntry> w4a16_kernels() {
  std::vector<GemmKernelEntry> kernels;
  for (const GemmKernelEntry& entry : jit::gemm_kernels()) {
    const GemmSpec spec{.numerics = Numerics::fast, .activations = Activations::bf16};
    if (entry.numerics == Numerics::fast && entry.refusal(spec) == nullptr) kernels.push_back(entry);
  }
  return kernels;
}

class W4a16Kernel : public testing::TestWithParam<GemmKernelEntry> {
 protected:
  void SetUp() override {
    if (const char* missing = jit::host_features().missing_for(GetParam().isa))
      GTEST_SKIP() << "this machine cannot run it: " << missing;
  }

  void expect_exact(const W4a16Problem& problem, int threads = 1) {
    const auto kernel = GetParam().make(problem.spec());
    ASSERT_TRUE(kernel.ok()) << kernel.failure().message();
    EXPECT_EQ((*kernel)->code().name, GetParam().name(problem.spec()));
    EXPECT_EQ(first_difference(problem.base, reference_answer(problem), answer(**kernel, problem, threads)),
              "");
  }
};

TEST_P(W4a16Kernel, BitExactVsReferenceOnRandomProblems) {
  Rng rng(20261122);
  for (int i = 0; i < 160 && !HasFailure(); ++i) expect_exact(random_w4a16(i, 16, rng), i % 8 == 0 ? 2 : 1);
}

TEST_P(W4a16Kernel, EveryTailOfMAndN) {
  Rng rng(3);
  for (std::int64_t m : {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 24, 25}) {
    for (Format format : kFormats) {
      expect_exact(
          make_w4a16({.m = m, .n = 5, .k = 96, .format = format}, DataKind::gaussian, Values::normal, rng));
    }
  }
  for (std::int64_t n : {1, 2, 7, 8, 9, 15, 16, 17, 31, 33}) {
    for (OutputType output : {OutputType::f32, OutputType::bf16, OutputType::f16}) {
      expect_exact(
          make_w4a16({.m = 2, .n = n, .k = 80, .output = output}, DataKind::gaussian, Values::normal, rng));
    }
  }
}

// Several chunks of row blocks.
TEST_P(W4a16Kernel, ManyRowsLongK) {
  Rng rng(4);
  for (Format format : kFormats) {
    expect_exact(
        make_w4a16({.m = 25, .n = 2, .k = 14336, .format = format}, DataKind::gaussian, Values::normal, rng),
        2);
  }
}

TEST_P(W4a16Kernel, ThreadsAndNeighbouringRowsChangeNoBit) {
  Rng rng(5);
  const W4a16Problem problem =
      make_w4a16({.m = 29, .n = 100, .k = 320}, DataKind::random_bits, Values::wide, rng);
  const auto kernel = GetParam().make(problem.spec());
  ASSERT_TRUE(kernel.ok());
  const auto one = answer(**kernel, problem, 1);
  for (int threads : {2, 3, 7}) EXPECT_EQ(answer(**kernel, problem, threads), one) << threads;
  W4a16Problem row = problem;  // each row alone
  row.base.spec.m = 1;
  const std::size_t a_bytes = problem.a.size() / 29, d_bytes = one.size() / 29;
  for (std::size_t r = 0; r < 29; ++r) {
    row.a.assign(problem.a.begin() + static_cast<std::ptrdiff_t>(r * a_bytes),
                 problem.a.begin() + static_cast<std::ptrdiff_t>((r + 1) * a_bytes));
    if (problem.spec().accumulate) {
      row.base.c.assign(problem.base.c.begin() + static_cast<std::ptrdiff_t>(r) * problem.spec().n,
                        problem.base.c.begin() + static_cast<std::ptrdiff_t>(r + 1) * problem.spec().n);
    }
    const auto d = answer(**kernel, row, 1);
    EXPECT_TRUE(std::equal(d.begin(), d.end(), one.begin() + static_cast<std::ptrdiff_t>(r * d_bytes))) << r;
  }
}

INSTANTIATE_TEST_SUITE_P(Registry, W4a16Kernel, testing::ValuesIn(w4a16_kernels()),
                         [](const auto& kernel) { return std::string(kernel.param.isa_variant); });

// ---- the bound of fourge/gemm.h ----

struct ExactSum {
  long double sum = 0, magnitudes = 0, scales = 0;
  long double largest_dot = 0;  // of a block before its scale: the largest sum of magnitudes
  bool special = false;  // a NaN or an infinity takes part, or the scale times the element is beyond f32
};

// long double: 64 bits of significand, 15 of exponent; its own error is 2^11 times smaller than gamma's u.
ExactSum exact_sum(const W4a16Problem& problem, std::int64_t row, std::int64_t column) {
  const QuantizedView b = problem.base.b.view();
  const BlockInfo block = info(b.format);
  ExactSum exact;
  if (problem.spec().accumulate) {
    const float c = problem.base.c[static_cast<std::size_t>(row * problem.spec().n + column)];
    exact.sum = static_cast<long double>(c);
    exact.special = !std::isfinite(c);
  }
  exact.magnitudes = std::fabs(exact.sum);
  long double dot = 0;
  for (std::int64_t k = 0; k < b.cols; ++k) {
    const float scale = decode_f32(block.scale, b.scale(column, k / block.block));
    const float a = problem.activation(row, k);
    const auto product = static_cast<long double>(a) *
                         static_cast<long double>(decode_f32(ElementFormat::e2m1, b.code(column, k)));
    const long double term = product * static_cast<long double>(scale);
    dot = k % block.block == 0 ? std::fabs(product) : dot + std::fabs(product);
    exact.largest_dot = std::max(exact.largest_dot, dot);
    exact.special |= !std::isfinite(a) || std::isnan(scale);
    exact.sum += term;
    exact.magnitudes += std::fabs(term);
    if (k % block.block == 0) exact.scales += static_cast<long double>(scale);
  }
  return exact;
}

// How many outputs were within the bound; a failure where one is not.
int check_bound(const W4a16Problem& problem) {
  const GemmSpec& spec = problem.spec();
  const int b = info(spec.format).block;
  const auto blocks = static_cast<long double>(spec.k / b);
  const long double n = b + blocks, u = 0x1p-24L, gamma = n * u / (1 - n * u);
  int checked = 0;
  for (std::int64_t i = 0; i < spec.m; ++i) {
    for (std::int64_t j = 0; j < spec.n; ++j) {
      const ExactSum exact = exact_sum(problem, i, j);
      const std::uint32_t c =
          spec.accumulate
              ? std::bit_cast<std::uint32_t>(problem.base.c[static_cast<std::size_t>(i * spec.n + j)])
              : 0;
      const float acc = std::bit_cast<float>(
          reference::w4a16_accumulator(spec, problem.view(), problem.base.b.view(), i, j, c));
      if (exact.special) {
        EXPECT_FALSE(std::isfinite(acc)) << problem.base.describe();
        continue;
      }
      if (exact.magnitudes >= 0x1p127L || exact.largest_dot >= 0x1p127L) continue;  // acc may leave f32
      const long double error = std::fabs(static_cast<long double>(acc) - exact.sum);
      const long double bound =
          gamma * exact.magnitudes + (1 + gamma) * 0x1p-150L * (b * exact.scales + blocks);
      EXPECT_LE(error, bound * 1.0001L) << problem.base.describe() << " [" << i << ", " << j << "]";
      ++checked;
    }
  }
  return checked;
}

TEST(W4a16Order, StaysWithinTheStatedBound) {
  Rng rng(6);
  int checked = 0;
  for (int i = 0; i < 360 && !testing::Test::HasFailure(); ++i) {
    GemmSpec spec = random_spec(rng, 8);
    const Values values = i % 2 == 0 ? Values::normal : Values::wide;
    checked += check_bound(
        make_w4a16(spec, kDataKinds[static_cast<std::size_t>(i) % std::size(kDataKinds)], values, rng));
  }
  checked += check_bound(make_w4a16({.m = 2, .n = 3, .k = 8192}, DataKind::gaussian, Values::normal, rng));
  EXPECT_GT(checked, 2000);
}

TEST(W4a16Order, WhatIsNotFiniteShows) {
  Rng rng(7);
  for (int i = 0; i < 240 && !testing::Test::HasFailure(); ++i) {
    check_bound(
        make_w4a16(random_spec(rng, 6),
                   i % 3 == 0 ? DataKind::nan_scales : kDataKinds[static_cast<std::size_t>(i / 3) % 12],
                   Values::special, rng));
  }
}

// One element each, by hand.
TEST(W4a16Order, ScalesAtBothEnds) {
  const auto product = [](Format format, std::uint8_t scale, float a, std::uint8_t code) {
    const GemmSpec spec{.m = 1,
                        .n = 1,
                        .k = info(format).block,
                        .format = format,
                        .numerics = Numerics::fast,
                        .activations = Activations::f32};
    std::vector<float> row(static_cast<std::size_t>(spec.k), 0.0f);
    row[1] = a;
    std::vector<std::uint8_t> codes(static_cast<std::size_t>(spec.k / 2), 0);
    codes[0] = static_cast<std::uint8_t>(code << 4);
    const QuantizedView b{format, 1, spec.k, codes.data(), &scale, ScaleLayout::linear, {}};
    const Result<Gemm> gemm = Gemm::create(spec);
    EXPECT_TRUE(gemm.ok());
    const Result<PackedWeights> packed = gemm->pack(b);
    float d = -1;
    GemmOperands operands;
    operands.d = &d;
    EXPECT_TRUE(gemm->run({row.data(), 1, spec.k}, *packed, operands).ok());
    return d;
  };
  for (Format format : {Format::mxfp4, Format::mxfp4_b16}) {
    EXPECT_EQ(product(format, 0, 1.0f, 7), 6 * 0x1p-127f);
    EXPECT_EQ(product(format, 0, 0x1p100f, 1), 0x1p-28f);
    EXPECT_EQ(product(format, 254, 0x1p-126f, 7), 12.0f);
    EXPECT_EQ(product(format, 254, 0x1p-149f, 15), -6 * 0x1p-22f);
    EXPECT_EQ(product(format, 254, 2.0f, 7), std::numeric_limits<float>::infinity());
    EXPECT_EQ(product(format, 254, 0.25f, 6), 0x1p127f);
    EXPECT_EQ(std::bit_cast<std::uint32_t>(product(format, 255, 1.0f, 7)), 0x7fffffffu);
    EXPECT_EQ(std::bit_cast<std::uint32_t>(product(format, 255, 0.0f, 0)), 0x7fffffffu);
  }
  EXPECT_EQ(product(Format::nvfp4, 0, 0x1p119f, 7), 0.0f);
  EXPECT_EQ(product(Format::nvfp4, 1, 1.0f, 1), 0x1p-10f);
  EXPECT_EQ(product(Format::nvfp4, 0x7e, 1.0f, 15), -6 * 448.0f);
  EXPECT_EQ(std::bit_cast<std::uint32_t>(product(Format::nvfp4, 0x7f, 1.0f, 7)), 0x7fffffffu);
  EXPECT_EQ(std::bit_cast<std::uint32_t>(product(Format::nvfp4, 0xff, 0.0f, 7)), 0x7fffffffu);
  EXPECT_TRUE(std::isnan(product(Format::nvfp4, 0, std::numeric_limits<float>::infinity(), 7)));
}

}  // namespace
}  // namespace fourge::tests
