// What one call costs beside its arithmetic: the smallest GEMM there is, through C++ and through C.
// From Python: bench/overhead/overhead.py.
#include <cstring>
#include <vector>
#include "bench/groups.h"
#include "bench/support/dynamic_library.h"

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

  // Codes 0x21: elements 0.5 and 1; scales 1: 8 (0.25 + 1) in every column.
  std::vector<float> expected() const { return std::vector<float>(16, 10.0f); }
  QuantizedView a() const {
    return {Format::nvfp4, 1, 16, codes.data(), scales.data(), ScaleLayout::linear, {}};
  }
  QuantizedView b() const {
    return {Format::nvfp4, 16, 16, codes.data(), scales.data(), ScaleLayout::linear, {}};
  }
};

template <class Call>
void time_calls(benchmark::State& state, Call call) {
  measure_calls(state, kCalls, [&] {
    for (int i = 0; i < kCalls; ++i) benchmark::DoNotOptimize(call());
  });
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
  if (problem.d != problem.expected()) report_wrong(state, "another product");
}

// libfourge as a program of C meets it: a shared library, installed or of this build.
struct CInterface {
  decltype(&fourge_gemm_create) create = nullptr;
  decltype(&fourge_gemm_free) free = nullptr;
  decltype(&fourge_gemm_pack) pack = nullptr;
  decltype(&fourge_packed_weights_free) free_packed = nullptr;
  decltype(&fourge_gemm_run) run = nullptr;
  decltype(&fourge_last_error) last_error = nullptr;

  bool load_from(const char* name) {
    const DynamicLibrary library(name);
    return library.find("fourge_gemm_create", create) && library.find("fourge_gemm_free", free) &&
           library.find("fourge_gemm_pack", pack) &&
           library.find("fourge_packed_weights_free", free_packed) && library.find("fourge_gemm_run", run) &&
           library.find("fourge_last_error", last_error);
  }
  static const CInterface* load() {
    static CInterface functions;
    static const bool loaded = functions.load_from(FOURGE_C_LIBRARY) || functions.load_from("libfourge.so.0");
    return loaded ? &functions : nullptr;
  }
};

void c_call(benchmark::State& state, const std::string& kernel) {
  const CInterface* c = CInterface::load();
  if (c == nullptr) return report_skipped(state, "no libfourge.so.0");
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
  if (c->create(&spec, &options, &gemm) != FOURGE_OK) return report_skipped(state, c->last_error());
  if (c->pack(gemm, &b, &packed) != FOURGE_OK) return report_wrong(state, c->last_error());
  fourge_gemm_operands operands = FOURGE_GEMM_OPERANDS_INIT;
  operands.d = problem.d.data();
  time_calls(state, [&] { return c->run(gemm, &a, packed, &operands, 1, nullptr); });
  if (problem.d != problem.expected()) report_wrong(state, "another product");
  c->free_packed(packed);
  c->free(gemm);
}

}  // namespace

void register_overhead_benchmarks(const HarnessOptions&, MachinePeaks&) {
  const auto facts = [](const std::string& what) {
    return CaseFacts{.operation = "call", .kernel = what, .m = 1, .n = 16, .k = 16, .verified = "product"};
  };
  add_case("checks/cxx", facts("checks of Gemm::run"), cxx_checks);
  const TinyProblem problem;
  const Result<Gemm> best = Gemm::create(problem.spec);
  if (!best.ok()) return;
  const std::string kernel = best->code().name;
  add_case("call/cxx/" + kernel, facts("Gemm::run"),
           [kernel](benchmark::State& state) { cxx_call(state, kernel); });
  add_case("call/c/" + kernel, facts("fourge_gemm_run"),
           [kernel](benchmark::State& state) { c_call(state, kernel); });
}

}  // namespace fourge::bench
