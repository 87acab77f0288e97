// Rotations of blocks along the last axis by Hadamard matrices, in f32.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "fourge/error.h"

namespace fourge::quant {

inline constexpr std::int64_t kLargestHadamard = 32768;

/// Each run of `order` values becomes H x / sqrt(order), H the Sylvester matrix in natural order:
/// H[i][j] = (-1)^popcount(i & j). H is symmetric and its own inverse up to the factor, so twice gives x back
/// but for rounding.
///
/// The textbook butterfly: for half = 1, 2, 4, ... order / 2, every pair (i, i + half) of a group of 2 * half
/// becomes (a + b, a - b); at the end one multiplication by 1 / sqrt(order) rounded to f32. Each operation
/// rounds to nearest even.
///
/// kBadArgument unless `order` is a power of two in 2..32768; kBadShape unless it divides the number of
/// values.
Status hadamard_blocks(std::span<float> values, std::int64_t order);

/// The randomised 16-point transform of Transformer Engine and fouroversix: every 16 values become
/// (x diag(s)) H / 4 with fixed signs s, added in ascending i in f32, then rounded to bf16 (rne).
/// Source: fouroversix dadfad6901d4, CUDA order. kBadShape unless 16 divides the number of values.
Status randomized_hadamard_16(std::span<float> values);

}  // namespace fourge::quant
