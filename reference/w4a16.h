// W4A16: 4-bit weights, plain activations, in the order that fourge/gemm.h defines. Integer arithmetic, one
// rounding for each operation written there.
#pragma once

#include "fourge/error.h"
#include "fourge/gemm.h"
#include "fourge/matrix.h"
#include "reference/gemm.h"

namespace fourge::reference {

/// Single-threaded. Errors: kUnsupportedFormat for activations that are not plain; kBadShape where spec and
/// views disagree; kBadArgument for missing pointers.
Status gemm_w4a16(const GemmSpec& spec, const PlainView& a, const QuantizedView& b,
                  const GemmOperands& operands);

/// The part of D in `range`; pointers and strides are those of the whole matrices.
Status gemm_w4a16_part(const GemmSpec& spec, const PlainView& a, const QuantizedView& b,
                       const GemmOperands& operands, const GemmRange& range);

/// One output before the epilogue, as f32 bits: acc after all blocks, from `c`.
std::uint32_t w4a16_accumulator(const GemmSpec& spec, const PlainView& a, const QuantizedView& b,
                                std::int64_t row, std::int64_t column, std::uint32_t c);

}  // namespace fourge::reference
