// MXFP4 blocks: a power of two per block, no tensor scale.
//
//   scale = 2^(byte - 127),  code = e2m1(x / scale)  (rne or stochastic.h, satfinite; the division is exact
//   or rounds once)
//
//   floor     byte = exponent field of block amax, minus 2
//   ceil      the same, plus 1 if the fraction is not 0
//   even      floor of the amax rounded half up to 1 fraction bit (add 2^21 to the bits)
//   rceil     smallest power of two not below amax * (1/6), the product rounded to f32
//   static_6  smallest power of two above 2^-127 not below amax / 6; byte 0 only for 0, and then codes are 0.
//             An element of -0 gets code 0, where the other rules keep the sign (code 8)
//   static_4  the same with amax / 4
//
// Bytes below 0 count as 0. Sources: OCP MX v1.0, section 6.3 (floor); torchao 36027d82d1ad
// ScaleCalculationMode; fouroversix dadfad6901d4 (static_6, static_4).
#pragma once

#include <cstdint>

#include "fourge/quantize.h"
#include "quant/block.h"

namespace fourge::quant {

/// The ue8m0 code for a block whose largest magnitude is `amax`, finite and not negative.
std::uint8_t mx_scale_code(ScaleRule rule, float amax);

/// As quantize_nvfp4_block; any block width.
std::uint8_t quantize_mx_block(ScaleRule rule, const ScaleBlock& block, const ElementRounder& rounder,
                               std::uint8_t* packed, std::int64_t packed_stride);

}  // namespace fourge::quant
