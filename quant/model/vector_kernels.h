// The arithmetic of the forward pass in f32, compiled for every vector instruction set (Highway) and chosen
// at run time. Each function gives the same bits for every thread count; across instruction sets sums round
// differently.
#pragma once

#include <cstdint>

namespace fourge::quant {

/// One tile of a matrix product: kTileRows rows of A by kPanelWidth rows of B (columns of the product).
inline constexpr std::int64_t kTileRows = 12;
inline constexpr std::int64_t kPanelWidth = 32;

/// c[i][j] (+)= sum over t of a[t][i] * b[t][j], t ascending with one fused multiply-add each.
/// a is [depth][kTileRows], b is [depth][kPanelWidth], c has `c_stride` floats a row.
void multiply_tile(const float* a, const float* b, std::int64_t depth, float* c, std::int64_t c_stride,
                   bool accumulate);

/// out = x / sqrt(mean(x^2) + eps) * gain. `out` may be `x`.
void rms_norm(const float* x, const float* gain, float eps, std::int64_t count, float* out);

/// x rounded to bf16, nearest even. Infinity and NaN stay.
void round_to_bf16(float* x, std::int64_t count);

/// x *= y
void multiply_by(float* x, const float* y, std::int64_t count);

/// x += y
void add_to(float* x, const float* y, std::int64_t count);

/// gate = gate / (1 + exp(-gate)) * up
void silu_times(float* gate, const float* up, std::int64_t count);

/// x = exp(factor * x - max) / sum: softmax of factor * x. `factor` is positive.
void softmax(float* x, float factor, std::int64_t count);

/// ln of the sum of exp(x).
float log_sum_exp(const float* x, std::int64_t count);

/// The name of the instruction set in use, as Highway calls it.
const char* vector_isa();

}  // namespace fourge::quant
