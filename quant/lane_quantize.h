// The block quantisers with one block in each vector lane: every rule of a whole matrix at memory-like speed,
// and the rules that search for a scale.
//
// Elements of a block are visited one after the other, in ascending order, by operations that round as the
// scalar quantisers' do: bits do not depend on the instruction set, and for the rules that quant/nvfp4.h and
// quant/mxfp4.h define they equal theirs.
//
// search (FP-Quant d2e3092, quantizer.py):
//   s0 = amax / 6;  c_i = s0 * (1 - i * 0.8 / 100), i = 0 ... 99;  E(c) = sum |x - e2m1(x / c) * c|^2.4
//   the first c with the least E;  nvfp4: scale = ue4m3(c * encode), encode = 2688 / tensor amax
//                                  mxfp4: scale = 2^floor(log2(6 c)) / 3
// sweep: E(s) = sum w (e2m1(y / s) * s - y)^2, y = x * encode, over every scale code s that can win, from the
//   largest down, the first with the least E. Codes with amax / s < 3.5 cannot win: all values then round to
//   at most 3 s, and the grid of s / 2 holds {0, 0.5, 1, 1.5, 2, 3} s. Smaller codes are tried until the
//   error of the saturated largest value alone exceeds the best.  nvfp4: encode = 1536 / tensor amax
//                                                                mxfp4: encode as given, 1 by default
#pragma once

#include <cstdint>

#include "fourge/matrix.h"
#include "fourge/quantize.h"

namespace fourge::quant {

/// What all blocks of a matrix share.
struct LaneScaling {
  Format format = Format::nvfp4;
  ScaleRule rule = ScaleRule::static_6;
  float amax = 0.0f;    // nvfp4: of the tensor
  float encode = 1.0f;  // mxfp4, sweep: value = code * scale / encode

  /// As nvfp4_tensor_scale() for nvfp4; 1 / 3 for shift and search, 1 / encode for sweep, else 1.
  TensorScale tensor_scale() const;
};

/// Quantises `blocks` consecutive blocks. `codes` receives block / 2 bytes for each, `scales` one.
/// `importance`, if not null, holds the w of sweep: one for each of `columns` columns, block b beginning at
/// column b * block % columns. Single-threaded.
void quantize_lanes(const LaneScaling& scaling, const float* values, std::int64_t blocks,
                    const float* importance, std::int64_t columns, std::uint8_t* codes, std::uint8_t* scales);

}  // namespace fourge::quant
