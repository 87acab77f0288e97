// Preparing operands of the exact GEMM kernels without AMX. Their layout: simd/exact_operands.h.
#pragma once

#include <cstdint>

#include "fourge/matrix.h"
#include "simd/exact_operands.h"

namespace fourge::jit {

using simd::ActivationStep;
using simd::ExactPanelArgs;
using simd::ExactPanelFunction;
using simd::kBoundBinades;
using simd::kDotAsFloat;
using simd::kGroups;
using simd::kKeyLimit;
using simd::kLowerBound;
using simd::kMaxUe8m0Exponent;
using simd::kNanScaleExponent;
using simd::kNeverKey;
using simd::kNeverUnit;
using simd::kNoEmin;
using simd::kPanelCodeBytes;
using simd::kPanelCols;
using simd::kSegmentSteps;
using simd::kStepK;
using simd::kZeroScaleExponent;
using simd::panel_scale_bytes;
using simd::PanelCertificate;
using simd::PanelStreams;
using simd::segments_of;
using simd::stored_scales;

/// Packs panel `panel` of b (n x k, any layout) into its place in `packed` (PanelStreams::of(...).bytes
/// bytes). Columns beyond n and a last partial step are zero codes with zero scales.
void pack_panel(const QuantizedView& b, std::int64_t panel, std::uint8_t* packed);

/// Prepares rows [row, row + rows) of step `step` of a. dot_start is added to every group's bias: 0, or
/// kDotAsFloat.
void prepare_activations(const QuantizedView& a, std::int64_t row, std::int64_t rows, std::int64_t step,
                         ActivationStep* steps, std::int32_t dot_start = 0);

}  // namespace fourge::jit
