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
    {counter::kBest, "best us", 11, 1, 1},
    {counter::kMedian, "median us", 11, 1, 1},
    {counter::kGmacs, "GMAC/s", 8, 1, 1},
    {counter::kGbps, "GB/s", 7, 2, 1},
    {counter::kElements, "Gelem/s", 8, 2, 1},
    {counter::kCycles, "cyc/16", 7, 1, 1},
    {counter::kWeightGbps, "w GB/s", 7, 2, 1},
    {counter::kBound, "% bound", 8, 1, 100},
    {counter::kUnit, "% unit", 7, 1, 100},
    {counter::kBudget, "% ports", 7, 1, 100},
    {counter::kCertified, "% certified", 12, 3, 100},
};

}  // namespace

std::string TableReporter::short_name(const Run& run) {
  std::string name = run.benchmark_name();
  if (const std::size_t end = name.find("/manual_time"); end != std::string::npos) name.resize(end);
  return name;
}

bool TableReporter::ReportContext(const Context& context) {
  if (to_ == nullptr) return true;
  name_width_ = static_cast<int>(context.name_field_width);
  std::fprintf(to_, "%-*s", name_width_, "benchmark");
  for (const Column& column : kColumns) std::fprintf(to_, " %*s", column.width, column.heading);
  std::fprintf(to_, "  bound by\n");
  return true;
}

void TableReporter::ReportRuns(const std::vector<Run>& runs) {
  for (const Run& run : runs) {
    if (to_ == nullptr) return;
    if (run.run_type == Run::RT_Aggregate) continue;
    const std::string name = short_name(run);
    std::fprintf(to_, "%-*s", name_width_, name.c_str());
    if (run.error_occurred) {
      std::fprintf(to_, " %s\n", run.error_message.c_str());
      continue;
    }
    for (const Column& column : kColumns) {
      const auto found = run.counters.find(column.counter);
      if (found == run.counters.end()) {
        std::fprintf(to_, " %*s", column.width, "-");
      } else {
        const double value = found->second.value * column.factor;
        const int decimals = value != 0 && value < 1 ? 4 : column.decimals;
        std::fprintf(to_, " %*.*f", column.width, decimals, value);
      }
    }
    std::fprintf(to_, "  %s\n", run.report_label.c_str());
  }
  if (to_ != nullptr) std::fflush(to_);
}

}  // namespace fourge::bench
