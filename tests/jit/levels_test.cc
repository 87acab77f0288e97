// Levels of instruction sets: what dispatch chooses under a cap, and that every level gives the same bits.
#include <gtest/gtest.h>

#include <random>

#include "jit/cpu.h"
#include "jit/select.h"
#include "tests/support/gemm_problem.h"

namespace fourge::tests {
namespace {

using jit::CpuFeatures;
using jit::Isa;

TEST(Levels, NamesParse) {
  for (Isa isa : jit::kIsas) EXPECT_EQ(jit::parse_isa(name_of(isa)), isa);
  EXPECT_EQ(jit::parse_isa("avx1024"), std::nullopt);
  EXPECT_EQ(jit::parse_isa(""), std::nullopt);
}

TEST(Levels, CapsStayInsideAnArchitecture) {
  EXPECT_FALSE(jit::above(Isa::avx2, Isa::avx2));
  EXPECT_FALSE(jit::above(Isa::sse4, Isa::amx));
  EXPECT_TRUE(jit::above(Isa::avx512, Isa::avx2));
  EXPECT_TRUE(jit::above(Isa::sse4, Isa::sve));
  EXPECT_TRUE(jit::above(Isa::neon, Isa::amx));
  EXPECT_TRUE(jit::above(Isa::sve, Isa::dotprod));
  for (Isa cap : jit::kIsas) EXPECT_FALSE(jit::above(Isa::scalar, cap)) << name_of(cap);
}

// A level asks for everything that the levels below it ask for.
TEST(Levels, OneMissingFeatureStopsAtTheLevelBelow) {
  CpuFeatures all;
  all.sse4_1 = all.sse4_2 = all.avx2 = all.fma = all.f16c = all.bmi2 = true;
  EXPECT_EQ(all.best(), Isa::avx2);
  for (bool CpuFeatures::*feature :
       {&CpuFeatures::avx2, &CpuFeatures::fma, &CpuFeatures::f16c, &CpuFeatures::bmi2}) {
    CpuFeatures f = all;
    f.*feature = false;
    EXPECT_EQ(f.best(), Isa::sse4);
  }
  all.avx512f = all.avx512bw = all.avx512dq = all.avx512vl = all.avx512_vnni = true;
  EXPECT_EQ(all.best(), Isa::avx512);
  all.sse4_2 = false;
  EXPECT_EQ(all.best(), Isa::scalar);
}

std::string chosen(const GemmSpec& spec, Isa cap) {
  const jit::Selection selection = jit::select(spec, jit::host_features(), cap, nullptr);
  return selection.entry == nullptr ? "" : selection.entry->isa_variant;
}

TEST(Levels, TheChosenKernelIsOfTheCapWhereTheMachineHasIt) {
  for (Isa cap : jit::kIsas) {
    const jit::Selection selection = jit::select({}, jit::host_features(), cap, nullptr);
    ASSERT_NE(selection.entry, nullptr) << name_of(cap);
    EXPECT_FALSE(jit::above(selection.entry->isa, cap)) << name_of(cap);
  }
#if defined(__x86_64__)
  for (Isa isa : {Isa::sse4, Isa::avx2}) {
    if (jit::host_features().missing_for(isa) != nullptr) continue;
    EXPECT_EQ(chosen({}, isa), name_of(isa));
  }
#else
  EXPECT_EQ(chosen({}, Isa::neon), "neon_highway");
#endif
  EXPECT_EQ(chosen({}, Isa::scalar), "scalar");
}

TEST(Levels, EveryLevelGivesTheSameBits) {
  std::mt19937_64 rng(31);
  for (int i = 0; i < 44; ++i) {
    const DataKind kind = kDataKinds[static_cast<std::size_t>(i) % std::size(kDataKinds)];
    const GemmProblem problem = make_problem(random_spec(rng, 40), kind, rng);
    const auto want = reference_answer(problem);
    for (Isa cap : jit::kIsas) {
      const jit::Selection selection = jit::select(problem.spec, jit::host_features(), cap, nullptr);
      ASSERT_NE(selection.entry, nullptr);
      const auto kernel = selection.entry->make(problem.spec);
      ASSERT_TRUE(kernel.ok()) << kernel.failure().message();
      ASSERT_EQ(first_difference(problem, want, answer(**kernel, problem, 1)), "") << (*kernel)->code().name;
    }
  }
}

}  // namespace
}  // namespace fourge::tests
