#include "bench/peaks/peaks.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "bench/peaks/pages.h"
#include "bench/peaks/timing.h"

namespace fourge::bench {
namespace {

// Each thread's part; what is left of the last kLoopBytes is not read.
std::int64_t part_of(std::int64_t bytes, int threads) { return bytes / threads / kLoopBytes * kLoopBytes; }

void touch(const Pages& pages, std::int64_t part, int threads) {
#pragma omp parallel for num_threads(threads) schedule(static)
  for (int thread = 0; thread < threads; ++thread) {
    std::memset(pages.data() + thread * part, 1, static_cast<std::size_t>(part));
  }
}

// Rounds over a part so that one burst takes tens of microseconds at least.
std::int64_t rounds_of(std::int64_t part) {
  return std::max<std::int64_t>(1, (std::int64_t{4} << 20) / part);
}

double best_gbps(Loop loop, const Pages& from, const Pages* to, std::int64_t part,
                 const PeakOptions& options) {
  const std::int64_t rounds = rounds_of(part);
  const auto work = [&](int thread) {
    LoopArgs args{.source = from.data() + thread * part,
                  .destination = to != nullptr ? to->data() + thread * part : nullptr,
                  .bytes = part};
    for (std::int64_t i = 0; i < rounds; ++i) loop(&args);
  };
  const RepeatOptions repeats{.seconds = options.seconds, .least = 3};
  const bool shared = part > jit::host_caches().l2;  // the threads compete for it
  const double rate = shared ? options.threads / repeat_parallel(repeats, options.threads, work).best()
                             : best_rate_parallel(repeats, options.threads, work);
  return static_cast<double>(part * rounds) * rate / 1e9;
}

std::optional<double> memory_gbps(std::int64_t bytes, const PeakOptions& options,
                                  const std::vector<MemoryLoopSpec>& ways) {
  const std::int64_t part = part_of(bytes, options.threads);
  if (part == 0) return std::nullopt;
  const bool copy = ways.front().copy;
  const Pages from(part * options.threads), to(copy ? part * options.threads : kLoopBytes);
  if (from.data() == nullptr || to.data() == nullptr) return std::nullopt;
  touch(from, part, options.threads);
  if (copy) touch(to, part, options.threads);
  const PeakOptions share{options.threads, options.seconds / static_cast<double>(ways.size())};
  double best = 0;
  for (const MemoryLoopSpec& way : ways) {
    const Result<jit::ExecutableCode> code = make_memory_loop(way);
    if (!code.ok()) continue;
    best = std::max(best, best_gbps(code->entry<Loop>(), from, copy ? &to : nullptr, part, share));
  }
  if (best == 0 && !copy) best = best_gbps(read_portable, from, nullptr, part, options);
  return best == 0 ? std::nullopt : std::optional(best);
}

std::int64_t physical_memory() {
  return static_cast<std::int64_t>(sysconf(_SC_PHYS_PAGES)) * sysconf(_SC_PAGESIZE);
}

}  // namespace

std::optional<double> unit_gops(Unit unit, const PeakOptions& options) {
  const Result<UnitLoop> loop = make_unit_loop(unit);
  if (!loop.ok()) return std::nullopt;
  // bf16 0x3c3c = 0.01 and int8 0x3c = 60: ordinary values.
  alignas(64) static const auto operands = [] {
    std::array<std::uint8_t, 1024> bytes{};
    bytes.fill(0x3c);
    return bytes;
  }();
  LoopArgs args{.source = operands.data(), .iterations = 1000};
  const double probe = repeat({.seconds = 0, .least = 3}, [&] { loop->function()(&args); }).best();
  args.iterations = std::clamp<std::int64_t>(static_cast<std::int64_t>(1000 * 2e-4 / probe), 100, 1'000'000);
  const double rate = best_rate_parallel({.seconds = options.seconds}, options.threads,
                                         [&](int) { loop->function()(&args); });
  return static_cast<double>(loop->operations * args.iterations) * rate / 1e9;
}

std::optional<double> clock_ghz(double seconds) {
  const Result<ClockLoop> loop = make_clock_loop();
  if (!loop.ok()) return std::nullopt;
  const LoopArgs args{.iterations = 1000};  // about 60 us
  const Times times = repeat({.seconds = seconds}, [&] { loop->function()(&args); });
  return static_cast<double>(loop->cycles * args.iterations) / times.best() / 1e9;
}

std::optional<double> read_gbps(std::int64_t bytes, const PeakOptions& options) {
  return memory_gbps(bytes, options,
                     {{.streams = 1},
                      {.streams = 4},
                      {.streams = 1, .prefetch = 1024},
                      {.streams = 1, .prefetch = 4096},
                      {.streams = 4, .prefetch = 1024}});
}

std::optional<double> copy_gbps(std::int64_t bytes, const PeakOptions& options) {
  return memory_gbps(bytes, options, {{.copy = true}, {.copy = true, .non_temporal = true}});
}

Footprints footprints(int threads) {
  const jit::CacheSizes& caches = jit::host_caches();
  constexpr std::int64_t kLeast = std::int64_t{256} << 20;
  Footprints bytes;
  bytes.l2 = threads * caches.l2 / 2;
  const std::int64_t beyond_l2 = 4 * threads * caches.l2;
  if (caches.l3 >= 2 * beyond_l2) bytes.l3 = std::clamp(caches.l3 / 4, beyond_l2, 2 * beyond_l2);
  bytes.dram = std::max(2 * caches.l3, kLeast);
  if (bytes.dram > physical_memory() / 4) bytes.dram = 0;
  return bytes;
}

namespace {

Peaks measure_once(const PeakOptions& options) {
  Peaks peaks;
  peaks.threads = options.threads;
  peaks.bytes = footprints(options.threads);
  peaks.clock_before = clock_ghz(options.seconds);
  peaks.fma_f32_gflops = unit_gops(Unit::fma_f32, options);
  peaks.vnni_int8_gops = unit_gops(Unit::vnni_int8, options);
  peaks.amx_bf16_gflops = unit_gops(Unit::amx_bf16, options);
  peaks.amx_int8_gops = unit_gops(Unit::amx_int8, options);
  peaks.read_gbps_l2 = read_gbps(peaks.bytes.l2, options);
  peaks.read_gbps_l3 = read_gbps(peaks.bytes.l3, options);
  peaks.read_gbps_dram = read_gbps(peaks.bytes.dram, options);
  peaks.copy_gbps_dram = copy_gbps(peaks.bytes.dram / 2, options);
  peaks.clock_after = clock_ghz(options.seconds);
  peaks.clock_ghz = std::max(peaks.clock_before, peaks.clock_after);
  return peaks;
}

}  // namespace

Peaks measure_peaks(const PeakOptions& options) {
  constexpr int kAttempts = 2;
  Peaks best = measure_once(options);
  while (!best.is_steady() && best.attempts < kAttempts) {
    const Peaks again = measure_once(options);
    for (const auto peak : {&Peaks::fma_f32_gflops, &Peaks::vnni_int8_gops, &Peaks::amx_bf16_gflops,
                            &Peaks::amx_int8_gops, &Peaks::read_gbps_l2, &Peaks::read_gbps_l3,
                            &Peaks::read_gbps_dram, &Peaks::copy_gbps_dram, &Peaks::clock_ghz})
      best.*peak = std::max(best.*peak, again.*peak);
    best.clock_before = again.clock_before;
    best.clock_after = again.clock_after;
    ++best.attempts;
  }
  return best;
}

}  // namespace fourge::bench
