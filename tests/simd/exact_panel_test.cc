// The compiled exact panels from the inside: every target that this machine can run. Their ordinary path is
// tested as registered kernels, tests/jit/gemm_test.cc.
#include "simd/exact_panel.h"

#include <gtest/gtest.h>

#include <random>

#include "jit/cpu.h"
#include "jit/gemm/exact_gemm.h"
#include "simd/rounding_mode.h"
#include "tests/support/gemm_problem.h"
#include "tests/support/guarded_buffer.h"

namespace fourge::tests {
namespace {

using simd::Target;

jit::Isa isa_of(Target target) {
  switch (target) {
    case Target::sse4:
      return jit::Isa::sse4;
    case Target::avx2:
      return jit::Isa::avx2;
    case Target::avx3:
      return jit::Isa::avx512;
    case Target::neon:
      return jit::Isa::neon;
    case Target::sve:
      return jit::Isa::sve;
  }
  return jit::Isa::scalar;
}

constexpr Target kTargets[] = {
#if defined(__x86_64__)
    Target::sse4, Target::avx2, Target::avx3
#else
    Target::neon, Target::sve
#endif
};

class ExactPanel : public testing::TestWithParam<Target> {
 protected:
  void SetUp() override {
    if (simd::exact_panel(GetParam(), {}) == nullptr) GTEST_SKIP() << "this compiler cannot compile for it";
    const char* missing = jit::host_features().missing_for(isa_of(GetParam()));
    if (missing != nullptr) GTEST_SKIP() << "this machine cannot run it: " << missing;
  }

  std::shared_ptr<const jit::GemmKernel> kernel(const GemmSpec& spec, bool only_general = false) const {
    return jit::make_exact_from_function(spec.format, simd::exact_panel(GetParam(), spec, only_general));
  }
};

GemmProblem problem_of(int i, std::int64_t largest, std::mt19937_64& rng) {
  const DataKind kind = kDataKinds[static_cast<std::size_t>(i) % std::size(kDataKinds)];
  return make_problem(random_spec(rng, largest), kind, rng);
}

TEST_P(ExactPanel, GeneralPathAloneIsExact) {
  std::mt19937_64 rng(21);
  for (int i = 0; i < 660; ++i) {
    const GemmProblem problem = problem_of(i, 24, rng);
    RunStats stats;
    const auto got = answer(*kernel(problem.spec, true), problem, 1, &stats);
    ASSERT_EQ(first_difference(problem, reference_answer(problem), got), "");
    EXPECT_EQ(stats.general_vectors, stats.vectors);
  }
}

TEST_P(ExactPanel, GaussianDataIsCertified) {
  std::mt19937_64 rng(22);
  for (Format format : kFormats) {
    const GemmProblem problem =
        make_problem({.m = 64, .n = 64, .k = 4096, .format = format}, DataKind::gaussian, rng);
    RunStats stats;
    answer(*kernel(problem.spec), problem, 1, &stats);
    EXPECT_GE(stats.certified_fraction(), 0.999) << name_of(format);
    EXPECT_EQ(stats.vectors, 64 * 4 * 64);
  }
}

TEST_P(ExactPanel, StaysInsideGuardPages) {
  std::mt19937_64 rng(23);
  for (const auto place : {GuardedBuffer::Place::kAtBegin, GuardedBuffer::Place::kAtEnd}) {
    for (int i = 0; i < 120; ++i) {
      const GemmProblem problem = problem_of(i, 40, rng);
      const GemmSpec& spec = problem.spec;
      const auto panel = kernel(spec);
      GuardedBuffer packed(static_cast<std::size_t>(panel->packed_bytes(spec.n, spec.k)), place);
      GuardedBuffer bias(bytes_of_span(std::span<const float>(problem.bias)), place);
      GuardedBuffer d(static_cast<std::size_t>(spec.m * spec.n * bytes_of(spec.output)), place);
      GemmOperands operands = problem.operands(d.data());
      if (spec.bias) operands.bias = bias.as<float>();
      panel->pack(problem.b.view(), packed.data());
      RunStats stats;
      ASSERT_TRUE(panel->run(spec, problem.a.view(), packed.data(), operands, 1, stats).ok());
      const std::vector<std::uint8_t> got(d.data(), d.data() + d.size());
      ASSERT_EQ(first_difference(problem, reference_answer(problem), got), "");
    }
  }
}

TEST_P(ExactPanel, IgnoresAndKeepsTheCallersRoundingMode) {
  using simd::RoundingMode;
  std::mt19937_64 rng(24);
  for (int i = 0; i < 22; ++i) {
    const GemmProblem problem = problem_of(i, 24, rng);
    const auto want = reference_answer(problem);
    const auto panel = kernel(problem.spec);
    for (const auto mode : {RoundingMode::to_nearest, RoundingMode::toward_zero}) {
      const RoundingMode callers(mode);
      const auto got = answer(*panel, problem, 1);
      volatile float one = 1.0f, almost_two = 0x1.fffffep-1f;
      const float above_half = one + almost_two * 0x1p-23f;  // up, or cut
      ASSERT_EQ(above_half, mode == RoundingMode::to_nearest ? 0x1.000002p0f : 1.0f);
      ASSERT_EQ(first_difference(problem, want, got), "");
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Targets, ExactPanel, testing::ValuesIn(kTargets),
                         [](const auto& target) { return std::string(name_of(target.param)); });

}  // namespace
}  // namespace fourge::tests
