#include "bench/support/gemm_run.h"

#include "bench/support/peers.h"
#include "jit/element_io.h"

#include <utility>

#if defined(_OPENMP)
#include <omp.h>
#endif

namespace fourge::bench {

int default_threads() {
#if defined(_OPENMP)
  return omp_get_max_threads();
#else
  return 1;
#endif
}

void set_default_threads([[maybe_unused]] int threads) {
#if defined(_OPENMP)
  omp_set_num_threads(threads);
#endif
}

Result<TimedGemm> create_gemm(const GemmSpec& spec, const GemmOptions& options) {
  const double start = now_seconds();
  Result<Gemm> gemm = Gemm::create(spec, options);
  const double seconds = now_seconds() - start;
  if (!gemm.ok()) return gemm.failure();
  return TimedGemm{std::move(*gemm), seconds};
}

std::vector<std::uint8_t> plain_values(const Values& x, const GemmSpec& spec) {
  std::vector<std::uint8_t> bytes(x.data.size() * (spec.activations == Activations::bf16 ? 2 : 4));
  jit::store_elements(spec.activations == Activations::bf16 ? ElementFormat::bf16 : ElementFormat::f32,
                      x.data.data(), static_cast<std::int64_t>(x.data.size()), bytes.data());
  return bytes;
}

Result<GemmReport> run_gemm(const TimedGemm& kernel, const GemmData& data, const GemmRunOptions& options,
                            MachinePeaks& peaks) {
  const Gemm& gemm = kernel.gemm;
  const GemmSpec& spec = gemm.spec();
  GemmReport report;
  report.spec = spec;
  report.code = gemm.code();
  report.decisions = gemm.decisions();
  report.create_seconds = kernel.seconds;
  report.threads = options.threads;
  report.check_extent = options.check;

  const double pack_start = now_seconds();
  const Result<PackedWeights> packed = gemm.pack(data.b.view());
  report.pack_seconds = now_seconds() - pack_start;
  if (!packed.ok()) return packed.failure();
  report.packed_bytes = packed->bytes();

  std::vector<std::uint8_t> d(static_cast<std::size_t>(spec.m * spec.n * bytes_of(spec.output)));
  GemmOperands operands;
  operands.d = d.data();
  const bool plain = spec.activations != Activations::same;
  operands.alpha = plain ? data.b.tensor_scale.as_decode_multiplier() : data.alpha();
  const std::vector<std::uint8_t> plain_data =
      plain ? plain_values(data.x, spec) : std::vector<std::uint8_t>();
  const PlainView plain_a{plain_data.data(), data.x.rows, data.x.cols};
  const QuantizedView a = data.a.view();
  const RunOptions run_options{.threads = options.threads};
  const auto run = [&](RunStats* stats) {
    return plain ? gemm.run(plain_a, *packed, operands, run_options, stats)
                 : gemm.run(a, *packed, operands, run_options, stats);
  };
  if (const Status ran = run(&report.stats); !ran.ok()) return ran.failure();
  if (options.check != CheckExtent::none) {
    const CheckOptions check_options{
        .extent = options.check, .threads = options.threads, .progress = options.progress};
    const Result<CheckResult> check = plain
                                          ? check_gemm(spec, plain_a, data.b.view(), operands, check_options)
                                          : check_gemm(spec, a, data.b.view(), operands, check_options);
    if (!check.ok()) return check.failure();
    report.check = *check;
  }
  if (options.relative_error) report.error = relative_error(spec, data.x, data.w, d.data());

  Status timed;
  report.times = repeat(options.repeat, [&] {
    const Status ran = run(nullptr);
    if (!ran.ok()) timed = ran;
  });
  if (!timed.ok()) return timed.failure();
  report.bound = gemm_bound(spec, report.code.isa, report.packed_bytes, options.threads, peaks);
  return report;
}

std::vector<PeerReport> run_peers(const Values& x, const Values& w, int threads,
                                  const RepeatOptions& options) {
  std::vector<PeerReport> reports;
  for (const PeerEntry& entry : peers()) {
    PeerReport& report = reports.emplace_back();
    report.name = entry.name;
    const PeerResult peer = entry.make(x, w, threads);
    if (!peer.ok()) {
      report.absent = peer.failure().message();
      continue;
    }
    report.version = (*peer)->version();
    bool agreed = true;
    report.times = repeat(options, [&] { agreed = agreed && (*peer)->run(); });
    if (!agreed) report.absent = "the library refused to run";
    const GemmSpec spec{.m = x.rows, .n = w.rows, .k = x.cols};
    constexpr std::int64_t kProducts = 1 << 24;
    report.relative_error = relative_error(spec, x, w, (*peer)->result().data(), kProducts).value;
  }
  return reports;
}

}  // namespace fourge::bench
