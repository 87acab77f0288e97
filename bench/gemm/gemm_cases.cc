#include "bench/gemm/gemm_cases.h"
#include "bench/groups.h"

#include <cstdio>
#include <memory>
#include <optional>
#include <string>

#include "bench/gemm/gemm_subject.h"
#include "bench/support/gemm_check.h"
#include "bench/support/gemm_data.h"
#include "bench/support/gemm_run.h"
#include "bench/support/peers.h"
#include "jit/gemm/exact_operands.h"

namespace fourge::bench {
namespace {

struct Shape {
  std::int64_t m, n, k;
  bool is_small = false;  // for kernels that a quick run does not measure at large shapes
  std::string text() const { return std::to_string(m) + "x" + std::to_string(n) + "x" + std::to_string(k); }
};

std::vector<Shape> shapes_of(const HarnessOptions& options) {
  if (options.smoke) return {{1, 48, 64}, {33, 65, 96}};
  struct Weights {
    std::int64_t n, k;
  };
  // A model of 8 billion parameters: attention, up and down; then the shipped nano and its larger sister.
  std::vector<Weights> weights = {{4096, 4096}, {14336, 4096}, {4096, 14336}, {768, 256},
                                  {256, 768},   {1536, 512},   {512, 1536}};
  std::vector<std::int64_t> tokens = {1, 4, 8, 16, 32, 128, 512, 2048};
  if (options.quick) {
    weights = {{4096, 4096}};
    tokens = {1, 32, 512};
  }
  std::vector<Shape> shapes;
  for (const auto& [n, k] : weights) {
    for (const std::int64_t m : tokens) shapes.push_back({m, n, k});
  }
  if (options.quick) shapes.push_back({32, 768, 256, true});
  constexpr std::int64_t kGigabyteRows = 466'944;  // x 4096: 1.1 GB packed
  if (options.all) shapes.push_back({1, kGigabyteRows, 4096});
  return shapes;
}

std::vector<Format> formats_of(const HarnessOptions& options) {
  const std::string wanted = "," + (options.all ? "nvfp4,mxfp4,mxfp4_b16" : options.formats) + ",";
  std::vector<Format> formats;
  for (const Format format : kFormats) {
    if (wanted.find("," + std::string(name_of(format)) + ",") != std::string::npos) formats.push_back(format);
  }
  return formats;
}

// Weights of few different rows, repeated: as good for kernels, and quick to make.
constexpr std::int64_t kDifferentRows = 1024;

Values repeated_weights(std::int64_t rows, std::int64_t cols) {
  Values few = random_weights(std::min(rows, kDifferentRows), cols, 1);
  Values all{rows, cols, {}};
  all.data.reserve(static_cast<std::size_t>(rows * cols));
  for (std::int64_t row = 0; row < rows; row += few.rows) {
    const std::int64_t count = std::min(few.rows, rows - row);
    all.data.insert(all.data.end(), few.data.begin(), few.data.begin() + count * cols);
  }
  return all;
}

QuantizedMatrix quantized_weights(std::int64_t rows, std::int64_t cols, Format format) {
  const Values few = random_weights(std::min(rows, kDifferentRows), cols, 1);
  QuantizedMatrix matrix =
      *quantize(few.data, few.rows, cols, {.format = format, .rule = default_rule(format)});
  const auto repeat_rows = [&](std::vector<std::uint8_t>& bytes) {
    const auto row_bytes = bytes.size() / static_cast<std::size_t>(few.rows);
    const auto unique = bytes.size();
    bytes.resize(row_bytes * static_cast<std::size_t>(rows));
    for (std::size_t i = unique; i < bytes.size(); ++i) bytes[i] = bytes[i - unique];
  };
  repeat_rows(matrix.codes);
  repeat_rows(matrix.scales);
  matrix.rows = rows;
  return matrix;
}

// The operands of the case that runs now; the last weights are kept, since cases that follow share them.
class Operands {
 public:
  void prepare(const Shape& shape, Format format) {
    if (b_.rows != shape.n || b_.cols != shape.k || b_.format != format) {
      b_ = {};
      b_ = quantized_weights(shape.n, shape.k, format);
    }
    const Values x = random_activations(shape.m, shape.k, 2);
    a_ = *quantize(x.data, shape.m, shape.k, {.format = format, .rule = default_rule(format)});
  }
  QuantizedView a() const { return a_.view(); }
  QuantizedView b() const { return b_.view(); }
  std::int64_t bytes_of_a() const { return static_cast<std::int64_t>(a_.codes.size() + a_.scales.size()); }

