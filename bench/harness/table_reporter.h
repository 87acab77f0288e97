// Results as lines of a table, each printed when it is there.
#pragma once

#include <benchmark/benchmark.h>

namespace fourge::bench {

class TableReporter : public benchmark::BenchmarkReporter {
 public:
  bool ReportContext(const Context& context) override;
  void ReportRuns(const std::vector<Run>& runs) override;

 private:
  int name_width_ = 0;
};

}  // namespace fourge::bench
