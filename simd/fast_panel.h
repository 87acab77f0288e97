// The GEMM panel of 16 columns in f32 sums (Numerics::fast) for every vector instruction set.
#pragma once

#include "fourge/gemm.h"
#include "simd/exact_operands.h"
#include "simd/target.h"

namespace fourge::simd {

/// The function for a spec's format, output and bias; null where simd/ was not compiled for `target`. It may
/// be called only on a processor that has the target. Operands are those of the exact panel; certificates
/// only tell which steps have scales that need care.
///
/// For every group of 16 along k, ascending: acc = fma(dot, scale of A * scale of B, acc) in f32 to nearest
/// even, the dot and the scales' product exact. Without the instruction the fma is a product and a sum. With
/// n = k / 16 + 1 roundings at most on the way of a product, u = 2^-24 and gamma_n = n u / (1 - n u):
///   |acc - exact| <= gamma_n (|c| + sum |a b|)
/// as long as nothing overflows, and but for 2^-142 a product where scales times scales underflow. NaN scales
/// give NaN.
ExactPanelFunction fast_panel(Target target, const GemmSpec& spec);

}  // namespace fourge::simd