 private:
  QuantizedMatrix a_, b_;
};

// One line of the table. Google Benchmark calls run() several times; what is slow is done once.
class GemmCase {
 public:
  GemmCase(GemmSubjectEntry subject, const GemmSpec& spec, int threads, double longest, MachinePeaks& peaks)
      : subject_(std::move(subject)), spec_(spec), threads_(threads), longest_(longest), peaks_(peaks) {}

  void run(benchmark::State& state) {
    if (!is_prepared() && !prepare(state)) return;
    current_case().code = kernel_->code();
    const Times times = time_iterations(state, [&] { run_once(); });
    if (status_.ok()) {
      count(state, times);
    } else {
      report_wrong(state, status_.failure().message());
    }
  }

 private:
  // One case at a time holds packed weights.
  bool is_prepared() {
    static GemmCase* current = nullptr;
    if (current != this) {
      if (current != nullptr) current->release();
      current = this;
    }
    return kernel_ != nullptr;
  }

  bool prepare(benchmark::State& state) {
    if (const std::string reason = too_slow(); !reason.empty()) {
      report_skipped(state, reason);
      return false;
    }
    operands().prepare({spec_.m, spec_.n, spec_.k}, spec_.format);
    Result<std::unique_ptr<GemmSubject>> made = subject_.make(spec_);
    if (!made.ok()) {
      report_wrong(state, made.failure().message());
      return false;
    }
    if (const Status packed = (*made)->pack(operands().b()); !packed.ok()) {
      report_skipped(state, packed.failure().message());
      return false;
    }
    kernel_ = std::move(*made);
    packed_bytes_ = kernel_->packed_bytes();
    d_.resize(static_cast<std::size_t>(spec_.m * spec_.n * bytes_of(spec_.output)));
    return check(state);
  }

  // An estimate from a small product, so that a slow kernel does not run for minutes on a large one.
  std::string too_slow() const {
    const GemmSpec probe{.m = std::min<std::int64_t>(spec_.m, 4), .n = 64, .k = 1024, .format = spec_.format};
    Operands operands;
    operands.prepare({probe.m, probe.n, probe.k}, probe.format);
    Result<std::unique_ptr<GemmSubject>> kernel = subject_.make(probe);
    if (!kernel.ok() || !(*kernel)->pack(operands.b()).ok()) return {};
    std::vector<float> d(static_cast<std::size_t>(probe.m * probe.n));
    GemmOperands gemm_operands;
    gemm_operands.d = d.data();
    RunStats stats;
    const double seconds = repeat({.seconds = 0, .least = 3}, [&] {
                             static_cast<void>((*kernel)->run(operands.a(), gemm_operands, 1, stats));
                           }).best();
    const double ratio = products(spec_) / products(probe) / threads_;
    if (seconds * ratio <= longest_) return {};
    char text[64];
    std::snprintf(text, sizeof text, "one run takes about %.0f s (--longest)", seconds * ratio);
    return text;
  }

  bool check(benchmark::State& state) {
    run_once();
    if (spec_.numerics != Numerics::blackwell) return check_fast(state);
    const Result<CheckResult> check = check_gemm(spec_, operands().a(), operands().b(), gemm_operands(),
                                                 {.extent = CheckExtent::sample, .threads = threads_});
    const bool right = check.ok() && check->ok();
    if (!right) report_wrong(state, check.ok() ? check->first : check.failure().message());
    return right;
  }

