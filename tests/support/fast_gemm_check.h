// Products of Numerics::fast against the exact sum.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/support/gemm_problem.h"

namespace fourge::tests {

/// The same product with its accumulators as they are: f32, alpha 1, no bias.
GemmProblem without_epilogue(GemmProblem problem);

/// Empty when every output of d, for a problem without epilogue, is NaN where the exact sum is, is the sum's
/// infinity, or lies within gamma_n (|c| + sum |a b|) and 2^-142 a product of it, gamma_n = n u / (1 - n u),
/// u = 2^-24; else the first that does not. Sums of magnitudes from 2^127 on are not looked at.
std::string outside_bound(const GemmProblem& problem, const std::vector<std::uint8_t>& d, std::int64_t n);

}  // namespace fourge::tests
