#include "simd/exact_panel.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "simd/rounding_mode.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "simd/exact_panel.cc"
#include "simd/foreach_target.h"  // after HWY_TARGET_INCLUDE

#if FOURGE_SIMD_TARGET
#include "simd/epilogue-inl.h"
#include "simd/exact_dots-inl.h"

HWY_BEFORE_NAMESPACE();
namespace fourge::simd::HWY_NAMESPACE {

using F64 = hn::CappedTag<double, kPanelCols>;
using I64 = hn::RebindToSigned<F64>;
using I32Half = hn::Rebind<std::int32_t, F64>;  // as many lanes as F64
using F32Half = hn::Rebind<float, F64>;

// One panel's step: what does not depend on the row.
template <Format kFormat>
struct PanelStep {
  static constexpr int kScales = stored_scales(kFormat);
  static constexpr int scale_of(int group) { return group * kScales / kGroups; }

  const std::uint8_t* scale_bytes;
  const PanelCertificate* certificate;
  alignas(64) float scale[kScales][kPanelCols];
  alignas(64) std::int32_t lower[kPanelCols];  // B's half of the lower bound on |c|, as bits
  // For the general path, made at its first use.
  alignas(64) std::int32_t exponent[kScales][kPanelCols];
  alignas(64) float value[kScales][kPanelCols];
  bool general_ready = false;

  // ue4m3: the seven bits placed at f32's exponent are the value * 2^-120, subnormals included; NaN reads as
  // 480. ue8m0: the byte is f32's exponent field; 0 reads as 0 and 255 as infinity, and neither is ever
  // certified with a product that is not zero.
  HWY_INLINE PanelStep(const std::uint8_t* scales, const PanelCertificate& of_panel)
      : scale_bytes(scales), certificate(&of_panel) {
    const F32 d;
    const I32 di;
    const hn::Rebind<std::uint8_t, F32> d8;
    for (std::size_t column = 0; column < kPanelCols; column += hn::Lanes(d)) {
      const auto emax = hn::PromoteTo(di, hn::LoadU(d8, of_panel.emax + column));
      hn::Store(hn::ShiftLeft<23>(emax), di, lower + column);
      for (int s = 0; s < kScales; ++s) {
        const auto bytes = hn::PromoteTo(di, hn::LoadU(d8, scales + kPanelCols * s + column));
        if constexpr (kFormat == Format::nvfp4) {
          const auto placed = hn::BitCast(d, hn::ShiftLeft<20>(hn::And(bytes, hn::Set(di, 0x7f))));
          hn::Store(hn::Mul(placed, hn::Set(d, 0x1p120f)), d, scale[s] + column);
        } else {
          hn::Store(hn::BitCast(d, hn::ShiftLeft<23>(bytes)), d, scale[s] + column);
        }
      }
    }
  }