  // Numerics fast promises a bound (docs/gemm.md); here its sampled outputs lie next to the exact kernel's.
  bool check_fast(benchmark::State& state) {
    GemmSpec exact = spec_;
    exact.numerics = Numerics::blackwell;
    const Result<Gemm> gemm = Gemm::create(exact);
    if (!gemm.ok()) return true;
    const Result<PackedWeights> packed = gemm->pack(operands().b());
    std::vector<std::uint8_t> want(d_.size());
    GemmOperands other = gemm_operands();
    other.d = want.data();
    if (!packed.ok() || !gemm->run(operands().a(), *packed, other, {.threads = threads_}).ok()) return true;
    const auto* got = reinterpret_cast<const float*>(d_.data());
    const auto* exactly = reinterpret_cast<const float*>(want.data());
    double error = 0, norm = 0;
    for (std::size_t i = 0; i < d_.size() / sizeof(float); ++i) {
      error += (static_cast<double>(got[i]) - exactly[i]) * (static_cast<double>(got[i]) - exactly[i]);
      norm += static_cast<double>(exactly[i]) * exactly[i];
    }
    const bool right = error <= 1e-8 * norm;  // 1e-4; rounding toward zero at each step costs up to 3e-5
    if (!right) report_wrong(state, "far from the exact product");
    return right;
  }

  void run_once() {
    stats_ = {};
    status_ = kernel_->run(operands().a(), gemm_operands(), threads_, stats_);
  }

  GemmOperands gemm_operands() {
    GemmOperands gemm_operands;
    gemm_operands.alpha = gemm_alpha(operands().a().tensor_scale, operands().b().tensor_scale);
    gemm_operands.d = d_.data();
    return gemm_operands;
  }

  void count(benchmark::State& state, const Times& times) {
    if (times.count() == 0) return;
    CaseFacts& facts = current_case();
    facts.operations = 2 * products(spec_);
    facts.bytes =
        static_cast<double>(packed_bytes_ + operands().bytes_of_a() + static_cast<std::int64_t>(d_.size()));
    facts.certified = stats_.certified_fraction();
    count_times(state, times);
    state.counters[counter::kGmacs] = products(spec_) / times.best() / 1e9;
    state.counters[counter::kGflops] = 2 * products(spec_) / times.best() / 1e9;
    state.counters[counter::kWeightGbps] = static_cast<double>(packed_bytes_) / times.best() / 1e9;
    state.counters["weight_bytes"] = static_cast<double>(packed_bytes_);
    state.counters[counter::kCertified] = stats_.certified_fraction();
    const std::optional<Bound> bound =
        gemm_bound(spec_, jit::name_of(subject_.isa), packed_bytes_, threads_, peaks_);
    if (!bound) return;
    state.counters[counter::kBound] = bound->seconds / times.best();
    state.counters["bound_GFLOP/s"] = bound->gflops;
    if (bound->unit_gops > 0) {
      state.counters[counter::kUnit] = 2 * products(spec_) / times.best() / 1e9 / bound->unit_gops;
    }
    facts.bound = BoundFacts{bound->by, bound->seconds, bound->unit_gops, bound->weight_gbps};
    state.SetLabel(bound->by);
  }

  void release() {
    kernel_.reset();
    d_ = {};
  }

  static double products(const GemmSpec& spec) {
    return static_cast<double>(spec.m) * static_cast<double>(spec.n) * static_cast<double>(spec.k);
  }
  static Operands& operands() {
    static Operands shared;
    return shared;
  }

