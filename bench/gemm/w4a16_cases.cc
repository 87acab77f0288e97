// W4A16: 4-bit weights, plain activations.
#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bench/gemm/gemm_cases.h"
#include "bench/support/gemm_check.h"
#include "bench/support/gemm_data.h"
#include "bench/support/gemm_run.h"
#include "jit/cpu.h"
#include "jit/select.h"

namespace fourge::bench {
namespace {

struct W4a16Case {
  const jit::GemmKernelEntry* entry;
  GemmSpec spec;
  int threads;
  double longest;
};

// Weights packed for the case that runs now; cases that follow share them.
struct Weights {
  QuantizedMatrix matrix;
  PackedWeights packed;
  const jit::GemmKernelEntry* entry = nullptr;
};

Weights& weights_of(const W4a16Case& c, const Gemm& gemm) {
  static Weights weights;
  const QuantizedMatrix& m = weights.matrix;
  if (m.rows != c.spec.n || m.cols != c.spec.k || m.format != c.spec.format) {
    const Values w = random_weights(c.spec.n, c.spec.k, 1);
    weights.matrix =
        *quantize(w.data, w.rows, w.cols, {.format = c.spec.format, .rule = default_rule(c.spec.format)});
    weights.entry = nullptr;
  }
  if (weights.entry != c.entry) weights.packed = *gemm.pack(weights.matrix.view());
  weights.entry = c.entry;
  return weights;
}

// Seconds of one run, estimated from a small product.
double estimate(const W4a16Case& c) {
  W4a16Case probe = c;
  probe.spec.m = std::min<std::int64_t>(c.spec.m, 4);
  probe.spec.n = 64;
  probe.spec.k = 1024;
  const std::string name = c.entry->name(probe.spec);
  const Result<Gemm> gemm =
      Gemm::create(probe.spec, {.kernel = name.c_str(), .max_isa = name_of(c.entry->isa)});
  if (!gemm.ok()) return 0;
  const Values x = random_activations(probe.spec.m, 1024, 2), w = random_weights(64, 1024, 1);
  const QuantizedMatrix b =
      *quantize(w.data, 64, 1024, {.format = c.spec.format, .rule = default_rule(c.spec.format)});
  const std::vector<std::uint8_t> a = plain_values(x, probe.spec);
  std::vector<float> d(static_cast<std::size_t>(probe.spec.m * 64));
  GemmOperands operands;
  operands.d = d.data();
  const Result<PackedWeights> packed = gemm->pack(b.view());
  const double seconds =
      repeat({.seconds = 0, .least = 3}, [&] {
        static_cast<void>(gemm->run(PlainView{a.data(), x.rows, x.cols}, *packed, operands, {.threads = 1}));
      }).best();
  const auto products = [](const GemmSpec& s) {
    return static_cast<double>(s.m) * static_cast<double>(s.n) * static_cast<double>(s.k);
  };
  return seconds * products(c.spec) / products(probe.spec) / c.threads;
}

void count(benchmark::State& state, const W4a16Case& c, const Times& times, MachinePeaks& peaks) {
  const GemmSpec& spec = c.spec;
  const double products =
      static_cast<double>(spec.m) * static_cast<double>(spec.n) * static_cast<double>(spec.k);
  const auto bytes = static_cast<double>(spec.n * spec.k / 2 + spec.n * spec.k / info(spec.format).block);
  CaseFacts& facts = current_case();
  facts.operations = 2 * products;
  facts.bytes = bytes +
                static_cast<double>(spec.m) * static_cast<double>(spec.k) *
                    (spec.activations == Activations::bf16 ? 2 : 4) +
                4.0 * static_cast<double>(spec.m) * static_cast<double>(spec.n);
  count_times(state, times);
  state.counters[counter::kGmacs] = products / times.best() / 1e9;
  state.counters[counter::kGflops] = 2 * products / times.best() / 1e9;
  state.counters[counter::kWeightGbps] = bytes / times.best() / 1e9;
  const std::optional<Bound> bound = gemm_bound(spec, jit::name_of(c.entry->isa), 0, c.threads, peaks);
  if (!bound) return;
  state.counters[counter::kBound] = bound->seconds / times.best();
  state.counters["bound_GFLOP/s"] = bound->gflops;
  if (bound->unit_gops > 0)
    state.counters[counter::kUnit] = 2 * products / times.best() / 1e9 / bound->unit_gops;
  facts.bound = BoundFacts{bound->by, bound->seconds, bound->unit_gops, bound->weight_gbps};
  state.SetLabel(bound->by);
}

void run_case(benchmark::State& state, const W4a16Case& c, MachinePeaks& peaks) {
  if (const double seconds = estimate(c); seconds > c.longest)
    return report_skipped(
        state, "one run takes about " + std::to_string(static_cast<int>(seconds)) + " s (--longest)");
  const std::string name = c.entry->name(c.spec);
  const Result<Gemm> gemm = Gemm::create(c.spec, {.kernel = name.c_str(), .max_isa = name_of(c.entry->isa)});
  if (!gemm.ok()) return report_wrong(state, gemm.failure().message());
  current_case().code = gemm->code();
  const Weights& weights = weights_of(c, *gemm);
  const Values x = random_activations(c.spec.m, c.spec.k, 2);
  const std::vector<std::uint8_t> a = plain_values(x, c.spec);
  const PlainView view{a.data(), x.rows, x.cols};
  std::vector<std::uint8_t> d(static_cast<std::size_t>(c.spec.m * c.spec.n * bytes_of(c.spec.output)));
  GemmOperands operands;
  operands.alpha = weights.packed.tensor_scale().as_decode_multiplier();
  operands.d = d.data();
  Status ran = gemm->run(view, weights.packed, operands, {.threads = c.threads});
  if (!ran.ok()) return report_wrong(state, ran.failure().message());
  const Result<CheckResult> check = check_gemm(c.spec, view, weights.matrix.view(), operands,
                                               {.extent = CheckExtent::sample, .threads = c.threads});
  if (!check.ok() || !check->ok())
    return report_wrong(state, check.ok() ? check->first : check.failure().message());
  const Times times = time_iterations(
      state, [&] { ran = gemm->run(view, weights.packed, operands, {.threads = c.threads}); });
  if (!ran.ok()) return report_wrong(state, ran.failure().message());
  if (times.count() > 0) count(state, c, times, peaks);
}

std::vector<GemmSpec> specs_of(const HarnessOptions& options) {
  std::vector<std::int64_t> rows = {1, 4, 8, 16, 32, 128, 512};
  std::int64_t n = 4096, k = 4096;
  if (options.quick) rows = {1, 8, 128};
  if (options.smoke) rows = {1, 14}, n = 40, k = 96;
  std::vector<GemmSpec> specs;
  for (const Activations activations : {Activations::f32, Activations::bf16}) {
    if (activations == Activations::bf16 && !options.all && !options.smoke) continue;
    for (const Format format : kFormats) {
      const std::string wanted = "," + options.formats + ",";
      if (!options.all && wanted.find("," + std::string(name_of(format)) + ",") == std::string::npos)
        continue;
      for (const std::int64_t m : rows) {
        specs.push_back({.m = m,
                         .n = n,
                         .k = k,
                         .format = format,
                         .numerics = Numerics::fast,
                         .activations = activations});
      }
    }
  }
  return specs;
}

}  // namespace

void register_w4a16_benchmarks(const HarnessOptions& options, MachinePeaks& peaks) {
  for (const GemmSpec& spec : specs_of(options)) {
    for (const jit::GemmKernelEntry& entry : jit::gemm_kernels()) {
      if (entry.numerics != spec.numerics || entry.refusal(spec) != nullptr ||
          jit::host_features().missing_for(entry.isa) != nullptr) {
        continue;
      }
      for (const int threads : options.threads) {
        const W4a16Case c{&entry, spec, threads, options.longest};
        const std::string name = "gemm/" + entry.name(spec) + "/" + std::to_string(spec.m) + "x" +
                                 std::to_string(spec.n) + "x" + std::to_string(spec.k) +
                                 "/threads:" + std::to_string(threads);
        add_case(name,
                 {.operation = "gemm",
                  .kernel = entry.name(spec),
                  .isa = name_of(entry.isa),
                  .format = name_of(spec.format),
                  .numerics = name_of(spec.numerics),
                  .activations = name_of(spec.activations),
                  .m = spec.m,
                  .n = spec.n,
                  .k = spec.k,
                  .threads = threads,
                  .verified = "bits"},
                 [c, &peaks](benchmark::State& state) { run_case(state, c, peaks); });
      }
    }
  }
}

}  // namespace fourge::bench
