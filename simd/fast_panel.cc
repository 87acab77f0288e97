#include "simd/fast_panel.h"

#include "simd/rounding_mode.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "simd/fast_panel.cc"
#include "simd/foreach_target.h"  // after HWY_TARGET_INCLUDE

#if FOURGE_SIMD_TARGET
#include "simd/epilogue-inl.h"
#include "simd/exact_dots-inl.h"

HWY_BEFORE_NAMESPACE();
namespace fourge::simd::HWY_NAMESPACE {

// One panel's step: what does not depend on the row.
template <Format kFormat>
struct FastStep {
  static constexpr int kScales = stored_scales(kFormat), kPerScale = kGroups / kScales;

  alignas(64) float scale[kScales][kPanelCols];
  Quads quads;

  HWY_INLINE FastStep(const std::uint8_t* codes, const std::uint8_t* scales) {
    const F32 d;
    const I32 di;
    const hn::Rebind<std::uint8_t, F32> d8;
    decode_quads(codes, quads);
    const auto nan = hn::BitCast(d, hn::Set(di, 0x7fff'ffff));
    for (int s = 0; s < kScales; ++s) {
      for (std::size_t column = 0; column < kPanelCols; column += hn::Lanes(d)) {
        const auto bytes = hn::PromoteTo(di, hn::LoadU(d8, scales + kPanelCols * s + column));
        auto value = nan;
        if constexpr (kFormat == Format::nvfp4) {
          // The seven bits placed at f32's exponent are the value * 2^-120, subnormals included.
          const auto bits = hn::And(bytes, hn::Set(di, 0x7f));
          const auto number = hn::Mul(hn::BitCast(d, hn::ShiftLeft<20>(bits)), hn::Set(d, 0x1p120f));
          value = hn::IfThenElse(hn::RebindMask(d, hn::Eq(bits, hn::Set(di, 0x7f))), nan, number);
        } else {
          // The byte is f32's exponent field; 0 is the subnormal 2^-127.
          const auto least = hn::IfThenElseZero(hn::Eq(bytes, hn::Zero(di)), hn::Set(di, 0x0040'0000));
          const auto number = hn::BitCast(d, hn::Or(hn::ShiftLeft<23>(bytes), least));
          value = hn::IfThenElse(hn::RebindMask(d, hn::Eq(bytes, hn::Set(di, 255))), nan, number);
        }
        hn::Store(value, d, scale[s] + column);
      }
    }
  }
};

// Every product of two scales is a number and inside f32's range: nothing but products that are zero would
// notice.
HWY_INLINE bool needs_care(const ActivationStep& a, const PanelCertificate& b) {
  return a.key >= kNeverKey || b.key >= kNeverKey;
}

template <Format kFormat>
HWY_INLINE hn::Vec<I32> scale_dot(const FastStep<kFormat>& b, const ActivationStep& a, int scale,
                                  std::size_t column) {
  constexpr int kPerScale = FastStep<kFormat>::kPerScale;
  auto dot = group_dot(b.quads, a, scale * kPerScale, column);
  for (int g = scale * kPerScale + 1; g < (scale + 1) * kPerScale; ++g)
    dot = hn::Add(dot, group_dot(b.quads, a, g, column));
  return dot;
}

// One or two rows, which share the loads of B.
template <Format kFormat, bool kTwo>
HWY_INLINE void rows_step(const FastStep<kFormat>& b, const ActivationStep* a, float* acc) {
  const F32 d;
  constexpr int kPerScale = FastStep<kFormat>::kPerScale;
  for (std::size_t column = 0; column < kPanelCols; column += hn::Lanes(d)) {
    auto sum0 = hn::Load(d, acc + column), sum1 = hn::Load(d, acc + (kTwo ? kPanelCols : 0) + column);
    for (int s = 0; s < FastStep<kFormat>::kScales; ++s) {
      const auto b_scale = hn::Load(d, b.scale[s] + column);
      const auto dot0 = scale_dot(b, a[0], s, column);
      sum0 =
          hn::MulAdd(hn::ConvertTo(d, dot0), hn::Mul(b_scale, hn::Set(d, a[0].scale[s * kPerScale])), sum0);
      if constexpr (kTwo) {
        const auto dot1 = scale_dot(b, a[1], s, column);
        sum1 =
            hn::MulAdd(hn::ConvertTo(d, dot1), hn::Mul(b_scale, hn::Set(d, a[1].scale[s * kPerScale])), sum1);
      }
    }
    hn::Store(sum0, d, acc + column);
    if constexpr (kTwo) hn::Store(sum1, d, acc + kPanelCols + column);
  }
}

// A zero dot stays zero under a product of scales that overflows; a NaN scale gives NaN.
template <Format kFormat>
HWY_NOINLINE void careful_row(const FastStep<kFormat>& b, const ActivationStep& a, float* acc) {
  const F32 d;
  constexpr int kPerScale = FastStep<kFormat>::kPerScale;
  const auto nan = hn::BitCast(d, hn::Set(I32(), 0x7fff'ffff));
  for (std::size_t column = 0; column < kPanelCols; column += hn::Lanes(d)) {
    auto sum = hn::Load(d, acc + column);
    for (int s = 0; s < FastStep<kFormat>::kScales; ++s) {
      const int group = s * kPerScale;
      const auto a_scale = a.exponent[group] == kNanScaleExponent ? nan : hn::Set(d, a.scale[group]);
      const auto scale = hn::Mul(hn::Load(d, b.scale[s] + column), a_scale);
      const auto dot = hn::ConvertTo(d, scale_dot(b, a, s, column));
      const auto nothing = hn::AndNot(hn::IsNaN(scale), hn::Eq(dot, hn::Zero(d)));
      sum = hn::IfThenElse(nothing, sum, hn::MulAdd(dot, scale, sum));
    }
    hn::Store(sum, d, acc + column);
  }
}

template <Format kFormat>
HWY_NOINLINE void fast_steps(const ExactPanelArgs& args) {
  for (std::int64_t step = 0; step < args.steps; ++step) {
    const FastStep<kFormat> b(args.codes + step * kPanelCodeBytes,
                              args.scales + step * panel_scale_bytes(kFormat));
    const auto* a = reinterpret_cast<const ActivationStep*>(reinterpret_cast<const std::uint8_t*>(args.a) +
                                                            step * args.a_stride);
    const PanelCertificate& certificate = args.certificates[step];
    std::int64_t row = 0;
    while (row < args.rows) {
      float* acc = args.acc + row * kPanelCols;
      if (HWY_UNLIKELY(needs_care(a[row], certificate))) {
        careful_row(b, a[row], acc);
        ++row;
      } else if (row + 1 < args.rows && !needs_care(a[row + 1], certificate)) {
        rows_step<kFormat, true>(b, a + row, acc);
        row += 2;
      } else {
        rows_step<kFormat, false>(b, a + row, acc);
        ++row;
      }
    }
  }
}

template <Format kFormat, OutputType kOutput, bool kBias>
void fast(ExactPanelArgs* args) {
  const RoundingMode mode(RoundingMode::to_nearest);
  fast_steps<kFormat>(*args);
  store_epilogues<kOutput, kBias>(*args);
  args->general_vectors = 0;
}

template <Format kFormat>
ExactPanelFunction fast_of_output(OutputType output, bool bias) {
  switch (output) {
    case OutputType::f32:
      return bias ? fast<kFormat, OutputType::f32, true> : fast<kFormat, OutputType::f32, false>;
    case OutputType::bf16:
      return bias ? fast<kFormat, OutputType::bf16, true> : fast<kFormat, OutputType::bf16, false>;
    case OutputType::f16:
      return bias ? fast<kFormat, OutputType::f16, true> : fast<kFormat, OutputType::f16, false>;
  }
  return nullptr;
}

ExactPanelFunction fast_panel_of_target(const GemmSpec& spec) {
  switch (spec.format) {
    case Format::nvfp4:
      return fast_of_output<Format::nvfp4>(spec.output, spec.bias);
    case Format::mxfp4:
      return fast_of_output<Format::mxfp4>(spec.output, spec.bias);
    case Format::mxfp4_b16:
      return fast_of_output<Format::mxfp4_b16>(spec.output, spec.bias);
  }
  return nullptr;
}

}  // namespace fourge::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif

#if HWY_ONCE
namespace fourge::simd {

ExactPanelFunction fast_panel(Target target, const GemmSpec& spec) {
  switch (target) {
#define FOURGE_TARGET(name, space) \
  case Target::name:               \
    return space::fast_panel_of_target(spec);
#include "simd/targets.inc"
    default:
      return nullptr;
  }
}

}  // namespace fourge::simd
#endif
