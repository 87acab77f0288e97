// fourge info: this machine, the kernels it can run, and which would be chosen.
#include <fmt/core.h>
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "bench/peaks/peaks.h"
#include "bench/support/gemm_run.h"
#include "jit/cpu.h"
#include "jit/decode/decode_kernel.h"
#include "jit/hadamard/hadamard_kernel.h"
#include "jit/layout/layout_kernel.h"
#include "jit/quantize/quantize_kernel.h"
#include "jit/second_moment/second_moment_kernel.h"
#include "jit/select.h"
#include "tools/cli/commands.h"
#include "tools/cli/context.h"
#include "tools/cli/gemm_spec_text.h"
#include "tools/cli/options.h"
#include "tools/cli/table.h"

namespace fourge::cli {
namespace {

using jit::Isa;

#if defined(__x86_64__)
constexpr const char* kArchitecture = "x86-64";
constexpr Isa kHighest = Isa::amx;
#elif defined(__aarch64__)
constexpr const char* kArchitecture = "aarch64";
constexpr Isa kHighest = Isa::sve;
#else
constexpr const char* kArchitecture = "other";
constexpr Isa kHighest = Isa::scalar;
#endif

// The levels of this architecture.
std::vector<Isa> levels() {
  std::vector<Isa> levels;
  for (const Isa isa : jit::kIsas) {
    if (!jit::above(isa, kHighest)) levels.push_back(isa);
  }
  return levels;
}

// Specs that show how the choice depends on what is asked.
constexpr GemmSpec kExamples[] = {
    {.m = 1, .n = 4096, .k = 4096, .format = Format::nvfp4},
    {.m = 512, .n = 4096, .k = 4096, .format = Format::nvfp4},
    {.m = 512, .n = 4096, .k = 4096, .format = Format::mxfp4, .output = OutputType::bf16},
    {.m = 512, .n = 4096, .k = 4096, .format = Format::nvfp4, .numerics = Numerics::fast},
};

struct InfoOptions {
  bool peaks = false;
  std::int64_t threads = 1;
};

struct Choice {
  GemmSpec spec;
  std::string chosen;  // empty: none can run
  std::vector<std::string> decisions;
};

struct Info {
  std::optional<Isa> cap;  // FOURGE_MAX_ISA
  std::vector<Choice> choices;
  std::optional<bench::Peaks> peaks;

  Isa highest() const { return cap.value_or(jit::host_features().best()); }
};

Info collect(const InfoOptions& options, std::optional<Isa> cap) {
  Info info{.cap = cap, .choices = {}, .peaks = {}};
  for (const GemmSpec& spec : kExamples) {
    const jit::Selection selection = jit::select(spec, jit::host_features(), info.highest(), nullptr);
    info.choices.push_back(
        {spec, selection.entry == nullptr ? "" : selection.entry->name(spec), selection.decisions});
  }
  if (options.peaks) {
    info.peaks = bench::measure_peaks({.threads = static_cast<int>(options.threads), .seconds = 0.2});
  }
  return info;
}

// A line of the registry, whatever its operation.
struct RegisteredKernel {
  const char* operation;
  std::string kernel;  // the part of the name that does not depend on the spec
  Isa isa;
  std::string exactness;

