// The bit-exact kernels without AMX: one driver, kernels for one panel of 16 columns under it.
#pragma once

#include <memory>

#include "jit/gemm/exact_operands.h"
#include "jit/gemm/gemm_kernel.h"
#include "simd/target.h"

namespace fourge::jit {

/// Null when the exact kernels take the spec.
const char* exact_refusal(const GemmSpec& spec);

Result<std::shared_ptr<const GemmKernel>> make_exact_scalar(const GemmSpec& spec);

/// The panel of simd/ for one target.
Result<std::shared_ptr<const GemmKernel>> make_exact_simd(const GemmSpec& spec, simd::Target target);
template <simd::Target kTarget>
Result<std::shared_ptr<const GemmKernel>> make_exact_simd(const GemmSpec& spec) {
  return make_exact_simd(spec, kTarget);
}

/// Numerics::fast on the same operands: simd/fast_panel.h bounds the error.
Result<std::shared_ptr<const GemmKernel>> make_fast_scalar(const GemmSpec& spec);
Result<std::shared_ptr<const GemmKernel>> make_fast_simd(const GemmSpec& spec, simd::Target target);
template <simd::Target kTarget>
Result<std::shared_ptr<const GemmKernel>> make_fast_simd(const GemmSpec& spec) {
  return make_fast_simd(spec, kTarget);
}

#if defined(__x86_64__)
Result<std::shared_ptr<const GemmKernel>> make_exact_vnni(const GemmSpec& spec);
/// Without the range test of the certificate: f32 sums of exact group dots, rounded to nearest.
Result<std::shared_ptr<const GemmKernel>> make_fast_vnni(const GemmSpec& spec);
#elif defined(__aarch64__)
Result<std::shared_ptr<const GemmKernel>> make_exact_dotprod(const GemmSpec& spec);
Result<std::shared_ptr<const GemmKernel>> make_fast_dotprod(const GemmSpec& spec);
#endif

/// The generated panel function behind make_exact_vnni, for kernels that hand uncertified parts to it. It
/// lives as long as the kernel object.
#if defined(__x86_64__)
ExactPanelFunction exact_vnni_function(const GemmKernel& kernel);
#endif

/// For tests and benches: the AVX-512 kernel with its debug switches. poison: registers filled with ones
/// first; only_general: the short path is never taken.
#if defined(__x86_64__)
Result<std::shared_ptr<const GemmKernel>> make_exact_vnni_debug(const GemmSpec& spec, bool poison,
                                                                bool only_general);
#endif

/// The driver over any panel function: for tests of deliberately broken kernels.
std::shared_ptr<const GemmKernel> make_exact_from_function(Format format, ExactPanelFunction function,
                                                           std::int32_t dot_start = 0);

}  // namespace fourge::jit
