// How much of a report is measured.
#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "bench/support/gemm_run.h"
#include "tools/report/gather/gather.h"

namespace fourge::report {
namespace {

struct Pace {
  double gmacs = std::numeric_limits<double>::infinity();  // 10^9 multiplications and additions a second
  std::string kernel;
};

// The slowest of the kernels that dispatch chooses, on a product of 8 x 256 x 256.
fourge::Result<Pace> slowest_kernel() {
  constexpr std::int64_t kRows = 8, kSize = 256;
  const bench::Values x = bench::random_activations(kRows, kSize, 2),
                      w = bench::random_weights(kSize, kSize, 1);
  bench::MachinePeaks peaks(0.001);
  Pace pace;
  for (const Format format : {Format::nvfp4, Format::mxfp4}) {
    const fourge::Result<bench::GemmData> data =
        bench::quantize_both(x, w, {.format = format, .rule = bench::default_rule(format)});
    if (!data) return data.failure();
    const GemmSpec exact{.m = kRows, .n = kSize, .k = kSize, .format = format};
    GemmSpec fast = exact, plain = exact;
    fast.numerics = plain.numerics = Numerics::fast;
    plain.activations = Activations::bf16;
    for (const GemmSpec& spec : {exact, fast, plain}) {
      const fourge::Result<bench::TimedGemm> gemm = bench::create_gemm(spec, {});
      if (!gemm) return gemm.failure();
      const bench::GemmRunOptions run{.threads = 1,
                                      .check = bench::CheckExtent::none,
                                      .repeat = {.seconds = 0, .least = 2},
                                      .relative_error = false};
      const fourge::Result<bench::GemmReport> report = bench::run_gemm(*gemm, *data, run, peaks);
      if (!report) return report.failure();
      const double gmacs = static_cast<double>(kRows * kSize * kSize) / report->times.best() / 1e9;
      if (gmacs < pace.gmacs) pace = {gmacs, report->code.name};
    }
  }
  return pace;
}

Extent quick() {
  Extent extent;
  extent.size = 1024;
  extent.tokens = {1, 8, 32, 128};
  extent.every_kernel = 32;
  extent.product_seconds = 0.02;
  extent.scaling.seconds = 0.02;
  extent.study = {.rows = 256, .draws = 2};
  extent.text_tokens = 2048;
  return extent;
}

// Without vectors: products as quick ones, but the many of the cost models on small shapes.
Extent small() {
  Extent extent = quick();
  extent.scaling.extent = bench::ScalingExtent::smoke;
  return extent;
}

// Under an emulator.
Extent smallest() {
  Extent extent = small();
  extent.size = 256;
  extent.tokens = {1, 8, 32};
  extent.product_seconds = 0;
  extent.scaling.seconds = 0;
  extent.study = {.rows = 8, .draws = 1};
  extent.layer_blocks = 1;
  extent.text_tokens = 128;
  return extent;
}

}  // namespace

fourge::Result<Extent> extent_of(const GatherOptions& options) {
  constexpr const char* kSmallest =
      "Shapes are small, one block of the model stands for all, text and random values are few: their errors "
      "scatter.";
  if (options.mode == Mode::full) return Extent{};
  if (options.mode == Mode::smoke) {
    Extent extent = smallest();
    extent.text_tokens = 32;
    extent.reduced = fmt::format("A smoke run: nothing is timed twice. {}", kSmallest);
    return extent;
  }
  const fourge::Result<Pace> pace = slowest_kernel();
  if (!pace) return pace.failure();
  constexpr double kFast = 4, kSlow = 0.1;
  if (pace->gmacs >= kFast) return quick();
  const bool slow = pace->gmacs < kSlow;
  Extent extent = slow ? smallest() : small();
  extent.reduced = fmt::format(
      "Less is measured than --quick asks for, as {} does {:.0f} million multiplications a second here. {}",
      pace->kernel, 1e3 * pace->gmacs, slow ? kSmallest : "Shapes under \"Scaling\" are small.");
  return extent;
}

}  // namespace fourge::report
