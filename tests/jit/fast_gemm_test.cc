// Every registered W4A4 kernel of Numerics::fast that this machine can run: its error against the exact sum,
// and what holds bit for bit all the same.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>

#include "fourge/rounding.h"
#include "jit/cpu.h"
#include "jit/gemm/exact_gemm.h"
#include "jit/select.h"
#include "tests/support/amx_emulator.h"
#include "tests/support/fast_gemm_check.h"
#include "tests/support/gemm_problem.h"

namespace fourge::tests {
namespace {

using jit::GemmKernelEntry;

GemmProblem fast_problem(int i, std::int64_t largest, std::mt19937_64& rng) {
  GemmSpec spec = random_spec(rng, largest);
  spec.numerics = Numerics::fast;
  return make_problem(spec, kDataKinds[static_cast<std::size_t>(i) % std::size(kDataKinds)], rng);
}

class FastGemmTest : public testing::TestWithParam<GemmKernelEntry> {
 protected:
  void SetUp() override {
    const char* missing = jit::host_features().missing_for(GetParam().isa);
    if (missing == nullptr || (GetParam().isa == jit::Isa::amx && enable_amx_or_emulate())) return;
    GTEST_SKIP() << "this machine cannot run it: " << missing;
  }

  std::vector<std::uint8_t> run(const GemmProblem& problem, int threads = 1) {
    const auto kernel = GetParam().make(problem.spec);
    EXPECT_TRUE(kernel.ok()) << (kernel.ok() ? "" : kernel.failure().message());
    EXPECT_EQ((*kernel)->code().name, GetParam().name(problem.spec));
    return answer(**kernel, problem, threads);
  }
};

TEST_P(FastGemmTest, ErrorStaysInsideGammaK) {
  std::mt19937_64 rng(81);
  for (int i = 0; i < 480; ++i) {
    const GemmProblem problem = without_epilogue(fast_problem(i, 12, rng));
    if (GetParam().refusal(problem.spec) != nullptr) continue;
    ASSERT_EQ(outside_bound(problem, run(problem), problem.spec.k), "");
  }
}

TEST_P(FastGemmTest, EpilogueRoundsOnceMore) {
  std::mt19937_64 rng(82);
  for (int i = 0; i < 120; ++i) {
    const GemmProblem problem = fast_problem(i, 24, rng);
    if (GetParam().refusal(problem.spec) != nullptr) continue;
    const std::vector<std::uint8_t> acc = run(without_epilogue(problem));
    std::vector<std::uint8_t> want(
        static_cast<std::size_t>(problem.spec.m * problem.spec.n * bytes_of(problem.spec.output)));
    for (std::int64_t j = 0; j < problem.spec.m * problem.spec.n; ++j) {
      float x;
      std::memcpy(&x, acc.data() + 4 * j, 4);
      const float y = problem.spec.bias ? std::fma(problem.alpha, x,
                                                   problem.bias[static_cast<std::size_t>(j % problem.spec.n)])
                                        : problem.alpha * x;
      const ElementFormat format = problem.spec.output == OutputType::f32    ? ElementFormat::f32
                                   : problem.spec.output == OutputType::bf16 ? ElementFormat::bf16
                                                                             : ElementFormat::f16;
      const std::uint32_t code = std::isnan(y) && format == ElementFormat::f32
                                     ? 0x7fff'ffffu
                                     : encode(format, y, Rounding::rne, Overflow::infinity);
      std::memcpy(want.data() + j * bytes_of(problem.spec.output), &code,
                  static_cast<std::size_t>(bytes_of(problem.spec.output)));
    }
    ASSERT_EQ(first_difference(problem, want, run(problem)), "");
  }
}

TEST_P(FastGemmTest, ThreadsAndRowsBesideDoNotChangeABit) {
  std::mt19937_64 rng(83);
  for (const DataKind kind : {DataKind::gaussian, DataKind::random_bits}) {
    const GemmProblem problem =
        make_problem({.m = 133, .n = 70, .k = 256, .numerics = Numerics::fast}, kind, rng);
    const auto one = run(problem);
    for (const int threads : {2, 5}) EXPECT_EQ(run(problem, threads), one) << threads;
    for (const std::int64_t rows : {1, 2, 5}) {
      GemmProblem first = problem;
      first.spec.m = first.a.rows = rows;
      std::vector<std::uint8_t> scales(
          static_cast<std::size_t>(scale_bytes(first.a.layout, rows, first.a.scale_cols())));
      for (std::int64_t r = 0; r < rows; ++r) {
        for (std::int64_t c = 0; c < first.a.scale_cols(); ++c)
          scales[static_cast<std::size_t>(scale_offset(first.a.layout, r, c, first.a.scale_cols()))] =
              problem.a.view().scale(r, c);
      }
      first.a.scales = scales;
      const auto got = run(first);
      EXPECT_TRUE(std::equal(got.begin(), got.end(), one.begin())) << rows;
    }
  }
}

std::vector<GemmKernelEntry> fast_kernels() {
  std::vector<GemmKernelEntry> fast;
  for (const GemmKernelEntry& entry : jit::gemm_kernels()) {
    const GemmSpec w4a4{.numerics = Numerics::fast};
    if (entry.numerics == Numerics::fast && entry.refusal(w4a4) == nullptr) fast.push_back(entry);
  }
  return fast;
}

INSTANTIATE_TEST_SUITE_P(Registry, FastGemmTest, testing::ValuesIn(fast_kernels()),
                         [](const auto& kernel) { return std::string(kernel.param.isa_variant); });

// The tighter bound that simd/fast_panel.h states: one rounding a group.
TEST(FastPanel, ErrorStaysInsideItsOwnBound) {
  std::mt19937_64 rng(84);
  for (const GemmKernelEntry& entry : fast_kernels()) {
    if (jit::host_features().missing_for(entry.isa) != nullptr) continue;
    const auto kernel = entry.make({.numerics = Numerics::fast});
    ASSERT_TRUE(kernel.ok());
    if ((*kernel)->code().exactness != "within(gamma_n sum |a b|, n = k / 16 + 1)") continue;
    for (const std::int64_t k : {16, 64, 1024, 8192}) {
      GemmProblem problem =
          make_problem({.m = 3, .n = 17, .k = k, .numerics = Numerics::fast}, DataKind::gaussian, rng);
      problem.alpha = 1.0f;
      const auto own = entry.make(problem.spec);
      ASSERT_TRUE(own.ok());
      ASSERT_EQ(outside_bound(problem, answer(**own, problem, 1), k / 16 + 1), "");
    }
  }
}

}  // namespace
}  // namespace fourge::tests
