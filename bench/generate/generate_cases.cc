// How long it takes to have a kernel: generated the first time, looked up after that.
#include <map>
#include <string>
#include <vector>
#include "bench/groups.h"

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

// The first time that each spec is asked for in this process. A process has only so many first times: the
// first iteration makes them all, every later one reports the same median.
struct FirstTimes {
  Times times;
  std::size_t code_bytes = 0;
  std::string wrong;
};

FirstTimes make_all(const jit::GemmKernelEntry& entry) {
  FirstTimes first;
  for (GemmSpec spec : different_specs(entry.numerics)) {
    spec.activations = taken_spec(entry).activations;
    if (!check(spec).ok() || entry.refusal(spec) != nullptr) continue;
    const double start = now_seconds();
    const auto kernel = entry.make(spec);
    first.times.add(now_seconds() - start);
    if (!kernel.ok()) {
      first.wrong = kernel.failure().message();
      break;
    }
    first.code_bytes = (*kernel)->code().bytes.size();
  }
  return first;
}

void cold(benchmark::State& state, const jit::GemmKernelEntry& entry) {
  static std::map<const jit::GemmKernelEntry*, FirstTimes> known;
  if (!known.contains(&entry)) known[&entry] = make_all(entry);
  const FirstTimes& first = known[&entry];
  if (!first.wrong.empty()) return report_wrong(state, first.wrong);
  for ([[maybe_unused]] auto unused : state) state.SetIterationTime(first.times.median());
  count_times(state, first.times);
  state.counters["kernels"] = first.times.count();
  state.counters["code_bytes"] = static_cast<double>(first.code_bytes);
}

constexpr int kLookups = 1000;

template <class Lookup>
void warm(benchmark::State& state, Lookup lookup) {
  measure_calls(state, kLookups, [&] {
    for (int i = 0; i < kLookups; ++i) benchmark::DoNotOptimize(lookup());
  });
}

}  // namespace

void register_generate_benchmarks(const HarnessOptions&, MachinePeaks&) {
  for (const jit::GemmKernelEntry& entry : jit::gemm_kernels()) {
    if (jit::host_features().missing_for(entry.isa) != nullptr) continue;
    const GemmSpec spec = taken_spec(entry);
    const std::string kernel = std::string(entry.tile) + "__" + entry.isa_variant;
    const auto facts = [&](const char* operation) {
      return CaseFacts{.operation = operation, .kernel = kernel, .isa = name_of(entry.isa)};
    };
    add_case("generate/" + kernel, facts("generate"),
             [&entry](benchmark::State& state) { cold(state, entry); });
    add_case("lookup/" + kernel, facts("lookup"),
             [&entry, spec](benchmark::State& state) { warm(state, [&] { return entry.make(spec).ok(); }); });
  }
  add_case("create/Gemm", {.operation = "create", .kernel = "Gemm::create"}, [](benchmark::State& state) {
    warm(state, [] { return Gemm::create({.m = 512, .n = 4096, .k = 4096}).ok(); });
  });
}

}  // namespace fourge::bench
