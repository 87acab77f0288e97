#include "quant/model/vector_kernels.h"

#include <algorithm>
#include <bit>
#include <cmath>

// SVE vectors have no compile-time size, so no array of accumulators can be made of them: NEON serves there.
#define HWY_DISABLED_TARGETS \
  (HWY_SSSE3 | HWY_AVX3_DL | HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128 | HWY_RVV)
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "quant/model/vector_kernels.cc"
#include <hwy/foreach_target.h>  // re-includes this file once per instruction set
#include <hwy/highway.h>
// After highway.h, which it needs.
#include <hwy/contrib/math/math-inl.h>

HWY_BEFORE_NAMESPACE();
namespace fourge::quant::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;
using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;

// Two vectors wide; 24 accumulators where there are 32 registers, else 12.
constexpr int kRowsAtOnce = HWY_TARGET == HWY_AVX3 || HWY_ARCH_ARM_A64 ? 12 : 6;
static_assert(kTileRows % kRowsAtOnce == 0);

HWY_ATTR void MultiplyRows(const float* HWY_RESTRICT a, const float* HWY_RESTRICT b, std::int64_t depth,
                           float* HWY_RESTRICT c, std::int64_t c_stride, bool accumulate) {
  const D d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  V left[kRowsAtOnce], right[kRowsAtOnce];
#pragma GCC unroll 12
  for (int i = 0; i < kRowsAtOnce; ++i) {
    left[i] = accumulate ? hn::LoadU(d, c + i * c_stride) : hn::Zero(d);
    right[i] = accumulate ? hn::LoadU(d, c + i * c_stride + lanes) : hn::Zero(d);
  }
  for (std::int64_t t = 0; t < depth; ++t) {
    const V b_left = hn::LoadU(d, b + t * kPanelWidth), b_right = hn::LoadU(d, b + t * kPanelWidth + lanes);
#pragma GCC unroll 12
    for (int i = 0; i < kRowsAtOnce; ++i) {
      const V a_i = hn::Set(d, a[t * kTileRows + i]);
      left[i] = hn::MulAdd(a_i, b_left, left[i]);
      right[i] = hn::MulAdd(a_i, b_right, right[i]);
    }
  }
#pragma GCC unroll 12
  for (int i = 0; i < kRowsAtOnce; ++i) {
    hn::StoreU(left[i], d, c + i * c_stride);
    hn::StoreU(right[i], d, c + i * c_stride + lanes);
  }
}

HWY_ATTR void MultiplyTile(const float* a, const float* b, std::int64_t depth, float* c,
                           std::int64_t c_stride, bool accumulate) {
  const D d;
  const auto width = 2 * static_cast<std::int64_t>(hn::Lanes(d));
  for (std::int64_t column = 0; column < kPanelWidth; column += width) {
    for (std::int64_t row = 0; row < kTileRows; row += kRowsAtOnce) {
      MultiplyRows(a + row, b + column, depth, c + row * c_stride + column, c_stride, accumulate);
    }
  }
}

// The sum over i of map(vector i of x); lanes beyond `count` contribute nothing.
template <class Map>
HWY_INLINE float SumOf(const float* x, std::int64_t count, float (*map_one)(float), const Map& map) {
  const D d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  V sum0 = hn::Zero(d), sum1 = hn::Zero(d);
  std::int64_t i = 0;
  for (; i + 2 * lanes <= count; i += 2 * lanes) {
    sum0 = hn::Add(sum0, map(hn::LoadU(d, x + i)));
    sum1 = hn::Add(sum1, map(hn::LoadU(d, x + i + lanes)));
  }
  float total = hn::GetLane(hn::SumOfLanes(d, hn::Add(sum0, sum1)));
  for (; i < count; ++i) total += map_one(x[i]);
  return total;
}

HWY_ATTR void RmsNorm(const float* x, const float* gain, float eps, std::int64_t count, float* out) {
  const D d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const float squares = SumOf(
      x, count, [](float v) { return v * v; }, [](V v) HWY_ATTR { return hn::Mul(v, v); });
  const float factor = 1.0f / std::sqrt(squares / static_cast<float>(count) + eps);
  const V factors = hn::Set(d, factor);
  std::int64_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    hn::StoreU(hn::Mul(hn::Mul(hn::LoadU(d, x + i), factors), hn::LoadU(d, gain + i)), d, out + i);
  }
  for (; i < count; ++i) out[i] = x[i] * factor * gain[i];
}

HWY_ATTR void AddTo(float* x, const float* y, std::int64_t count) {
  const D d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  std::int64_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    hn::StoreU(hn::Add(hn::LoadU(d, x + i), hn::LoadU(d, y + i)), d, x + i);
  }
  for (; i < count; ++i) x[i] += y[i];
}

HWY_ATTR void MultiplyBy(float* x, const float* y, std::int64_t count) {
  const D d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  std::int64_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    hn::StoreU(hn::Mul(hn::LoadU(d, x + i), hn::LoadU(d, y + i)), d, x + i);
  }
  for (; i < count; ++i) x[i] *= y[i];
}

