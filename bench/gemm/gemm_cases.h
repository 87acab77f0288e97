#pragma once

#include "bench/harness/harness.h"

namespace fourge::bench {

/// Kernels x shapes x formats x thread counts, phases around the kernels, and peers.
void register_gemm_benchmarks(const HarnessOptions& options, MachinePeaks& peaks);

/// W4A16: kernels x shapes x formats x thread counts, f32 activations (bf16 too with --all).
void register_w4a16_benchmarks(const HarnessOptions& options, MachinePeaks& peaks);

}  // namespace fourge::bench
