// What this machine can do at most, measured now: the denominators of every "fraction of the peak".
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "bench/peaks/loops.h"

namespace fourge::bench {

struct PeakOptions {
  int threads = 1;
  double seconds = 0.1;  // of measuring for each value
};

/// 10^9 operations a second of all threads together, multiplications and additions counted; none when the
/// unit is missing. Best of many bursts of about 0.2 ms.
std::optional<double> unit_gops(Unit unit, const PeakOptions& options);

/// The clock of one core while it runs scalar code, from a chain of multiplications (ClockLoop).
std::optional<double> clock_ghz(double seconds = 0.1);

/// 10^9 bytes a second that the threads read from `bytes` bytes in all, again and again; each thread has its
/// part in pages it touched first. Best of several ways to read. None when the memory cannot be had.
std::optional<double> read_gbps(std::int64_t bytes, const PeakOptions& options);

/// 10^9 bytes a second read while as many are written elsewhere; `bytes` bytes are read in all.
std::optional<double> copy_gbps(std::int64_t bytes, const PeakOptions& options);

/// Bytes read to measure a level, all threads together: half of each thread's L2; a part of L3 that no L2
/// holds; more than all caches. 0: there is no such level, or not the memory for it.
struct Footprints {
  std::int64_t l2 = 0, l3 = 0, dram = 0;
};
Footprints footprints(int threads);

struct Peaks {
  int threads = 1;
  std::optional<double> clock_ghz;                  // the higher of the next two
  std::optional<double> clock_before, clock_after;  // all else was measured
  int attempts = 1;                                 // whole measurements, of which each peak is the best
  /// Whether the clock stayed within 3 % from before to after.
  bool is_steady() const {
    return !clock_before || !clock_after ||
           std::abs(*clock_before - *clock_after) <= 0.03 * std::max(*clock_before, *clock_after);
  }
  std::optional<double> amx_bf16_gflops, amx_int8_gops, vnni_int8_gops, fma_f32_gflops;
  std::optional<double> read_gbps_l2, read_gbps_l3, read_gbps_dram, copy_gbps_dram;
  Footprints bytes;
};

/// All of it, one to three seconds; twice while the clock is not steady, each value the best.
Peaks measure_peaks(const PeakOptions& options);

}  // namespace fourge::bench
