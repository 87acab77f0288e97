#include "bench/harness/harness.h"

#include <fourge_commit.h>  // written by the build

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <string_view>

#include "bench/harness/table_reporter.h"
#include "jit/cpu.h"

namespace fourge::bench {
namespace {

bool found_wrong = false;
bool more_runs = true;  // than Google Benchmark asks for

constexpr const char* kUsage =
    "  --quick              a few shapes, short: under two minutes on two cores\n"
    "  --smoke              the smallest shapes, one iteration each: does it run and is it right\n"
    "  --all                also the largest shapes and every format\n"
    "  --threads=1,2,...    thread counts, default 1\n"
    "  --formats=F,...      nvfp4, mxfp4, mxfp4_b16; default nvfp4,mxfp4\n"
    "  --longest=SECONDS    leave out cases of which one run takes longer, default 2\n"
    "  --no-peers           leave out oneDNN and OpenBLAS\n"
    "Google Benchmark's options too: --benchmark_filter=REGEX, --benchmark_out=FILE.json,\n"
    "--benchmark_min_time=SECONDS, --benchmark_list_tests\n";

bool parse_threads(std::string_view text, std::vector<int>& threads) {
  threads.clear();
  const char* at = text.data();
  const char* const end = text.data() + text.size();
  while (true) {
    int count = 0;
    const auto [next, error] = std::from_chars(at, end, count);
    if (error != std::errc() || count < 1) return false;
    threads.push_back(count);
    if (next == end) return true;
    if (*next != ',') return false;
    at = next + 1;
  }
}

// Whether `argument` is one of ours; `valid` says whether its value is good.
bool take(std::string_view argument, HarnessOptions& options, bool& valid) {
  const auto value_of = [&](std::string_view name) -> const char* {
    return argument.substr(0, name.size()) == name ? argument.data() + name.size() : nullptr;
  };
  if (argument == "--quick") return options.quick = true;
  if (argument == "--smoke") return options.smoke = true;
  if (argument == "--all") return options.all = true;
  if (argument == "--no-peers") return !(options.peers = false);
  if (const char* value = value_of("--threads=")) {
    valid = parse_threads(value, options.threads);
    return true;
  }
  if (const char* value = value_of("--formats=")) {
    options.formats = value;
    return true;
  }
  if (const char* value = value_of("--longest=")) {
    char* end = nullptr;
    options.longest = std::strtod(value, &end);
    valid = end != value && *end == '\0' && options.longest > 0;
    return true;
  }
  return false;
}

std::string text_of(const std::optional<double>& value) {
  return value ? std::to_string(*value) : std::string("absent");
}

void add_context(const Peaks& peaks) {
  const std::string suffix = "_" + std::to_string(peaks.threads) + "t";
  const auto add = [&](const char* name, const std::optional<double>& value) {
    benchmark::AddCustomContext(name + suffix, text_of(value));
  };
  add("amx_bf16_gflops", peaks.amx_bf16_gflops);
  add("amx_int8_gops", peaks.amx_int8_gops);
  add("vnni_int8_gops", peaks.vnni_int8_gops);
  add("fma_f32_gflops", peaks.fma_f32_gflops);
  add("read_gbps_l2", peaks.read_gbps_l2);
  add("read_gbps_l3", peaks.read_gbps_l3);
  add("read_gbps_dram", peaks.read_gbps_dram);
  std::printf(
      "peaks, %d thread%s: AMX bf16 %s GFLOP/s, VNNI %s GOP/s, FMA %s GFLOP/s; read L2 %s, L3 %s, DRAM %s "
      "GB/s\n",
      peaks.threads, peaks.threads == 1 ? "" : "s", text_of(peaks.amx_bf16_gflops).c_str(),
      text_of(peaks.vnni_int8_gops).c_str(), text_of(peaks.fma_f32_gflops).c_str(),
      text_of(peaks.read_gbps_l2).c_str(), text_of(peaks.read_gbps_l3).c_str(),
      text_of(peaks.read_gbps_dram).c_str());
}

void describe_machine(const HarnessOptions& options) {
  const std::string cpu = jit::host_name();
  const std::optional<double> clock = clock_ghz(options.smoke ? 0.001 : 0.1);
  benchmark::AddCustomContext("cpu", cpu);
  benchmark::AddCustomContext("isa", jit::name_of(jit::host_features().best()));
  benchmark::AddCustomContext("compiler", __VERSION__);
  benchmark::AddCustomContext("commit", FOURGE_COMMIT);
  benchmark::AddCustomContext("clock_ghz", text_of(clock));
  std::printf("%s, %s; clock %s GHz (one core, scalar code); %s, commit %s\n", cpu.c_str(),
              jit::name_of(jit::host_features().best()), text_of(clock).c_str(), __VERSION__, FOURGE_COMMIT);
  for (const int threads : options.threads) {
    const double seconds = options.smoke ? 0.001 : options.quick ? 0.05 : 0.2;
    if (!options.smoke) add_context(measure_peaks({threads, seconds}));
  }
}

}  // namespace

int run_benchmarks(int argc, char** argv, const char* what, const RegisterBenchmarks& register_benchmarks) {
  HarnessOptions options;
  std::vector<char*> rest = {argv[0]};
  for (int i = 1; i < argc; ++i) {
    bool valid = true;
    if (std::string_view(argv[i]) == "--help") {
      std::printf("%s\n%s", what, kUsage);
      return 0;
    }
    if (!take(argv[i], options, valid)) rest.push_back(argv[i]);
    if (!valid) {
      std::fprintf(stderr, "%s: bad argument: %s: see --help\n", argv[0], argv[i]);
      return 2;
    }
  }
  std::string smoke_time = "--benchmark_min_time=0", quick_time = "--benchmark_min_time=0.1";
  if (options.smoke || options.quick) {
    rest.insert(rest.begin() + 1, options.smoke ? smoke_time.data() : quick_time.data());
  }
  int count = static_cast<int>(rest.size());
  benchmark::Initialize(&count, rest.data());
  if (benchmark::ReportUnrecognizedArguments(count, rest.data())) return 2;

  more_runs = !options.smoke;
  describe_machine(options);
  MachinePeaks peaks(options.smoke ? 0.001 : options.quick ? 0.03 : 0.1);
  register_benchmarks(options, peaks);
  TableReporter reporter;
  benchmark::RunSpecifiedBenchmarks(&reporter);
  benchmark::Shutdown();
  return found_wrong ? 1 : 0;
}

void report_wrong(benchmark::State& state, const std::string& what) {
  found_wrong = true;
  state.SkipWithError(("WRONG: " + what).c_str());
}

void report_skipped(benchmark::State& state, const std::string& why) {
  state.SkipWithError(("left out: " + why).c_str());
}

Times time_iterations(benchmark::State& state, const std::function<void()>& work) {
  Times times;
  for ([[maybe_unused]] auto unused : state) {
    const double start = now_seconds();
    work();
    const double seconds = now_seconds() - start;
    state.SetIterationTime(seconds);
    times.add(seconds);
  }
  // Google Benchmark is content with one run of what is slow; a median needs more.
  constexpr int kLeast = 5;
  constexpr double kMostSeconds = 5;
  const double start = now_seconds();
  while (more_runs && times.count() < kLeast && now_seconds() - start < kMostSeconds) {
    const double before = now_seconds();
    work();
    times.add(now_seconds() - before);
  }
  return times;
}

void count_times(benchmark::State& state, const Times& times) {
  state.counters[counter::kBest] = times.best() * 1e6;
  state.counters[counter::kMedian] = times.median() * 1e6;
}

}  // namespace fourge::bench
