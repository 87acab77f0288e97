// One fp4 block-scaled instruction of depth K = 64: kind::mxf4 and kind::mxf4nvf4 of mma.sync and
// tcgen05.mma.
//
//   D = c + sum over g in 0..3 of  scale_A(g) * scale_B(g) * (sum of the 16 products of group g)
//
// Groups always hold 16 products; where a scale covers 32 elements, two groups share it. The exponents that
// align the terms are those of the scales alone: a group that sums to zero still counts with them.
//
// Source: docs/numerics.md, "Block-scaled fp4". Evidence: MMA-Sim c785138
// (nv_fused_dot_add_with_block_scale), whose authors compared random bits with a B200 and an RTX Blackwell.
// Not measured by this project.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "fourge/formats.h"
#include "fourge/matrix.h"
#include "reference/mma/dot_add.h"

namespace fourge::reference {

inline constexpr int kMxf4Depth = 64;
inline constexpr int kMxf4Group = 16;
inline constexpr int kMxf4Groups = kMxf4Depth / kMxf4Group;

struct Mxf4Rules {
  DotAddRules sum = {.fraction_bits = 35,
                     .products_per_sum = kMxf4Depth,
                     .output = info(ElementFormat::f32),
                     .rounding = Rounding::rz,
                     .zeros = ZeroRule::scales,
                     .lowest_exponent = kNoLowestExponent};
  bool zero_groups_count = true;  // false is what the instruction does NOT do; tests tell the two apart
};
inline constexpr Mxf4Rules kMxf4Rules;

/// A block scale as the alignment sees it: significand * 2^(exponent - fraction_bits), fraction_bits 0 for
/// ue8m0 and 3 for ue4m3. A zero ue4m3 has exponent -126, not its format's -6.
struct BlockScale {
  std::int16_t exponent = 0;
  std::uint16_t significand = 0;
};

/// 64 elements of a row of A or a column of B, with a scale for each group of 16.
struct Mxf4Operand {
  std::array<std::int16_t, kMxf4Depth> twice;  // twice the e2m1 values: -12..12
  std::array<BlockScale, kMxf4Groups> scales;
  bool has_nan = false;  // one of the scales is NaN
};

/// Decodes 32 bytes of packed e2m1 and 64 / block scales. `format` says which scales: nvfp4 is
/// mxf4nvf4.ue4m3.block16, mxfp4 mxf4.ue8m0.block32, mxfp4_b16 mxf4nvf4.ue8m0.block16.
Mxf4Operand decode_mxf4(Format format, std::span<const std::uint8_t, kMxf4Depth / 2> codes,
                        std::span<const std::uint8_t> scales);

/// Steps 1 to 6 on decoded operands. c and D are f32 bits.
std::uint32_t mma_mxf4(Format format, const Mxf4Operand& a, const Mxf4Operand& b, std::uint32_t c,
                       const Mxf4Rules& rules = kMxf4Rules, DotAddTrace* trace = nullptr);

/// The same from the bytes of the operands.
std::uint32_t mma_mxf4(Format format, std::span<const std::uint8_t, kMxf4Depth / 2> a_codes,
                       std::span<const std::uint8_t> a_scales,
                       std::span<const std::uint8_t, kMxf4Depth / 2> b_codes,
                       std::span<const std::uint8_t> b_scales, std::uint32_t c,
                       const Mxf4Rules& rules = kMxf4Rules);

/// The terms of step 2: the four groups, then c. c is finite and no scale is NaN.
using Mxf4Terms = std::array<Term, kMxf4Groups + 1>;
Mxf4Terms mxf4_terms(Format format, const Mxf4Operand& a, const Mxf4Operand& b, std::uint32_t c,
                     const Mxf4Rules& rules = kMxf4Rules);

}  // namespace fourge::reference
