// Differential fuzz of every exact GEMM kernel of this machine against reference/: formats, outputs,
// epilogues, tails and all kinds of data. FOURGE_FUZZ_OUTPUTS: how many outputs in all (default 10^9),
// FOURGE_FUZZ_SEED: the first seed.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <random>
#include <vector>

#include "jit/cpu.h"
#include "jit/select.h"
#include "tests/support/gemm_problem.h"

namespace fourge::tests {
namespace {

std::int64_t number_from(const char* variable, std::int64_t otherwise) {
  const char* text = std::getenv(variable);
  return text != nullptr ? std::atoll(text) : otherwise;
}

TEST(LongGemmFuzz, EveryExactKernelAgreesWithTheReference) {
  constexpr std::int64_t kLargest = 200;  // rows and columns
  const std::int64_t wanted = number_from("FOURGE_FUZZ_OUTPUTS", 1'000'000'000);
  const std::int64_t seed = number_from("FOURGE_FUZZ_SEED", 20261122);
  std::vector<const jit::GemmKernelEntry*> kernels;
  for (const jit::GemmKernelEntry& entry : jit::gemm_kernels()) {
    if (entry.numerics == Numerics::blackwell && jit::host_features().missing_for(entry.isa) == nullptr)
      kernels.push_back(&entry);
  }
  std::atomic<std::int64_t> outputs = 0, problems = 0, vectors = 0, general = 0, segments = 0;
  std::vector<std::atomic<std::int64_t>> of_kernel(kernels.size());
  std::mutex mutex;
  std::string wrong;
#pragma omp parallel
  while (outputs < wanted && wrong.empty()) {
    const std::int64_t index = problems++;
    std::mt19937_64 rng(static_cast<std::uint64_t>(seed + index));
    const DataKind kind = kDataKinds[static_cast<std::size_t>(index) % std::size(kDataKinds)];
    const GemmProblem problem = make_problem(random_spec(rng, kLargest), kind, rng);
    const std::vector<std::uint8_t> want = reference_answer(problem);
    for (std::size_t i = 0; i < kernels.size(); ++i) {
      if (kernels[i]->refusal(problem.spec) != nullptr) continue;
      const auto kernel = kernels[i]->make(problem.spec);
      RunStats stats;
      const std::string difference =
          kernel.ok() ? first_difference(problem, want, answer(**kernel, problem, 1, &stats))
                      : kernel.failure().message();
      outputs += problem.spec.m * problem.spec.n;
      of_kernel[i] += problem.spec.m * problem.spec.n;
      vectors += stats.vectors, general += stats.general_vectors, segments += stats.segment_vectors;
      if (difference.empty()) continue;
      const std::lock_guard lock(mutex);
      wrong =
          std::string(kernels[i]->isa_variant) + ", seed " + std::to_string(seed + index) + ": " + difference;
    }
  }
  EXPECT_EQ(wrong, "");
  for (std::size_t i = 0; i < kernels.size(); ++i) {
    EXPECT_GT(of_kernel[i], 0) << kernels[i]->isa_variant;
    std::printf("%s: %lld outputs\n", kernels[i]->isa_variant, static_cast<long long>(of_kernel[i]));
  }
  std::printf("%lld outputs of %lld problems; vectors: %.1f %% segments, %.1f %% general path\n",
              static_cast<long long>(outputs), static_cast<long long>(problems),
              100.0 * static_cast<double>(segments) / static_cast<double>(vectors),
              100.0 * static_cast<double>(general) / static_cast<double>(vectors));
}

}  // namespace
}  // namespace fourge::tests
