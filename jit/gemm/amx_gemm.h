// The GEMM on AMX: certified segments in tiles, then certified steps, the rest on the AVX-512 panel kernel;
// or, with Numerics::fast, tiles without certificates.
#pragma once

#include <memory>

#include "jit/gemm/gemm_kernel.h"

namespace fourge::jit {

#if defined(__x86_64__)
/// Null when the kernel takes the spec.
const char* amx_refusal(const GemmSpec& spec);
Result<std::shared_ptr<const GemmKernel>> make_amx(const GemmSpec& spec);
#endif

}  // namespace fourge::jit
