#include "bench/scaling/scaling.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <optional>
#include <utility>

#include "bench/support/gemm_check.h"
#include "bench/support/gemm_data.h"
#include "bench/support/gemm_run.h"

namespace fourge::bench {
namespace {

struct Shape {
  Sweep sweep;
  std::int64_t m, n, k;
  int threads;
};

std::vector<int> thread_counts(const ScalingOptions& options) {
  if (!options.threads.empty()) return options.threads;
  std::vector<int> counts;
  for (int count = 1; count < default_threads(); count *= 2) counts.push_back(count);
  counts.push_back(default_threads());
  return counts;
}

std::vector<Shape> shapes_of(const ScalingOptions& options) {
  struct Sizes {
    std::int64_t base_m, base;
    std::vector<std::int64_t> tokens, sizes;
  };
  static const Sizes kAll[] = {{16, 128, {1, 4, 16, 32}, {64, 128, 192, 256}},
                               {64, 1024, {1, 2, 4, 8, 16, 32, 64, 128}, {256, 512, 1024, 2048}},
                               {128,
                                2048,
                                {1, 2, 4, 8, 16, 24, 32, 48, 64, 96, 128, 256, 512},
                                {256, 512, 1024, 1536, 2048, 3072, 4096, 8192}}};
  const auto& [base_m, base, tokens, sizes] = kAll[static_cast<int>(options.extent)];
  std::vector<Shape> shapes;
  for (const std::int64_t m : tokens) shapes.push_back({Sweep::m, m, base, base, 1});
  for (const std::int64_t n : sizes) shapes.push_back({Sweep::n, base_m, n, base, 1});
  for (const std::int64_t k : sizes) shapes.push_back({Sweep::k, base_m, base, k, 1});
  for (const std::int64_t m : {std::int64_t{1}, base_m, 4 * base_m}) {
    for (const int threads : thread_counts(options))
      shapes.push_back({Sweep::threads, m, base, base, threads});
  }
  return shapes;
}

// Weights of at most 512 different rows, repeated: as good for kernels, and quick to make.
Result<QuantizedMatrix> weights_of(std::int64_t n, std::int64_t k, Format format) {
  constexpr std::int64_t kDifferentRows = 512;
  const Values few = random_weights(std::min(n, kDifferentRows), k, 1);
  Result<QuantizedMatrix> matrix =
      quantize(few.data, few.rows, k, {.format = format, .rule = default_rule(format)});
  if (!matrix) return matrix;
  const auto repeat_rows = [&](std::vector<std::uint8_t>& bytes) {
    const std::size_t unique = bytes.size(),
                      all = unique / static_cast<std::size_t>(few.rows) * static_cast<std::size_t>(n);
    bytes.resize(all);
    for (std::size_t i = unique; i < all; ++i) bytes[i] = bytes[i - unique];
  };
  repeat_rows(matrix->codes);
  repeat_rows(matrix->scales);
  matrix->rows = n;
  return matrix;
}

std::int64_t up_to(std::int64_t value, std::int64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

void count_work(ScalingPoint& point) {
  const GemmSpec& spec = point.spec;
  const TileSize tile = tile_of(point.kernel);
  const auto of = [](std::int64_t value) { return static_cast<double>(value); };
  const double depth = of(up_to(spec.k, 64));
  point.work.operations = 2 * of(up_to(spec.m, tile.mr)) * of(up_to(spec.n, tile.nr)) * depth;
  point.work.row_steps = of(spec.m) * depth / 64;
  const std::int64_t activation_bytes = spec.m * (spec.k / 2 + spec.k / info(spec.format).block);
  point.work.bytes = of(point.weight_bytes + activation_bytes + spec.m * spec.n * bytes_of(spec.output));
}

// A small product, run beside others: on a shared machine a core changes its pace for seconds.
class Probe {
 public:
  static Result<Probe> create(const ScalingOptions& options, Format format, Numerics numerics) {
    const bool smoke = options.extent == ScalingExtent::smoke;
    const std::int64_t m = smoke ? 16 : 32, size = smoke ? 128 : 512;
    Probe probe;
    const Result<Gemm> gemm =
        Gemm::create({.m = m, .n = size, .k = size, .format = format, .numerics = numerics});
    if (!gemm) return gemm.failure();
    const Values x = random_weights(m, size, 2);
    const Result<QuantizedMatrix> a =
        quantize(x.data, m, size, {.format = format, .rule = default_rule(format)});
    if (!a) return a.failure();
    const Result<QuantizedMatrix> b = weights_of(size, size, format);
    if (!b) return b.failure();
    Result<PackedWeights> packed = gemm->pack(b->view());
    if (!packed) return packed.failure();
    probe.gemm_ = *gemm;
    probe.a_ = *a;
    probe.packed_ = std::move(*packed);
    probe.d_.resize(static_cast<std::size_t>(m * size));
    return probe;
  }

  std::string kernel() const { return gemm_->code().name; }
  // The best of three runs.
  double seconds() {
    GemmOperands operands;
    operands.d = d_.data();
    return repeat({.seconds = 0, .least = 3},
                  [&] { static_cast<void>(gemm_->run(a_.view(), *packed_, operands, {.threads = 1})); })
        .best();
  }

 private:
  std::optional<Gemm> gemm_;
  QuantizedMatrix a_;
  std::optional<PackedWeights> packed_;
  std::vector<float> d_;
};

// Packs, checks, times. `wrong` receives the first wrong output.
Result<ScalingPoint> measure(const Shape& shape, Format format, Numerics numerics, double seconds,
                             Probe& probe, std::string& wrong) {
  ScalingPoint point;
  point.sweep = shape.sweep;
  point.threads = shape.threads;
  point.spec = {.m = shape.m, .n = shape.n, .k = shape.k, .format = format, .numerics = numerics};
  const Result<Gemm> gemm = Gemm::create(point.spec);
  if (!gemm) return gemm.failure();
  const Result<QuantizedMatrix> b = weights_of(shape.n, shape.k, format);
  if (!b) return b.failure();
  const Values x = random_activations(shape.m, shape.k, 2);
  const Result<QuantizedMatrix> a =
      quantize(x.data, x.rows, x.cols, {.format = format, .rule = default_rule(format)});
  if (!a) return a.failure();
  const Result<PackedWeights> packed = gemm->pack(b->view());
  if (!packed) return packed.failure();
  std::vector<float> d(static_cast<std::size_t>(shape.m * shape.n));
  GemmOperands operands;
  operands.alpha = gemm_alpha(a->tensor_scale, b->tensor_scale);
  operands.d = d.data();
  Status ran;
  const auto run = [&] { ran = gemm->run(a->view(), *packed, operands, {.threads = shape.threads}); };
  ran = gemm->run(a->view(), *packed, operands, {.threads = shape.threads}, &point.stats);
  if (!ran) return ran.failure();
  if (numerics == Numerics::blackwell) {
    const Result<CheckResult> check = check_gemm(point.spec, a->view(), b->view(), operands,
                                                 {.extent = CheckExtent::sample, .threads = shape.threads});
    if (!check) return check.failure();
    if (!check->ok() && wrong.empty()) wrong = gemm->code().name + ": " + check->first;
  }
  const bool probed = gemm->code().name == probe.kernel();
  if (probed) point.probe = probe.seconds();
  const Times times = repeat({.seconds = seconds, .least = 7}, run);
  if (!ran) return ran.failure();
  if (probed) point.probe = std::max(point.probe, probe.seconds());
  point.kernel = gemm->code().name;
  point.isa = gemm->code().isa;
  point.weight_bytes = packed->bytes();
  point.best = times.best();
  point.median = times.median();
  count_work(point);
  return point;
}

// `other` is the same point, measured later.
void keep_better(ScalingPoint& point, const ScalingPoint& other) {
  const double ratio = other.best / point.best;
  if (ratio < 1) point = other;
  point.pass_ratio = std::max(ratio, 1 / ratio);
}

void set_paces(std::vector<ScalingPoint>& points) {
  std::map<std::string, double> least;
  for (const ScalingPoint& point : points) {
    if (point.probe > 0) {
      const auto [entry, added] = least.try_emplace(point.kernel, point.probe);
      if (!added) entry->second = std::min(entry->second, point.probe);
    }
  }
  for (ScalingPoint& point : points) {
    if (point.probe > 0) point.pace = least.at(point.kernel) / point.probe;
  }
}

// Sizes under one thread: what a model is fitted to.
bool is_fitted(const ScalingPoint& point) { return point.sweep != Sweep::threads; }

double prediction(const ScalingPoint& point, const CostModel& model) {
  return model.overhead + (model.seconds(point.work) - model.overhead) / point.threads;
}

// The model of the kernel of `first`; predictions and explanations of all its points.
ScalingFit fit_kernel(const ScalingPoint& first, std::vector<ScalingPoint>& points) {
  const std::string kernel = first.kernel;
  std::vector<CostSample> samples, steady;
  for (const ScalingPoint& point : points) {
    if (point.kernel != kernel || !is_fitted(point)) continue;
    samples.push_back({point.work, point.best});
    if (point.pace >= kSteadyPace) steady.push_back(samples.back());
  }
  constexpr int kEnough = 5;
  ScalingFit fit{.kernel = kernel,
                 .format = first.spec.format,
                 .numerics = first.spec.numerics,
                 .model = fit_cost_model(std::ssize(steady) < kEnough ? samples : steady),
                 .points = static_cast<int>(samples.size()),
                 .steady_points = static_cast<int>(steady.size())};
  std::vector<double> ratios = {1};
  for (const ScalingPoint& point : points) {
    if (point.kernel == kernel && is_fitted(point)) ratios.push_back(point.pass_ratio);
  }
  std::nth_element(ratios.begin(), ratios.begin() + std::ssize(ratios) / 2, ratios.end());
  fit.median_pass_ratio = ratios[ratios.size() / 2];
  for (ScalingPoint& point : points) {
    if (point.kernel != kernel) continue;
    point.model = prediction(point, fit.model);
    const double deviation = std::fabs(point.deviation());
    if (is_fitted(point)) {
      fit.mean_deviation += deviation / fit.points;
      fit.worst_deviation = std::max(fit.worst_deviation, deviation);
      fit.mean_slow_share += point.slow_share() / fit.points;
    }
  }
  for (ScalingPoint& point : points) {
    if (point.kernel == kernel && std::fabs(point.deviation()) > kTolerance)
      point.explanation = explain(point, fit);
  }
  return fit;
}

}  // namespace

TileSize tile_of(const std::string& kernel) {
  // ..._<mr>x<nr>x<kr>__<isa>
  const std::size_t end = kernel.rfind("__");
  const std::size_t start = end == std::string::npos ? end : kernel.rfind('_', end - 1);
  if (start == std::string::npos) return {};
  TileSize tile;
  const char* const last = kernel.data() + end;
  const auto [after_mr, bad_mr] = std::from_chars(kernel.data() + start + 1, last, tile.mr);
  if (bad_mr != std::errc() || after_mr == last || *after_mr != 'x') return {};
  const auto [after_nr, bad_nr] = std::from_chars(after_mr + 1, last, tile.nr);
  if (bad_nr != std::errc() || tile.mr < 1 || tile.nr < 1) return {};
  return tile;
}

Result<Scaling> measure_scaling(const ScalingOptions& options) {
  constexpr int kPasses = 2;
  Scaling scaling;
  const std::vector<Shape> shapes = shapes_of(options);
  const std::size_t count = shapes.size() * options.formats.size() * options.numerics.size();
  for (int pass = 0; pass < kPasses; ++pass) {
    std::size_t index = 0;
    for (const Format format : options.formats) {
      for (const Numerics numerics : options.numerics) {
        Result<Probe> probe = Probe::create(options, format, numerics);
        if (!probe) return probe.failure();
        for (const Shape& shape : shapes) {
          const Result<ScalingPoint> point =
              measure(shape, format, numerics, options.seconds, *probe, scaling.wrong);
          if (!point) return point.failure();
          if (pass == 0) {
            scaling.points.push_back(*point);
          } else {
            keep_better(scaling.points[index], *point);
          }
          ++index;
          if (options.progress) options.progress(static_cast<int>(kPasses * count));
        }
      }
    }
  }
  set_paces(scaling.points);
  for (const ScalingPoint& point : scaling.points) {
    const bool known = std::any_of(scaling.fits.begin(), scaling.fits.end(),
                                   [&](const ScalingFit& fit) { return fit.kernel == point.kernel; });
    if (!known) scaling.fits.push_back(fit_kernel(point, scaling.points));
  }
  return scaling;
}

}  // namespace fourge::bench
