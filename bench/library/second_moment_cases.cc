// Second moments: every registered kernel, and the product in f32 that stays without exactness.
#include <algorithm>
#include <cmath>
#include <optional>
#include <string>
#include <vector>

#include "bench/groups.h"
#include "bench/support/gemm_data.h"
#include "bench/support/gemm_run.h"
#include "fourge/second_moment.h"
#include "jit/second_moment/second_moment_kernel.h"
#include "quant/model/matmul.h"

namespace fourge::bench {
namespace {

struct MomentCase {
  std::string kernel, isa;  // registered; empty: f32
  std::int64_t tokens, cols;
  int threads;
};

double upper_products(const MomentCase& c) {
  return static_cast<double>(c.tokens) * static_cast<double>(c.cols) * static_cast<double>(c.cols + 1) / 2;
}

// The unit's peak over what an exact product of 16-bit codes costs it: 4 of bytes. Code without a generator
// is held against one product in f32.
std::optional<BoundFacts> moment_bound(const MomentCase& c, MachinePeaks& peaks) {
  const bool generated = c.kernel.ends_with("vnni") || c.kernel.ends_with("int8");
  const Unit unit = !generated ? Unit::fma_f32 : c.isa == "amx" ? Unit::amx_int8 : Unit::vnni_int8;
  const std::optional<double> gops = peaks.unit_gops(unit, c.threads);
  if (!gops) return std::nullopt;
  return BoundFacts{name_of(unit), 2 * upper_products(c) * (generated ? 4 : 1) / *gops / 1e9, *gops,
                    std::nullopt};
}

void report_times(benchmark::State& state, const MomentCase& c, MachinePeaks& peaks,
                  const std::function<void()>& work) {
  current_case().operations = 2 * upper_products(c);
  current_case().bound = moment_bound(c, peaks);
  const Times times = time_iterations(state, work);
  count_times(state, times);
  state.counters[counter::kGmacs] = upper_products(c) / times.best() / 1e9;
  if (!current_case().bound) return;
  state.counters[counter::kBound] = current_case().bound->seconds / times.best();
  state.SetLabel(current_case().bound->by);
}

// Entry (i, j) of `sums` against f64: the rounding of the codes, 2^-16 of both amax, adds up like noise.
bool is_near(const Values& x, std::int64_t i, std::int64_t j, double got) {
  double want = 0, amax_i = 0, amax_j = 0;
  for (std::int64_t t = 0; t < x.rows; ++t) {
    want += static_cast<double>(x.row(t)[i]) * x.row(t)[j];
    amax_i = std::max<double>(amax_i, std::abs(x.row(t)[i]));
    amax_j = std::max<double>(amax_j, std::abs(x.row(t)[j]));
  }
  return std::abs(got - want) <= 1e-4 * std::sqrt(static_cast<double>(x.rows)) * amax_i * amax_j;
}

void registered(benchmark::State& state, const MomentCase& c, MachinePeaks& peaks) {
  const Values x = random_activations(c.tokens, c.cols, 2);
  auto moment = SecondMoment::create({.rows = c.cols, .cols = c.cols},
                                     {.kernel = c.kernel.c_str(), .max_isa = c.isa.c_str()});
  auto plain = SecondMoment::create({.rows = c.cols, .cols = c.cols}, {.max_isa = "scalar"});
  if (!moment.ok() || !plain.ok()) return report_wrong(state, "no kernel");
  const auto run = [&](SecondMoment& m, std::int64_t tokens) {
    return m.add(nullptr, x.data.data(), tokens, {.threads = c.threads}).ok() &&
           m.finish({.threads = c.threads}).ok();
  };
  const std::int64_t sample = std::min<std::int64_t>(c.tokens, 64);
  if (!run(*moment, sample) || !run(*plain, sample)) return report_wrong(state, "it failed");
  for (std::int64_t i = 0; i < c.cols; ++i)
    for (std::int64_t j = i; j < c.cols; ++j)
      if (const auto at = static_cast<std::size_t>(i * c.cols + j);
          moment->coarse()[at] != plain->coarse()[at] || moment->fine()[at] != plain->fine()[at])
        return report_wrong(state, "differs from the scalar kernel");
  current_case().code = moment->code();
  report_times(state, c, peaks, [&] { run(*moment, c.tokens); });
}

void in_f32(benchmark::State& state, const MomentCase& c, MachinePeaks& peaks) {
  const Values x = random_activations(c.tokens, c.cols, 2);
  std::vector<float> sums(static_cast<std::size_t>(c.cols * c.cols));
  const int usual = default_threads();
  const auto run = [&] {
    quant::multiply(
        {x.data.data(), 1, c.cols}, quant::StridedSource(x.data.data(), c.cols, 1),
        {.m = c.cols, .n = c.cols, .k = c.tokens, .c = sums.data(), .c_stride = c.cols, .only_upper = true});
  };
  set_default_threads(c.threads);
  run();
  if (!is_near(x, 0, c.cols - 1, sums[static_cast<std::size_t>(c.cols - 1)]))
    report_wrong(state, "differs from a plain sum");
  else
    report_times(state, c, peaks, run);
  set_default_threads(usual);
}

}  // namespace

void register_second_moment_cases(const HarnessOptions& options, MachinePeaks& peaks) {
  // A whole set of chunks, as calibration adds them: SecondMoment keeps that many waiting.
  constexpr std::int64_t kChunks = 8;
  std::vector<std::pair<std::int64_t, std::int64_t>> shapes = {{kChunks * SecondMoment::kChunk, 512}};
  if (!options.quick) shapes.push_back({kChunks * SecondMoment::kChunk, 1536});
  if (options.all) shapes.push_back({kChunks * SecondMoment::kChunk, 4096});
  if (options.smoke) shapes = {{70, 48}};
  std::vector<MomentCase> kernels;
  for (const auto& entry : jit::second_moment_kernels()) {
    if (const char* missing = jit::host_features().missing_for(entry.isa))
      leave_out_kernel(std::string("second_moment, ") + entry.isa_variant, missing);
    else
      kernels.push_back({entry.name({}), name_of(entry.isa), 0, 0, 1});
  }
  kernels.push_back({});
  for (const auto& [tokens, cols] : shapes) {
    for (const MomentCase& kernel : kernels) {
      for (const int threads : options.threads) {
        if (kernel.isa == "scalar" && cols > 512) continue;
        const MomentCase c{kernel.kernel, kernel.isa, tokens, cols, threads};
        const bool old = c.kernel.empty();
        const std::string name = old ? "quant::multiply, f32" : c.kernel;
        add_case("second_moment/" + (old ? std::string("f32") : name) + "/" + std::to_string(tokens) + "x" +
                     std::to_string(cols) + "/threads:" + std::to_string(threads),
                 {.operation = "second_moment",
                  .kernel = name,
                  .isa = c.isa,
                  .rows = tokens,
                  .cols = cols,
                  .threads = threads,
                  .verified = old ? "sum" : "bits"},
                 [c, old, &peaks](benchmark::State& state) {
                   old ? in_f32(state, c, peaks) : registered(state, c, peaks);
                 });
      }
    }
  }
}

}  // namespace fourge::bench
