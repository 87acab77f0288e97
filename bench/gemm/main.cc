// Every registered GEMM kernel over the shapes of language models: checked, then timed, under its bound.
#include "bench/gemm/gemm_cases.h"
#include "bench/harness/harness.h"

int main(int argc, char** argv) {
  return fourge::bench::run_benchmarks(
      argc, argv,
      "GEMM kernels of the registry, checked against reference/ (sampled) and timed; peers in the same run.\n"
      "Names: gemm/KERNEL/MxNxK/threads:T, pack/..., prepare/..., peer/NAME/MxNxK/threads:T",
      fourge::bench::register_gemm_benchmarks);
}
