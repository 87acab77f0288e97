#include "bench/harness/document.h"

#include <algorithm>
#include <ctime>
#include <map>
#include <nlohmann/json.hpp>
#include <thread>

#include "bench/support/build_facts.h"
#include "bench/support/peers.h"
#include "fourge/version.h"
#include "jit/cpu.h"

namespace fourge::bench {
namespace {

using Json = nlohmann::ordered_json;

Json or_null(const std::optional<double>& value) { return value ? Json(*value) : Json(nullptr); }
Json or_null(double value) { return value != 0 ? Json(value) : Json(nullptr); }
Json or_null(const std::string& text) { return text.empty() ? Json(nullptr) : Json(text); }

std::string date() {
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  localtime_r(&now, &local);
  char text[64];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S%z", &local);
  return text;
}

// What Google Benchmark writes.
Json google_context(const char* executable) {
  const benchmark::CPUInfo& cpu = benchmark::CPUInfo::Get();
  Json caches = Json::array();
  for (const benchmark::CPUInfo::CacheInfo& cache : cpu.caches) {
    caches.push_back({{"type", cache.type},
                      {"level", cache.level},
                      {"size", cache.size},
                      {"num_sharing", cache.num_sharing}});
  }
  return {
    {"date", date()}, {"host_name", benchmark::SystemInfo::Get().name}, {"executable", executable},
        {"num_cpus", cpu.num_cpus}, {"mhz_per_cpu", static_cast<int>(cpu.cycles_per_second / 1e6)},
        {"cpu_scaling_enabled", cpu.scaling == benchmark::CPUInfo::ENABLED}, {"caches", caches},
        {"load_avg", cpu.load_avg},
#if defined(NDEBUG)
        {"library_build_type", "release"}
#else
    {
      "library_build_type", "debug"
    }
#endif
  };
}

Json peaks_of(const Peaks& peaks) {
  Json json = {{"threads", peaks.threads},
               {"clock_before_ghz", or_null(peaks.clock_before)},
               {"clock_after_ghz", or_null(peaks.clock_after)},
               {"steady", peaks.is_steady()},
               {"attempts", peaks.attempts}};
  Json absent = Json::object();
  const auto add = [&](const char* key, const std::optional<double>& value, const char* reason) {
    json[key] = or_null(value);
    if (!value) absent[key] = reason != nullptr ? reason : "could not be measured";
  };
  const auto unit = [](Unit which) { return missing_unit(which, jit::host_features()); };
  const auto level = [](std::int64_t bytes) {
    return bytes == 0 ? "no such level, or not the memory for it" : nullptr;
  };
  add("amx_bf16_gflops", peaks.amx_bf16_gflops, unit(Unit::amx_bf16));
  add("amx_int8_gops", peaks.amx_int8_gops, unit(Unit::amx_int8));
  add("vnni_int8_gops", peaks.vnni_int8_gops, unit(Unit::vnni_int8));
  add("fma_f32_gflops", peaks.fma_f32_gflops, unit(Unit::fma_f32));
  add("read_gbps_l2", peaks.read_gbps_l2, level(peaks.bytes.l2));
  add("read_gbps_l3", peaks.read_gbps_l3, level(peaks.bytes.l3));
  add("read_gbps_dram", peaks.read_gbps_dram, level(peaks.bytes.dram));
  add("copy_gbps_dram", peaks.copy_gbps_dram, level(peaks.bytes.dram));
  json["absent"] = absent;
  json["bytes"] = {{"l2", peaks.bytes.l2}, {"l3", peaks.bytes.l3}, {"dram", peaks.bytes.dram}};
  return json;
}

const char* architecture() {
#if defined(__x86_64__)
  return "x86-64";
#elif defined(__aarch64__)
  return "aarch64";
#else
  return "other";
#endif
}

Json levels() {
  Json all = Json::array();
  for (const jit::Isa isa : jit::kIsas) {
    const char* missing = jit::host_features().missing_for(isa);
    all.push_back({{"isa", jit::name_of(isa)},
                   {"available", missing == nullptr},
                   {"missing", missing == nullptr ? Json(nullptr) : Json(missing)}});
  }
  return all;
}

Json clock_of(const RunFacts& run, const std::vector<FinishedCase>& cases) {
  std::optional<double> least, most;
  const auto take = [&](const std::optional<double>& clock) {
    if (!clock) return;
    least = std::min(least.value_or(*clock), *clock);
    most = std::max(most.value_or(*clock), *clock);
  };
  take(run.first_clock);
  take(run.last_clock);
  for (const FinishedCase& finished : cases)
    if (finished.facts != nullptr) take(finished.facts->clock_ghz);
  return {{"first_ghz", or_null(run.first_clock)},
          {"last_ghz", or_null(run.last_clock)},
          {"least_ghz", or_null(least)},
          {"most_ghz", or_null(most)},
          {"steady", least && most && *least >= 0.97 * *most}};
}

Json kernels_of(const std::vector<FinishedCase>& cases) {
  std::map<std::string, Json> kernels;
  for (const FinishedCase& finished : cases) {
    if (finished.facts == nullptr || finished.facts->code.name.empty()) continue;
    const KernelCode& code = finished.facts->code;
    Json registers = Json::array();
    for (const auto& [names, role] : code.registers) registers.push_back({names, role});
    kernels[code.name] = {{"operation", finished.facts->operation},
                          {"name", code.name},
                          {"isa", code.isa},
                          {"exactness", code.exactness},
                          {"code_bytes", code.bytes.size()},
                          {"budget", or_null(code.budget)},
                          {"plan", or_null(code.plan)},
                          {"registers", registers}};
  }
  Json list = Json::array();
  for (auto& [name, kernel] : kernels) list.push_back(std::move(kernel));
  return list;
}

// For what was not measured beside a bound of its own: f32 FMA, and reading at the level that the bytes fit.
std::optional<BoundFacts> general_bound(const CaseFacts& facts, const std::vector<Peaks>& all) {
  const auto peaks =
      std::find_if(all.begin(), all.end(), [&](const Peaks& p) { return p.threads == facts.threads; });
  if (peaks == all.end() || (facts.operations == 0 && facts.bytes == 0)) return std::nullopt;
  const bool in_l2 = facts.bytes <= 2 * static_cast<double>(peaks->bytes.l2);
  const bool in_l3 = facts.bytes <= 2 * static_cast<double>(peaks->bytes.l3);
  const std::optional<double> gbps = in_l2   ? peaks->read_gbps_l2
                                     : in_l3 ? peaks->read_gbps_l3
                                             : peaks->read_gbps_dram;
  const double arithmetic = peaks->fma_f32_gflops ? facts.operations / *peaks->fma_f32_gflops / 1e9 : 0;
  const double reading = gbps ? facts.bytes / *gbps / 1e9 : 0;
  if (std::max(arithmetic, reading) == 0) return std::nullopt;
  return BoundFacts{arithmetic >= reading ? name_of(Unit::fma_f32)
                    : in_l2               ? "read_l2"
                    : in_l3               ? "read_l3"
                                          : "read_dram",
                    std::max(arithmetic, reading),
                    facts.operations > 0 ? peaks->fma_f32_gflops : std::nullopt, gbps};
}

Json bound_of(const CaseFacts& facts, const std::vector<Peaks>& peaks) {
  const std::optional<BoundFacts> found = facts.bound ? facts.bound : general_bound(facts, peaks);
  if (!found) return nullptr;
  const BoundFacts& bound = *found;
  Json json = {
      {"by", bound.by},
      {"us", bound.seconds * 1e6},
      {"fraction",
       facts.times.count() == 0 ? Json(nullptr) : Json(bound.seconds * facts.calls / facts.times.best())},
      {"unit_gops", or_null(bound.unit_gops)},
      {"gbps", or_null(bound.gbps)},
      {"roofline_gops", nullptr}};
  if (facts.operations > 0 && facts.bytes > 0 && bound.gbps) {
    const double memory = facts.operations / facts.bytes * *bound.gbps;
    json["roofline_gops"] = bound.unit_gops ? std::min(*bound.unit_gops, memory) : memory;
  }
  return json;
}

// Measured cycles beside those that the ports need, for the same work.
Json budget_of(const CaseFacts& facts) {
  const PortBudget& ports = facts.code.ports;
  const double work = facts.operations > 0 && facts.m > 0 ? facts.operations / 2 : facts.elements;
  if (ports.cycles == 0 || work == 0 || !facts.clock_ghz || facts.times.count() == 0) return nullptr;
  const double cycles = facts.times.best() / facts.calls * *facts.clock_ghz * 1e9 * facts.threads;
  return {{"text", facts.code.budget},
          {"cycles", ports.cycles},
          {"per", ports.work},
          {"measured_cycles", cycles / (work / ports.work)},
          {"clock_ghz", *facts.clock_ghz}};
}

void add_times(const CaseFacts& facts, Json& json) {
  const Times& times = facts.times;
  const double us = 1e6 / facts.calls;
  json["runs"] = times.count();
  if (times.count() == 0) return;
  json["best_us"] = times.best() * us;
  json["median_us"] = times.median() * us;
  json["worst_us"] = times.worst() * us;
  json["spread"] = times.spread();
  constexpr std::size_t kMost = 64;
  const std::vector<double> sorted = times.sorted();
  Json list = Json::array();
  const std::size_t count = std::min(kMost, sorted.size());
  for (std::size_t i = 0; i < count; ++i)
    list.push_back(sorted[count == 1 ? 0 : i * (sorted.size() - 1) / (count - 1)] * us);
  json["times_us"] = std::move(list);
  const double seconds = times.best() / facts.calls;
  json["operations"] = or_null(facts.operations);
  json["elements"] = or_null(facts.elements);
  json["bytes"] = or_null(facts.bytes);
  if (facts.operations > 0) json["gops"] = facts.operations / seconds / 1e9;
  if (facts.elements > 0) json["gelems"] = facts.elements / seconds / 1e9;
  if (facts.bytes > 0) json["gbps"] = facts.bytes / seconds / 1e9;
  if (facts.operations > 0 && facts.bytes > 0) json["intensity"] = facts.operations / facts.bytes;
}

Json facts_of(const CaseFacts& facts, const std::vector<Peaks>& peaks) {
  Json json = {{"operation", facts.operation},
               {"kernel", facts.kernel},
               {"isa", or_null(facts.isa)},
               {"format", or_null(facts.format)},
               {"numerics", or_null(facts.numerics)},
               {"activations", or_null(facts.activations)},
               {"footprint", or_null(facts.footprint)},
               {"threads", facts.threads}};
  for (const auto& [key, value] : {std::pair("m", facts.m),
                                   {"n", facts.n},
                                   {"k", facts.k},
                                   {"rows", facts.rows},
                                   {"cols", facts.cols},
                                   {"order", facts.order}})
    if (value != 0) json[key] = value;
  json["status"] = name_of(facts.status);
  json["reason"] = or_null(facts.reason);
  json["verified"] = or_null(facts.verified);
  add_times(facts, json);
  json["bound"] = bound_of(facts, peaks);
  json["certified"] = or_null(facts.certified);
  json["budget"] = budget_of(facts);
  json["relative_error"] = or_null(facts.relative_error);
  return json;
}

// Google Benchmark's own fields.
Json run_of(const FinishedCase& finished, const std::vector<Peaks>& peaks) {
  const benchmark::BenchmarkReporter::Run& run = finished.run;
  Json json = {{"name", run.benchmark_name()},
               {"family_index", run.family_index},
               {"per_family_instance_index", run.per_family_instance_index},
               {"run_name", run.run_name.str()},
               {"run_type", "iteration"},
               {"repetitions", run.repetitions},
               {"repetition_index", run.repetition_index},
               {"threads", run.threads}};
  if (run.error_occurred) {
    json["error_occurred"] = true;
    json["error_message"] = run.error_message;
  }
  json["iterations"] = run.iterations;
  json["real_time"] = run.GetAdjustedRealTime();
  json["cpu_time"] = run.GetAdjustedCPUTime();
  json["time_unit"] = benchmark::GetTimeUnitString(run.time_unit);
  for (const auto& [name, value] : run.counters) json[name] = value.value;
  if (!run.report_label.empty()) json["label"] = run.report_label;
  if (finished.facts != nullptr) json["fourge"] = facts_of(*finished.facts, peaks);
  return json;
}

Json peers_of(const std::vector<FinishedCase>& cases) {
  Json list = Json::array();
  for (const PeerEntry& entry : peers()) {
    Json peer = {{"name", entry.name}, {"version", nullptr}, {"absent", nullptr}};
    for (const FinishedCase& finished : cases) {
      if (finished.facts == nullptr || finished.facts->operation != "peer" ||
          finished.facts->kernel != entry.name)
        continue;
      if (finished.facts->status == CaseStatus::ok)
        peer["version"] = finished.run.report_label;
      else if (peer["version"].is_null())
        peer["absent"] = finished.facts->reason;
    }
    if (peer["version"].is_null() && peer["absent"].is_null()) peer["absent"] = "did not run";
    if (!peer["version"].is_null()) peer["absent"] = nullptr;
    list.push_back(std::move(peer));
  }
  return list;
}

}  // namespace

std::string document_of(const HarnessOptions& options, const RunFacts& run,
                        const std::vector<FinishedCase>& cases) {
  const jit::CacheSizes& caches = jit::host_caches();
  Json ours = {{"schema", 1},
               {"version", std::to_string(FOURGE_VERSION_MAJOR) + "." + std::to_string(FOURGE_VERSION_MINOR) +
                               "." + std::to_string(FOURGE_VERSION_PATCH)},
               {"commit", build_commit()},
               {"compiler", build_compiler()},
               {"build", FOURGE_BUILD_TYPE},
               {"mode", options.smoke   ? "smoke"
                        : options.quick ? "quick"
                        : options.all   ? "all"
                                        : "full"},
               {"groups", run.groups},
               {"cpu", jit::host_name()},
               {"architecture", architecture()},
               {"isa", jit::name_of(jit::host_features().best())},
               {"levels", levels()},
               {"hardware_threads", std::thread::hardware_concurrency()},
               {"caches_of_a_core", {{"l1d", caches.l1d}, {"l2", caches.l2}, {"l3", caches.l3}}},
               {"clock", clock_of(run, cases)},
               {"peaks", Json::array()},
               {"peers", peers_of(cases)},
               {"left_out", Json::array()},
               {"kernels", kernels_of(cases)}};
  for (const Peaks& peaks : run.peaks) ours["peaks"].push_back(peaks_of(peaks));
  for (const auto& [kernel, reason] : run.left_out)
    ours["left_out"].push_back({{"kernel", kernel}, {"reason", reason}});
  int wrong = 0;
  Json benchmarks = Json::array();
  for (const FinishedCase& finished : cases) {
    benchmarks.push_back(run_of(finished, run.peaks));
    wrong += finished.facts != nullptr && finished.facts->status == CaseStatus::wrong;
  }
  ours["wrong"] = wrong;
  Json context = google_context("fourge");
  context["fourge"] = std::move(ours);
  return Json{{"context", std::move(context)}, {"benchmarks", std::move(benchmarks)}}.dump(1) + "\n";
}

}  // namespace fourge::bench
