// Every registered GEMM kernel that runs here, on the shapes that matter: checked against reference/ first,
// then timed beside the peak of its unit, measured in the same run.
//
//   fourge_gemm_bench --benchmark_filter='avx512_vnni.*/nvfp4/512x4096x4096' --benchmark_out=gemm.json
//
// Names: bench/gemm/<tile>__<isa>/<format>/<m>x<n>x<k>/threads:<t>; "general" as format suffix: the AVX-512
// kernel with its certified path switched off, what data pays of which nothing can be certified. Counters:
// GMAC_per_s, weight_GB_per_s (packed bytes), of_bound (0..1), certified (0..1), outputs_checked, and, once
// per run, peak_GMAC_per_s of the unit that bounds the kernel.
#include <benchmark/benchmark.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "bench/support/gemm_check.h"
#include "bench/support/gemm_data.h"
#include "bench/support/roofline.h"
#include "jit/cpu.h"
#include "jit/gemm/exact_gemm.h"
#include "jit/select.h"

namespace fourge::bench {
namespace {

struct Shape {
  std::int64_t n, k;
};
// The shipped model's gate_proj and down_proj, then what language models have.
constexpr Shape kShapes[] = {{768, 256}, {256, 768}, {4096, 4096}, {14336, 4096}, {4096, 14336}};
constexpr std::int64_t kTokens[] = {1, 4, 8, 16, 32, 128, 512, 2048};

using Make = std::function<Result<std::shared_ptr<const jit::GemmKernel>>(const GemmSpec&)>;

MachinePeaks& peaks() {
  static MachinePeaks all;
  return all;
}

// The data of the last problem: neighbouring benchmarks share it.
const Result<GemmData>& data_of(const GemmSpec& spec) {
  static GemmSpec key;
  static std::unique_ptr<Result<GemmData>> data;
  if (data == nullptr || !(key == spec)) {
    data.reset();
    key = spec;
    data = std::make_unique<Result<GemmData>>(
        quantize_both(random_activations(spec.m, spec.k, 1), random_weights(spec.n, spec.k, 2),
                      {.format = spec.format, .rule = default_rule(spec.format)}));
  }
  return *data;
}

void run(benchmark::State& state, const GemmSpec& spec, const Make& make, const std::string& isa,
         int threads) {
  const auto& data = data_of(spec);
  if (!data.ok()) return state.SkipWithError(data.failure().message().c_str());
  const auto kernel = make(spec);
  if (!kernel.ok()) return state.SkipWithError(kernel.failure().message().c_str());
  const QuantizedView a = data->a.view(), b = data->b.view();
  const std::int64_t packed_bytes = (*kernel)->packed_bytes(spec.n, spec.k);
  const std::unique_ptr<std::uint8_t, void (*)(void*)> packed(
      static_cast<std::uint8_t*>(
          std::aligned_alloc(64, static_cast<std::size_t>(round_up(packed_bytes, 64)))),
      std::free);
  (*kernel)->pack(b, packed.get());
  std::vector<float> d(static_cast<std::size_t>(spec.m * spec.n));
  GemmOperands operands;
  operands.alpha = data->alpha();
  operands.d = d.data();

  RunStats stats;
  if (const Status status = (*kernel)->run(spec, a, packed.get(), operands, threads, stats); !status.ok()) {
    return state.SkipWithError(status.failure().message().c_str());
  }
  const auto check = check_gemm(spec, a, b, operands, {.extent = CheckExtent::sample});
  if (!check.ok()) return state.SkipWithError(check.failure().message().c_str());
  if (!check->ok()) return state.SkipWithError(("not bit-exact: " + check->first).c_str());

  RunStats ignored;
  for (auto _ : state)
    benchmark::DoNotOptimize((*kernel)->run(spec, a, packed.get(), operands, threads, ignored).ok());

  using benchmark::Counter;
  const double macs = static_cast<double>(spec.m) * static_cast<double>(spec.n) * static_cast<double>(spec.k);
  constexpr auto kRate = Counter::kIsIterationInvariantRate;
  state.counters["GMAC_per_s"] = Counter(macs / 1e9, kRate);
  state.counters["weight_GB_per_s"] = Counter(static_cast<double>(packed_bytes) / 1e9, kRate);
  state.counters["certified"] = stats.certified_fraction();
  state.counters["outputs_checked"] = static_cast<double>(check->outputs);
  if (const auto bound = gemm_bound(spec, isa, packed_bytes, threads, peaks())) {
    state.counters["of_bound"] = Counter(bound->seconds, kRate);
    state.counters["peak_GMAC_per_s"] = bound->unit_gops / 2;
  }
}

void add(const std::string& name, const GemmSpec& spec, const Make& make, const std::string& isa) {
  for (const int threads : {1, 2}) {
    const std::string full = "bench/gemm/" + name + "/" + std::to_string(spec.m) + "x" +
                             std::to_string(spec.n) + "x" + std::to_string(spec.k) +
                             "/threads:" + std::to_string(threads);
    benchmark::RegisterBenchmark(full.c_str(),
                                 [=](benchmark::State& state) { run(state, spec, make, isa, threads); })
        ->UseRealTime()
        ->Unit(benchmark::kMicrosecond);
  }
}

void register_all() {
  for (const Shape& shape : kShapes) {
    for (const std::int64_t m : kTokens) {
      for (const Format format : {Format::nvfp4, Format::mxfp4}) {
        const GemmSpec spec{.m = m, .n = shape.n, .k = shape.k, .format = format};
        for (const jit::GemmKernelEntry& entry : jit::gemm_kernels()) {
          if (jit::host_features().missing_for(entry.isa) != nullptr || entry.refusal(spec) != nullptr)
            continue;
          add(std::string(entry.tile) + "__" + entry.isa_variant + "/" + name_of(format), spec, entry.make,
              name_of(entry.isa));
        }
#if defined(__x86_64__)
        if (jit::host_features().missing_for(jit::Isa::avx512) == nullptr) {
          const Make general = [](const GemmSpec& s) { return jit::make_exact_vnni_debug(s, false, true); };
          add(std::string("1x16x64__avx512_vnni/") + name_of(format) + "_general", spec, general, "avx512");
        }
#endif
      }
    }
  }
}

}  // namespace
}  // namespace fourge::bench

int main(int argc, char** argv) {
  fourge::bench::register_all();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::AddCustomContext("cpu", fourge::jit::host_name());
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
