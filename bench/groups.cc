#include "bench/groups.h"

namespace fourge::bench {
namespace {

// generate/ comes first: what others have asked for is in the cache.
constexpr BenchGroup kGroups[] = {
    {"generate",
     "Kernels generated for the first time (generate/), found in the cache (lookup/), and Gemm::create once "
     "the "
     "kernel is there (create/)",
     register_generate_benchmarks},
    {"gemm",
     "GEMM kernels, checked against reference/ (sampled) and timed; peers in the same run. Names: "
     "gemm/KERNEL/MxNxK/threads:T, pack/..., prepare/..., peer/NAME/MxNxK/threads:T",
     register_gemm_benchmarks},
    {"hadamard",
     "Rotations, checked against reference/; % bound: of the faster of two copies between the same operands "
     "in the "
     "same run. hadamard/KERNEL/FOOTPRINT[/in_place]/threads:T",
     register_hadamard_benchmarks},
    {"quantize",
     "Quantisers, checked against quant/; % bound: of reading the input. "
     "quantize/KERNEL/FOOTPRINT[/amax_given]"
     "/threads:T; without amax_given a pass finds it first",
     register_quantize_benchmarks},
    {"decode",
     "Decoders, checked against quant/; % bound: of storing the output. "
     "decode/KERNEL/FOOTPRINT[/LAYOUT]/threads:T",
     register_decode_benchmarks},
    {"layout",
     "Layout converters, checked; % bound: of a copy between the same operands. "
     "layout/KERNEL/FOOTPRINT/threads:T",
     register_layout_benchmarks},
    {"library",
     "What has no kernel of its own: batches, GPTQ, searching scale rules, the reference and its tensor-core "
     "models, "
     "single elements. OPERATION/WHAT/SIZE",
     register_library_benchmarks},
    {"overhead",
     "Calls of the smallest GEMM, 1 x 16 x 16 on one thread: checks/ refuses a null output after all checks, "
     "call/ "
     "computes. cxx: Gemm::run; c: fourge_gemm_run of libfourge. Python: bench/overhead/overhead.py",
     register_overhead_benchmarks},
};

}  // namespace

std::span<const BenchGroup> bench_groups() { return kGroups; }

}  // namespace fourge::bench
