// Group dots of the exact panel: the one part that Highway 1.0.3 has no portable operation for.
//
//   x86   u8 x s8 pairs (pmaddubsw), then pairs of pairs (pmaddwd). B carries a bias of 12, taken away at the
//         end: sum (2b + 12) 2a - 12 sum 2a.
//   NEON  s8 x s8 into int16 (smull, smlal), then two pairwise additions
//   SVE   sdot

#if defined(FOURGE_SIMD_EXACT_DOTS_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef FOURGE_SIMD_EXACT_DOTS_INL
#undef FOURGE_SIMD_EXACT_DOTS_INL
#else
#define FOURGE_SIMD_EXACT_DOTS_INL
#endif

#include "fourge/formats.h"
#include "simd/exact_operands.h"

HWY_BEFORE_NAMESPACE();
namespace fourge::simd::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// One vector covers `Lanes(kF32)` of the panel's 16 columns; a panel takes 16 / Lanes vectors.
using F32 = hn::CappedTag<float, kPanelCols>;
using I32 = hn::RebindToSigned<F32>;
using U8 = hn::Repartition<std::uint8_t, F32>;

#if HWY_ARCH_X86
inline constexpr int kCodeBias = 12;  // makes B unsigned: 0..24
#else
inline constexpr int kCodeBias = 0;
#endif

struct CodeTable {
  alignas(16) std::uint8_t byte[16];
};
constexpr CodeTable make_code_table() {
  CodeTable table{};
  for (unsigned code = 0; code < 16; ++code)
    table.byte[code] = static_cast<std::uint8_t>(twice_e2m1(code) + kCodeBias);
  return table;
}
inline constexpr CodeTable kCodeTable = make_code_table();

// The codes of one panel's step, decoded: quad q = 4 k of every column.
struct Quads {
  alignas(64) std::uint8_t of[kStepK / 4][4 * kPanelCols];
};

HWY_INLINE void decode_quads(const std::uint8_t* HWY_RESTRICT codes, Quads& quads) {
  const U8 d;
  const auto table = hn::LoadDup128(d, kCodeTable.byte);
  const auto low_nibble = hn::Set(d, std::uint8_t{15});
  for (int v = 0; v < kStepK / 8; ++v) {
    for (std::size_t byte = 0; byte < 4 * kPanelCols; byte += hn::Lanes(d)) {
      const auto packed = hn::LoadU(d, codes + 4 * kPanelCols * v + byte);
      const auto low = hn::And(packed, low_nibble), high = hn::ShiftRight<4>(packed);
      hn::Store(hn::TableLookupBytes(table, low), d, quads.of[2 * v] + byte);
      hn::Store(hn::TableLookupBytes(table, high), d, quads.of[2 * v + 1] + byte);
    }
  }
}

// Four bytes of A, the same for every column.
HWY_INLINE std::int32_t a_quad(const ActivationStep& a, int quad) {
  std::int32_t bytes;
  __builtin_memcpy(&bytes, a.codes + 4 * quad, sizeof bytes);
  return bytes;
}

// Exact: sums of 16 products. In int16, x86: two products of at most 24 * 12 in each of four quads.
static_assert(4 * 2 * 24 * 12 <= 32767);
static_assert(4 * 12 * 12 <= 32767);

HWY_INLINE hn::Vec<I32> group_dot(const Quads& quads, const ActivationStep& a, int group,
                                  std::size_t column) {
  const I32 d;
  const int first = 4 * group;
#if HWY_ARCH_X86
  const U8 du8;
  const auto products = [&](int quad) HWY_ATTR {
    const auto b = hn::Load(du8, quads.of[quad] + 4 * column).raw;
    const auto a4 = hn::Set(d, a_quad(a, quad)).raw;
#if HWY_TARGET == HWY_SSE4
    return _mm_maddubs_epi16(b, a4);
#elif HWY_TARGET == HWY_AVX2
    return _mm256_maddubs_epi16(b, a4);
#else
    return _mm512_maddubs_epi16(b, a4);
#endif
  };
  const hn::Repartition<std::int16_t, I32> d16;
  using V16 = hn::Vec<decltype(d16)>;
  const V16 sums = hn::Add(hn::Add(V16{products(first)}, V16{products(first + 1)}),
                           hn::Add(V16{products(first + 2)}, V16{products(first + 3)}));
  const auto ones = hn::Set(d16, std::int16_t{1});
#if HWY_TARGET == HWY_SSE4
  const hn::Vec<I32> dots{_mm_madd_epi16(sums.raw, ones.raw)};
#elif HWY_TARGET == HWY_AVX2
  const hn::Vec<I32> dots{_mm256_madd_epi16(sums.raw, ones.raw)};
#else
  const hn::Vec<I32> dots{_mm512_madd_epi16(sums.raw, ones.raw)};
#endif
  return hn::Add(dots, hn::Set(d, a.bias[group]));
#elif HWY_TARGET == HWY_NEON
  (void)d;
  int16x8_t low = vdupq_n_s16(0), high = low;
  for (int quad = first; quad < first + 4; ++quad) {
    const int8x16_t b = vld1q_s8(reinterpret_cast<const std::int8_t*>(quads.of[quad] + 4 * column));
    const int8x16_t a4 = vreinterpretq_s8_s32(vdupq_n_s32(a_quad(a, quad)));
    low = vmlal_s8(low, vget_low_s8(b), vget_low_s8(a4));
    high = vmlal_high_s8(high, b, a4);
  }
  return hn::Vec<I32>(vpaddlq_s16(vpaddq_s16(low, high)));
#elif HWY_TARGET == HWY_SVE
  const hn::Repartition<std::int8_t, I32> d8;
  auto dots = hn::Zero(d);
  for (int quad = first; quad < first + 4; ++quad) {
    const auto b = hn::Load(d8, reinterpret_cast<const std::int8_t*>(quads.of[quad] + 4 * column));
    dots = svdot_s32(dots, b, hn::BitCast(d8, hn::Set(d, a_quad(a, quad))));
  }
  return dots;
#else
#error "simd/target.h lists no such target"
#endif
}

}  // namespace fourge::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
