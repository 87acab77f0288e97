#pragma once

#include "bench/harness/harness.h"

namespace fourge::bench {

/// Kernels x shapes x formats x thread counts, phases around the kernels, and peers.
void register_gemm_benchmarks(const HarnessOptions& options, MachinePeaks& peaks);

}  // namespace fourge::bench
