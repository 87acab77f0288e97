// Rounding to the formats of 4-bit blocks, lane by lane: bit for bit what fourge/rounding.h and
// fourge/stochastic.h define. Needs rounding to nearest even and subnormals (simd/rounding_mode.h).

#if defined(FOURGE_SIMD_E2M1_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef FOURGE_SIMD_E2M1_INL
#undef FOURGE_SIMD_E2M1_INL
#else
#define FOURGE_SIMD_E2M1_INL
#endif

#include <array>
#include <cstdint>

HWY_BEFORE_NAMESPACE();
namespace fourge::simd::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

template <class D>
using SignedOf = hn::Vec<hn::RebindToSigned<D>>;

// Bit 3 of a code from the sign of x; NaN has none.
template <class D>
HWY_INLINE SignedOf<D> e2m1_sign(D, hn::Vec<D> x) {
  const hn::RebindToSigned<D> di;
  const auto sign =
      hn::And(hn::BitCast(di, hn::ShiftRight<28>(hn::BitCast(hn::RebindToUnsigned<D>(), x))), hn::Set(di, 8));
  return hn::IfThenZeroElse(hn::RebindMask(di, hn::IsNaN(x)), sign);
}

// To nearest even, beyond 6 to 6; NaN gives 7, +6.
//   |x| >= 1   the exponent and one fraction bit are the code, but for an offset: 1.0 is code 2
//   |x| < 1    |x| + 2^22: the sum's last place is 1/2, the code's unit
template <class D>
HWY_INLINE SignedOf<D> e2m1_nearest(D d, hn::Vec<D> x) {
  const hn::RebindToSigned<D> di;
  const auto magnitude = hn::Abs(x);
  const auto bits = hn::BitCast(di, magnitude);
  const auto odd = hn::And(hn::ShiftRight<22>(bits), hn::Set(di, 1));
  const auto bumped = hn::Add(bits, hn::Add(odd, hn::Set(di, 0x1f'ffff - (252 << 22))));
  const auto normal = hn::ShiftRight<22>(bumped);
  const auto magic = hn::Set(d, 0x1p22f);
  const auto small = hn::Sub(hn::BitCast(di, hn::Add(magnitude, magic)), hn::BitCast(di, magic));
  const auto is_small = hn::RebindMask(di, hn::Lt(magnitude, hn::Set(d, 1.0f)));
  const auto code = hn::Min(hn::IfThenElse(is_small, small, normal), hn::Set(di, 7));
  return hn::Or(code, e2m1_sign(d, x));
}

// fourge/stochastic.h: floor(gaps + (2 r + 1) / 512) = floor(gaps), plus one where the fraction reaches
// (511 - 2 r) / 512. Every step is exact. random: 0..255 in each lane.
template <class D>
HWY_INLINE SignedOf<D> e2m1_stochastic(D d, hn::Vec<D> x, SignedOf<D> random) {
  const hn::RebindToSigned<D> di;
  const auto magnitude = hn::Min(hn::Abs(x), hn::Set(d, 6.0f));
  const auto from2 = hn::Ge(magnitude, hn::Set(d, 2.0f)), from4 = hn::Ge(magnitude, hn::Set(d, 4.0f));
  const auto per_gap =
      hn::IfThenElse(from4, hn::Set(d, 0.5f), hn::IfThenElse(from2, hn::Set(d, 1.0f), hn::Set(d, 2.0f)));
  const auto offset = hn::Add(hn::IfThenElseZero(hn::RebindMask(di, from2), hn::Set(di, 2)),
                              hn::IfThenElseZero(hn::RebindMask(di, from4), hn::Set(di, 2)));
  const auto gaps = hn::Mul(magnitude, per_gap);
  const auto whole = hn::ConvertTo(di, gaps);
  const auto fraction = hn::Sub(gaps, hn::ConvertTo(d, whole));
  const auto threshold =
      hn::Sub(hn::Set(d, 511.0f / 512), hn::Mul(hn::ConvertTo(d, random), hn::Set(d, 2.0f / 512)));
  const auto up = hn::RebindMask(di, hn::Ge(fraction, threshold));
  const auto code = hn::Add(hn::Add(whole, offset), hn::IfThenElseZero(up, hn::Set(di, 1)));
  const auto number = hn::Or(code, e2m1_sign(d, x));
  return hn::IfThenElse(hn::RebindMask(di, hn::IsNaN(x)), hn::Set(di, 7), number);
}

// |value| of a code; bit 3 is ignored.
template <class D>
HWY_INLINE hn::Vec<D> e2m1_magnitude(D d, SignedOf<D> code) {
  const hn::RebindToSigned<D> di;
  const auto magnitude = hn::And(code, hn::Set(di, 7));
  const auto normal = hn::BitCast(d, hn::ShiftLeft<22>(hn::Add(magnitude, hn::Set(di, 252))));
  const auto small = hn::Mul(hn::ConvertTo(d, magnitude), hn::Set(d, 0.5f));
  return hn::IfThenElse(hn::RebindMask(d, hn::Lt(magnitude, hn::Set(di, 2))), small, normal);
}

// x >= 0 to ue4m3, to nearest even, beyond 448 to 448.
template <class D>
HWY_INLINE SignedOf<D> ue4m3_nearest(D d, hn::Vec<D> x) {
  const hn::RebindToSigned<D> di;
  const auto capped = hn::Min(x, hn::Set(d, 448.0f));
  const auto bits = hn::BitCast(di, capped);
  const auto odd = hn::And(hn::ShiftRight<20>(bits), hn::Set(di, 1));
  const auto normal = hn::ShiftRight<20>(hn::Add(bits, hn::Add(odd, hn::Set(di, 0x7'ffff - (960 << 20)))));
  const auto magic = hn::Set(d, 0x1p14f);  // its last place is 2^-9, the subnormals' unit
  const auto small = hn::Sub(hn::BitCast(di, hn::Add(capped, magic)), hn::BitCast(di, magic));
  return hn::IfThenElse(hn::RebindMask(di, hn::Lt(capped, hn::Set(d, 0x1p-6f))), small, normal);
}

// The value of a ue4m3 code that is a number, exact: the seven bits at f32's exponent are it * 2^-120.
template <class D>
HWY_INLINE hn::Vec<D> ue4m3_value(D d, SignedOf<D> code) {
  return hn::Mul(hn::BitCast(d, hn::ShiftLeft<20>(code)), hn::Set(d, 0x1p120f));
}

// The random words of 16 consecutive elements a lane: word w in words[w]. run: low and high word of the
// number of those elements; keys: of the ten rounds (fourge/stochastic.h).
template <class DU>
HWY_INLINE void philox(DU du, hn::Vec<DU> run_low, hn::Vec<DU> run_high, const std::uint32_t* keys,
                       hn::Vec<DU>& w0, hn::Vec<DU>& w1, hn::Vec<DU>& w2, hn::Vec<DU>& w3) {
  const hn::RepartitionToWide<DU> wide;
  // High words of the products of all lanes with one number: of the even lanes, then of the odd ones.
  const auto high_words = [&](hn::Vec<DU> v, hn::Vec<DU> factor) HWY_ATTR {
    const auto even = hn::ShiftRight<32>(hn::MulEven(v, factor));
    const auto odd = hn::MulEven(hn::BitCast(du, hn::ShiftRight<32>(hn::BitCast(wide, v))), factor);
    return hn::OddEven(hn::BitCast(du, odd), hn::BitCast(du, even));
  };
  const auto m0 = hn::Set(du, 0xd2511f53u), m1 = hn::Set(du, 0xcd9e8d57u);
  w0 = run_low, w1 = run_high, w2 = hn::Zero(du), w3 = hn::Zero(du);
  for (int round = 0; round < 10; ++round) {
    const auto high0 = high_words(w0, m0), low0 = hn::Mul(w0, m0);
    const auto high1 = high_words(w2, m1), low1 = hn::Mul(w2, m1);
    w0 = hn::Xor(hn::Xor(high1, w1), hn::Set(du, keys[2 * round]));
    w1 = low1;
    w2 = hn::Xor(hn::Xor(high0, w3), hn::Set(du, keys[2 * round + 1]));
    w3 = low0;
  }
}

}  // namespace fourge::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