  // Null when it can run here.
  const char* missing() const { return jit::host_features().missing_for(isa); }
};

std::vector<RegisteredKernel> registered_kernels() {
  std::vector<RegisteredKernel> kernels;
  for (const jit::GemmKernelEntry& entry : jit::gemm_kernels()) {
    const bool exact = entry.numerics == Numerics::blackwell;
    kernels.push_back({"gemm", fmt::format("{}__{}", entry.tile, entry.isa_variant), entry.isa,
                       exact ? "bit_exact(blackwell)" : "within a bound"});
  }
  for (const jit::HadamardKernelEntry& entry : jit::hadamard_kernels()) {
    kernels.push_back({"hadamard", entry.isa_variant, entry.isa, "bit_exact(textbook order)"});
  }
  for (const jit::DecodeKernelEntry& entry : jit::decode_kernels())
    kernels.push_back({"decode", entry.isa_variant, entry.isa, "bit_exact(decode)"});
  for (const jit::QuantizeKernelEntry& entry : jit::quantize_kernels())
    kernels.push_back({"quantize", entry.isa_variant, entry.isa, "bit_exact(quantize)"});
  for (const jit::LayoutKernelEntry& entry : jit::layout_kernels())
    kernels.push_back({"layout", entry.isa_variant, entry.isa, "bit_exact(layout)"});
  for (const jit::SecondMomentKernelEntry& entry : jit::second_moment_kernels())
    kernels.push_back({"second_moment", entry.isa_variant, entry.isa, "bit_exact(second_moment)"});
  return kernels;
}

std::string size_text(std::int64_t bytes) {
  return bytes >= 1 << 20 ? fmt::format("{:.4g} MiB", static_cast<double>(bytes) / (1 << 20))
                          : fmt::format("{:.4g} KiB", static_cast<double>(bytes) / (1 << 10));
}

struct NamedPeak {
  const char* key;
  const char* unit;
  std::optional<double> value;
  std::string note;
};

std::vector<NamedPeak> list(const bench::Peaks& peaks) {
  const jit::CpuFeatures& features = jit::host_features();
  const auto missing = [&](bench::Unit unit) {
    const char* reason = bench::missing_unit(unit, features);
    return std::string(reason == nullptr ? "registers only" : reason);
  };
  const auto footprint = [](std::int64_t bytes) {
    return bytes == 0 ? std::string("no such level, or not the memory for it") : size_text(bytes);
  };
  return {
      {"amx_bf16_gflops", "GFLOP/s", peaks.amx_bf16_gflops, missing(bench::Unit::amx_bf16)},
      {"amx_int8_gops", "GOP/s", peaks.amx_int8_gops, missing(bench::Unit::amx_int8)},
      {"vnni_int8_gops", "GOP/s", peaks.vnni_int8_gops, missing(bench::Unit::vnni_int8)},
      {"fma_f32_gflops", "GFLOP/s", peaks.fma_f32_gflops, missing(bench::Unit::fma_f32)},
      {"read_gbps_l2", "GB/s", peaks.read_gbps_l2, footprint(peaks.bytes.l2)},
      {"read_gbps_l3", "GB/s", peaks.read_gbps_l3, footprint(peaks.bytes.l3)},
      {"read_gbps_dram", "GB/s", peaks.read_gbps_dram, footprint(peaks.bytes.dram)},
      {"copy_gbps_dram", "GB/s", peaks.copy_gbps_dram,
       footprint(peaks.bytes.dram / 2) + (peaks.copy_gbps_dram ? " read, and as much written" : "")},
      {"clock_ghz", "GHz", peaks.clock_ghz,
       fmt::format("one core, scalar code: chains of multiplications, 3 cycles each; {}",
                   peaks.is_steady() ? "steady" : "NOT STEADY: it changed by more than 3 % meanwhile")},
      {"clock_before_ghz", "GHz", peaks.clock_before, "before all other peaks"},
      {"clock_after_ghz", "GHz", peaks.clock_after,
       fmt::format("after them; {} measured",
                   peaks.attempts == 1 ? "once" : fmt::format("{} times", peaks.attempts))},
  };
}

void print_levels(const Info& info, const Context& context) {
  fmt::print("\n{}\n", context.paint(Color::kBold, "Levels"));
  Table table(
      {{"level", Table::Align::kLeft}, {"here", Table::Align::kLeft}, {"missing", Table::Align::kLeft}});
  for (const Isa isa : levels()) {
    const char* missing = jit::host_features().missing_for(isa);
    const bool capped = missing == nullptr && jit::above(isa, info.highest());
    table.add_row({name_of(isa), missing == nullptr ? "yes" : "no",
                   missing != nullptr ? missing
                   : capped           ? "above FOURGE_MAX_ISA"
                                      : ""});
  }
  table.print();
}

void print_kernels(const Context& context) {
  fmt::print("\n{}\n", context.paint(Color::kBold, "Registered kernels, best first"));
  Table table({{"operation", Table::Align::kLeft},
               {"kernel", Table::Align::kLeft},
               {"exactness", Table::Align::kLeft},
               {"level", Table::Align::kLeft},
               {"here", Table::Align::kLeft}});
  for (const RegisteredKernel& kernel : registered_kernels()) {
    const char* missing = kernel.missing();
    table.add_row({kernel.operation, kernel.kernel, kernel.exactness, name_of(kernel.isa),
                   missing == nullptr ? "yes" : missing});
  }
  table.print();
}

void print_choices(const Info& info, const Context& context) {
  fmt::print("\n{}\n", context.paint(Color::kBold, "What would be chosen, and why"));
  for (const Choice& choice : info.choices) {
    fmt::print("{}: {}\n", gemm_spec_text(choice.spec),
               choice.chosen.empty() ? context.paint(Color::kYellow, "no kernel") : choice.chosen);
    for (const std::string& decision : choice.decisions) fmt::print("  {}\n", decision);
  }
}

void print_peaks(const bench::Peaks& peaks, const Context& context) {
  fmt::print("\n{}\n",
             context.paint(Color::kBold, fmt::format("Peaks, {} thread{}, measured now, best of many runs",
                                                     peaks.threads, peaks.threads == 1 ? "" : "s")));
  Table table({{"peak", Table::Align::kLeft},
               {"value"},
               {"unit", Table::Align::kLeft},
               {"how", Table::Align::kLeft}});
  for (const NamedPeak& peak : list(peaks)) {
    table.add_row({peak.key, peak.value ? fmt::format("{:.4g}", *peak.value) : "absent",
                   peak.value ? peak.unit : "", peak.note});
  }
  table.print();
}

void print_text(const Info& info, const Context& context) {
  const jit::CacheSizes& caches = jit::host_caches();
  const std::string name = jit::host_name();
  fmt::print("{}, {}, {} hardware threads, OpenMP would use {}\n", name.empty() ? "unknown processor" : name,
             kArchitecture, std::thread::hardware_concurrency(), bench::default_threads());
  fmt::print("caches of a core: L1d {}, L2 {}, L3 {}\n", size_text(caches.l1d), size_text(caches.l2),
             size_text(caches.l3));
  print_levels(info, context);
  print_kernels(context);
  print_choices(info, context);
  if (info.peaks) print_peaks(*info.peaks, context);
}

Json to_json(const Info& info) {
  const jit::CacheSizes& caches = jit::host_caches();
  Json document = {{"version", FOURGE_VERSION},
                   {"cpu", jit::host_name()},
                   {"architecture", kArchitecture},
                   {"hardware_threads", std::thread::hardware_concurrency()},
                   {"openmp_threads", bench::default_threads()},
                   {"caches", {{"l1d", caches.l1d}, {"l2", caches.l2}, {"l3", caches.l3}}},
                   {"max_isa", info.cap ? Json(name_of(*info.cap)) : Json(nullptr)},
                   {"isa", name_of(info.highest())},
                   {"levels", Json::array()},
                   {"kernels", Json::array()},
                   {"choices", Json::array()}};
  for (const Isa isa : levels()) {
    const char* missing = jit::host_features().missing_for(isa);
    document["levels"].push_back({{"isa", name_of(isa)},
                                  {"available", missing == nullptr},
                                  {"missing", missing == nullptr ? Json(nullptr) : Json(missing)}});
  }
  for (const RegisteredKernel& kernel : registered_kernels()) {
    const char* missing = kernel.missing();
    document["kernels"].push_back({{"operation", kernel.operation},
                                   {"kernel", kernel.kernel},
                                   {"isa", name_of(kernel.isa)},
                                   {"exactness", kernel.exactness},
                                   {"available", missing == nullptr},
                                   {"missing", missing == nullptr ? Json(nullptr) : Json(missing)}});
  }
  for (const Choice& choice : info.choices) {
    document["choices"].push_back({{"spec", gemm_spec_text(choice.spec)},
                                   {"kernel", choice.chosen.empty() ? Json(nullptr) : Json(choice.chosen)},
                                   {"decisions", choice.decisions}});
  }
  if (info.peaks) {
    Json peaks = {{"threads", info.peaks->threads},
                  {"steady", info.peaks->is_steady()},
                  {"attempts", info.peaks->attempts}};
    for (const NamedPeak& peak : list(*info.peaks)) {
      peaks[peak.key] = peak.value ? Json(*peak.value) : Json(nullptr);
    }
    document["peaks"] = std::move(peaks);
  }
  return document;
}

Result<Outcome> run(const InfoOptions& options, Context& context) {
  const auto& cap = jit::environment_max_isa();
  if (!cap.ok()) return cap.failure();
  const Info info = collect(options, *cap);
  if (context.json()) {
    context.print(to_json(info));
  } else {
    print_text(info, context);
  }
  return Outcome::kTrue;
}

}  // namespace

void add_info_command(CLI::App& app, Context& context) {
  auto options = std::make_shared<InfoOptions>();
  CLI::App* command = app.add_subcommand("info", "This machine, its kernels and which would be chosen");
  command->footer(
      "--peaks takes some seconds and memory of twice the last cache. Nothing is kept between runs.");
  CLI::Option* peaks =
      command->add_flag("--peaks", options->peaks, "Measure what this machine can do at most");
  add_count(*command, "--threads", options->threads, 1, 4096, "Threads that --peaks measures together")
      ->needs(peaks);
  context.add_json_flag(*command);
  context.on_run(*command, [options, &context] { return run(*options, context); });
}

}  // namespace fourge::cli
