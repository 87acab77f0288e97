// The scale rules that try scales, one block in each lane: bit for bit what quant/lane_quantize.h defines.
// Needs rounding to nearest even and subnormals (simd/rounding_mode.h), and simd/e2m1-inl.h before it.

#if defined(FOURGE_SIMD_SCALE_SEARCH_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef FOURGE_SIMD_SCALE_SEARCH_INL
#undef FOURGE_SIMD_SCALE_SEARCH_INL
#else
#define FOURGE_SIMD_SCALE_SEARCH_INL
#endif

#include <cstdint>
#include <limits>

HWY_BEFORE_NAMESPACE();
namespace fourge::simd::HWY_NAMESPACE {

// Element i of the lanes' blocks at values + i * step.
template <class D, int kWidth>
struct LanesOfBlocks {
  const float* values;
  std::int64_t step;

  HWY_INLINE hn::Vec<D> at(int i) const { return hn::Load(D(), values + i * step); }
};

// x >= 0 on the e2m1 grid, to nearest even, at most 6; NaN gives 6. Adding 2^22 leaves multiples of 1/2, 2^23
// of 1, 2^24 of 2.
template <class D>
HWY_INLINE hn::Vec<D> e2m1_rounded(D d, hn::Vec<D> x) {
  const auto step =
      hn::IfThenElse(hn::Lt(x, hn::Set(d, 2.0f)), hn::Set(d, 0x1p22f),
                     hn::IfThenElse(hn::Lt(x, hn::Set(d, 4.0f)), hn::Set(d, 0x1p23f), hn::Set(d, 0x1p24f)));
  const auto rounded = hn::Sub(hn::Add(x, step), step);
  return hn::IfThenElse(hn::Lt(rounded, hn::Set(d, 6.0f)), rounded, hn::Set(d, 6.0f));
}

// x^(1/5) by three steps of Newton's method from an estimate that divides the exponent by 5.
template <class D>
HWY_INLINE hn::Vec<D> fifth_root(D d, hn::Vec<D> x) {
  const hn::RebindToSigned<D> di;
  const auto fifth = hn::Mul(hn::ConvertTo(d, hn::BitCast(di, x)), hn::Set(d, 0.2f));
  auto r = hn::BitCast(d, hn::Add(hn::ConvertTo(di, fifth), hn::Set(di, 852282573)));
  for (int step = 0; step < 3; ++step) {
    const auto r2 = hn::Mul(r, r), r4 = hn::Mul(r2, r2);
    r = hn::Mul(hn::Add(hn::Mul(r, hn::Set(d, 4.0f)), hn::Div(x, r4)), hn::Set(d, 0.2f));
  }
  return r;
}

// search: the scale, not yet rounded. amax: of the blocks, NaN not counted.
template <class D, int kWidth>
HWY_NOINLINE hn::Vec<D> searched_scale(const LanesOfBlocks<D, kWidth>& blocks, hn::Vec<D> amax) {
  const D d;
  auto best = hn::Div(amax, hn::Set(d, 6.0f));
  const auto largest = hn::Max(best, hn::Set(d, std::numeric_limits<float>::min()));
  auto best_error = hn::Set(d, std::numeric_limits<float>::max());
  for (int i = 0; i < 100; ++i) {
    const auto scale = hn::Mul(largest, hn::Set(d, static_cast<float>(1.0 - i * 0.8 / 100.0)));
    const auto inverse = hn::Div(hn::Set(d, 1.0f), scale);
    auto total = hn::Zero(d);
    for (int j = 0; j < kWidth; ++j) {
      const auto x = hn::Abs(blocks.at(j));
      const auto error = hn::Sub(hn::Mul(e2m1_rounded(d, hn::Mul(x, inverse)), scale), x);
      const auto square = hn::Mul(error, error);
      total = hn::Add(total, hn::Mul(square, fifth_root(d, square)));
    }
    const auto better = hn::Lt(total, best_error);
    best_error = hn::IfThenElse(better, total, best_error);
    best = hn::IfThenElse(better, scale, best);
  }
  return best;
}

// The candidates of a sweep, numbered so that smaller numbers are smaller scales.
struct Ue4m3Scales {  // number: the code
  static constexpr std::int32_t kLeast = 1;
  template <class D>
  static HWY_INLINE SignedOf<D> first(D d, hn::Vec<D> scale) {
    const hn::RebindToSigned<D> di;
    const auto code = ue4m3_nearest(d, scale);
    // Half of a code below 16 may not be a code: a sweep starts an octave higher there.
    return hn::IfThenElse(hn::Lt(code, hn::Set(di, 16)), hn::Add(code, hn::Set(di, 8)), code);
  }
  template <class D>
  static HWY_INLINE hn::Vec<D> value(D d, SignedOf<D> number) {
    return ue4m3_value(d, number);
  }
  template <class D>
  static HWY_INLINE hn::Vec<D> inverse(D d, SignedOf<D> number) {
    return hn::Div(hn::Set(d, 1.0f), ue4m3_value(d, number));
  }
};
struct PowerOfTwoScales {  // number: the exponent
  static constexpr std::int32_t kLeast = -125;
  template <class D>
  static HWY_INLINE SignedOf<D> first(D, hn::Vec<D> scale) {
    const hn::RebindToSigned<D> di;
    const auto exponent = hn::Sub(hn::ShiftRight<23>(hn::BitCast(di, scale)), hn::Set(di, 127));
    return hn::Max(exponent, hn::Set(di, kLeast));
  }
  template <class D>
  static HWY_INLINE hn::Vec<D> value(D d, SignedOf<D> number) {
    const hn::RebindToSigned<D> di;
    return hn::BitCast(d, hn::ShiftLeft<23>(hn::Add(number, hn::Set(di, 127))));
  }
  template <class D>
  static HWY_INLINE hn::Vec<D> inverse(D d, SignedOf<D> number) {
    return value(d, hn::Sub(hn::Zero(hn::RebindToSigned<D>()), number));
  }
};

// Largest |x * encode|; NaN does not count.
template <class D, int kWidth>
HWY_INLINE hn::Vec<D> largest_encoded(const LanesOfBlocks<D, kWidth>& blocks, hn::Vec<D> encode) {
  auto amax = hn::Zero(D());
  for (int i = 0; i < kWidth; ++i) {
    const auto magnitude = hn::Abs(hn::Mul(blocks.at(i), encode));
    amax = hn::IfThenElse(hn::Gt(magnitude, amax), magnitude, amax);
  }
  return amax;
}

// sweep: the number of the scale with the least squared error of x * encode, 0 where none has a finite one.
// amax: largest_encoded(). Candidates beyond a lane's last are tried when other lanes go on: none of them
// wins, as the error of the lane's saturated largest value alone is not below its best.
template <class Scales, class D, int kWidth>
HWY_NOINLINE SignedOf<D> swept_scale(const LanesOfBlocks<D, kWidth>& blocks, hn::Vec<D> encode,
                                     hn::Vec<D> amax) {
  const D d;
  const hn::RebindToSigned<D> di;
  const auto least = hn::Set(di, Scales::kLeast), below = hn::Set(di, Scales::kLeast - 1);
  auto best_error = hn::Inf(d);
  auto best = hn::Zero(di);
  auto number = Scales::first(d, hn::Mul(amax, hn::Set(d, 1.0f / 3.5f)));
  for (;;) {
    const auto tried = hn::Max(number, least);
    const auto scale = Scales::value(d, tried);
    const auto excess = hn::Max(hn::Sub(amax, hn::Mul(scale, hn::Set(d, 6.0f))), hn::Zero(d));
    const auto is_scale = hn::RebindMask(d, hn::Gt(number, below));
    const auto open = hn::And(is_scale, hn::Lt(hn::Mul(excess, excess), best_error));
    if (hn::AllFalse(d, open)) return best;
    const auto inverse = Scales::inverse(d, tried);
    auto total = hn::Zero(d);
    for (int i = 0; i < kWidth; ++i) {
      const auto y = hn::Abs(hn::Mul(blocks.at(i), encode));
      const auto error = hn::Sub(hn::Mul(e2m1_rounded(d, hn::Mul(y, inverse)), scale), y);
      total = hn::Add(total, hn::Mul(error, error));
    }
    const auto better = hn::And(is_scale, hn::Lt(total, best_error));
    best_error = hn::IfThenElse(better, total, best_error);
    best = hn::IfThenElse(hn::RebindMask(di, better), number, best);
    number = hn::Max(hn::Sub(number, hn::Set(di, 1)), below);
  }
}

}  // namespace fourge::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
