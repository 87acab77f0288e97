#include "simd/second_moment.h"

#include <algorithm>
#include <cstring>

#include "simd/rounding_mode.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "simd/second_moment.cc"
#include "simd/foreach_target.h"  // after HWY_TARGET_INCLUDE

#if FOURGE_SIMD_TARGET
HWY_BEFORE_NAMESPACE();
namespace fourge::simd::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

using MomentFloats = hn::CappedTag<float, kMomentPanel>;
using MomentInts = hn::RebindToSigned<MomentFloats>;
using MomentBits = hn::RebindToUnsigned<MomentFloats>;
using MomentHalves = hn::RepartitionToNarrow<MomentInts>;
using IntVector = hn::Vec<MomentInts>;
using HalfVector = hn::Vec<MomentHalves>;

// Pairs of tokens whose products an int32 holds: 32,639 * 255 * 256 < 2^31.
constexpr std::int64_t kPairsAtOnce = 128;
constexpr int kRowsAtOnce = 4;

// --- Packing ---

// Floats of a token; those beyond a partial panel's columns are zero.
HWY_INLINE const float* token_values(const MomentPackArgs& args, std::int64_t token, float* padded) {
  const auto* x =
      reinterpret_cast<const float*>(reinterpret_cast<const std::uint8_t*>(args.x) + token * args.stride);
  if (args.columns == kMomentPanel) return x;
  std::copy_n(x, args.columns, padded);
  return padded;
}

HWY_NOINLINE void column_scales(const MomentPackArgs& args, float* to_code) {
  const MomentFloats d;
  const MomentBits bits;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  float padded[kMomentPanel] = {};
  auto& head = *reinterpret_cast<MomentHead*>(args.panel);
  std::uint32_t amax[kMomentPanel];
  for (std::int64_t column = 0; column < kMomentPanel; column += lanes) {
    auto largest = hn::Zero(bits);
    for (std::int64_t t = 0; t < args.tokens; ++t) {
      const auto x = hn::LoadU(d, token_values(args, t, padded) + column);
      largest = hn::Max(largest, hn::BitCast(bits, hn::Abs(x)));
    }
    hn::StoreU(largest, bits, amax + column);
  }
  for (int c = 0; c < kMomentPanel; ++c) {
    const ColumnScale scale = column_scale(amax[c]);
    to_code[c] = scale.to_code;
    head.scale[c] = scale.scale;
  }
}

// int16 [pair][column][2].
HWY_NOINLINE void pack_pairs(const MomentPackArgs& args, const float* to_code) {
  const MomentFloats d;
  const MomentInts words;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const std::int64_t pairs = (args.tokens + kMomentStep - 1) / kMomentStep * kMomentStep / 2;
  auto* codes = reinterpret_cast<std::int32_t*>(args.panel + sizeof(MomentHead));
  float even_padded[kMomentPanel] = {}, odd_padded[kMomentPanel] = {};
  const float none[kMomentPanel] = {};
  for (std::int64_t pair = 0; pair < pairs; ++pair) {
    const bool has_even = 2 * pair < args.tokens, has_odd = 2 * pair + 1 < args.tokens;
    const float* even = has_even ? token_values(args, 2 * pair, even_padded) : none;
    const float* odd = has_odd ? token_values(args, 2 * pair + 1, odd_padded) : none;
    for (std::int64_t column = 0; column < kMomentPanel; column += lanes) {
      const auto scale = hn::LoadU(d, to_code + column);
      const auto low = hn::NearestInt(hn::Mul(hn::LoadU(d, even + column), scale));
      const auto high = hn::NearestInt(hn::Mul(hn::LoadU(d, odd + column), scale));
      hn::StoreU(hn::Or(hn::And(low, hn::Set(words, 0xffff)), hn::ShiftLeft<16>(high)), words,
                 codes + pair * kMomentPanel + column);
    }
  }
}

void pack_of_target(const MomentPackArgs& args) {
  const RoundingMode nearest(RoundingMode::to_nearest);
  float to_code[kMomentPanel];
  for (std::int64_t panel = 0; panel * kMomentPanel < args.columns; ++panel) {
    const MomentPackArgs one = one_panel(args, panel);
    column_scales(one, to_code);
    pack_pairs(one, to_code);
  }
}

// --- Products ---

// sums[lane] += 256 high + low
HWY_INLINE void flush_sums(IntVector high, IntVector low, double* sums) {
  const MomentInts d;
  HWY_ALIGN std::int32_t high_lanes[kMomentPanel], low_lanes[kMomentPanel];
  hn::Store(high, d, high_lanes);
  hn::Store(low, d, low_lanes);
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  for (std::int64_t i = 0; i < lanes; ++i) sums[i] += 256.0 * high_lanes[i] + low_lanes[i];
}

HWY_INLINE HalfVector both_tokens(const std::int32_t* codes) {
  return hn::BitCast(MomentHalves(), hn::Set(MomentInts(), *codes));
}

