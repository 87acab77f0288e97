// Kernels that pass over memory, timed in turn with a copy of the same bytes and with the clock.
#pragma once

#include <cstdint>
#include <functional>

#include "bench/harness/harness.h"

namespace fourge::bench {

/// What a kernel is measured against: moving bytes between the very operands that it works on.
enum class Yardstick : std::uint8_t {
  copy,   // from `read` to `written`
  store,  // to `written`
  read,   // from `read`
};

/// Bytes and elements of one run. Addresses 64-byte aligned; the yardstick moves what is a multiple of
/// kLoopBytes. `run` must give the same result again after the yardstick has overwritten `written`.
struct MemoryCase {
  const std::uint8_t* read = nullptr;
  std::int64_t read_bytes = 0;
  std::uint8_t* written = nullptr;
  std::int64_t written_bytes = 0;
  std::int64_t elements = 0;
  Yardstick yardstick = Yardstick::copy;
  std::function<bool()> run;  // false: it failed, and says so itself
};

/// Bursts of the kernel, of the yardstick and of the clock's loop follow each other, so that a change of the
/// machine's pace meets all three. Counters: best and median time, GB/s (read and written), Gelem/s, cycles
/// for 16 elements, and bound_fraction: best yardstick time / best time, against the faster of regular and
/// (beyond L2) non-temporal stores; regular_fraction against the regular ones alone.
void measure_memory(benchmark::State& state, const MemoryCase& memory_case);

}  // namespace fourge::bench
