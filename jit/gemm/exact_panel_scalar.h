// The GEMM panels in portable C++: the kernel of machines that have no other.
#pragma once

#include "fourge/gemm.h"
#include "jit/gemm/exact_operands.h"

namespace fourge::jit {

/// The function for a spec's format, output and bias.
ExactPanelFunction exact_panel_scalar(const GemmSpec& spec);

/// The same for Numerics::fast; its error is bounded as that of simd/fast_panel.h.
ExactPanelFunction fast_panel_scalar(const GemmSpec& spec);

}  // namespace fourge::jit