// Four rows of y by a vector of columns of x: q_y times the high and the low byte of q_x. High bytes are
// signed, low ones are not.
HWY_INLINE void multiply_rows(const std::int32_t* y, const std::int32_t* x, std::int64_t pairs,
                              double* sums) {
  const MomentInts d;
  const MomentHalves halves;
  const auto low_byte = hn::Set(halves, std::int16_t{0xff});
  // On Arm a dot product of pairs leaves its two halves apart: `_b` is what has no part on x86.
  auto high0 = hn::Zero(d), high1 = high0, high2 = high0, high3 = high0;
  auto low0 = high0, low1 = high0, low2 = high0, low3 = high0;
  auto high0_b = high0, high1_b = high0, high2_b = high0, high3_b = high0;
  auto low0_b = high0, low1_b = high0, low2_b = high0, low3_b = high0;
  for (std::int64_t pair = 0; pair < pairs; ++pair, y += kMomentPanel, x += kMomentPanel) {
    const auto codes = hn::BitCast(halves, hn::LoadU(d, x));
    const auto high = hn::ShiftRight<8>(codes), low = hn::And(codes, low_byte);
    const auto y0 = both_tokens(y), y1 = both_tokens(y + 1), y2 = both_tokens(y + 2), y3 = both_tokens(y + 3);
    high0 = hn::ReorderWidenMulAccumulate(d, y0, high, high0, high0_b);
    low0 = hn::ReorderWidenMulAccumulate(d, y0, low, low0, low0_b);
    high1 = hn::ReorderWidenMulAccumulate(d, y1, high, high1, high1_b);
    low1 = hn::ReorderWidenMulAccumulate(d, y1, low, low1, low1_b);
    high2 = hn::ReorderWidenMulAccumulate(d, y2, high, high2, high2_b);
    low2 = hn::ReorderWidenMulAccumulate(d, y2, low, low2, low2_b);
    high3 = hn::ReorderWidenMulAccumulate(d, y3, high, high3, high3_b);
    low3 = hn::ReorderWidenMulAccumulate(d, y3, low, low3, low3_b);
  }
  const auto whole = [](IntVector a, IntVector b) HWY_ATTR { return hn::RearrangeToOddPlusEven(a, b); };
  flush_sums(whole(high0, high0_b), whole(low0, low0_b), sums);
  flush_sums(whole(high1, high1_b), whole(low1, low1_b), sums + kMomentPanel);
  flush_sums(whole(high2, high2_b), whole(low2, low2_b), sums + 2 * kMomentPanel);
  flush_sums(whole(high3, high3_b), whole(low3, low3_b), sums + 3 * kMomentPanel);
}

HWY_NOINLINE void add_to_sums(const MomentHead& y, const MomentHead& x, const double* sums, double* coarse,
                              double* fine, std::int64_t stride) {
  for (int i = 0; i < kMomentPanel; ++i) {
    for (int j = 0; j < kMomentPanel; ++j) {
      const double sum = sums[i * kMomentPanel + j] * (y.scale[i] * x.scale[j]);
      const double to_coarse = (sum + kMomentToCoarse) - kMomentToCoarse;
      coarse[i * stride + j] += to_coarse;
      fine[i * stride + j] += ((sum - to_coarse) + kMomentToFine) - kMomentToFine;
    }
  }
}

HWY_NOINLINE void multiply_panel(const MomentBlockArgs& args, const std::uint8_t* x, double* sums) {
  const MomentInts d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const auto codes_of = [](const std::uint8_t* panel) {
    return reinterpret_cast<const std::int32_t*>(panel + sizeof(MomentHead));
  };
  const std::int64_t pairs = args.steps * kMomentStep / 2;
  std::fill_n(sums, kMomentPanel * kMomentPanel, 0.0);
  for (std::int64_t first = 0; first < pairs; first += kPairsAtOnce) {
    const std::int64_t count = std::min(kPairsAtOnce, pairs - first);
    for (int row = 0; row < kMomentPanel; row += kRowsAtOnce)
      for (std::int64_t column = 0; column < kMomentPanel; column += lanes)
        multiply_rows(codes_of(args.y) + first * kMomentPanel + row,
                      codes_of(x) + first * kMomentPanel + column, count, sums + row * kMomentPanel + column);
  }
}

void block_of_target(const MomentBlockArgs& args) {
  const RoundingMode nearest(RoundingMode::to_nearest);
  const auto& y = *reinterpret_cast<const MomentHead*>(args.y);
  double sums[kMomentPanel * kMomentPanel];
  for (std::int64_t p = 0; p < args.panels; ++p) {
    const std::uint8_t* x = args.x + p * args.panel_bytes;
    multiply_panel(args, x, sums);
    add_to_sums(y, *reinterpret_cast<const MomentHead*>(x), sums, args.coarse + p * kMomentPanel,
                args.fine + p * kMomentPanel, args.stride / static_cast<std::int64_t>(sizeof(double)));
  }
}

}  // namespace fourge::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif

#if HWY_ONCE
namespace fourge::simd {

SecondMomentFunctions second_moment(Target target) {
  switch (target) {
#define FOURGE_TARGET(name, space) \
  case Target::name:               \
    return {space::pack_of_target, space::block_of_target};
#include "simd/targets.inc"
    default:
      return {};
  }
}

}  // namespace fourge::simd
#endif
