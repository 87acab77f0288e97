// Which machine, which program.
#include <fmt/chrono.h>
#include <fmt/format.h>

#include <ctime>
#include <thread>

#include "bench/peaks/peaks.h"
#include "bench/support/build_facts.h"
#include "jit/cpu.h"
#include "jit/select.h"
#include "tools/report/gather/gather.h"

namespace fourge::report {
namespace {

#if defined(__x86_64__)
constexpr const char* kArchitecture = "x86-64";
constexpr jit::Isa kHighest = jit::Isa::amx;
#elif defined(__aarch64__)
constexpr const char* kArchitecture = "aarch64";
constexpr jit::Isa kHighest = jit::Isa::sve;
#else
constexpr const char* kArchitecture = "other";
constexpr jit::Isa kHighest = jit::Isa::scalar;
#endif

Json levels() {
  Json out = Json::array();
  for (const jit::Isa isa : jit::kIsas) {
    if (jit::above(isa, kHighest)) continue;
    const char* missing = jit::host_features().missing_for(isa);
    out.push_back({{"isa", name_of(isa)},
                   {"available", missing == nullptr},
                   {"missing", missing == nullptr ? Json(nullptr) : Json(missing)}});
  }
  return out;
}

Json peaks_of(int threads, double seconds) {
  const bench::Peaks peaks = bench::measure_peaks({.threads = threads, .seconds = seconds});
  const auto or_null = [](const std::optional<double>& value) {
    return value ? Json(*value) : Json(nullptr);
  };
  Json out = {{"threads", threads},
              {"amx_bf16_gflops", or_null(peaks.amx_bf16_gflops)},
              {"amx_int8_gops", or_null(peaks.amx_int8_gops)},
              {"vnni_int8_gops", or_null(peaks.vnni_int8_gops)},
              {"fma_f32_gflops", or_null(peaks.fma_f32_gflops)},
              {"read_gbps_l2", or_null(peaks.read_gbps_l2)},
              {"read_gbps_l3", or_null(peaks.read_gbps_l3)},
              {"read_gbps_dram", or_null(peaks.read_gbps_dram)},
              {"copy_gbps_dram", or_null(peaks.copy_gbps_dram)},
              {"absent", Json::object()}};
  const struct {
    bench::Unit unit;
    const char* key;
  } kUnits[] = {{bench::Unit::amx_bf16, "amx_bf16_gflops"},
                {bench::Unit::amx_int8, "amx_int8_gops"},
                {bench::Unit::vnni_int8, "vnni_int8_gops"},
                {bench::Unit::fma_f32, "fma_f32_gflops"}};
  for (const auto& [unit, key] : kUnits) {
    if (const char* missing = bench::missing_unit(unit, jit::host_features())) out["absent"][key] = missing;
  }
  for (const char* key : {"read_gbps_l2", "read_gbps_l3", "read_gbps_dram", "copy_gbps_dram"}) {
    if (out[key].is_null()) out["absent"][key] = "no such level, or not the memory for it";
  }
  return out;
}

}  // namespace

Json measure_context(const GatherOptions& options) {
  const jit::CacheSizes& caches = jit::host_caches();
  const double seconds = options.mode == Mode::full ? 0.15 : options.mode == Mode::quick ? 0.05 : 0.001;
  const std::optional<double> clock = bench::clock_ghz(seconds);
  const auto hardware_threads = static_cast<int>(std::thread::hardware_concurrency());
  const auto& cap = jit::environment_max_isa();
  const jit::Isa best = cap.ok() && *cap ? **cap : jit::host_features().best();
  const std::string cpu = jit::host_name();
  Json context = {{"date", fmt::format("{:%Y-%m-%d %H:%M} UTC", fmt::gmtime(std::time(nullptr)))},
                  {"version", options.version},
                  {"commit", bench::build_commit()},
                  {"compiler", bench::build_compiler()},
                  {"cpu", cpu.empty() ? "unknown processor" : cpu},
                  {"architecture", kArchitecture},
                  {"isa", name_of(best)},
                  {"levels", levels()},
                  {"hardware_threads", hardware_threads},
                  {"caches_of_a_core", {{"l1d", caches.l1d}, {"l2", caches.l2}, {"l3", caches.l3}}},
                  {"clock", {{"first_ghz", clock ? Json(*clock) : Json(nullptr)}}},
                  {"peaks", Json::array()},
                  {"peers", Json::array()}};
  context["peaks"].push_back(peaks_of(1, seconds));
  if (hardware_threads > 1 && options.mode != Mode::smoke)
    context["peaks"].push_back(peaks_of(hardware_threads, seconds));
  return context;
}

}  // namespace fourge::report
