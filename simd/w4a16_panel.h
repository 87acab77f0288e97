// The W4A16 panel of 16 columns for every vector instruction set.
#pragma once

#include "fourge/gemm.h"
#include "simd/target.h"
#include "simd/w4a16_operands.h"

namespace fourge::simd {

/// The function for a spec's format, output and bias, for any number of rows; null where simd/ was not
/// compiled for `target`. It may be called only on a processor that has the target.
W4a16PanelFunction w4a16_panel(Target target, const GemmSpec& spec);

}  // namespace fourge::simd
