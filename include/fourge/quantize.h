// What a quantiser is asked to do. The arithmetic of every rule is written in quant/ and
// docs/quantization.md.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>

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
  // Both formats: from the block's standard deviation, for Gaussian (rotated) data
  quest,  // QuEST: s = 0.487 standard deviations, what lies above 6 s saturates. NVFP4: s rounded; MXFP4:
          // 2^floor(log2 s). Tensor scale 1
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
    case ScaleRule::quest:
      return "quest";
  }
  return "";
}

constexpr bool is_four_over_six(ScaleRule rule) {
  return rule == ScaleRule::mse_4_6 || rule == ScaleRule::mae_4_6 || rule == ScaleRule::abs_max_4_6;
}

/// Rules that have no form with two-dimensional blocks, stochastic rounding or another scale maximum.
constexpr bool needs_scale_per_row(ScaleRule rule) {
  return rule == ScaleRule::shift || rule == ScaleRule::search || rule == ScaleRule::sweep ||
         rule == ScaleRule::quest;
}

/// Rules that try many scales and keep the best: for weights.
constexpr bool tries_scales(ScaleRule rule) { return rule == ScaleRule::search || rule == ScaleRule::sweep; }

/// How a scaled element becomes a code.
enum class ElementRounding : std::uint8_t {
  nearest,     // ties to even
  stochastic,  // up or down by a random byte (fourge/stochastic.h)
};

struct QuantizeSpec {
  Format format = Format::nvfp4;
  ScaleRule rule = ScaleRule::static_6;
  bool block_2d = false;  // one scale per block x block square, stored once per row; not with shift, search,
                          // sweep, quest
  ScaleLayout layout = ScaleLayout::linear;
  int scale_max = 0;  // nvfp4: what the largest block's scale becomes, 256 or 448; 0: 256 under a Four Over
                      // Six rule and sweep, else 448
  ElementRounding rounding = ElementRounding::nearest;

  bool operator==(const QuantizeSpec&) const = default;
};

/// 4 under static_4, else 6: the code that the largest value of a block is mapped to.
constexpr float largest_code(ScaleRule rule) { return rule == ScaleRule::static_4 ? 4.0f : 6.0f; }
constexpr float largest_scale(const QuantizeSpec& spec) {
  if (spec.scale_max != 0) return static_cast<float>(spec.scale_max);
  return is_four_over_six(spec.rule) || spec.rule == ScaleRule::sweep ? 256.0f : 448.0f;
}

inline constexpr ScaleRule kNvfp4Rules[] = {ScaleRule::static_6, ScaleRule::static_4,    ScaleRule::mse_4_6,
                                            ScaleRule::mae_4_6,  ScaleRule::abs_max_4_6, ScaleRule::search,
                                            ScaleRule::sweep,    ScaleRule::quest};
inline constexpr ScaleRule kMxfp4Rules[] = {
    ScaleRule::floor,    ScaleRule::ceil,  ScaleRule::even,   ScaleRule::rceil, ScaleRule::static_6,
    ScaleRule::static_4, ScaleRule::shift, ScaleRule::search, ScaleRule::sweep, ScaleRule::quest};

/// The rules that a format takes.
constexpr std::span<const ScaleRule> scale_rules_of(Format format) {
  if (format == Format::nvfp4) return kNvfp4Rules;
  return kMxfp4Rules;
}
constexpr const char* scale_rule_names_of(Format format) {
  return format == Format::nvfp4
             ? "nvfp4 takes static_6, static_4, mse, mae, abs_max, search, sweep or quest"
             : "mxfp4 takes floor, ceil, even, rceil, static_6, static_4, shift, search, sweep or quest";
}

/// Whether format, rule and the rest belong together; the reason when not.
inline Status check(const QuantizeSpec& spec) {
  const std::span<const ScaleRule> rules = scale_rules_of(spec.format);
  if (std::find(rules.begin(), rules.end(), spec.rule) == rules.end()) {
    return {Error::kBadArgument, scale_rule_names_of(spec.format),
            std::string("scale rule ") + name_of(spec.rule) + " with format " + name_of(spec.format)};
  }
  const bool plain_only = needs_scale_per_row(spec.rule);
  if (spec.block_2d && plain_only) {
    return {Error::kBadArgument, "shift, search, sweep and quest give each row its own scales",
            std::string("scale rule ") + name_of(spec.rule) + " with two-dimensional blocks"};
  }
  if (plain_only && (spec.scale_max != 0 || spec.rounding != ElementRounding::nearest)) {
    return {Error::kBadArgument,
            "shift, search, sweep and quest round to nearest under their own scale maximum",
            std::string("scale rule ") + name_of(spec.rule)};
  }
  if (spec.scale_max != 0 &&
      (spec.format != Format::nvfp4 || (spec.scale_max != 256 && spec.scale_max != 448))) {
    return {Error::kBadArgument, "expected 256 or 448, and format nvfp4",
            "scale maximum " + std::to_string(spec.scale_max) + " with format " + name_of(spec.format)};
  }
  return {};
}

/// Quantises a row-major rows x cols matrix. cols must be a multiple of the block (kBadShape). NaN elements
/// do not count for any maximum and become +6, as cvt.satfinite does, or 0 in a block whose scale is 0; an
/// infinite element is refused (kBadArgument). The same bits for every thread count.
/// seed: stochastic rounding only; the random byte of an element depends on the seed and on
/// row * cols + column.
Result<QuantizedMatrix> quantize(std::span<const float> values, std::int64_t rows, std::int64_t cols,
                                 const QuantizeSpec& spec, std::uint64_t seed = 0);

/// element * block scale * tensor scale in f32, multiplied in that order. rows * cols values.
Status dequantize(const QuantizedView& matrix, std::span<float> values);

}  // namespace fourge
