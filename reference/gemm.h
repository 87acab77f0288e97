// The GEMM that kernels are held against: D = round(alpha * (A B^T + C) + bias) as the chain of K = 64
// block-scaled instructions in ascending k, then the epilogue.
//
//   acc = C, or +0
//   for k in 0, 64, 128, ...:   acc = mma_mxf4(A[i, k..k+63], B[j, k..k+63], acc)      f32, toward zero
//   y   = bias ? fma(alpha, acc, bias[j]) : alpha * acc                                f32, to nearest even
//   D   = y as f32, bf16 or f16                                                        to nearest even
//
// A last step with less than 64 elements is filled with zero codes and zero scale bytes; that changes no bit
// (docs/numerics.md, "Tails"). NaN outputs are canonical: 0x7fffffff, 0x7fff. The order of the epilogue is a
// policy (CUTLASS's multiply-add), not a fact of the hardware. alpha is taken as it is: the caller multiplies
// tensor scales into it (gemm_alpha).
#pragma once

#include <cstdint>

#include "fourge/error.h"
#include "fourge/gemm.h"
#include "fourge/matrix.h"

namespace fourge::reference {

/// Rows [m_begin, m_end) and columns [n_begin, n_end) of D. Parts that do not overlap may run in parallel.
struct GemmRange {
  std::int64_t m_begin = 0;
  std::int64_t m_end = 0;
  std::int64_t n_begin = 0;
  std::int64_t n_end = 0;
};

/// Single-threaded. Errors: kUnsupportedFormat for numerics other than blackwell or activations that are not
/// quantised; kBadShape where spec and views disagree; kBadArgument for missing pointers.
Status gemm(const GemmSpec& spec, const QuantizedView& a, const QuantizedView& b,
            const GemmOperands& operands);

/// The part of D in `range`; pointers and strides are those of the whole matrices.
Status gemm_part(const GemmSpec& spec, const QuantizedView& a, const QuantizedView& b,
                 const GemmOperands& operands, const GemmRange& range);

/// y of the comment above, as f32 bits. `bias` is null where there is none.
std::uint32_t epilogue(std::uint32_t acc, float alpha, const float* bias);

}  // namespace fourge::reference
