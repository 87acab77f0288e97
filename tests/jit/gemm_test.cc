// Every registered GEMM kernel that this machine can run, against reference/, bit for bit.
#include <gtest/gtest.h>

#include <cstdlib>
#include <random>

#include "jit/cpu.h"
#include "jit/select.h"
#include "tests/support/gemm_problem.h"

namespace fourge::tests {
namespace {

using jit::GemmKernelEntry;

// The cases of one registered kernel.
class GemmKernelTest : public testing::TestWithParam<GemmKernelEntry> {
 protected:
  void SetUp() override {
    const char* missing = jit::host_features().missing_for(GetParam().isa);
    if (missing != nullptr) GTEST_SKIP() << "this machine cannot run it: " << missing;
  }

  Gemm make(const GemmSpec& spec) {
    const std::string name = GetParam().name(spec);
    Result<Gemm> gemm = Gemm::create(spec, {.kernel = name.c_str(), .max_isa = name_of(GetParam().isa)});
    EXPECT_TRUE(gemm.ok()) << gemm.failure().message();
    EXPECT_EQ(gemm->code().name, name);
    return *gemm;
  }

  void expect_exact(const GemmProblem& problem, int threads = 1, RunStats* stats = nullptr) {
    const std::string difference = first_difference(problem, reference_answer(problem),
                                                    answer(make(problem.spec), problem, threads, stats));
    ASSERT_EQ(difference, "");
  }
};

TEST_P(GemmKernelTest, BitExactVsReferenceOnRandomProblems) {
  std::mt19937_64 rng(20261122);
  for (int i = 0; i < 2200; ++i) {
    const DataKind kind = kDataKinds[static_cast<std::size_t>(i) % std::size(kDataKinds)];
    expect_exact(make_problem(random_spec(rng, 24), kind, rng), 1 + i % 3);
    if (HasFatalFailure()) return;
  }
}

TEST_P(GemmKernelTest, LargestMagnitudeLongestK) {
  std::mt19937_64 rng(1);
  for (Format format : kFormats) {
    expect_exact(make_problem({.m = 3, .n = 17, .k = 8192, .format = format}, DataKind::largest, rng));
    expect_exact(make_problem({.m = 5, .n = 33, .k = 4096, .format = format}, DataKind::gaussian, rng));
  }
}

TEST_P(GemmKernelTest, ThreadCountDoesNotChangeABit) {
  std::mt19937_64 rng(2);
  for (DataKind kind : {DataKind::gaussian, DataKind::random_bits}) {
    const GemmProblem problem =
        make_problem({.m = 150, .n = 100, .k = 256, .format = Format::nvfp4}, kind, rng);
    const Gemm gemm = make(problem.spec);
    const auto one = answer(gemm, problem, 1);
    for (int threads : {2, 3, 7}) EXPECT_EQ(answer(gemm, problem, threads), one) << threads;
    EXPECT_EQ(first_difference(problem, reference_answer(problem), one), "");
  }
}

TEST_P(GemmKernelTest, EveryTailOfMAndN) {
  std::mt19937_64 rng(3);
  for (std::int64_t m : {1, 2, 15, 16, 17, 127, 128, 129})
    expect_exact(make_problem({.m = m, .n = 5, .k = 64}, DataKind::gaussian, rng));
  for (std::int64_t n = 1; n <= 35; ++n) {
    for (OutputType output : {OutputType::f32, OutputType::bf16, OutputType::f16}) {
      expect_exact(make_problem({.m = 2, .n = n, .k = 80, .output = output}, DataKind::gaussian, rng));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Registry, GemmKernelTest,
                         testing::ValuesIn(jit::gemm_kernels().begin(), jit::gemm_kernels().end()),
                         [](const auto& kernel) {
                           return std::string(kernel.param.isa_variant) + "_" + std::to_string(kernel.index);
                         });

}  // namespace
}  // namespace fourge::tests
