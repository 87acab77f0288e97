// The bit-exact GEMM on AMX: certified segments in tiles, everything else on the AVX-512 panel kernel.
#pragma once

#include <memory>

#include "jit/gemm/gemm_kernel.h"

namespace fourge::jit {

#if defined(__x86_64__)
/// Null when the kernel takes the spec.
const char* exact_amx_refusal(const GemmSpec& spec);
Result<std::shared_ptr<const GemmKernel>> make_exact_amx(const GemmSpec& spec);
#endif

}  // namespace fourge::jit
