// fourge bench: the benchmark suite.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "tools/cli/commands.h"
#include "tools/cli/context.h"
#include "tools/cli/options.h"

#if defined(FOURGE_HAVE_BENCH)
#include "bench/groups.h"
#endif

namespace fourge::cli {
namespace {

struct BenchOptions {
  bool quick = false, smoke = false, all = false, no_peers = false;
  std::vector<std::string> groups;
  std::vector<int> threads = {1};
  std::string filter = ".", formats = "nvfp4,mxfp4", out;
  double longest = 2, seconds = 0;
};

#if defined(FOURGE_HAVE_BENCH)
Result<std::vector<bench::BenchGroup>> chosen_groups(const std::vector<std::string>& names) {
  std::vector<bench::BenchGroup> chosen;
  std::string known;
  for (const bench::BenchGroup& group : bench::bench_groups()) {
    known += (known.empty() ? "" : ", ") + std::string(group.name);
    if (names.empty() || std::find(names.begin(), names.end(), group.name) != names.end())
      chosen.push_back(group);
  }
  for (const std::string& name : names) {
    const bool found =
        std::any_of(chosen.begin(), chosen.end(), [&](const auto& group) { return group.name == name; });
    if (!found) return {Error::kBadArgument, "expected groups of bench", name + " is not among " + known};
  }
  return chosen;
}

Result<Outcome> run(const BenchOptions& options, Context& context) {
  const Result<std::vector<bench::BenchGroup>> groups = chosen_groups(options.groups);
  if (!groups) return groups.failure();
  bench::HarnessOptions harness;
  harness.threads = options.threads;
  harness.quick = options.quick;
  harness.smoke = options.smoke;
  harness.all = options.all;
  harness.longest = options.longest;
  harness.peers = !options.no_peers;
  harness.formats = options.formats;
  harness.filter = options.filter;
  harness.seconds = options.seconds;
  harness.out = options.out;
  harness.table = context.json() ? nullptr : stdout;
  const Result<bench::SuiteOutcome> outcome = bench::run_suite(harness, *groups);
  if (!outcome) return outcome.failure();
  if (context.json()) {
    std::fputs(outcome->document.c_str(), stdout);
  } else {
    std::printf("%d cases, %d wrong, %d left out%s%s\n", outcome->ran, outcome->wrong, outcome->left_out,
                options.out.empty() ? "" : " -> ", options.out.c_str());
  }
  return outcome->wrong == 0 ? Outcome::kTrue : Outcome::kFalse;
}
#else
Result<Outcome> run(const BenchOptions&, Context&) {
  return {Error::kNotFound,
          "this program was built without benchmarks (Debian package libbenchmark-dev, "
          "FOURGE_BUILD_BENCH)",
          "bench"};
}
#endif

}  // namespace

void add_bench_command(CLI::App& app, Context& context) {
  auto options = std::make_shared<BenchOptions>();
  CLI::App* command = app.add_subcommand("bench", "Check and time every kernel and public operation");
  command->footer(
      "Each case is checked first, then timed; exit code 1 when one is wrong. --out and --json give Google\n"
      "Benchmark's schema, with the machine, the bound and the port budget of each case (docs/bench.md).\n"
      "Groups: generate, gemm, hadamard, quantize, decode, layout, library, overhead.");
  CLI::Option* quick = command->add_flag("--quick", options->quick, "Few shapes, short: under two minutes");
  CLI::Option* smoke =
      command->add_flag("--smoke", options->smoke, "Smallest shapes, one iteration: is it right");
  command->add_flag("--all", options->all, "Also what is large or slow")->excludes(quick)->excludes(smoke);
  quick->excludes(smoke);
  command->add_option("--groups", options->groups, "Only these groups")
      ->delimiter(',')
      ->type_name("GROUP,...");
  command->add_option("--filter", options->filter, "Only cases whose name matches")->type_name("REGEX");
  command->add_option("--threads", options->threads, "Thread counts")
      ->delimiter(',')
      ->check(CLI::Range(1, 4096))
      ->type_name("N,...");
  command->add_option("--formats", options->formats, "nvfp4, mxfp4, mxfp4_b16")->type_name("FORMAT,...");
  command->add_option("--longest", options->longest, "Leave out cases of which one run takes longer")
      ->check(CLI::PositiveNumber)
      ->type_name("SECONDS");
  command->add_option("--seconds", options->seconds, "Of each case; default 0.5, with --quick 0.1")
      ->check(CLI::PositiveNumber)
      ->type_name("SECONDS");
  command->add_flag("--no-peers", options->no_peers, "Leave out other libraries");
  command->add_option("--out", options->out, "JSON file, written whole or not at all")
      ->type_name("FILE.json");
  context.add_json_flag(*command);
  context.on_run(*command, [options, &context] { return run(*options, context); });
}

}  // namespace fourge::cli
