// Operands of the exact GEMM kernels without AMX: what compiled (simd/) and generated (jit/) code reads.
//
// One step = K 64 = one tensor-core instruction = four groups of 16. A panel = 16 columns of the product
// (rows of B).
//
// B, 4-bit, four streams, each [panel][step]:
//   codes         512 bytes: vector v (0..7) holds the quads 2v (low nibbles) and 2v + 1 (high nibbles); byte
//                 4 * column + t of a vector = element k = 4 * quad + t of that column
//   scales        16 bytes for each stored scale of a step (4 for blocks of 16, 2 for blocks of 32), by
//   column certificates  PanelCertificate, 32 bytes
// 512 + 64 + 32 bytes for 1,024 weights = 4.75 bits a weight (NVFP4), 4.5 (MXFP4).
//
// A, prepared at every call: ActivationStep [step][row], 128 bytes.
#pragma once

#include <cstdint>

#include "fourge/matrix.h"

namespace fourge::simd {

inline constexpr int kStepK = 64;      // k of one instruction
inline constexpr int kGroups = 4;      // groups of 16 products in it
inline constexpr int kPanelCols = 16;  // f32 lanes of a zmm
inline constexpr std::int64_t kPanelCodeBytes = kStepK * kPanelCols / 2;

constexpr int stored_scales(Format format) { return kStepK / info(format).block; }
constexpr std::int64_t panel_scale_bytes(Format format) {
  return std::int64_t{kPanelCols} * stored_scales(format);
}

// Exponents of scales as the tensor core sees them: a zero ue4m3 scale counts as -126 (numerics.md 4.2).
inline constexpr int kZeroScaleExponent = -126;
// Stands for a NaN scale in the f32 exponent arrays: above every true sum of exponents.
inline constexpr float kNanScaleExponent = 4096.0f;

/// Certificates (docs/certificates.md). With
///   emax  = largest scale exponent of the step, zero groups included,
///   key   = 16 * log2 of the larger of ||a'|| / 2^u and 2^(emax - emin + 6 (ue4m3) or + 3 (ue8m0)),
///           where u = exponent of the last place of any nonzero a' = element * scale of the step, rounded
///           up,
/// a vector of the product may take the short path when key_A + key_B < 16 * 24 and
/// 2^(emax_A + emax_B - 12) <= |c| < 2^(emax_A + emax_B + 16), or c = 0.
inline constexpr std::int32_t kKeyLimit = 16 * 24;
inline constexpr std::int32_t kNeverKey = 1 << 20;  // NaN scale, or an exponent beyond what f32 products hold
inline constexpr int kLowerBound = -12;
inline constexpr int kBoundBinades = 28;
// ue8m0: |exponent| <= 50 keeps every product, bound and sum inside f32's normal range.
inline constexpr int kMaxUe8m0Exponent = 50;

// A segment of steps is certified as a whole (docs/certificates.md, theorems 2 and 3).
inline constexpr int kSegmentSteps = 2;  // K = 128
constexpr std::int64_t segments_of(std::int64_t steps) { return (steps + kSegmentSteps - 1) / kSegmentSteps; }

/// What a panel's 16 columns have in common at a step: the first two fields for theorem 1, the rest for the
/// segments of theorems 2 and 3.
struct PanelCertificate {
  std::uint8_t emax[kPanelCols];  // biased by 128
  std::int32_t key;               // the largest of the 16 columns
  float segment_norm;             // ||b'|| over the segment of this step, the largest of the columns
  float reach;                    // ||b'|| / 2^u over this step, the largest of the columns; infinite: never
  std::int8_t unit_exponent;  // log2 of the unit from k = 0 to the segment's end, the smallest; or kNeverUnit
  std::int8_t emin;           // smallest scale exponent of a group that is not all zero; or kNoEmin
  std::int8_t unused[2];
};
static_assert(sizeof(PanelCertificate) == 32);
inline constexpr std::int8_t kNeverUnit = -128;
inline constexpr std::int8_t kNoEmin = 127;

struct ActivationStep {
  std::int8_t codes[kStepK];   // twice the element
  std::int32_t bias[kGroups];  // -12 * sum of a group's codes: B is stored biased by 12
  float scale[kGroups];        // scale / 4: undoes both factors of two
  float exponent[kGroups];     // of the scale
  std::int32_t lower;  // (emax + 127 - 12 - 128) << 23: plus B's biased emax << 23 = bits of the bound
  std::int32_t key;
  std::int32_t unused[2];
};
static_assert(sizeof(ActivationStep) == 128);

/// One call: rows x 16 outputs (one panel), all steps. Strides in bytes.
struct ExactPanelArgs {
  const ActivationStep* a;  // [step][row]
  std::int64_t a_stride;    // from step to step
  const std::uint8_t* codes;
  const std::uint8_t* scales;
  const PanelCertificate* certificates;
  float* acc;          // [rows][16], 64-byte aligned: C on entry, overwritten
  std::int64_t rows;   // >= 1
  std::int64_t steps;  // 0: only the epilogue
  const float* bias;   // [16], read when the epilogue has a bias
  void* d;             // row 0, column 0 of the panel in the output
  std::int64_t d_stride;
  float alpha;
  std::uint32_t columns;         // mask of valid columns
  std::int64_t general_vectors;  // out: how many (row, step) vectors took the general path
};

using ExactPanelFunction = void (*)(ExactPanelArgs*);

/// Kernels that read the integer dots as f32: a dot that starts from this holds the bits of 1.5 * 2^23 + dot.
inline constexpr std::int32_t kDotAsFloat = 0x4b400000;

/// Streams of packed weights inside one buffer of 64-byte aligned streams.
struct PanelStreams {
  std::int64_t panels = 0, steps = 0;
  std::int64_t scales_offset = 0, certificates_offset = 0, bytes = 0;

  static constexpr PanelStreams of(Format format, std::int64_t n, std::int64_t k) {
    PanelStreams s;
    s.panels = (n + kPanelCols - 1) / kPanelCols;
    s.steps = (k + kStepK - 1) / kStepK;
    s.scales_offset = round_up(s.panels * s.steps * kPanelCodeBytes, 64);
    s.certificates_offset = round_up(s.scales_offset + s.panels * s.steps * panel_scale_bytes(format), 64);
    s.bytes =
        s.certificates_offset + s.panels * s.steps * static_cast<std::int64_t>(sizeof(PanelCertificate));
    return s;
  }
};

}  // namespace fourge::simd
