// The exact GEMM panel of 16 columns for every vector instruction set.
#pragma once

#include "fourge/gemm.h"
#include "simd/exact_operands.h"
#include "simd/target.h"

namespace fourge::simd {

/// The function for a spec's format, output and bias; null where simd/ was not compiled for `target`. It may
/// be called only on a processor that has the target. only_general: the short path is never taken (tests).
ExactPanelFunction exact_panel(Target target, const GemmSpec& spec, bool only_general = false);

}  // namespace fourge::simd
