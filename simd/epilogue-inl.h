// The epilogue of a GEMM: y = fma(alpha, acc, bias) or alpha * acc, to nearest even; then the output's
// rounding, to nearest even. NaN becomes the canonical NaN.

#if defined(FOURGE_SIMD_EPILOGUE_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef FOURGE_SIMD_EPILOGUE_INL
#undef FOURGE_SIMD_EPILOGUE_INL
#else
#define FOURGE_SIMD_EPILOGUE_INL
#endif

#include "fourge/gemm.h"
#include "simd/element_io-inl.h"
#include "simd/exact_operands.h"

HWY_BEFORE_NAMESPACE();
namespace fourge::simd::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

#if HWY_NATIVE_FMA
template <class D>
HWY_INLINE hn::Vec<D> fused_multiply_add(D, hn::Vec<D> a, hn::Vec<D> b, hn::Vec<D> c) {
  return hn::MulAdd(a, b, c);
}
#else
// Without the instruction, half a vector at a time: the product is exact in f64; the sum is rounded to odd,
// after which rounding to f32 is as good as rounding the exact sum (Boldo and Melquiond, 2008: 53 >= 2 * 24 +
// 2). TwoSum: Knuth, TAOCP 2, 4.2.2.
template <class D>
HWY_INLINE hn::Vec<hn::Half<D>> fused_half(D, hn::Vec<hn::Half<D>> a, hn::Vec<hn::Half<D>> b,
                                           hn::Vec<hn::Half<D>> c) {
  const hn::Half<D> df;
  const hn::Rebind<double, hn::Half<D>> d;
  const hn::RebindToSigned<decltype(d)> di;
  const auto product = hn::Mul(hn::PromoteTo(d, a), hn::PromoteTo(d, b)), addend = hn::PromoteTo(d, c);
  const auto sum = hn::Add(product, addend);
  const auto rest = hn::Sub(sum, product);
  const auto error = hn::Add(hn::Sub(product, hn::Sub(sum, rest)), hn::Sub(addend, rest));
  // An even sum with an error moves one place toward the error: away from 0 when the signs agree.
  const auto one = hn::Set(di, 1);
  const auto bits = hn::BitCast(di, sum);
  const auto even = hn::Eq(hn::And(bits, one), hn::Zero(di));
  const auto inexact = hn::And(hn::Ne(error, hn::Zero(d)), hn::IsFinite(sum));
  const auto inward = hn::Lt(hn::Xor(bits, hn::BitCast(di, error)), hn::Zero(di));
  const auto step = hn::IfThenElse(inward, hn::Set(di, -1), one);
  const auto odd = hn::BitCast(d, hn::Add(bits, step));
  const auto moved = hn::And(inexact, hn::RebindMask(d, even));
  return hn::DemoteTo(df, hn::IfThenElse(moved, odd, sum));
}
template <class D>
HWY_INLINE hn::Vec<D> fused_multiply_add(D d, hn::Vec<D> a, hn::Vec<D> b, hn::Vec<D> c) {
  const hn::Half<D> dh;
  return hn::Combine(d, fused_half(d, hn::UpperHalf(dh, a), hn::UpperHalf(dh, b), hn::UpperHalf(dh, c)),
                     fused_half(d, hn::LowerHalf(dh, a), hn::LowerHalf(dh, b), hn::LowerHalf(dh, c)));
}
#endif

constexpr ElementFormat format_of(OutputType output) {
  return output == OutputType::f32    ? ElementFormat::f32
         : output == OutputType::bf16 ? ElementFormat::bf16
                                      : ElementFormat::f16;
}

// One row of 16 columns: those in the mask `columns` go to d.
template <OutputType kOutput, bool kBias>
HWY_INLINE void store_epilogue(const float* acc, float alpha, const float* bias, std::uint32_t columns,
                               std::uint8_t* d) {
  const hn::CappedTag<float, kPanelCols> df;
  const hn::RebindToUnsigned<decltype(df)> du;
  alignas(64) std::uint8_t row[4 * kPanelCols];
  const auto canonical_nan = hn::BitCast(df, hn::Set(du, 0x7fff'ffffu));
  for (std::size_t column = 0; column < kPanelCols; column += hn::Lanes(df)) {
    const auto a = hn::Set(df, alpha), x = hn::Load(df, acc + column);
    auto y = a;
    if constexpr (kBias) {
      y = fused_multiply_add(df, a, x, hn::LoadU(df, bias + column));
    } else {
      y = hn::Mul(a, x);
    }
    y = hn::IfThenElse(hn::IsNaN(y), canonical_nan, y);
    store_from_f32<format_of(kOutput)>(df, y, row, static_cast<std::int64_t>(column));
  }
  constexpr std::size_t kBytes = static_cast<std::size_t>(bytes_of(kOutput));
  __builtin_memcpy(d, row, kBytes * static_cast<std::size_t>(__builtin_popcount(columns)));
}

// The epilogue of every row of a panel.
template <OutputType kOutput, bool kBias>
HWY_NOINLINE void store_epilogues(const ExactPanelArgs& args) {
  for (std::int64_t row = 0; row < args.rows; ++row) {
    store_epilogue<kOutput, kBias>(args.acc + row * kPanelCols, args.alpha, args.bias, args.columns,
                                   static_cast<std::uint8_t*>(args.d) + row * args.d_stride);
  }
}

}  // namespace fourge::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
