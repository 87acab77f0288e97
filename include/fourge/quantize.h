// What a quantiser is asked to do. The arithmetic of every rule is written in quant/ and
// docs/quantization.md.
#pragma once

#include <cstdint>
#include <span>

#include "fourge/error.h"
#include "fourge/matrix.h"

namespace fourge {

/// How a block gets its scale.
enum class ScaleRule : std::uint8_t {
  // NVFP4 (two-level: ue4m3 per block, f32 per tensor from amax)
  static_6,  // amax maps to 6. Tensor scale amax / (6 * 448). Also for MXFP4: fouroversix's round-up of amax
             // / 6
  static_4,  // amax maps to 4. Tensor scale amax / (4 * 448). Also for MXFP4: round-up of amax / 4
  mse_4_6,   // Four Over Six: the better of 6 and 4 per block by squared error. Tensor scale amax / (6 * 256)
  mae_4_6,   // ... by absolute error
  abs_max_4_6,  // ... by largest error
  // MXFP4 (OCP MX v1.0 and torchao's names)
  floor,  // 2^(floor(log2 amax) - 2): OCP MX v1.0
  ceil,   // floor, plus one if the fraction is not zero
  even,   // amax rounded to 1 fraction bit first, then floor
  rceil,  // ue8m0 round-up of amax * (1 / 6)
  shift,  // 2^floor(log2 amax) under a tensor scale of 1 / 3: amax maps into [3, 6), nothing saturates.
          // FP-Quant's "4/3" scales
  // Both formats: the scale with the least error, found by trying
  search,  // FP-Quant's "mse" observer: 100 factors from 1 down to 0.208 on the scale of static_6 (nvfp4) or
           // shift (mxfp4), error sum |e|^2.4, the factor chosen before the scale is rounded
  sweep,   // every scale code that can have the least squared error. NVFP4 tensor scale amax / (6 * 256)
};

constexpr const char* name_of(ScaleRule rule) {
  switch (rule) {
    case ScaleRule::static_6:
      return "static_6";
    case ScaleRule::static_4:
      return "static_4";
    case ScaleRule::mse_4_6:
      return "mse";
    case ScaleRule::mae_4_6:
      return "mae";
    case ScaleRule::abs_max_4_6:
      return "abs_max";
    case ScaleRule::floor:
      return "floor";
    case ScaleRule::ceil:
      return "ceil";
    case ScaleRule::even:
      return "even";
    case ScaleRule::rceil:
      return "rceil";
    case ScaleRule::shift:
      return "shift";
    case ScaleRule::search:
      return "search";
    case ScaleRule::sweep:
      return "sweep";
  }
  return "";
}

struct QuantizeSpec {
  Format format = Format::nvfp4;
  ScaleRule rule = ScaleRule::static_6;
  bool block_2d = false;  // one scale per block x block square, stored once per row; not with shift, search,
                          // sweep
  ScaleLayout layout = ScaleLayout::linear;

  bool operator==(const QuantizeSpec&) const = default;
};

/// Whether format and rule belong together; the reason when not.
Status check(const QuantizeSpec& spec);

/// Quantises a row-major rows x cols matrix. cols must be a multiple of the block; NaN elements become +6, as
/// cvt.satfinite does; an infinite or NaN amax is refused (kBadArgument).
Result<QuantizedMatrix> quantize(std::span<const float> values, std::int64_t rows, std::int64_t cols,
                                 const QuantizeSpec& spec);

/// element * block scale * tensor scale in f32, multiplied in that order. rows * cols values.
Status dequantize(const QuantizedView& matrix, std::span<float> values);

}  // namespace fourge
