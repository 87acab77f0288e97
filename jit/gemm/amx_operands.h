// Operands of the GEMM on AMX: bf16 tiles that hold element * scale, and the bounds of a segment of steps.
//
// docs/certificates.md, theorem 2: inside a certified segment no instruction rounds or truncates anything, so
// the tensor core's chain is the exact sum, and so is any f32 accumulation in any order. Theorem 3: where
// that fails, the products of each step are still summed exactly by tiles, and the accumulator is added by
// one rounding toward zero a step.
//
// Bounds of a row over a segment, f32, arrays [bound][row]:
//   norm   ||a'||_2 over the segment, rounded up
//   unit   2^u: every a' of the row from k = 0 to the segment's end is a multiple; 0 where theorem 2 never
//          holds: NaN scales, exponents beyond f32's comfort, a spread of scales beyond kMaxSpread
//   reach  ||a'||_2 / 2^u' of one step, u' of that step alone: the largest of the segment, rounded up;
//          infinite where theorem 3 never holds
//   emax   largest exponent of a scale; -infinity while all elements since k = 0 are zero
//   emin   smallest exponent of a scale whose group is not all zero; infinity without any
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
// A block's accumulators stay in tiles over a run of segments: K = 512, whose B tiles, 32 KiB, stay in L1.
inline constexpr std::int64_t kRunSegments = 4;
inline constexpr std::int64_t kRunSteps = kRunSegments * kSegmentSteps;

// Emax <= u_A + u_B + 35 in every step: each side may spread over half of that.
inline constexpr int kMaxSpread = 17;
// Units below this are never: accumulators stay normal f32 numbers, which tile arithmetic needs.
inline constexpr int kMinUnitExponent = -55;
// The unit's exponent before any product is known to be nonzero.
inline constexpr int kNoUnitExponent = 60;

inline constexpr std::int64_t kRowBounds = 5;  // norm, unit, reach, emax, emin

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
  float* bounds;          // [segment][bound][row]: row 0 of segment 0
  std::int64_t bound_stride, segment_stride;
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

/// acc += A B over a run of segments, for pairs of row tiles by 32 columns, where theorem 2
/// certifies.
struct AmxBlockArgs {
  const std::uint8_t* a;  // tiles of row tile 0; row tiles a_stride bytes apart
  std::int64_t a_stride;
  const std::uint8_t* b;  // [half step][2 panels][1 KiB]
  float* acc;             // [2 panels][rows][16], panels acc_stride bytes apart
  std::int64_t acc_stride;
  std::int64_t row_tiles;   // >= 1
  std::int64_t half_steps;  // >= 1
  // By segment, [bound][row_tiles * 16]. A shorter run names its last again, with norms of zero.
  const float* bounds[kRunSegments];
  std::int64_t bound_stride;
  float b_norm[kRunSegments][2];    // of each panel: the largest norm,
  float b_unit[2];                  // the smallest unit of the run
  const std::uint8_t* upcoming[2];  // packed codes of the next run, by panel: fetched into L2 on the way
  // Lines to come, two for every round of K = 32: accumulators of the next column block, outputs of this one.
  const std::uint8_t* upcoming_acc;
  const std::uint8_t* upcoming_d;
  std::int64_t upcoming_d_stride;
  std::uint8_t*
      pending;         // [ceil(row_tiles / 2)]: pairs that are 0 are passed over; 0 where certified and done
  std::int32_t first;  // 1: acc counts as zero and is not read
  std::int32_t unused;
};
using AmxBlockFunction = void (*)(const AmxBlockArgs*);

/// acc += A B over one segment, step by step, for the pending pairs of row tiles, where theorem 3 certifies.
struct AmxStepsArgs {
  const std::uint8_t* a;  // as AmxBlockArgs
  std::int64_t a_stride;
  const std::uint8_t* b;
  float* acc;
  std::int64_t acc_stride;
  std::int64_t row_tiles;
  std::int64_t panels;          // 1 or 2
  std::int64_t steps;           // >= 1
  const std::uint8_t* pending;  // [ceil(row_tiles / 2)]: pairs that are 0 are passed over
  const float* bounds;          // [bound][row_tiles * 16]
  std::int64_t bound_stride;
  std::uint16_t* refused;  // out, [row tile][2 panels]: rows that are not certified; their acc is untouched
  float b_norm[2], b_reach[2], b_emax[2], b_emin[2];  // of each panel: the largest three, the smallest emin
  std::uint16_t dead[2];                              // by panel: columns that do not exist
  std::int32_t first;                                 // 1: acc counts as zero and is not read
};
using AmxStepsFunction = void (*)(AmxStepsArgs*);

/// D = alpha * acc + bias for up to 32 columns.
struct AmxOutputArgs {
  const float* acc;  // [panels][rows][16], panels acc_stride bytes apart
  std::int64_t acc_stride;
  std::int64_t rows;  // >= 1
  void* d;            // row 0 of the first column; rows d_stride bytes apart
  std::int64_t d_stride;
  const float* bias;    // [columns], read when the kernel has a bias
  std::int32_t panels;  // 1 or 2
  float alpha;
  std::uint16_t columns[2];  // by panel: mask of valid columns
};
using AmxOutputFunction = void (*)(const AmxOutputArgs*);

}  // namespace fourge::jit
