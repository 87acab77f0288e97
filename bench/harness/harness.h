// What every benchmark program shares: its options, the context of the machine, and how results are printed.
#pragma once

#include <benchmark/benchmark.h>

#include <functional>
#include <string>
#include <vector>

#include "bench/peaks/timing.h"
#include "bench/support/roofline.h"

namespace fourge::bench {

struct HarnessOptions {
  std::vector<int> threads = {1};
  bool quick = false;  // a few shapes, short: under two minutes
  bool smoke = false;  // smallest shapes, one iteration: does it run and is it right
  bool all = false;    // also what is large or slow
  double longest = 2;  // seconds; cases of which one run takes longer are left out, and say so
  bool peers = true;
  std::string formats = "nvfp4,mxfp4";
};

/// The part of a benchmark program that is its own: registers its benchmarks.
using RegisterBenchmarks = std::function<void(const HarnessOptions&, MachinePeaks&)>;

/// main() of every benchmark program. Takes the options of HarnessOptions, then those of Google Benchmark;
/// measures the peaks; prints a table; writes JSON where --benchmark_out says. Exit code 0, 1 when a
/// benchmark found a wrong result, 2 for bad options.
int run_benchmarks(int argc, char** argv, const char* what, const RegisterBenchmarks& register_benchmarks);

/// Says that a result was wrong: the run goes on, the exit code becomes 1.
void report_wrong(benchmark::State& state, const std::string& what);
/// Says why a case does not run; that is no error.
void report_skipped(benchmark::State& state, const std::string& why);

/// Runs `work` for every iteration of `state` and times each alone.
Times time_iterations(benchmark::State& state, const std::function<void()>& work);

/// Names of counters that the table knows; any other is in the JSON only.
namespace counter {
inline constexpr const char* kBest = "best_us";
inline constexpr const char* kMedian = "median_us";
inline constexpr const char* kGmacs = "GMAC/s";
inline constexpr const char* kGflops = "GFLOP/s";
inline constexpr const char* kWeightGbps = "weight_GB/s";
inline constexpr const char* kGbps = "GB/s";
inline constexpr const char* kElements = "Gelem/s";
inline constexpr const char* kCycles = "cycles_per_16";
inline constexpr const char* kBound = "bound_fraction";
inline constexpr const char* kUnit = "unit_fraction";
inline constexpr const char* kCertified = "certified";
}  // namespace counter

/// kBest and kMedian.
void count_times(benchmark::State& state, const Times& times);

}  // namespace fourge::bench
