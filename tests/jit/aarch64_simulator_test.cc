// The AArch64 generators on a host that is not an Arm: their code in VIXL's simulator, bit for bit against
// reference/. On an Arm the same kernels are tested through the registry.
#if defined(FOURGE_HAVE_SIMULATOR)

#include <gtest/gtest.h>

#include <random>

#include "jit/aarch64/gemm_exact_dotprod.h"
#include "jit/gemm/exact_gemm.h"
#include "tests/support/aarch64_simulator.h"
#include "tests/support/gemm_problem.h"

namespace fourge::tests {
namespace {

using jit::ExactDotprodGenerator;
using jit::ExactDotprodSpec;
using jit::ExactPanelArgs;

// A panel function is a plain pointer: what it runs and what it found stand here.
struct Simulation {
  std::vector<std::uint8_t> code;
  std::uint64_t fpcr = 0;
  std::string violations;
  std::int64_t instructions = 0, panels = 0;
} simulation;

void simulated_panel(ExactPanelArgs* args) {
  const SimulatedCall call = simulate(simulation.code, args, simulation.fpcr);
  simulation.violations += call.violations;
  simulation.instructions += call.instructions;
  ++simulation.panels;
}

std::vector<std::uint8_t> exact_dotprod(const GemmSpec& spec, bool poison, bool only_general) {
  return ExactDotprodGenerator({.format = spec.format,
                                .output = spec.output,
                                .bias = spec.bias,
                                .poison = poison,
                                .only_general = only_general})
      .bytes();
}

// D through the driver, one thread.
std::vector<std::uint8_t> run_simulated(const GemmProblem& problem, std::vector<std::uint8_t> code,
                                        RunStats* stats = nullptr) {
  simulation = {.code = std::move(code), .fpcr = simulation.fpcr};
  const auto kernel = jit::make_exact_from_function(problem.spec.format, simulated_panel);
  auto d = answer(*kernel, problem, 1, stats);
  EXPECT_EQ(simulation.violations, "");
  return d;
}

GemmProblem small_problem(int i, std::mt19937_64& rng) {
  GemmSpec spec = random_spec(rng, 9);
  spec.n = 1 + static_cast<std::int64_t>(rng() % 20);
  spec.k = std::min<std::int64_t>(spec.k, 160);
  return make_problem(spec, kDataKinds[static_cast<std::size_t>(i) % std::size(kDataKinds)], rng);
}

TEST(AArch64Simulator, ExactGemmIsBitExact) {
  std::mt19937_64 rng(41);
  for (int i = 0; i < 330; ++i) {
    const GemmProblem problem = small_problem(i, rng);
    const auto got = run_simulated(problem, exact_dotprod(problem.spec, i % 2 == 0, false));
    ASSERT_EQ(first_difference(problem, reference_answer(problem), got), "");
  }
}

TEST(AArch64Simulator, ExactGemmsGeneralPathAloneIsBitExact) {
  std::mt19937_64 rng(42);
  for (int i = 0; i < 165; ++i) {
    const GemmProblem problem = small_problem(i, rng);
    RunStats stats;
    const auto got = run_simulated(problem, exact_dotprod(problem.spec, i % 2 == 0, true), &stats);
    ASSERT_EQ(first_difference(problem, reference_answer(problem), got), "");
    EXPECT_EQ(stats.general_vectors, stats.vectors);
  }
}

TEST(AArch64Simulator, ExactGemmCertifiesGaussianDataAndCountsGeneralRows) {
  std::mt19937_64 rng(43);
  for (Format format : kFormats) {
    const GemmProblem problem =
        make_problem({.m = 4, .n = 16, .k = 1024, .format = format}, DataKind::gaussian, rng);
    RunStats stats;
    run_simulated(problem, exact_dotprod(problem.spec, false, false), &stats);
    EXPECT_GE(stats.certified_fraction(), 0.99) << name_of(format);
    EXPECT_EQ(stats.vectors, 4 * 16);
  }
}

// Round up, flush subnormals to zero, default NaN: none of it is the kernel's business.
TEST(AArch64Simulator, ExactGemmIgnoresAndKeepsTheCallersFpcr) {
  std::mt19937_64 rng(44);
  for (const std::uint64_t fpcr : {0x0040'0000u, 0x0300'0000u, 0x00c0'0000u}) {
    simulation.fpcr = fpcr;
    const GemmProblem problem = small_problem(1, rng);
    const auto got = run_simulated(problem, exact_dotprod(problem.spec, false, false));
    EXPECT_EQ(first_difference(problem, reference_answer(problem), got), "");
  }
  simulation.fpcr = 0;
}

}  // namespace
}  // namespace fourge::tests

#endif