HWY_ATTR void RoundToBf16(float* x, std::int64_t count) {
  const D d;
  const hn::RebindToUnsigned<D> bits;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const auto one = hn::Set(bits, 1u), half = hn::Set(bits, 0x7fffu), high = hn::Set(bits, 0xffff0000u);
  std::int64_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    const V v = hn::LoadU(d, x + i);
    const auto u = hn::BitCast(bits, v);
    const auto odd = hn::And(hn::ShiftRight<16>(u), one);
    const V rounded = hn::BitCast(d, hn::And(hn::Add(u, hn::Add(half, odd)), high));
    hn::StoreU(hn::IfThenElse(hn::IsFinite(v), rounded, v), d, x + i);
  }
  for (; i < count; ++i) {
    const auto u = std::bit_cast<std::uint32_t>(x[i]);
    if (std::isfinite(x[i])) x[i] = std::bit_cast<float>((u + 0x7fffu + (u >> 16 & 1u)) & 0xffff0000u);
  }
}

HWY_ATTR void SiluTimes(float* gate, const float* up, std::int64_t count) {
  const D d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const V one = hn::Set(d, 1.0f);
  std::int64_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    const V g = hn::LoadU(d, gate + i);
    const V sigmoid_divisor = hn::Add(one, hn::Exp(d, hn::Neg(g)));
    hn::StoreU(hn::Mul(hn::Div(g, sigmoid_divisor), hn::LoadU(d, up + i)), d, gate + i);
  }
  for (; i < count; ++i) gate[i] = gate[i] / (1.0f + std::exp(-gate[i])) * up[i];
}

HWY_ATTR float LargestOf(const float* x, std::int64_t count) {
  const D d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  float largest = x[0];
  std::int64_t i = 0;
  if (count >= lanes) {
    V maxima = hn::LoadU(d, x);
    for (i = lanes; i + lanes <= count; i += lanes) maxima = hn::Max(maxima, hn::LoadU(d, x + i));
    largest = hn::GetLane(hn::MaxOfLanes(d, maxima));
  }
  for (; i < count; ++i) largest = std::max(largest, x[i]);
  return largest;
}

HWY_ATTR void Softmax(float* x, float factor, std::int64_t count) {
  const D d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const float offset = -factor * LargestOf(x, count);
  const V factors = hn::Set(d, factor), offsets = hn::Set(d, offset);
  V sums = hn::Zero(d);
  std::int64_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    const V e = hn::Exp(d, hn::MulAdd(factors, hn::LoadU(d, x + i), offsets));
    sums = hn::Add(sums, e);
    hn::StoreU(e, d, x + i);
  }
  float sum = hn::GetLane(hn::SumOfLanes(d, sums));
  for (; i < count; ++i) sum += x[i] = std::exp(std::fma(factor, x[i], offset));
  const float scale = 1.0f / sum;
  const V scales = hn::Set(d, scale);
  for (i = 0; i + lanes <= count; i += lanes) hn::StoreU(hn::Mul(hn::LoadU(d, x + i), scales), d, x + i);
  for (; i < count; ++i) x[i] *= scale;
}

HWY_ATTR float LogSumExp(const float* x, std::int64_t count) {
  const D d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const float largest = LargestOf(x, count);
  const V offsets = hn::Set(d, -largest);
  V sums = hn::Zero(d);
  std::int64_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    sums = hn::Add(sums, hn::Exp(d, hn::Add(hn::LoadU(d, x + i), offsets)));
  }
  float sum = hn::GetLane(hn::SumOfLanes(d, sums));
  for (; i < count; ++i) sum += std::exp(x[i] - largest);
  return largest + std::log(sum);
}

const char* TargetName() { return hwy::TargetName(HWY_TARGET); }

}  // namespace fourge::quant::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace fourge::quant {

HWY_EXPORT(MultiplyTile);
HWY_EXPORT(RmsNorm);
HWY_EXPORT(AddTo);
HWY_EXPORT(MultiplyBy);
HWY_EXPORT(RoundToBf16);
HWY_EXPORT(SiluTimes);
HWY_EXPORT(Softmax);
HWY_EXPORT(LogSumExp);
HWY_EXPORT(TargetName);

void multiply_tile(const float* a, const float* b, std::int64_t depth, float* c, std::int64_t c_stride,
                   bool accumulate) {
  HWY_DYNAMIC_DISPATCH(MultiplyTile)(a, b, depth, c, c_stride, accumulate);
}
void rms_norm(const float* x, const float* gain, float eps, std::int64_t count, float* out) {
  HWY_DYNAMIC_DISPATCH(RmsNorm)(x, gain, eps, count, out);
}
void add_to(float* x, const float* y, std::int64_t count) { HWY_DYNAMIC_DISPATCH(AddTo)(x, y, count); }
void multiply_by(float* x, const float* y, std::int64_t count) {
  HWY_DYNAMIC_DISPATCH(MultiplyBy)(x, y, count);
}
void round_to_bf16(float* x, std::int64_t count) { HWY_DYNAMIC_DISPATCH(RoundToBf16)(x, count); }
void silu_times(float* gate, const float* up, std::int64_t count) {
  HWY_DYNAMIC_DISPATCH(SiluTimes)(gate, up, count);
}
void softmax(float* x, float factor, std::int64_t count) { HWY_DYNAMIC_DISPATCH(Softmax)(x, factor, count); }
float log_sum_exp(const float* x, std::int64_t count) { return HWY_DYNAMIC_DISPATCH(LogSumExp)(x, count); }
const char* vector_isa() { return HWY_DYNAMIC_DISPATCH(TargetName)(); }

}  // namespace fourge::quant
#endif
