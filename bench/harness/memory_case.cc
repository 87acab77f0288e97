#include "bench/harness/memory_case.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "bench/peaks/loops.h"
#include "jit/cpu.h"

namespace fourge::bench {
namespace {

// A loop made once for all cases.
const std::optional<jit::ExecutableCode>& memory_loop(Yardstick yardstick, bool non_temporal) {
  const auto make = [](const MemoryLoopSpec& spec) {
    Result<jit::ExecutableCode> code = make_memory_loop(spec);
    return code.ok() ? std::optional(std::move(*code)) : std::nullopt;
  };
  static const auto copy = make({.copy = true}), copy_past = make({.copy = true, .non_temporal = true});
  static const auto store = make({.store = true}), store_past = make({.store = true, .non_temporal = true});
  static const auto read = make({.streams = 1, .prefetch = 1024});
  if (yardstick == Yardstick::read) return read;
  if (yardstick == Yardstick::store) return non_temporal ? store_past : store;
  return non_temporal ? copy_past : copy;
}

// What is timed in turn; seconds of one run.
struct Burst {
  std::function<void()> work;
  std::int64_t rounds = 1;
  Times times = {};

  // What is small is warm, whatever ran before: non-temporal stores leave nothing in the caches.
  void run() {
    if (rounds > 1) work();
    const double start = now_seconds();
    for (std::int64_t i = 0; i < rounds; ++i) work();
    times.add((now_seconds() - start) / static_cast<double>(rounds));
  }
};

std::int64_t rounds_of(std::int64_t bytes) {
  return std::max<std::int64_t>(1, (std::int64_t{4} << 20) / std::max<std::int64_t>(bytes, 1));
}

std::vector<Burst> yardsticks(const MemoryCase& memory_case) {
  const bool reads = memory_case.yardstick == Yardstick::read;
  const std::int64_t bytes =
      (reads ? memory_case.read_bytes : memory_case.written_bytes) / kLoopBytes * kLoopBytes;
  std::vector<Burst> bursts;
  for (const bool non_temporal : {false, true}) {
    const auto& loop = memory_loop(memory_case.yardstick, non_temporal);
    if (!loop || bytes == 0) continue;
    if (non_temporal && (reads || bytes < jit::host_caches().l2)) continue;
    const LoopArgs args{.source = memory_case.read, .destination = memory_case.written, .bytes = bytes};
    bursts.push_back({[&loop, args] { loop->entry<Loop>()(&args); }, rounds_of(bytes)});
  }
  return bursts;
}

void count(benchmark::State& state, const MemoryCase& memory_case, const Times& times,
           const std::vector<Burst>& moved, double cycles_per_second) {
  CaseFacts& facts = current_case();
  facts.elements = static_cast<double>(memory_case.elements);
  facts.bytes = static_cast<double>(memory_case.read_bytes + memory_case.written_bytes);
  count_times(state, times);
  const double best = times.best(), elements = static_cast<double>(memory_case.elements);
  const auto bytes = static_cast<double>(memory_case.read_bytes + memory_case.written_bytes);
  state.counters[counter::kGbps] = bytes / best / 1e9;
  state.counters[counter::kElements] = elements / best / 1e9;
  if (cycles_per_second > 0) state.counters[counter::kCycles] = best * cycles_per_second / (elements / 16);
  if (moved.empty()) return;
  double fastest = moved.front().times.best();
  for (const Burst& burst : moved) fastest = std::min(fastest, burst.times.best());
  state.counters[counter::kBound] = fastest / best;
  state.counters["regular_fraction"] = moved.front().times.best() / best;
  const char* by = memory_case.yardstick == Yardstick::read    ? "read"
                   : memory_case.yardstick == Yardstick::store ? "store"
                                                               : "copy";
  const double moved_bytes =
      memory_case.yardstick == Yardstick::read    ? static_cast<double>(memory_case.read_bytes)
      : memory_case.yardstick == Yardstick::store ? static_cast<double>(memory_case.written_bytes)
                                                  : 2 * static_cast<double>(memory_case.written_bytes);
  facts.bound = BoundFacts{by, fastest, {}, moved_bytes / fastest / 1e9};
  state.SetLabel(by);
}

}  // namespace

void measure_memory(benchmark::State& state, const MemoryCase& memory_case) {
  static const Result<ClockLoop> clock_loop = make_clock_loop();
  constexpr LoopArgs kClockArgs{.iterations = 300};  // about 20 us
  Burst kernel{[&] { memory_case.run(); }, rounds_of(memory_case.read_bytes + memory_case.written_bytes)};
  Burst clock{[&] { clock_loop->function()(&kClockArgs); }};
  std::vector<Burst> moved = yardsticks(memory_case);
  for ([[maybe_unused]] auto unused : state) {
    const double start = now_seconds();
    if (clock_loop.ok()) clock.run();
    kernel.run();
    for (Burst& burst : moved) burst.run();
    state.SetIterationTime(now_seconds() - start);
  }
  const double cycles =
      clock_loop.ok() ? static_cast<double>(clock_loop->cycles * kClockArgs.iterations) : 0.0;
  count(state, memory_case, kernel.times, moved, cycles > 0 ? cycles / clock.times.best() : 0.0);
}

}  // namespace fourge::bench
