#include "bench/support/roofline.h"

#include <algorithm>

namespace fourge::bench {

std::optional<double> MachinePeaks::unit_gops(Unit unit, int threads) {
  const auto [entry, is_new] = units_.try_emplace({unit, threads});
  if (is_new) entry->second = bench::unit_gops(unit, {threads, seconds_});
  return entry->second;
}

std::optional<double> MachinePeaks::read_gbps(std::int64_t bytes, int threads) {
  const auto [entry, is_new] = reads_.try_emplace({bytes, threads});
  if (is_new) entry->second = bench::read_gbps(bytes, {threads, seconds_});
  return entry->second;
}

std::optional<double> MachinePeaks::clock_ghz() {
  if (!clock_) clock_ = bench::clock_ghz(seconds_);
  return *clock_;
}

Unit bounding_unit(const std::string& isa) {
  if (isa == jit::name_of(jit::Isa::amx)) return Unit::amx_bf16;
  if (isa == jit::name_of(jit::Isa::avx512)) return Unit::vnni_int8;
  return Unit::fma_f32;
}

std::optional<Bound> gemm_bound(const GemmSpec& spec, const std::string& isa, std::int64_t packed_bytes,
                                int threads, MachinePeaks& peaks) {
  const bool plain = spec.activations != Activations::same;
  const Unit unit = plain ? Unit::fma_f32 : bounding_unit(isa);
  // W4A16 reads codes and scales, none of the certificates.
  if (plain) packed_bytes = spec.n * spec.k / 2 + spec.n * spec.k / info(spec.format).block;
  const double operations =
      2.0 * static_cast<double>(spec.m) * static_cast<double>(spec.n) * static_cast<double>(spec.k);
  const double gops = peaks.unit_gops(unit, threads).value_or(0);
  const double gbps = peaks.read_gbps(std::max(packed_bytes, threads * kLoopBytes), threads).value_or(0);
  const double arithmetic = gops > 0 ? operations / (gops * 1e9) : 0;
  const double reading = gbps > 0 ? static_cast<double>(packed_bytes) / (gbps * 1e9) : 0;
  const double seconds = std::max(arithmetic, reading);
  if (seconds == 0) return std::nullopt;
  return Bound{.seconds = seconds,
               .gflops = operations / seconds / 1e9,
               .by = arithmetic >= reading ? name_of(unit) : "read_bandwidth",
               .unit_gops = gops,
               .weight_gbps = gbps};
}

}  // namespace fourge::bench
