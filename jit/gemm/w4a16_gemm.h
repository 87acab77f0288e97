// W4A16 (4-bit weights, bf16 or f32 activations): one driver, kernels for one panel of 16 columns under it.
#pragma once

#include <memory>

#include "jit/gemm/gemm_kernel.h"
#include "simd/target.h"
#include "simd/w4a16_operands.h"

namespace fourge::jit {

using simd::kW4a16MaxRows;
using simd::W4a16PanelArgs;
using simd::W4a16PanelFunction;

/// Null when the W4A16 kernels take the spec.
const char* w4a16_refusal(const GemmSpec& spec);

Result<std::shared_ptr<const GemmKernel>> make_w4a16_scalar(const GemmSpec& spec);

/// The panel of simd/ for one target.
Result<std::shared_ptr<const GemmKernel>> make_w4a16_simd(const GemmSpec& spec, simd::Target target);
template <simd::Target kTarget>
Result<std::shared_ptr<const GemmKernel>> make_w4a16_simd(const GemmSpec& spec) {
  return make_w4a16_simd(spec, kTarget);
}

/// The portable function for a spec's format, output and bias.
W4a16PanelFunction w4a16_panel_scalar(const GemmSpec& spec);

#if defined(__x86_64__)
Result<std::shared_ptr<const GemmKernel>> make_w4a16_avx512(const GemmSpec& spec);
/// With every vector register filled with ones first.
Result<std::shared_ptr<const GemmKernel>> make_w4a16_avx512_poisoned(const GemmSpec& spec);
#endif

/// The driver over one function for every number of rows: for tests of deliberately broken kernels.
std::shared_ptr<const GemmKernel> make_w4a16_from_function(Format format, W4a16PanelFunction function);

}  // namespace fourge::jit