  void prepare_general();
};

struct ScaleTable {
  std::array<float, 256> value{};
  std::array<std::int16_t, 256> exponent{};
};
constexpr ScaleTable make_scale_table(ElementFormat format) {
  ScaleTable table;
  for (unsigned code = 0; code < 256; ++code) {
    const Number scale = decode(format, code);
    const bool nan = scale.kind == NumberKind::nan;
    const bool zero_ue4m3 = format == ElementFormat::ue4m3 && scale.is_zero();
    table.value[code] = nan ? 0.0f : std::bit_cast<float>(f32_bits_of(scale));
    table.exponent[code] = static_cast<std::int16_t>(nan          ? static_cast<int>(kNanScaleExponent)
                                                     : zero_ue4m3 ? kZeroScaleExponent
                                                                  : scale.exponent);
  }
  return table;
}
template <Format kFormat>
inline constexpr ScaleTable kScaleTable = make_scale_table(info(kFormat).scale);

template <Format kFormat>
void PanelStep<kFormat>::prepare_general() {
  if (general_ready) return;
  for (int s = 0; s < kScales; ++s) {
    for (int column = 0; column < kPanelCols; ++column) {
      const std::uint8_t code = scale_bytes[kPanelCols * s + column];
      value[s][column] = kScaleTable<kFormat>.value[code];
      exponent[s][column] = kScaleTable<kFormat>.exponent[code];
    }
  }
  general_ready = true;
}

struct GroupDots {
  alignas(64) std::int32_t of[kGroups][kPanelCols];
};

// 2^exponent; |exponent| < 1022.
HWY_INLINE hn::Vec<F64> power_of_two(hn::Vec<I32Half> exponent) {
  const I64 d;
  const I32Half d32;
  return hn::BitCast(F64(), hn::ShiftLeft<52>(hn::PromoteTo(d, hn::Add(exponent, hn::Set(d32, 1023)))));
}

// numerics.md 4.2 for every input, Lanes(F64) columns from `column` on: align to the largest exponent,
// truncate, add, round toward zero. dots: exact group sums in units of 1/4, which `a.scale` undoes.
//   f64 holds every step exactly: a term has at most 24 significant bits, its exponent is within +-600, and
//   the sum of the truncated terms is an integer below 2^50.
// Called with the rounding mode toward zero.
template <Format kFormat>
HWY_INLINE void general_columns(const PanelStep<kFormat>& b, const ActivationStep& a, const GroupDots& dots,
                                std::size_t column, float* acc) {
  const F64 d;
  const I32Half di;
  const F32Half df;
  const auto c = hn::LoadU(df, acc + column);
  const auto magnitude = hn::And(hn::BitCast(di, c), hn::Set(di, 0x7fff'ffff));
  const auto biased = hn::Max(hn::ShiftRight<23>(magnitude), hn::Set(di, 1));  // zero counts as subnormal

  auto of_scales = hn::Set(di, kZeroScaleExponent * 2);
  for (int g = 0; g < kGroups; ++g) {
    const auto e = hn::LoadU(di, b.exponent[PanelStep<kFormat>::scale_of(g)] + column);
    of_scales = hn::Max(of_scales, hn::Add(e, hn::Set(di, static_cast<std::int32_t>(a.exponent[g]))));
  }
  const auto nan_scale = hn::Gt(of_scales, hn::Set(di, 1000));
  const auto largest = hn::Min(hn::Max(of_scales, hn::Sub(biased, hn::Set(di, 127))), hn::Set(di, 512));
  const auto unit = power_of_two(hn::Sub(hn::Set(di, 35), largest));

  auto sum = hn::Trunc(hn::Mul(hn::PromoteTo(d, c), unit));
  for (int g = 0; g < kGroups; ++g) {
    const auto b_scale = hn::PromoteTo(d, hn::LoadU(df, b.value[PanelStep<kFormat>::scale_of(g)] + column));
    const auto scale = hn::Mul(b_scale, hn::Set(d, static_cast<double>(a.scale[g])));
    const auto term = hn::Mul(hn::PromoteTo(d, hn::LoadU(di, dots.of[g] + column)), scale);
    sum = hn::Add(sum, hn::Trunc(hn::Mul(term, unit)));
  }
  const auto exact = hn::Mul(sum, power_of_two(hn::Sub(largest, hn::Set(di, 35))));

  // Toward zero by the mode; beyond the largest finite value infinity; -0 becomes +0.
  const auto infinite = hn::Ge(hn::Abs(exact), hn::Set(d, 0x1p128));
  const auto bounded = hn::IfThenElse(infinite, hn::CopySign(hn::Inf(d), exact), exact);
  const auto rounded = hn::Add(hn::DemoteTo(df, bounded), hn::Zero(df));

  // c infinite: c. c NaN or a NaN scale: NaN.
  const auto infinity_bits = hn::Set(di, 0x7f80'0000);
  const auto c_infinite = hn::RebindMask(df, hn::Eq(magnitude, infinity_bits));
  const auto nan = hn::RebindMask(df, hn::Or(nan_scale, hn::Gt(magnitude, infinity_bits)));
  const auto canonical_nan = hn::BitCast(df, hn::Set(di, 0x7fff'ffff));
  const auto result = hn::IfThenElse(nan, canonical_nan, hn::IfThenElse(c_infinite, c, rounded));
  hn::StoreU(result, df, acc + column);
}

// Lanes(F32) columns from `column` on.
template <Format kFormat>
HWY_NOINLINE void general_vector(PanelStep<kFormat>& b, const ActivationStep& a, const Quads& quads,
                                 std::size_t column, float* acc) {
  const I32 d;
  b.prepare_general();
  GroupDots dots;
  for (int g = 0; g < kGroups; ++g) hn::Store(group_dot(quads, a, g, column), d, dots.of[g] + column);
  for (std::size_t lane = 0; lane < hn::Lanes(d); lane += hn::Lanes(F64()))
    general_columns(b, a, dots, column + lane, acc);
}

// X = the sum over groups of dot * scales, exact when certified.
template <Format kFormat>
HWY_INLINE hn::Vec<F32> scaled_sum(const PanelStep<kFormat>& b, const ActivationStep& a, const Quads& quads,
                                   std::size_t column) {
  const F32 d;
  constexpr int kPerScale = kGroups / PanelStep<kFormat>::kScales;
  auto sum = hn::Zero(d);
  for (int s = 0; s < PanelStep<kFormat>::kScales; ++s) {
    auto dot = group_dot(quads, a, s * kPerScale, column);
    for (int g = s * kPerScale + 1; g < (s + 1) * kPerScale; ++g)
      dot = hn::Add(dot, group_dot(quads, a, g, column));
    const auto scaled = hn::Mul(hn::ConvertTo(d, dot), hn::Load(d, b.scale[s] + column));
    sum = hn::MulAdd(scaled, hn::Set(d, a.scale[s * kPerScale]), sum);
  }
  return sum;
}

// Whether every lane's |c| is 0 or lies in the certified range; lower: the bits of its lower end.
HWY_INLINE bool accumulators_certified(hn::Vec<F32> c, hn::Vec<I32> lower) {
  const I32 d;
  const auto magnitude = hn::And(hn::BitCast(d, c), hn::Set(d, 0x7fff'ffff));
  const auto above = hn::Sub(magnitude, lower);
  const auto out = hn::Or(hn::Lt(above, hn::Zero(d)), hn::Gt(above, hn::Set(d, (kBoundBinades << 23) - 1)));
  if (HWY_LIKELY(hn::AllFalse(d, out))) return true;
  return hn::AllFalse(d, hn::AndNot(hn::Eq(magnitude, hn::Zero(d)), out));
}

// One row against the panel. True when all of it took the short path.
template <Format kFormat, bool kOnlyGeneral>
HWY_INLINE bool row_step(PanelStep<kFormat>& b, const ActivationStep& a, const Quads& quads, float* acc) {
  const F32 d;
  const I32 di;
  bool certified = true;
  const bool key_fits = !kOnlyGeneral && a.key + b.certificate->key < kKeyLimit;
  for (std::size_t column = 0; column < kPanelCols; column += hn::Lanes(d)) {
    const auto c = hn::Load(d, acc + column);
    const auto lower = hn::Add(hn::Load(di, b.lower + column), hn::Set(di, a.lower));
    if (HWY_LIKELY(key_fits) && HWY_LIKELY(accumulators_certified(c, lower))) {
      hn::Store(hn::Add(scaled_sum(b, a, quads, column), c), d, acc + column);
    } else {
      general_vector(b, a, quads, column, acc);
      certified = false;
    }
  }
  return certified;
}

// All steps, in the rounding mode toward zero: everything on the short path is exact but the one addition of
// c, which D = RZ(c + X) asks for.
template <Format kFormat, bool kOnlyGeneral>
HWY_NOINLINE void all_steps(ExactPanelArgs& args) {
  std::int64_t general_vectors = 0;
  for (std::int64_t step = 0; step < args.steps; ++step) {
    PanelStep<kFormat> b(args.scales + step * panel_scale_bytes(kFormat), args.certificates[step]);
    Quads quads;
    decode_quads(args.codes + step * kPanelCodeBytes, quads);
    const auto* a = reinterpret_cast<const ActivationStep*>(reinterpret_cast<const std::uint8_t*>(args.a) +
                                                            step * args.a_stride);
    for (std::int64_t row = 0; row < args.rows; ++row) {
      if (!row_step<kFormat, kOnlyGeneral>(b, a[row], quads, args.acc + row * kPanelCols)) ++general_vectors;
    }
  }
  args.general_vectors = general_vectors;
}

template <Format kFormat, OutputType kOutput, bool kBias, bool kOnlyGeneral>
void panel(ExactPanelArgs* args) {
  const RoundingMode mode(RoundingMode::toward_zero);
  all_steps<kFormat, kOnlyGeneral>(*args);
  mode.set(RoundingMode::to_nearest);
  store_epilogues<kOutput, kBias>(*args);
}

template <Format kFormat, bool kOnlyGeneral>
ExactPanelFunction of_output(OutputType output, bool bias) {
  switch (output) {
    case OutputType::f32:
      return bias ? panel<kFormat, OutputType::f32, true, kOnlyGeneral>
                  : panel<kFormat, OutputType::f32, false, kOnlyGeneral>;
    case OutputType::bf16:
      return bias ? panel<kFormat, OutputType::bf16, true, kOnlyGeneral>
                  : panel<kFormat, OutputType::bf16, false, kOnlyGeneral>;
    case OutputType::f16:
      return bias ? panel<kFormat, OutputType::f16, true, kOnlyGeneral>
                  : panel<kFormat, OutputType::f16, false, kOnlyGeneral>;
  }
  return nullptr;
}

template <bool kOnlyGeneral>
ExactPanelFunction of_format(const GemmSpec& spec) {
  switch (spec.format) {
    case Format::nvfp4:
      return of_output<Format::nvfp4, kOnlyGeneral>(spec.output, spec.bias);
    case Format::mxfp4:
      return of_output<Format::mxfp4, kOnlyGeneral>(spec.output, spec.bias);
    case Format::mxfp4_b16:
      return of_output<Format::mxfp4_b16, kOnlyGeneral>(spec.output, spec.bias);
  }
  return nullptr;
}

ExactPanelFunction exact_panel_of_target(const GemmSpec& spec, bool only_general) {
  return only_general ? of_format<true>(spec) : of_format<false>(spec);
}

}  // namespace fourge::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif

#if HWY_ONCE
namespace fourge::simd {

ExactPanelFunction exact_panel(Target target, const GemmSpec& spec, bool only_general) {
  switch (target) {
#define FOURGE_TARGET(name, space) \
  case Target::name:               \
    return space::exact_panel_of_target(spec, only_general);
#include "simd/targets.inc"
    default:
      return nullptr;
  }
}

}  // namespace fourge::simd
#endif
