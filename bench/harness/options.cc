// run_benchmarks(): the command line of a benchmark program.
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "bench/harness/harness.h"

namespace fourge::bench {
namespace {

constexpr const char* kUsage =
    "  --quick              a few shapes, short: all groups together under two minutes on two cores\n"
    "  --smoke              the smallest shapes, one iteration each: does it run and is it right\n"
    "  --all                also the largest shapes and every format\n"
    "  --threads=1,2,...    thread counts, default 1\n"
    "  --formats=F,...      nvfp4, mxfp4, mxfp4_b16; default nvfp4,mxfp4\n"
    "  --longest=SECONDS    leave out cases of which one run takes longer, default 2\n"
    "  --seconds=S          of each case, default 0.5 (0.1 with --quick)\n"
    "  --filter=REGEX       only names that match\n"
    "  --out=FILE.json      Google Benchmark's schema, with more about each case and the machine\n"
    "  --no-peers           leave out other libraries\n"
    "Google Benchmark's options too: --benchmark_list_tests, --benchmark_out=FILE, ...\n";

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

bool parse_seconds(const char* text, double& seconds) {
  char* end = nullptr;
  seconds = std::strtod(text, &end);
  return end != text && *end == '\0' && seconds > 0;
}

// False: not an option, or a bad value.
bool take(std::string_view argument, HarnessOptions& options) {
  const auto value_of = [&](std::string_view name) -> const char* {
    return argument.substr(0, name.size()) == name ? argument.data() + name.size() : nullptr;
  };
  if (argument.starts_with("--benchmark_")) {
    options.google.emplace_back(argument);
    return true;
  }
  if (argument == "--quick") return options.quick = true;
  if (argument == "--smoke") return options.smoke = true;
  if (argument == "--all") return options.all = true;
  if (argument == "--no-peers") return !(options.peers = false);
  if (const char* value = value_of("--threads=")) return parse_threads(value, options.threads);
  if (const char* value = value_of("--longest=")) return parse_seconds(value, options.longest);
  if (const char* value = value_of("--seconds=")) return parse_seconds(value, options.seconds);
  for (auto [name, text] : {std::pair("--formats=", &options.formats),
                            {"--filter=", &options.filter},
                            {"--out=", &options.out}}) {
    if (const char* value = value_of(name)) {
      *text = value;
      return true;
    }
  }
  return false;
}

}  // namespace

int run_benchmarks(int argc, char** argv, std::span<const BenchGroup> groups) {
  HarnessOptions options;
  for (int i = 1; i < argc; ++i) {
    if (std::string_view(argv[i]) == "--help") {
      for (const BenchGroup& group : groups) std::printf("%s: %s\n", group.name, group.what);
      std::printf("\n%s", kUsage);
      return 0;
    }
    if (!take(argv[i], options)) {
      std::fprintf(stderr, "%s: bad argument: %s: see --help\n", argv[0], argv[i]);
      return 2;
    }
  }
  const Result<SuiteOutcome> outcome = run_suite(options, groups);
  if (!outcome.ok()) {
    std::fprintf(stderr, "%s: %s\n", argv[0], outcome.failure().message().c_str());
    return 2;
  }
  return outcome->wrong > 0 ? 1 : 0;
}

}  // namespace fourge::bench
