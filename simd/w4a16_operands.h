// Operands of the W4A16 kernels: what compiled (simd/) and generated (jit/) code reads. Weights are the
// panels of exact_operands.h, without certificates and segments.
#pragma once

#include <cstdint>

#include "simd/exact_operands.h"

namespace fourge::simd {

inline constexpr int kW4a16MaxRows = 12;  // rows of A that one call takes

/// One call: rows x 16 outputs (one panel), all of k. Strides in bytes.
struct W4a16PanelArgs {
  const float* a;  // [step][k 0..63][rows]: zeros beyond k
  const std::uint8_t* codes;
  const std::uint8_t* scales;
  std::int64_t steps;  // >= 1
  std::int64_t rows;   // 1..kW4a16MaxRows; a generated kernel takes its own number only
  const float* c;      // row 0, first column of the panel; null: +0
  std::int64_t c_stride;
  const float* bias;  // [16], read when the epilogue has a bias
  void* d;            // row 0, first column of the panel
  std::int64_t d_stride;
  float alpha;
  std::uint32_t columns;  // mask of valid columns: of c and d nothing else is touched
};

using W4a16PanelFunction = void (*)(const W4a16PanelArgs*);

}  // namespace fourge::simd
