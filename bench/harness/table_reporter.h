// Results as lines of a table, each printed when it is there.
#pragma once

#include <benchmark/benchmark.h>

#include <cstdio>
#include <string>

namespace fourge::bench {

class TableReporter : public benchmark::BenchmarkReporter {
 public:
  /// Null: nothing is printed.
  explicit TableReporter(std::FILE* to) : to_(to) {}
  bool ReportContext(const Context& context) override;
  void ReportRuns(const std::vector<Run>& runs) override;

 protected:
  /// The name that was registered.
  static std::string short_name(const Run& run);

 private:
  std::FILE* to_;
  int name_width_ = 0;
};

}  // namespace fourge::bench
