// The whole suite, by operation.
#pragma once

#include <span>

#include "bench/harness/harness.h"

namespace fourge::bench {

/// Every group, in the order in which they run.
std::span<const BenchGroup> bench_groups();

void register_gemm_benchmarks(const HarnessOptions& options, MachinePeaks& peaks);
void register_hadamard_benchmarks(const HarnessOptions& options, MachinePeaks& peaks);
void register_quantize_benchmarks(const HarnessOptions& options, MachinePeaks& peaks);
void register_decode_benchmarks(const HarnessOptions& options, MachinePeaks& peaks);
void register_layout_benchmarks(const HarnessOptions& options, MachinePeaks& peaks);
void register_library_benchmarks(const HarnessOptions& options, MachinePeaks& peaks);
/// Part of the library group.
void register_second_moment_cases(const HarnessOptions& options, MachinePeaks& peaks);
void register_generate_benchmarks(const HarnessOptions& options, MachinePeaks& peaks);
void register_overhead_benchmarks(const HarnessOptions& options, MachinePeaks& peaks);

}  // namespace fourge::bench
