// Quantisers behind include/fourge/quantize.h that take more than the public call does.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "fourge/error.h"
#include "fourge/quantize.h"
#include "quant/lane_quantize.h"

namespace fourge::quant {

/// Largest |x|, NaN not counted; 0 for no elements. The same for every thread count.
float tensor_amax(std::span<const float> values);

/// quantize() with the tensor's amax given (a static activation scale, or the amax of a larger tensor that
/// these rows belong to). kBadArgument unless it is finite and not negative; values above it saturate.
Result<QuantizedMatrix> quantize_with_amax(std::span<const float> values, std::int64_t rows,
                                           std::int64_t cols, const QuantizeSpec& spec, float amax,
                                           std::uint64_t seed = 0);

/// One scale per block of a row, linear layout. `importance` as in quantize_lanes(): empty, or one w per
/// column. kBadShape; kBadArgument for an amax or encode that is not finite and positive (an amax of 0 gives
/// zeros).
Result<QuantizedMatrix> quantize_with_scaling(std::span<const float> values, std::int64_t rows,
                                              std::int64_t cols, const LaneScaling& scaling,
                                              std::span<const float> importance = {});

/// cols x rows from rows x cols, both row-major.
std::vector<float> transposed(std::span<const float> values, std::int64_t rows, std::int64_t cols);

/// The rule of this name for the format; kBadArgument lists the names that the format takes.
Result<ScaleRule> scale_rule_of_name(Format format, std::string_view name);

}  // namespace fourge::quant
