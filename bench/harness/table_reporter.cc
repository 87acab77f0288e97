#include "bench/harness/table_reporter.h"

#include <cstdio>
#include <string>

#include "bench/harness/harness.h"

namespace fourge::bench {
namespace {

struct Column {
  const char* counter;
  const char* heading;
  int width;
  int decimals;
  double factor;
};

constexpr Column kColumns[] = {
    {counter::kBest, "best us", 11, 1, 1},     {counter::kMedian, "median us", 11, 1, 1},
    {counter::kGmacs, "GMAC/s", 8, 1, 1},      {counter::kGbps, "GB/s", 7, 2, 1},
    {counter::kElements, "Gelem/s", 8, 2, 1},  {counter::kCycles, "cyc/16", 7, 1, 1},
    {counter::kWeightGbps, "w GB/s", 7, 2, 1}, {counter::kBound, "% bound", 8, 1, 100},
    {counter::kUnit, "% unit", 7, 1, 100},     {counter::kCertified, "% certified", 12, 3, 100},
};

}  // namespace

bool TableReporter::ReportContext(const Context& context) {
  name_width_ = static_cast<int>(context.name_field_width);
  std::printf("%-*s", name_width_, "benchmark");
  for (const Column& column : kColumns) std::printf(" %*s", column.width, column.heading);
  std::printf("  bound by\n");
  return true;
}

void TableReporter::ReportRuns(const std::vector<Run>& runs) {
  for (const Run& run : runs) {
    if (run.run_type == Run::RT_Aggregate) continue;
    std::string name = run.benchmark_name();
    if (const std::size_t end = name.find("/manual_time"); end != std::string::npos) name.resize(end);
    std::printf("%-*s", name_width_, name.c_str());
    if (run.error_occurred) {
      std::printf(" %s\n", run.error_message.c_str());
      continue;
    }
    for (const Column& column : kColumns) {
      const auto found = run.counters.find(column.counter);
      if (found == run.counters.end()) {
        std::printf(" %*s", column.width, "-");
      } else {
        const double value = found->second.value * column.factor;
        const int decimals = value != 0 && value < 1 ? 4 : column.decimals;
        std::printf(" %*.*f", column.width, decimals, value);
      }
    }
    std::printf("  %s\n", run.report_label.c_str());
  }
  std::fflush(stdout);
}

}  // namespace fourge::bench
