#include "bench/harness/harness.h"

#include <algorithm>
#include <cstdio>
#include <map>
#include <memory>
#include <string_view>

#include "bench/harness/document.h"
#include "bench/harness/table_reporter.h"
#include "bench/support/build_facts.h"
#include "jit/cpu.h"
#include "quant/atomic_file.h"

namespace fourge::bench {
namespace {

bool more_runs = true;  // than Google Benchmark asks for
CaseFacts* current = nullptr;
std::map<std::string, std::unique_ptr<CaseFacts>> all_facts;  // by name
std::vector<std::pair<std::string, std::string>> kernels_left_out;

std::string text_of(const std::optional<double>& value) {
  return value ? std::to_string(*value) : std::string("absent");
}

void print_peaks(std::FILE* to, const Peaks& peaks) {
  std::fprintf(to,
               "peaks, %d thread%s: AMX bf16 %s GFLOP/s, VNNI %s GOP/s, FMA %s GFLOP/s; read L2 %s, L3 %s, "
               "DRAM %s GB/s; clock %s GHz before, %s after%s\n",
               peaks.threads, peaks.threads == 1 ? "" : "s", text_of(peaks.amx_bf16_gflops).c_str(),
               text_of(peaks.vnni_int8_gops).c_str(), text_of(peaks.fma_f32_gflops).c_str(),
               text_of(peaks.read_gbps_l2).c_str(), text_of(peaks.read_gbps_l3).c_str(),
               text_of(peaks.read_gbps_dram).c_str(), text_of(peaks.clock_before).c_str(),
               text_of(peaks.clock_after).c_str(), peaks.is_steady() ? "" : ": NOT STEADY");
}

// Prints lines and keeps the runs.
class CollectingReporter final : public TableReporter {
 public:
  using TableReporter::TableReporter;
  void ReportRuns(const std::vector<Run>& runs) override {
    TableReporter::ReportRuns(runs);
    for (const Run& run : runs) {
      if (run.run_type == Run::RT_Aggregate) continue;
      const auto found = all_facts.find(short_name(run));
      cases.push_back({found == all_facts.end() ? nullptr : found->second.get(), run});
    }
  }
  std::vector<FinishedCase> cases;
};

Status start_google(const HarnessOptions& options) {
  const double seconds = options.smoke         ? 0.0
                         : options.seconds > 0 ? options.seconds
                         : options.quick       ? 0.1
                                               : 0.5;
  // Google Benchmark keeps the pointer to the program's name.
  static std::vector<std::string> arguments;
  arguments = {"fourge bench", "--benchmark_min_time=" + std::to_string(seconds),
               "--benchmark_filter=" + options.filter};
  arguments.insert(arguments.end(), options.google.begin(), options.google.end());
  std::vector<char*> pointers;
  for (std::string& argument : arguments) pointers.push_back(argument.data());
  int count = static_cast<int>(pointers.size());
  benchmark::Initialize(&count, pointers.data());
  if (count > 1) return {Error::kBadArgument, "not an option of Google Benchmark", pointers[1]};
  return {};
}

// What --benchmark_out says of the machine and the build; `fourge bench --out` says more (document.cc).
void add_context(const RunFacts& run) {
  benchmark::AddCustomContext("processor", jit::host_name());
  benchmark::AddCustomContext("level", jit::name_of(jit::host_features().best()));
  benchmark::AddCustomContext("compiler", build_compiler());
  benchmark::AddCustomContext("commit", build_commit());
  benchmark::AddCustomContext("clock_ghz", text_of(run.first_clock));
  for (const Peaks& peaks : run.peaks) {
    const std::string threads = "_threads_" + std::to_string(peaks.threads);
    benchmark::AddCustomContext("amx_bf16_gflops" + threads, text_of(peaks.amx_bf16_gflops));
    benchmark::AddCustomContext("vnni_int8_gops" + threads, text_of(peaks.vnni_int8_gops));
    benchmark::AddCustomContext("fma_f32_gflops" + threads, text_of(peaks.fma_f32_gflops));
    benchmark::AddCustomContext("read_gbps_dram" + threads, text_of(peaks.read_gbps_dram));
  }
}

}  // namespace

void add_case(const std::string& name, CaseFacts facts, std::function<void(benchmark::State&)> run) {
  auto& slot = all_facts[name];
  slot = std::make_unique<CaseFacts>(std::move(facts));
  benchmark::RegisterBenchmark(name.c_str(),
                               [known = slot.get(), run = std::move(run)](benchmark::State& state) {
                                 current = known;
                                 current->status = CaseStatus::ok;
                                 current->reason.clear();
                                 run(state);
                               })
      ->UseManualTime()
      ->Unit(benchmark::kMicrosecond);
}

CaseFacts& current_case() {
  static CaseFacts none;
  return current != nullptr ? *current : none;
}

void leave_out_kernel(const std::string& kernel, const std::string& reason) {
  const std::pair entry(kernel, reason);
  if (std::find(kernels_left_out.begin(), kernels_left_out.end(), entry) == kernels_left_out.end())
    kernels_left_out.push_back(entry);
}

Result<SuiteOutcome> run_suite(const HarnessOptions& options, std::span<const BenchGroup> groups) {
  if (const Status started = start_google(options); !started.ok()) return started.failure();
  more_runs = !options.smoke;
  RunFacts run;
  const double clock_seconds = options.smoke ? 0.001 : 0.1;
  run.first_clock = clock_ghz(clock_seconds);
  std::FILE* const table = options.table;
  if (table != nullptr) {
    std::fprintf(table, "%s, %s; clock %s GHz (one core, scalar code); %s, commit %s\n",
                 jit::host_name().c_str(), jit::name_of(jit::host_features().best()),
                 text_of(run.first_clock).c_str(), build_compiler(), build_commit());
  }
  for (const int threads : options.threads) {
    if (options.smoke) break;
    run.peaks.push_back(measure_peaks({threads, options.quick ? 0.05 : 0.2}));
    if (table != nullptr) print_peaks(table, run.peaks.back());
  }
  add_context(run);
  MachinePeaks peaks(options.smoke ? 0.001 : options.quick ? 0.03 : 0.1);
  for (const BenchGroup& group : groups) {
    run.groups.emplace_back(group.name);
    group.add(options, peaks);
  }
  run.left_out = kernels_left_out;
  for (const auto& [kernel, reason] : run.left_out)
    if (table != nullptr) std::fprintf(table, "left out: %s: %s\n", kernel.c_str(), reason.c_str());

  CollectingReporter reporter(table);
  if (benchmark::RunSpecifiedBenchmarks(&reporter) == 0)
    return {Error::kBadArgument, "no benchmark has such a name", "filter " + options.filter};
  benchmark::Shutdown();
  run.last_clock = clock_ghz(clock_seconds);

  SuiteOutcome outcome;
  for (const FinishedCase& finished : reporter.cases) {
    ++outcome.ran;
    if (finished.facts == nullptr) continue;
    outcome.wrong += finished.facts->status == CaseStatus::wrong;
    outcome.left_out += finished.facts->status == CaseStatus::left_out;
  }
  outcome.document = document_of(options, run, reporter.cases);
  if (options.out.empty()) return outcome;
  Result<quant::AtomicFile> file = quant::AtomicFile::create(options.out);
  if (!file.ok()) return file.failure();
  if (const Status written = file->write(outcome.document); !written.ok()) return written.failure();
  if (const Status committed = file->commit(); !committed.ok()) return committed.failure();
  return outcome;
}

void report_wrong(benchmark::State& state, const std::string& what) {
  current_case().status = CaseStatus::wrong;
  current_case().reason = what;
  state.SkipWithError(("WRONG: " + what).c_str());
}

void report_skipped(benchmark::State& state, const std::string& why) {
  current_case().status = CaseStatus::left_out;
  current_case().reason = why;
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
  CaseFacts& facts = current_case();
  facts.times = times;
  if (more_runs) facts.clock_ghz = clock_ghz(0.002);
  state.counters[counter::kBest] = times.best() / facts.calls * 1e6;
  state.counters[counter::kMedian] = times.median() / facts.calls * 1e6;
  const double work = facts.m > 0 ? facts.operations / 2 : facts.elements;
  const PortBudget& ports = facts.code.ports;
  if (ports.cycles == 0 || work == 0 || !facts.clock_ghz || times.best() == 0) return;
  const double measured = times.best() / facts.calls * *facts.clock_ghz * 1e9 * facts.threads;
  state.counters[counter::kBudget] = ports.cycles * work / ports.work / measured;
}

void measure_calls(benchmark::State& state, int calls, const std::function<void()>& work) {
  CaseFacts& facts = current_case();
  facts.calls = calls;
  const Times times = time_iterations(state, work);
  count_times(state, times);
  const double seconds = times.best() / calls;
  if (facts.operations > 0) state.counters[counter::kGmacs] = facts.operations / 2 / seconds / 1e9;
  if (facts.elements > 0) state.counters[counter::kElements] = facts.elements / seconds / 1e9;
  if (facts.bytes > 0) state.counters[counter::kGbps] = facts.bytes / seconds / 1e9;
}

}  // namespace fourge::bench