  GemmSubjectEntry subject_;
  GemmSpec spec_;
  int threads_;
  double longest_;
  MachinePeaks& peaks_;
  std::unique_ptr<GemmSubject> kernel_;
  std::int64_t packed_bytes_ = 0;
  std::vector<std::uint8_t> d_;
  RunStats stats_;
  Status status_;
};

// Weights to a kernel's layout: bytes of codes and scales read a second.
void pack_case(benchmark::State& state, const GemmSubjectEntry& subject, const GemmSpec& spec) {
  const QuantizedMatrix weights = quantized_weights(spec.n, spec.k, spec.format);
  const Result<std::unique_ptr<GemmSubject>> kernel = subject.make(spec);
  if (!kernel.ok()) return report_skipped(state, kernel.failure().message());
  const Times times = time_iterations(state, [&] { static_cast<void>((*kernel)->pack(weights.view())); });
  const auto bytes = static_cast<double>(weights.codes.size() + weights.scales.size());
  current_case().bytes = bytes + static_cast<double>((*kernel)->packed_bytes());
  count_times(state, times);
  state.counters[counter::kGbps] = bytes / times.best() / 1e9;
  state.counters["bits_per_weight"] = 8.0 * static_cast<double>((*kernel)->packed_bytes()) /
                                      (static_cast<double>(spec.n) * static_cast<double>(spec.k));
}

// Activations to what the exact kernels read, done at every call by all threads together; here by one.
void prepare_case(benchmark::State& state, const Shape& shape, Format format) {
  const Values x = random_activations(shape.m, shape.k, 2);
  const QuantizedMatrix a =
      *quantize(x.data, x.rows, x.cols, {.format = format, .rule = default_rule(format)});
  const std::int64_t steps = (shape.k + jit::kStepK - 1) / jit::kStepK;
  std::vector<jit::ActivationStep> prepared(static_cast<std::size_t>(steps * shape.m));
  const Times times = time_iterations(state, [&] {
    for (std::int64_t step = 0; step < steps; ++step) {
      jit::prepare_activations(a.view(), 0, shape.m, step, prepared.data() + step * shape.m);
    }
  });
  current_case().bytes = static_cast<double>(a.codes.size() + a.scales.size()) +
                         static_cast<double>(prepared.size() * sizeof prepared[0]);
  count_times(state, times);
  state.counters[counter::kGbps] = static_cast<double>(a.codes.size() + a.scales.size()) / times.best() / 1e9;
}

// The same product in f32 or bf16.
void peer_case(benchmark::State& state, const PeerEntry& entry, const Shape& shape, int threads) {
  static Values w;
  if (w.rows != shape.n || w.cols != shape.k) w = repeated_weights(shape.n, shape.k);
  const Values x = random_activations(shape.m, shape.k, 2);
  const PeerResult peer = entry.make(x, w, threads);
  if (!peer.ok()) return report_skipped(state, peer.failure().message());
  bool agreed = (*peer)->run();
  const Times times = time_iterations(state, [&] { agreed = (*peer)->run() && agreed; });
  if (!agreed) return report_skipped(state, "the library refused to run");
  current_case().operations =
      2 * static_cast<double>(shape.m) * static_cast<double>(shape.n) * static_cast<double>(shape.k);
  count_times(state, times);
  const double products =
      static_cast<double>(shape.m) * static_cast<double>(shape.n) * static_cast<double>(shape.k);
  state.counters[counter::kGmacs] = products / times.best() / 1e9;
  state.counters[counter::kGflops] = 2 * products / times.best() / 1e9;
  const GemmSpec spec{.m = shape.m, .n = shape.n, .k = shape.k};
  constexpr std::int64_t kProducts = 1 << 22;
  const double error = relative_error(spec, x, w, (*peer)->result().data(), kProducts).value;
  current_case().relative_error = error;
  state.counters["relative_error"] = error;
  constexpr double kAnotherProduct = 0.2;  // 4-bit weights lose 0.1
  if (!(error < kAnotherProduct)) return report_wrong(state, "the library's product is another one");
  state.SetLabel((*peer)->version());
}

CaseFacts facts_of(const char* operation, const std::string& kernel, const Shape& shape, int threads) {
  return {
      .operation = operation, .kernel = kernel, .m = shape.m, .n = shape.n, .k = shape.k, .threads = threads};
}

// Those that this machine can run; the others are named once.
std::vector<GemmSubjectEntry> runnable_subjects() {
  std::vector<GemmSubjectEntry> runnable;
  for (GemmSubjectEntry& subject : gemm_subjects()) {
    if (const char* missing = jit::host_features().missing_for(subject.isa)) {
      leave_out_kernel(subject.name({}), missing);
    } else {
      runnable.push_back(std::move(subject));
    }
  }
  return runnable;
}

// Quick runs show every kernel, but large shapes only of the best of each numerics and of variants.
bool leads(const GemmSubjectEntry& subject, const std::vector<GemmSubjectEntry>& subjects) {
  for (const GemmSubjectEntry& first : subjects)
    if (first.numerics == subject.numerics) return first.name({}) == subject.name({}) || subject.is_variant;
  return false;
}

void add_kernels(const HarnessOptions& options, const Shape& shape, MachinePeaks& peaks,
                 const std::vector<GemmSubjectEntry>& subjects) {
  for (const Format format : formats_of(options)) {
    for (const GemmSubjectEntry& subject : subjects) {
      for (const int threads : options.threads) {
        const GemmSpec spec{
            .m = shape.m, .n = shape.n, .k = shape.k, .format = format, .numerics = subject.numerics};
        if (!check(spec).ok() || subject.refusal(spec) != nullptr) continue;
        if (options.quick && !shape.is_small && !leads(subject, subjects)) continue;
        if (options.quick && shape.is_small && leads(subject, subjects)) continue;
        CaseFacts facts = facts_of("gemm", subject.name(spec), shape, threads);
        facts.isa = jit::name_of(subject.isa);
        facts.format = name_of(format);
        facts.numerics = name_of(subject.numerics);
        facts.activations = name_of(spec.activations);
        facts.verified = subject.numerics == Numerics::blackwell ? "bits" : "bound";
        auto gemm = std::make_shared<GemmCase>(subject, spec, threads, options.longest, peaks);
        add_case("gemm/" + subject.name(spec) + "/" + shape.text() + "/threads:" + std::to_string(threads),
                 std::move(facts), [gemm](benchmark::State& state) { gemm->run(state); });
      }
    }
  }
}

void add_peers(const HarnessOptions& options, const Shape& shape) {
  if (!options.peers || shape.is_small) return;
  for (const PeerEntry& entry : peers()) {
    for (const int threads : options.threads) {
      CaseFacts facts = facts_of("peer", entry.name, shape, threads);
      facts.verified = "relative error";
      add_case(std::string("peer/") + entry.name + "/" + shape.text() + "/threads:" + std::to_string(threads),
               std::move(facts), [&entry, shape, threads](benchmark::State& state) {
                 peer_case(state, entry, shape, threads);
               });
    }
  }
}

void add_phases(const HarnessOptions& options, const GemmSubjectEntry& best) {
  const Shape shape = options.smoke ? Shape{3, 48, 96} : Shape{512, 4096, 4096};
  for (const Format format : formats_of(options)) {
    const GemmSpec spec{
        .m = shape.m, .n = shape.n, .k = shape.k, .format = format, .numerics = best.numerics};
    CaseFacts pack = facts_of("pack", best.name(spec), {0, shape.n, shape.k}, 1);
    CaseFacts prepare = facts_of("prepare", "prepare_activations", {shape.m, 0, shape.k}, 1);
    pack.format = prepare.format = name_of(format);
    add_case("pack/" + best.name(spec) + "/" + std::to_string(shape.n) + "x" + std::to_string(shape.k),
             std::move(pack), [best, spec](benchmark::State& state) { pack_case(state, best, spec); });
    add_case(std::string("prepare/") + name_of(format) + "/" + std::to_string(shape.m) + "x" +
                 std::to_string(shape.k),
             std::move(prepare),
             [shape, format](benchmark::State& state) { prepare_case(state, shape, format); });
  }
}

}  // namespace

void register_gemm_benchmarks(const HarnessOptions& options, MachinePeaks& peaks) {
  const std::vector<GemmSubjectEntry> subjects = runnable_subjects();
  for (const Shape& shape : shapes_of(options)) {
    add_kernels(options, shape, peaks, subjects);
    add_peers(options, shape);
  }
  register_w4a16_benchmarks(options, peaks);
  if (!subjects.empty()) add_phases(options, subjects.front());
}

}  // namespace fourge::bench
