// fourge scaling: time against M, N, K and threads, beside a fitted cost model.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <memory>
#include <string>

#include "bench/scaling/scaling.h"
#include "jit/cpu.h"
#include "quant/atomic_file.h"
#include "tools/cli/commands.h"
#include "tools/cli/context.h"
#include "tools/cli/progress.h"
#include "tools/cli/table.h"
#include "tools/report/gather/scaling_json.h"

namespace fourge::cli {
namespace {

struct ScalingCommandOptions {
  bool quick = false;
  double seconds = 0.05;
  std::vector<int> threads;
  std::string out;
};

std::string rate_text(double seconds_each, const char* unit) {
  return seconds_each > 0 ? fmt::format("{:.4g} {}", 1e-9 / seconds_each, unit) : std::string("no such term");
}

void print_fits(const bench::Scaling& scaling, const Context& context) {
  fmt::print("{}\n", context.paint(Color::kBold,
                                   "time = overhead + operations / rate + bytes / bandwidth + rows * steps "
                                   "of K = 64 * preparation, one thread"));
  Table table({{"kernel", Table::Align::kLeft},
               {"points"},
               {"overhead"},
               {"rate"},
               {"bandwidth"},
               {"preparation"},
               {"mean off"},
               {"worst off"}});
  for (const bench::ScalingFit& fit : scaling.fits) {
    table.add_row({fit.kernel, std::to_string(fit.points), fmt::format("{:.3g} us", fit.model.overhead * 1e6),
                   rate_text(fit.model.seconds_per_operation, "GFLOP/s"),
                   rate_text(fit.model.seconds_per_byte, "GB/s"),
                   fmt::format("{:.3g} ns", fit.model.seconds_per_row_step * 1e9),
                   fmt::format("{:.0f} %", 100 * fit.mean_deviation),
                   fmt::format("{:.0f} %", 100 * fit.worst_deviation)});
  }
  table.print();
}

void print_points(const bench::Scaling& scaling, const Context& context) {
  fmt::print("\n{}\n", context.paint(Color::kBold, "Measured beside the model"));
  Table table({{"varied", Table::Align::kLeft},
               {"kernel", Table::Align::kLeft},
               {"M x N x K", Table::Align::kLeft},
               {"threads"},
               {"best us"},
               {"model us"},
               {"model off"},
               {"why", Table::Align::kLeft}});
  for (const bench::ScalingPoint& point : scaling.points) {
    table.add_row({name_of(point.sweep), point.kernel,
                   fmt::format("{}x{}x{}", point.spec.m, point.spec.n, point.spec.k),
                   std::to_string(point.threads), fmt::format("{:.1f}", point.best * 1e6),
                   fmt::format("{:.1f}", point.model * 1e6),
                   fmt::format("{:+.0f} %", 100 * point.deviation()), point.explanation});
  }
  table.print();
}

Result<Outcome> run(const ScalingCommandOptions& options, Context& context) {
  bench::ScalingOptions scaling_options{
      .threads = options.threads,
      .seconds = options.seconds,
      .extent = options.quick ? bench::ScalingExtent::quick : bench::ScalingExtent::full};
  std::unique_ptr<Progress> progress;
  scaling_options.progress = [&](int total) {
    if (!progress) progress = std::make_unique<Progress>("scaling", total);
    progress->advance();
  };
  const Result<bench::Scaling> scaling = bench::measure_scaling(scaling_options);
  progress.reset();
  if (!scaling) return scaling.failure();
  Json document = {{"cpu", jit::host_name()}, {"scaling", report::to_json(*scaling)}};
  if (!options.out.empty()) {
    Result<quant::AtomicFile> file = quant::AtomicFile::create(options.out);
    if (!file) return file.failure();
    if (const Status written = file->write(document.dump(1) + "\n"); !written) return written.failure();
    if (const Status committed = file->commit(); !committed) return committed.failure();
  }
  if (context.json()) {
    context.print(document);
  } else {
    print_fits(*scaling, context);
    print_points(*scaling, context);
    if (!scaling->wrong.empty()) fmt::print("{} {}\n", context.paint(Color::kRed, "WRONG:"), scaling->wrong);
  }
  return scaling->wrong.empty() ? Outcome::kTrue : Outcome::kFalse;
}

}  // namespace

void add_scaling_command(CLI::App& app, Context& context) {
  auto options = std::make_shared<ScalingCommandOptions>();
  CLI::App* command = app.add_subcommand("scaling", "Time against M, N, K and threads, beside a cost model");
  command->footer(
      "Every product is compared with reference/ (a sample) before it is timed. Operations are those of "
      "whole\n"
      "tiles, bytes the packed weights, the activations and the outputs, each once. Where the model is off "
      "by\n"
      "more than 20 %, the last column says why. All is measured twice, one pass after the other. For more "
      "threads the model divides all but the overhead.");
  command->add_flag("--quick", options->quick, "Smaller shapes and fewer points");
  command->add_option("--seconds", options->seconds, "Of timing for each point and pass")
      ->check(CLI::Range(0.0, 60.0))
      ->capture_default_str();
  command->add_option("--threads", options->threads, "Thread counts: 1,2,4 (default: powers of two, and all)")
      ->delimiter(',')
      ->check(CLI::Range(1, 4096))
      ->type_name("N,...");
  command->add_option("--out", options->out, "Write the JSON there as well")->type_name("FILE");
  context.add_json_flag(*command);
  context.on_run(*command, [options, &context] { return run(*options, context); });
}

}  // namespace fourge::cli
