// f32 vectors from and to f32, bf16 and f16 in memory, the same bits on every target. Needs rounding to
// nearest even and subnormals (simd/rounding_mode.h).

#if defined(FOURGE_SIMD_ELEMENT_IO_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef FOURGE_SIMD_ELEMENT_IO_INL
#undef FOURGE_SIMD_ELEMENT_IO_INL
#else
#define FOURGE_SIMD_ELEMENT_IO_INL
#endif

#include "fourge/formats.h"

HWY_BEFORE_NAMESPACE();
namespace fourge::simd::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// f32 -> bf16 bits in the low half of each lane. bits + 0x7fff + lsb carries into the exponent by itself; a
// NaN whose low bits are ones could wrap and is cut instead.
template <class D>
HWY_INLINE hn::Vec<hn::RebindToUnsigned<D>> bf16_bits(D, hn::Vec<D> x) {
  const hn::RebindToUnsigned<D> du;
  const auto bits = hn::BitCast(du, x);
  const auto cut = hn::ShiftRight<16>(bits);
  const auto bump = hn::Add(hn::And(cut, hn::Set(du, 1u)), hn::Set(du, 0x7fffu));
  const auto rounded = hn::ShiftRight<16>(hn::Add(bits, bump));
  const auto quiet = hn::Or(cut, hn::Set(du, 0x40u));
  return hn::IfThenElse(hn::RebindMask(du, hn::IsNaN(x)), quiet, rounded);
}

// f32 -> f16 bits in the low half of each lane; overflow is infinity, NaN the canonical one.
//   normal     rebias the exponent by -112, round as above at 13 bits
//   subnormal  |x| + 0.5: the sum's last place is 2^-24, f16's, and the addition rounds to nearest even
template <class D>
HWY_INLINE hn::Vec<hn::RebindToUnsigned<D>> f16_bits(D d, hn::Vec<D> x) {
  const hn::RebindToUnsigned<D> du;
  const auto bits = hn::BitCast(du, x);
  const auto magnitude = hn::And(bits, hn::Set(du, 0x7fff'ffffu));
  const auto lsb = hn::And(hn::ShiftRight<13>(magnitude), hn::Set(du, 1u));
  const auto bump = hn::Add(lsb, hn::Set(du, 0xfffu - (112u << 23)));
  const auto normal = hn::ShiftRight<13>(hn::Add(magnitude, bump));
  const auto shifted = hn::Add(hn::BitCast(d, magnitude), hn::Set(d, 0.5f));
  const auto subnormal = hn::Sub(hn::BitCast(du, shifted), hn::Set(du, 0x3f00'0000u));
  const auto finite = hn::IfThenElse(hn::Lt(magnitude, hn::Set(du, 113u << 23)), subnormal, normal);
  const auto bounded = hn::Min(finite, hn::Set(du, 0x7c00u));
  const auto nan = hn::Gt(magnitude, hn::Set(du, 0x7f80'0000u));
  const auto half = hn::IfThenElse(nan, hn::Set(du, 0x7fffu), bounded);
  return hn::Or(half, hn::And(hn::ShiftRight<16>(bits), hn::Set(du, 0x8000u)));
}

// f16 bits in the low half of each lane -> f32, exact. The field placed at f32's exponent is the value *
// 2^-112, subnormals included; infinity and NaN get the full exponent.
template <class D>
HWY_INLINE hn::Vec<D> f32_of_f16_bits(D d, hn::Vec<hn::RebindToUnsigned<D>> bits) {
  const hn::RebindToUnsigned<D> du;
  const auto magnitude = hn::And(bits, hn::Set(du, 0x7fffu));
  const auto placed = hn::Mul(hn::BitCast(d, hn::ShiftLeft<13>(magnitude)), hn::Set(d, 0x1p112f));
  const auto full = hn::IfThenElseZero(hn::Gt(magnitude, hn::Set(du, 0x7bffu)), hn::Set(du, 0x7f80'0000u));
  const auto sign = hn::ShiftLeft<16>(hn::And(bits, hn::Set(du, 0x8000u)));
  return hn::BitCast(d, hn::Or(hn::Or(hn::BitCast(du, placed), full), sign));
}

constexpr std::int64_t element_bytes(ElementFormat format) { return format == ElementFormat::f32 ? 4 : 2; }

// Lanes(d) elements from `element` on; exact.
template <ElementFormat kFormat, class D>
HWY_INLINE hn::Vec<D> load_as_f32(D d, const void* from, std::int64_t element) {
  if constexpr (kFormat == ElementFormat::f32) {
    return hn::LoadU(d, static_cast<const float*>(from) + element);
  } else {
    const hn::RebindToUnsigned<D> du;
    const hn::Rebind<std::uint16_t, D> d16;
    const auto bits = hn::PromoteTo(du, hn::LoadU(d16, static_cast<const std::uint16_t*>(from) + element));
    if constexpr (kFormat == ElementFormat::bf16) return hn::BitCast(d, hn::ShiftLeft<16>(bits));
    return f32_of_f16_bits(d, bits);
  }
}

// Lanes(d) elements from `element` on <- x, to nearest even, beyond the largest value to infinity.
template <ElementFormat kFormat, class D>
HWY_INLINE void store_from_f32(D d, hn::Vec<D> x, void* to, std::int64_t element) {
  if constexpr (kFormat == ElementFormat::f32) {
    hn::StoreU(x, d, static_cast<float*>(to) + element);
  } else {
    const hn::Rebind<std::uint16_t, D> d16;
    const auto bits = kFormat == ElementFormat::bf16 ? bf16_bits(d, x) : f16_bits(d, x);
    hn::StoreU(hn::TruncateTo(d16, bits), d16, static_cast<std::uint16_t*>(to) + element);
  }
}

}  // namespace fourge::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
