// NVFP4 blocks: a ue4m3 scale per block under one f32 scale per tensor, and Four Over Six.
//
//   q_max = 6 (4 under static_4), s_max = 448 (256 under the Four Over Six rules) unless the spec says which
//   encode = min(q_max * s_max / amax, FLT_MAX), decode = 1 / encode     amax: largest |x| of the tensor
//   scale  = ue4m3((block amax / q_max) * encode)                        rne, satfinite
//   code   = e2m1(x * min(1 / (decode * scale), FLT_MAX))                satfinite; 0 where scale is 0; to
//                                                                        nearest even, or stochastic.h
//
// A tensor whose amax is below q_max * s_max / FLT_MAX (7.9e-36) has its encode clamped: as on a GPU its
// values come back too small.
//
// Four Over Six also tries scale = ue4m3(((block amax / 6) * encode) * 1.5), which maps the block's largest
// value to 4, and keeps it where the error is smaller (a tie keeps 6):
//
//   error_i = ((code_i * scale) * amax) / (6 * s_max) - x_i    E = sum error^2 | sum |error| | max |error|
//
// All in f32, each operation rounded to nearest even, in the order written. Sums run in ascending column from
// 0; with block_2d row sums are added as a tree, row r to r + 8, then r + 4, r + 2, r + 1.
//
// Sources: fouroversix dadfad6901d4 (rules), Transformer Engine d0067d0da6cb (order of the sums, FLT_MAX);
// docs/quantization.md has the places where those differ.
#pragma once

#include <cstdint>

#include "fourge/quantize.h"
#include "quant/block.h"

namespace fourge::quant {

/// The tensor-wide constants of one quantisation.
struct Nvfp4Scaling {
  /// amax: finite and not negative; 0 gives encode = FLT_MAX, and blocks of zeros keep a scale of 0.
  static Nvfp4Scaling of(const QuantizeSpec& spec, float amax);

  ScaleRule rule;
  float amax;
  float q_max;
  float denominator;  // q_max * s_max: value = code * scale * amax / denominator
  float encode;
  float decode;
};

/// amax / (q_max * s_max), the decode multiplier that files and GEMMs take.
float nvfp4_tensor_scale(const QuantizeSpec& spec, float amax);

/// Writes block.rows rows of width / 2 packed bytes, `packed_stride` bytes apart; returns the scale's code.
std::uint8_t quantize_nvfp4_block(const Nvfp4Scaling& scaling, const ScaleBlock& block,
                                  const ElementRounder& rounder, std::uint8_t* packed,
                                  std::int64_t packed_stride);

}  // namespace fourge::quant
