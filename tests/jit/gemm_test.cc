// Every registered GEMM kernel of numerics blackwell that this machine can run, against reference/, bit for
// bit.
#include <gtest/gtest.h>

#include <cstdlib>
#include <random>

#include "jit/cpu.h"
#include "jit/select.h"
#include "tests/support/amx_emulator.h"
#include "tests/support/gemm_problem.h"
#include "tests/support/kernel_names.h"

namespace fourge::tests {
namespace {

using jit::GemmKernelEntry;

// The cases of one registered kernel.
class GemmKernelTest : public testing::TestWithParam<GemmKernelEntry> {
 protected:
  void SetUp() override {
    const char* missing = jit::host_features().missing_for(GetParam().isa);
    if (missing == nullptr || (GetParam().isa == jit::Isa::amx && enable_amx_or_emulate())) return;
    GTEST_SKIP() << "this machine cannot run it: " << missing;
  }

  // Nothing where the kernel refuses the spec.
  std::shared_ptr<const jit::GemmKernel> make(const GemmSpec& spec) {
    if (GetParam().refusal(spec) != nullptr) return nullptr;
    auto kernel = GetParam().make(spec);
    EXPECT_TRUE(kernel.ok()) << (kernel.ok() ? "" : kernel.failure().message());
    if (!kernel.ok()) return nullptr;
    EXPECT_EQ((*kernel)->code().name, GetParam().name(spec));
    return *kernel;
  }

  // False where the kernel refuses the spec; a fatal failure where a bit differs.
  bool expect_exact(const GemmProblem& problem, int threads = 1, RunStats* stats = nullptr) {
    const auto kernel = make(problem.spec);
    if (kernel == nullptr) return false;
    const std::string difference =
        first_difference(problem, reference_answer(problem), answer(*kernel, problem, threads, stats));
    EXPECT_EQ(difference, "");
    return true;
  }
};

TEST_P(GemmKernelTest, BitExactVsReferenceOnRandomProblems) {
  constexpr int kProblems = 2200;
  std::mt19937_64 rng(20261122);
  int done = 0;
  for (int i = 0; done < kProblems && !HasFailure(); ++i) {
    const DataKind kind = kDataKinds[static_cast<std::size_t>(i) % std::size(kDataKinds)];
    GemmSpec spec = random_spec(rng, 24);
    if (GetParam().refusal(spec) != nullptr) spec.accumulate = false;
    done += expect_exact(make_problem(spec, kind, rng), 1 + i % 3) ? 1 : 0;
    ASSERT_LT(i, 2 * kProblems) << "the kernel refuses too much";
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
    const auto kernel = make(problem.spec);
    ASSERT_NE(kernel, nullptr);
    const auto one = answer(*kernel, problem, 1);
    for (int threads : {2, 3, 7}) EXPECT_EQ(answer(*kernel, problem, threads), one) << threads;
    EXPECT_EQ(first_difference(problem, reference_answer(problem), one), "");
  }
}

// Several row blocks and segments, refused ones among them.
TEST_P(GemmKernelTest, ManyBlocksOfEveryKind) {
  std::mt19937_64 rng(4);
  for (DataKind kind : kDataKinds) {
    for (Format format : kFormats) {
      expect_exact(make_problem({.m = 70, .n = 50, .k = 1248, .format = format, .output = OutputType::bf16},
                                kind, rng),
                   2);
    }
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

std::vector<GemmKernelEntry> kernels_of(Numerics numerics) {
  std::vector<GemmKernelEntry> kernels;
  for (const GemmKernelEntry& entry : jit::gemm_kernels()) {
    const GemmSpec quantised{.numerics = numerics};
    if (entry.numerics == numerics && entry.refusal(quantised) == nullptr) kernels.push_back(entry);
  }
  return kernels;
}

std::string variant_of(const testing::TestParamInfo<GemmKernelEntry>& kernel) {
  return kernel.param.isa_variant;
}

INSTANTIATE_TEST_SUITE_P(Registry, GemmKernelTest, testing::ValuesIn(kernels_of(Numerics::blackwell)),
                         variant_of);

}  // namespace
}  // namespace fourge::tests
