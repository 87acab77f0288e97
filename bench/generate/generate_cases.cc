// How long it takes to have a kernel: generated the first time, looked up after that.
#include <cstdio>
#include <string>
#include <vector>

#include "bench/harness/harness.h"
#include "fourge/gemm.h"
#include "jit/select.h"

namespace fourge::bench {
namespace {

// Specs that are different kernels.
std::vector<GemmSpec> different_specs(Numerics numerics) {
  std::vector<GemmSpec> specs;
  for (const Format format : kFormats) {
    for (const OutputType output : {OutputType::f32, OutputType::bf16, OutputType::f16}) {
      for (const bool bias : {false, true}) {
        specs.push_back({.m = 512,
                         .n = 4096,
                         .k = 4096,
                         .format = format,
                         .numerics = numerics,
                         .output = output,
                         .bias = bias});
      }
    }
  }
  return specs;
}

// The activations that the kernel takes.
GemmSpec taken_spec(const jit::GemmKernelEntry& entry) {
  GemmSpec spec{.m = 512, .n = 4096, .k = 4096, .numerics = entry.numerics};
  if (entry.refusal(spec) != nullptr) spec.activations = Activations::f32;
  return spec;
}

// The first time that each spec is asked for in this process. A process has only so many first times: one
// iteration makes them all, and its time is the mean.
void cold(benchmark::State& state, const jit::GemmKernelEntry& entry) {
  Times times;
  std::size_t bytes = 0;
  for ([[maybe_unused]] auto unused : state) {
    for (GemmSpec spec : different_specs(entry.numerics)) {
      spec.activations = taken_spec(entry).activations;
      if (!check(spec).ok() || entry.refusal(spec) != nullptr) continue;
      const double start = now_seconds();
      const auto kernel = entry.make(spec);
      times.add(now_seconds() - start);
      if (!kernel.ok()) return report_wrong(state, kernel.failure().message());
      bytes = (*kernel)->code().bytes.size();
    }
    state.SetIterationTime(times.median());
  }
  count_times(state, times);
  state.counters["kernels"] = times.count();
  state.counters["code_bytes"] = static_cast<double>(bytes);
}

constexpr int kLookups = 1000;

template <class Lookup>
void warm(benchmark::State& state, Lookup lookup) {
  const Times times = time_iterations(state, [&] {
    for (int i = 0; i < kLookups; ++i) benchmark::DoNotOptimize(lookup());
  });
  state.counters[counter::kBest] = times.best() / kLookups * 1e6;
  state.counters[counter::kMedian] = times.median() / kLookups * 1e6;
  state.counters["lookups_per_iteration"] = kLookups;
}

void register_generate(const HarnessOptions&, MachinePeaks&) {
  for (const jit::GemmKernelEntry& entry : jit::gemm_kernels()) {
    if (jit::host_features().missing_for(entry.isa) != nullptr) continue;
    const GemmSpec spec = taken_spec(entry);
    const std::string kernel = std::string(entry.tile) + "__" + entry.isa_variant;
    benchmark::RegisterBenchmark(("generate/" + kernel).c_str(),
                                 [&entry](benchmark::State& state) { cold(state, entry); })
        ->UseManualTime()
        ->Iterations(1);
    benchmark::RegisterBenchmark(("lookup/" + kernel).c_str(), [&entry, spec](benchmark::State& state) {
      warm(state, [&] { return entry.make(spec).ok(); });
    })->UseManualTime();
  }
  benchmark::RegisterBenchmark("create/Gemm", [](benchmark::State& state) {
    warm(state, [] { return Gemm::create({.m = 512, .n = 4096, .k = 4096}).ok(); });
  })->UseManualTime();
}

}  // namespace
}  // namespace fourge::bench

int main(int argc, char** argv) {
  return fourge::bench::run_benchmarks(
      argc, argv,
      "Kernels generated for the first time (generate/), found in the cache (lookup/), and Gemm::create as "
      "a\n"
      "whole, dispatch and its reasons included, once the kernel is there (create/).",
      fourge::bench::register_generate);
}
