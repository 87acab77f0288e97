// What every benchmark shares: options, the machine, facts about each case, and how results are printed and
// written.
#pragma once

#include <benchmark/benchmark.h>

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "bench/harness/facts.h"
#include "bench/peaks/timing.h"
#include "bench/support/roofline.h"
#include "fourge/error.h"

namespace fourge::bench {

struct HarnessOptions {
  std::vector<int> threads = {1};
  bool quick = false;  // few shapes, short: all groups together under two minutes
  bool smoke = false;  // smallest shapes, one iteration: does it run and is it right
  bool all = false;    // also what is large or slow
  double longest = 2;  // seconds; cases of which one run takes longer are left out, and say so
  bool peers = true;
  std::string formats = "nvfp4,mxfp4";
  std::string filter = ".";         // a regular expression that names must match
  double seconds = 0;               // of each case; 0: 0.1 with quick, else 0.5
  std::string out;                  // JSON file, written whole or not at all; empty: none
  std::vector<std::string> google;  // options of Google Benchmark, as they are
  std::FILE* table = stdout;        // where lines for a person go; null: nowhere
};

/// The part of the suite that belongs to one operation.
struct BenchGroup {
  const char* name;  // "gemm"
  const char* what;  // a sentence for --help
  void (*add)(const HarnessOptions&, MachinePeaks&);
};

/// What became of a run.
struct SuiteOutcome {
  int ran = 0, wrong = 0, left_out = 0;
  std::string document;  // JSON: docs/bench.md
};

/// Measures the peaks, then every case of the groups. kBadArgument: a filter that is none; kIo: the file.
Result<SuiteOutcome> run_suite(const HarnessOptions& options, std::span<const BenchGroup> groups);

/// main() of a benchmark program: the options of HarnessOptions, then those of Google Benchmark. Exit code 0,
/// 1 when a result was wrong, 2 for bad options.
int run_benchmarks(int argc, char** argv, std::span<const BenchGroup> groups);

/// Registers a case. While it runs, current_case() is its facts. Google Benchmark may call `run` several
/// times.
void add_case(const std::string& name, CaseFacts facts, std::function<void(benchmark::State&)> run);
CaseFacts& current_case();

/// A kernel that this machine cannot run, for the list of what is missing.
void leave_out_kernel(const std::string& kernel, const std::string& reason);

/// Says that a result was wrong: the run goes on, the exit code becomes 1.
void report_wrong(benchmark::State& state, const std::string& what);
/// Says why a case does not run; that is no error.
void report_skipped(benchmark::State& state, const std::string& why);

/// Runs `work` for every iteration of `state` and times each alone.
Times time_iterations(benchmark::State& state, const std::function<void()>& work);

/// The rest of a case without a loop of its own: times, `calls` of them in each of `work`; clock; rates where
/// operations, elements or bytes are set in current_case().
void measure_calls(benchmark::State& state, int calls, const std::function<void()>& work);

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
inline constexpr const char* kBudget = "budget_fraction";
inline constexpr const char* kBound = "bound_fraction";
inline constexpr const char* kUnit = "unit_fraction";
inline constexpr const char* kCertified = "certified";
}  // namespace counter

/// kBest and kMedian, the times and the clock into current_case(); kBudget where the kernel has one.
void count_times(benchmark::State& state, const Times& times);

}  // namespace fourge::bench
