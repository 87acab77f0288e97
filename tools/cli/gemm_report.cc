#include "tools/cli/gemm_report.h"

#include <fmt/core.h>
#include <fmt/format.h>

#include <optional>

#include "jit/select.h"

namespace fourge::cli {
namespace {

Json or_null(const std::optional<double>& value) { return value ? Json(*value) : Json(nullptr); }

const char* activations_name(const GemmSpec& spec) {
  return spec.activations == Activations::same ? name_of(spec.format) : name_of(spec.activations);
}

std::string verdict(const bench::GemmReport& report, const Context& context) {
  if (report.check_extent == bench::CheckExtent::none) return "not checked (--check none)";
  const std::string counts = fmt::format("{} of {} outputs checked, {} mismatches", report.check.outputs,
                                         report.spec.m * report.spec.n, report.check.mismatches);
  if (report.check.ok()) return counts + ": " + context.paint(Color::kGreen, "bit-exact to reference/");
  return counts + ": " + context.paint(Color::kRed, report.check.first);
}

}  // namespace

Json to_json(const bench::GemmReport& report) {
  const GemmSpec& spec = report.spec;
  Json document = {{"kernel", report.code.name},
                   {"m", spec.m},
                   {"n", spec.n},
                   {"k", spec.k},
                   {"format", name_of(spec.format)},
                   {"activations", activations_name(spec)},
                   {"numerics", name_of(spec.numerics)},
                   {"output", name_of(spec.output)},
                   {"isa", report.code.isa},
                   {"exactness", report.code.exactness},
                   {"threads", report.threads},
                   {"seconds_best", report.times.best()},
                   {"seconds_median", report.times.median()},
                   {"runs", report.times.count()},
                   {"seconds_create", report.create_seconds},
                   {"seconds_pack", report.pack_seconds},
                   {"gflops", report.gflops()},
                   {"weight_bytes", report.packed_bytes},
                   {"weight_gbps", report.weight_gbps()},
                   {"bound", report.bound ? Json(report.bound->gflops) : Json(nullptr)},
                   {"bound_by", report.bound ? Json(report.bound->by) : Json(nullptr)},
                   {"bound_fraction", or_null(report.bound_fraction())},
                   {"check", name_of(report.check_extent)},
                   {"outputs_checked", report.check.outputs},
                   {"mismatches", report.check.mismatches},
                   {"first_mismatch", report.check.first.empty() ? Json(nullptr) : Json(report.check.first)},
                   {"certified_fraction", report.stats.certified_fraction()},
                   {"relative_error", report.error ? Json(report.error->value) : Json(nullptr)},
                   {"relative_error_outputs", report.error ? Json(report.error->outputs) : Json(nullptr)},
                   {"decisions", report.decisions}};
  return document;
}

std::string time_text(double seconds) {
  if (seconds < 1e-3) return fmt::format("{:.3g} us", seconds * 1e6);
  if (seconds < 1) return fmt::format("{:.3g} ms", seconds * 1e3);
  return fmt::format("{:.3g} s", seconds);
}

std::string choice_line(const bench::GemmReport& report) {
  std::vector<std::string> others;
  for (const std::string& line : report.decisions) {
    if (line.rfind(report.code.name + ":", 0) == 0) continue;
    const std::size_t colon = line.find(": ");
    const std::string name = line.substr(0, colon);
    others.push_back(fmt::format("{} ({})", name.substr(name.rfind("__") + 2), line.substr(colon + 2)));
  }
  std::string line = fmt::format("{}: the first of {} registered kernels, best first, that fits here",
                                 report.code.name, report.decisions.size());
  if (!others.empty()) line += fmt::format("; passed over: {}", fmt::join(others, ", "));
  return line;
}

void print_report(const bench::GemmReport& report, const Context& context) {
  const GemmSpec& spec = report.spec;
  fmt::print("{}  {} x {} x {}, {} x {} -> {}, numerics {}, {} thread{}\n",
             context.paint(Color::kBold, report.code.name), spec.m, spec.n, spec.k, activations_name(spec),
             name_of(spec.format), name_of(spec.output), name_of(spec.numerics), report.threads,
             report.threads == 1 ? "" : "s");
  fmt::print("time       best {}, median {} of {} runs; kernel made in {}, weights packed in {}\n",
             time_text(report.times.best()), time_text(report.times.median()), report.times.count(),
             time_text(report.create_seconds), time_text(report.pack_seconds));
  fmt::print("speed      {:.1f} GFLOP/s, {:.2f} GB/s of packed weights ({} bytes)\n", report.gflops(),
             report.weight_gbps(), report.packed_bytes);
  if (report.bound) {
    fmt::print("bound      {:.1f} GFLOP/s by {} (measured now): {:.1f} % reached\n", report.bound->gflops,
               report.bound->by, 100 * *report.bound_fraction());
  } else {
    fmt::print("bound      none: no peak could be measured on this machine\n");
  }
  fmt::print("check      {}\n", verdict(report, context));
  fmt::print("certified  {:.4f} % of {} vectors took the short path\n",
             100 * report.stats.certified_fraction(), report.stats.vectors);
  if (report.error) {
    fmt::print("error      {:.4f} relative to the product before quantisation ({} outputs compared)\n",
               report.error->value, report.error->outputs);
  }
  fmt::print("chosen     {}\n", choice_line(report));
}

Result<std::string> find_kernel(const GemmSpec& spec, const std::string& text) {
  std::vector<std::string> known;
  for (const jit::GemmKernelEntry& entry : jit::gemm_kernels()) {
    const std::string name = entry.name(spec);
    if (text == name || text == entry.isa_variant) return name;
    known.push_back(name);
  }
  return {Error::kBadArgument, "expected a registered kernel, by its name or the part after __",
          fmt::format("--kernel '{}', registered for this product: {}", text, fmt::join(known, ", "))};
}

}  // namespace fourge::cli
