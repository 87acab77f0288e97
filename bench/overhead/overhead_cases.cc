// What one call costs beside its arithmetic: the smallest GEMM there is, through C++ and through C.
// From Python: bench/overhead/overhead.py.
#include <cstring>
#include <vector>

#include "bench/harness/harness.h"
#include "fourge.h"
#include "fourge/gemm.h"
#include "jit/select.h"

namespace fourge::bench {
namespace {

constexpr int kCalls = 1000;

// One row, one block of k, 16 columns: a single panel of a single step.
struct TinyProblem {
  GemmSpec spec{.m = 1, .n = 16, .k = 16};
  std::vector<std::uint8_t> codes = std::vector<std::uint8_t>(16 * 8, 0x21);
  std::vector<std::uint8_t> scales = std::vector<std::uint8_t>(16, 0x38);
  std::vector<float> d = std::vector<float>(16);

  QuantizedView a() const {
    return {Format::nvfp4, 1, 16, codes.data(), scales.data(), ScaleLayout::linear, {}};
  }
  QuantizedView b() const {
    return {Format::nvfp4, 16, 16, codes.data(), scales.data(), ScaleLayout::linear, {}};
  }
};

template <class Call>
void time_calls(benchmark::State& state, Call call) {
  const Times times = time_iterations(state, [&] {
    for (int i = 0; i < kCalls; ++i) benchmark::DoNotOptimize(call());
  });
  state.counters[counter::kBest] = times.best() / kCalls * 1e6;
  state.counters[counter::kMedian] = times.median() / kCalls * 1e6;
  state.counters["calls_per_iteration"] = kCalls;
}

// The call's own checks, on the way to refusing a null output: no thread, no kernel.
void cxx_checks(benchmark::State& state) {
  const TinyProblem problem;
  const Result<Gemm> gemm = Gemm::create(problem.spec);
  if (!gemm.ok()) return report_wrong(state, gemm.failure().message());
  const Result<PackedWeights> packed = gemm->pack(problem.b());
  const QuantizedView a = problem.a();
  const GemmOperands operands;
  time_calls(state, [&] { return gemm->run(a, *packed, operands, {.threads = 1}).ok(); });
}

void cxx_call(benchmark::State& state, const std::string& kernel) {
  TinyProblem problem;
  const Result<Gemm> gemm = Gemm::create(problem.spec, {.kernel = kernel.c_str()});
  if (!gemm.ok()) return report_skipped(state, gemm.failure().message());
  const Result<PackedWeights> packed = gemm->pack(problem.b());
  const QuantizedView a = problem.a();
  const GemmOperands operands{.d = problem.d.data()};
  time_calls(state, [&] { return gemm->run(a, *packed, operands, {.threads = 1}).ok(); });
}

void c_call(benchmark::State& state, const std::string& kernel) {
  TinyProblem problem;
  fourge_matrix a = FOURGE_MATRIX_INIT;
  a.rows = 1;
  a.cols = problem.spec.k;
  a.codes = problem.codes.data();
  a.scales = problem.scales.data();
  fourge_matrix b = a;
  b.rows = problem.spec.n;
  fourge_gemm_spec spec = FOURGE_GEMM_SPEC_INIT;
  spec.n = problem.spec.n;
  spec.k = problem.spec.k;
  fourge_kernel_options options = FOURGE_KERNEL_OPTIONS_INIT;
  options.kernel = kernel.c_str();
  fourge_gemm* gemm = nullptr;
  fourge_packed_weights* packed = nullptr;
  if (fourge_gemm_create(&spec, &options, &gemm) != FOURGE_OK)
    return report_skipped(state, fourge_last_error());
  if (fourge_gemm_pack(gemm, &b, &packed) != FOURGE_OK) return report_wrong(state, fourge_last_error());
  fourge_gemm_operands operands = FOURGE_GEMM_OPERANDS_INIT;
  operands.d = problem.d.data();
  time_calls(state, [&] { return fourge_gemm_run(gemm, &a, packed, &operands, 1, nullptr); });
  fourge_packed_weights_free(packed);
  fourge_gemm_free(gemm);
}

void register_overhead(const HarnessOptions&, MachinePeaks&) {
  benchmark::RegisterBenchmark("checks/cxx", cxx_checks)->UseManualTime();
  const TinyProblem problem;
  const Result<Gemm> best = Gemm::create(problem.spec);
  if (!best.ok()) return;
  const std::string kernel = best->code().name;
  benchmark::RegisterBenchmark(("call/cxx/" + kernel).c_str(), [kernel](benchmark::State& state) {
    cxx_call(state, kernel);
  })->UseManualTime();
  benchmark::RegisterBenchmark(("call/c/" + kernel).c_str(), [kernel](benchmark::State& state) {
    c_call(state, kernel);
  })->UseManualTime();
}

}  // namespace
}  // namespace fourge::bench

int main(int argc, char** argv) {
  return fourge::bench::run_benchmarks(
      argc, argv,
      "Calls of the smallest GEMM, 1 x 16 x 16 on one thread: checks/ refuses a null output after all "
      "checks,\n"
      "call/ computes. cxx: Gemm::run; c: fourge_gemm_run of libfourge. Python: bench/overhead/overhead.py",
      fourge::bench::register_overhead);
}
