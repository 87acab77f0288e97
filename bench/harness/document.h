// A run as JSON, docs/bench.md.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "bench/harness/harness.h"

namespace fourge::bench {

/// What the whole run shares.
struct RunFacts {
  std::vector<std::string> groups;
  std::optional<double> first_clock, last_clock;
  std::vector<Peaks> peaks;
  std::vector<std::pair<std::string, std::string>> left_out;  // kernel, reason
};

/// One case with what Google Benchmark measured.
struct FinishedCase {
  const CaseFacts* facts = nullptr;
  benchmark::BenchmarkReporter::Run run;
};

std::string document_of(const HarnessOptions& options, const RunFacts& run,
                        const std::vector<FinishedCase>& cases);

}  // namespace fourge::bench
