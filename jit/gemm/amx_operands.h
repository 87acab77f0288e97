// Operands of the exact GEMM on AMX: bf16 tiles that hold element * scale, and the bounds of a segment.
//
// A segment is up to kSegmentSteps instructions of K = 64. Inside a certified segment no instruction rounds
// or truncates anything (docs/certificates.md, theorem 2), so the tensor core's chain is the exact sum, and
// so is any f32 accumulation in any order: one tile accumulation over the whole segment gives the tensor
// core's bits.
//
//   unit   2^u: every a' = element * scale of the row, from k = 0 to the end of the segment, is a multiple of
//   it norm   ||a'||_2 over the segment, rounded up a segment of row m and column n is certified when |c| +
//   norm_m norm_n < 2^24 unit_m unit_n unit = 0 stands for "never": NaN scales, exponents beyond f32's
//   comfort, a spread of scales beyond kMaxSpread
//
// A tile: 16 rows x 32 bf16, 1 KiB: K = 32. Inside every 8 consecutive k the order is 0 2 4 6 1 3 5 7 on both
// sides, which is how the nibbles of packed weights fall out of their bytes. nvfp4 tiles hold a' * 2^112 for
// A and b' * 2^-112 for B: B's f16 products become bf16 by a shift of their bits without a new bias.
#pragma once

#include <cstdint>

#include "jit/gemm/exact_operands.h"

namespace fourge::jit {

inline constexpr int kTileRows = 16;
inline constexpr std::int64_t kTileBytes = 1024;
inline constexpr std::int64_t kHalfSteps = 2;  // tiles along K in a step

// Emax <= u_A + u_B + 35 in every step: each side may spread over half of that.
inline constexpr int kMaxSpread = 17;
// Units below this are never: accumulators stay normal f32 numbers, which tile arithmetic needs.
inline constexpr int kMinUnitExponent = -55;
// The unit's exponent before any product is known to be nonzero.
inline constexpr int kNoUnitExponent = 60;

/// Prepares up to 16 rows of A over `steps` steps. Strides in bytes.
struct AmxPrepareArgs {
  const std::uint8_t* codes;  // row 0: steps * 32 bytes, later rows codes_stride apart
  std::int64_t codes_stride;
  const std::uint8_t* scales;  // row 0: steps * 4 (blocks of 16) or * 2 (of 32) bytes
  std::int64_t scales_stride;
  std::uint8_t* tiles;  // [half step][16 rows][64 bytes]
  std::int64_t rows;    // 1..16
  std::int64_t steps;
  double* unit_exponent;  // [16] in and out: the running minimum, kNoUnitExponent at k = 0
  float* norms;           // row 0 of segment 0; rows 4 bytes apart, segments bounds_stride apart
  float* units;
  std::int64_t bounds_stride;
};
using AmxPrepareFunction = void (*)(const AmxPrepareArgs*);

/// Decodes one panel (16 columns) of packed weights.
struct AmxDecodeArgs {
  const std::uint8_t* codes;
  const std::uint8_t* scales;
  std::int64_t steps;
  std::uint8_t* tiles;  // half step h at tiles + h * 2 * kTileBytes: two panels alternate
};
using AmxDecodeFunction = void (*)(const AmxDecodeArgs*);

/// acc += A B over one segment, for `pairs` pairs of row tiles by 32 columns, where certified.
struct AmxBlockArgs {
  const std::uint8_t* a;  // tiles of row tile 0; row tiles a_stride bytes apart
  std::int64_t a_stride;
  const std::uint8_t* b;  // [half step][2 panels][1 KiB]
  float* acc;             // [2 panels][rows][16], panels acc_stride bytes apart
  std::int64_t acc_stride;
  std::int64_t row_tiles;   // >= 1
  std::int64_t half_steps;  // >= 1
  const float* norms;       // [row_tiles * 16], of this segment
  const float* units;
  float b_norm[2], b_unit[2];  // the largest norm, the smallest unit of each panel
  std::uint8_t* refused;       // [ceil(row_tiles / 2)]: 1 where not certified; acc is untouched there
  std::int32_t first;          // 1: acc counts as zero and is not read
  std::int32_t unused;
};
using AmxBlockFunction = void (*)(const AmxBlockArgs*);

}  // namespace fourge::jit
