#include "quant/lane_quantize.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "fourge/quest.h"
#include "quant/mxfp4.h"
#include "quant/nvfp4.h"

#define HWY_DISABLED_TARGETS \
  (HWY_SSSE3 | HWY_AVX3_DL | HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128 | HWY_RVV)
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "quant/lane_quantize.cc"
#include <hwy/foreach_target.h>  // re-includes this file once per instruction set
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace fourge::quant::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;
using D = hn::ScalableTag<float>;
using DI = hn::RebindToSigned<D>;
using V = hn::Vec<D>;
using VI = hn::Vec<DI>;

constexpr int kWidest = 32;
constexpr std::int64_t kMostLanes = 16;
constexpr float kFloatMax = std::numeric_limits<float>::max();

HWY_INLINE V Constant(float x) { return hn::Set(D(), x); }
HWY_INLINE VI Bits(V x) { return hn::BitCast(DI(), x); }
HWY_INLINE V FromBits(VI x) { return hn::BitCast(D(), x); }

// |x| on the e2m1 grid, to nearest even, at most 6; NaN gives 6. Adding 2^22 leaves multiples of 0.5, and so
// on.
HWY_INLINE V RoundMagnitude(V magnitude) {
  const V step = hn::IfThenElse(
      hn::Lt(magnitude, Constant(2.0f)), Constant(4194304.0f),
      hn::IfThenElse(hn::Lt(magnitude, Constant(4.0f)), Constant(8388608.0f), Constant(16777216.0f)));
  const V rounded = hn::Sub(hn::Add(magnitude, step), step);
  return hn::IfThenElse(hn::Lt(rounded, Constant(6.0f)), rounded, Constant(6.0f));
}

// The code of a magnitude on the grid: twice it is 0 1 2 3 4 6 8 12.
HWY_INLINE VI CodeOfMagnitude(V magnitude) {
  const VI twice = hn::ConvertTo(DI(), hn::Add(magnitude, magnitude));
  const DI di;
  const VI over4 = hn::IfThenElseZero(hn::Gt(twice, hn::Set(di, 4)), hn::Set(di, 1));
  const VI over6 = hn::IfThenElseZero(hn::Gt(twice, hn::Set(di, 6)), hn::Set(di, 1));
  const VI over8 = hn::IfThenElseZero(hn::Gt(twice, hn::Set(di, 8)), hn::Set(di, 1));
  return hn::Add(hn::Min(twice, hn::Set(di, 4)), hn::Add(over4, hn::Add(over6, over8)));
}

// A positive value to ue4m3, to nearest even, saturating at 448.
struct Ue4m3 {
  VI code;
  V value;
};
HWY_INLINE Ue4m3 RoundToUe4m3(V x) {
  const DI di;
  const V capped = hn::Min(x, Constant(448.0f));
  const VI bits = Bits(capped);
  const VI odd = hn::And(hn::ShiftRight<20>(bits), hn::Set(di, 1));
  const VI rounded = hn::ShiftRight<20>(hn::Add(bits, hn::Add(hn::Set(di, 0x7ffff), odd)));
  const V magic = Constant(16384.0f);  // its ulp is 2^-9, the subnormals' step
  const V subnormal = hn::Sub(hn::Add(capped, magic), magic);
  const auto is_subnormal = hn::Lt(capped, Constant(0.015625f));
  const V value = hn::IfThenElse(is_subnormal, subnormal, FromBits(hn::ShiftLeft<20>(rounded)));
  const VI small_code = hn::ConvertTo(di, hn::Mul(subnormal, Constant(512.0f)));
  const VI code =
      hn::IfThenElse(hn::RebindMask(di, is_subnormal), small_code, hn::Sub(rounded, hn::Set(di, 960)));
  return {code, value};
}
HWY_INLINE V ValueOfUe4m3(VI code) {
  const DI di;
  const V normal = FromBits(hn::ShiftLeft<20>(hn::Add(code, hn::Set(di, 960))));
  const V subnormal = hn::Mul(hn::ConvertTo(D(), code), Constant(1.0f / 512.0f));
  return hn::IfThenElse(hn::RebindMask(D(), hn::Lt(code, hn::Set(di, 8))), subnormal, normal);
}

// As many blocks as there are lanes, element i of lane b at x[i][b].
struct Blocks {
  int width;
  const float (*x)[kMostLanes];
  const float (*w)[kMostLanes];  // importance, or null

  HWY_INLINE V at(int i) const { return hn::LoadU(D(), x[i]); }
  HWY_INLINE V weight(int i) const { return hn::LoadU(D(), w[i]); }
};

// Largest magnitude; NaN does not count.
HWY_INLINE V Amax(const Blocks& blocks) {
  V amax = hn::Zero(D());
  for (int i = 0; i < blocks.width; ++i) {
    const V magnitude = hn::Abs(blocks.at(i));
    amax = hn::IfThenElse(hn::Gt(magnitude, amax), magnitude, amax);
  }
  return amax;
}

// What a rule decides for every lane: the scale's code and what the elements are multiplied with before
// rounding; lanes whose `zero` is set get code 0 throughout.
struct Decision {
  VI code;
  V multiplier;
  V offset;  // added to x first: -0 keeps every x, +0 turns -0 into 0
  hn::Mask<D> zero;
};

HWY_INLINE Decision DecisionOf(VI code, V multiplier) {
  return {code, multiplier, Constant(-0.0f), hn::MaskFromVec(hn::Zero(D()))};
}

// --- NVFP4 ---

struct NvCandidate {
  Ue4m3 scale;
  V multiplier;
  hn::Mask<D> zero;
};
HWY_INLINE NvCandidate NvCandidateOf(const Nvfp4Scaling& s, V target) {
  const Ue4m3 scale = RoundToUe4m3(target);
  const V inverse = hn::Div(Constant(1.0f), hn::Mul(Constant(s.decode), scale.value));
  return {scale, hn::Min(inverse, Constant(kFloatMax)), hn::Eq(scale.value, hn::Zero(D()))};
}

template <class Combine>
HWY_INLINE V NvError(const Nvfp4Scaling& s, const Blocks& blocks, const NvCandidate& c, Combine combine) {
  V total = hn::Zero(D());
  for (int i = 0; i < blocks.width; ++i) {
    const V x = hn::Abs(blocks.at(i));
    const V q = hn::IfThenZeroElse(c.zero, RoundMagnitude(hn::Mul(x, c.multiplier)));
    const V product = hn::Mul(hn::Mul(q, c.scale.value), Constant(s.amax));
    total = combine(total, hn::Sub(hn::Div(product, Constant(s.denominator)), x));
  }
  return total;
}
HWY_ATTR V NvErrorOfRule(const Nvfp4Scaling& s, const Blocks& blocks, const NvCandidate& c) {
  switch (s.rule) {
    case ScaleRule::mse_4_6:
      return NvError(s, blocks, c, [](V t, V e) HWY_ATTR { return hn::Add(t, hn::Mul(e, e)); });
    case ScaleRule::mae_4_6:
      return NvError(s, blocks, c, [](V t, V e) HWY_ATTR { return hn::Add(t, hn::Abs(e)); });
    default:
      return NvError(s, blocks, c, [](V t, V e) HWY_ATTR {
        const V a = hn::Abs(e);
        return hn::IfThenElse(hn::Gt(a, t), a, t);
      });
  }
}

// fourge/quest.h, lane by lane.
HWY_ATTR V QuestScale(const Blocks& blocks) {
  HWY_ALIGN float scales[kMostLanes];
  for (std::size_t lane = 0; lane < hn::Lanes(D()); ++lane) {
    float values[kWidest];
    for (int i = 0; i < blocks.width; ++i) values[i] = blocks.x[i][lane];
    scales[lane] = quest_scale(values, blocks.width);
  }
  return hn::Load(D(), scales);
}

HWY_INLINE Decision DecisionOf(const NvCandidate& c) {
  return {c.scale.code, c.multiplier, Constant(-0.0f), c.zero};
}

HWY_ATTR Decision DecideNvStatic(const Nvfp4Scaling& s, const Blocks& blocks) {
  const V target = hn::Mul(hn::Div(Amax(blocks), Constant(s.q_max)), Constant(s.encode));
  return DecisionOf(NvCandidateOf(s, target));
}

HWY_ATTR Decision DecideFourOverSix(const Nvfp4Scaling& s, const Blocks& blocks) {
  const V target = hn::Mul(hn::Div(Amax(blocks), Constant(s.q_max)), Constant(s.encode));
  const NvCandidate six = NvCandidateOf(s, target), four = NvCandidateOf(s, hn::Mul(target, Constant(1.5f)));
  const auto take_four = hn::Lt(NvErrorOfRule(s, blocks, four), NvErrorOfRule(s, blocks, six));
  const auto take_four_i = hn::RebindMask(DI(), take_four);
  const auto zero = hn::Or(hn::And(take_four, four.zero), hn::AndNot(take_four, six.zero));
  return {hn::IfThenElse(take_four_i, four.scale.code, six.scale.code),
          hn::IfThenElse(take_four, four.multiplier, six.multiplier), Constant(-0.0f), zero};
}

// x^(1/5) by Newton from an estimate that divides the exponent by 5: relative error below 1e-6; 0 gives about
// 0.
HWY_INLINE V FifthRoot(V x) {
  const V fifth = hn::Mul(hn::ConvertTo(D(), Bits(x)), Constant(0.2f));
  V r = FromBits(hn::Add(hn::ConvertTo(DI(), fifth), hn::Set(DI(), 852282573)));
  for (int step = 0; step < 3; ++step) {
    const V r2 = hn::Mul(r, r), r4 = hn::Mul(r2, r2);
    r = hn::Mul(hn::Add(hn::Mul(r, Constant(4.0f)), hn::Div(x, r4)), Constant(0.2f));
  }
  return r;
}

// The scale, not yet rounded, that FP-Quant's search finds.
HWY_ATTR V SearchedScale(const Blocks& blocks) {
  const V first = hn::Div(Amax(blocks), Constant(6.0f));
  const V floor = hn::Max(first, Constant(std::numeric_limits<float>::min()));
  V best_error = Constant(kFloatMax), best = first;
  for (int i = 0; i < 100; ++i) {
    const float factor = static_cast<float>(1.0 - i * 0.8 / 100.0);
    const V scale = hn::Mul(floor, Constant(factor));
    const V inverse = hn::Div(Constant(1.0f), scale);
    V total = hn::Zero(D());
    for (int j = 0; j < blocks.width; ++j) {
      const V x = hn::Abs(blocks.at(j));
      const V e = hn::Sub(hn::Mul(RoundMagnitude(hn::Mul(x, inverse)), scale), x);
      const V square = hn::Mul(e, e);
      total = hn::Add(total, hn::Mul(square, FifthRoot(square)));
    }
    const auto better = hn::Lt(total, best_error);
    best_error = hn::IfThenElse(better, total, best_error);
    best = hn::IfThenElse(better, scale, best);
  }
  return best;
}

// One step of a sweep: the error of a scale, and whether the lane can still improve.
struct Sweep {
  V amax, amax_weight;
  V best_error;
  VI best_code;

  HWY_INLINE Sweep(const Blocks& blocks, V encode) {
    amax = hn::Zero(D());
    amax_weight = Constant(1.0f);
    for (int i = 0; i < blocks.width; ++i) {
      const V magnitude = hn::Abs(hn::Mul(blocks.at(i), encode));
      const auto larger = hn::Gt(magnitude, amax);
      amax = hn::IfThenElse(larger, magnitude, amax);
      if (blocks.w != nullptr) amax_weight = hn::IfThenElse(larger, blocks.weight(i), amax_weight);
    }
    best_error = Constant(std::numeric_limits<float>::infinity());
    best_code = hn::Zero(DI());
  }

  // `inverse` is 1 / scale. Lanes whose code is below `least` are left as they are.
  HWY_INLINE void Try(const Blocks& blocks, V encode, VI code, VI least, V scale, V inverse) {
    V total = hn::Zero(D());
    for (int i = 0; i < blocks.width; ++i) {
      const V y = hn::Abs(hn::Mul(blocks.at(i), encode));
      const V e = hn::Sub(hn::Mul(RoundMagnitude(hn::Mul(y, inverse)), scale), y);
      const V square = hn::Mul(e, e);
      total = hn::Add(total, blocks.w == nullptr ? square : hn::Mul(square, blocks.weight(i)));
    }
    const auto valid = hn::RebindMask(D(), hn::Not(hn::Lt(code, least)));
    const auto better = hn::And(valid, hn::Lt(total, best_error));
    best_error = hn::IfThenElse(better, total, best_error);
    best_code = hn::IfThenElse(hn::RebindMask(DI(), better), code, best_code);
  }

  // Whether some lane's next smaller scale could still win: its saturated amax alone errs less than the best.
  HWY_INLINE bool GoesOn(V next_scale, VI next_code, VI least) const {
    const V excess = hn::Max(hn::Sub(amax, hn::Mul(next_scale, Constant(6.0f))), hn::Zero(D()));
    const V bound = hn::Mul(hn::Mul(excess, excess), amax_weight);
    const auto open =
        hn::And(hn::Lt(bound, best_error), hn::RebindMask(D(), hn::Not(hn::Lt(next_code, least))));
    return !hn::AllFalse(D(), open);
  }
};

HWY_ATTR Decision DecideNvSweep(const Nvfp4Scaling& s, const Blocks& blocks) {
  const DI di;
  const V encode = Constant(s.encode);
  Sweep sweep(blocks, encode);
  const VI least = hn::Set(di, 1);
  VI code = RoundToUe4m3(hn::Mul(sweep.amax, Constant(1.0f / 3.5f))).code;
  // Half of a code below 16 may not be a code: the argument for 3.5 starts an octave higher there.
  code = hn::IfThenElse(hn::Lt(code, hn::Set(di, 16)), hn::Add(code, hn::Set(di, 8)), code);
  V scale = ValueOfUe4m3(code);
  do {
    sweep.Try(blocks, encode, code, least, scale, hn::Div(Constant(1.0f), scale));
    code = hn::Sub(code, hn::Set(di, 1));
    scale = ValueOfUe4m3(hn::Max(code, least));
  } while (sweep.GoesOn(scale, code, least));
  const auto nothing = hn::Eq(sweep.amax, hn::Zero(D()));
  const VI best = hn::IfThenZeroElse(hn::RebindMask(di, nothing), sweep.best_code);
  const V inverse = hn::Div(Constant(1.0f), ValueOfUe4m3(hn::Max(best, least)));
  return {best, hn::Mul(encode, inverse), Constant(-0.0f), nothing};
}

HWY_ATTR Decision DecideNvSearch(const Nvfp4Scaling& s, const Blocks& blocks) {
  return DecisionOf(NvCandidateOf(s, hn::Mul(SearchedScale(blocks), Constant(s.encode))));
}

// --- MXFP4 ---

// 2^(exponent), exponent from -126 to 127.
HWY_INLINE V PowerOfTwo(VI exponent) {
  return FromBits(hn::ShiftLeft<23>(hn::Add(exponent, hn::Set(DI(), 127))));
}
HWY_INLINE VI FloorLog2(V x) { return hn::Sub(hn::ShiftRight<23>(Bits(x)), hn::Set(DI(), 127)); }

// 2^(127 - byte) for bytes up to 254; byte 254 gives the subnormal 2^-127, 255 NaN.
HWY_INLINE V InverseOfUe8m0(VI code) {
  const DI di;
  const VI normal = hn::ShiftLeft<23>(hn::Sub(hn::Set(di, 254), code));
  const VI number = hn::IfThenElse(hn::Eq(code, hn::Set(di, 254)), hn::Set(di, 0x0040'0000), normal);
  return FromBits(hn::IfThenElse(hn::Eq(code, hn::Set(di, 255)), hn::Set(di, 0x7fff'ffff), number));
}

// The rules that look at the block's amax only: their one definition, lane by lane.
HWY_ATTR Decision DecideMxByAmax(ScaleRule rule, const Blocks& blocks) {
  const D d;
  const DI di;
  HWY_ALIGN float amax[kMostLanes];
  HWY_ALIGN std::int32_t codes[kMostLanes];
  hn::Store(Amax(blocks), d, amax);
  for (std::size_t lane = 0; lane < hn::Lanes(d); ++lane) codes[lane] = mx_scale_code(rule, amax[lane]);
  const VI code = hn::Load(di, codes);
  Decision decision = DecisionOf(code, InverseOfUe8m0(code));
  if (rule == ScaleRule::static_6 || rule == ScaleRule::static_4) {
    decision.offset = Constant(0.0f);
    decision.zero = hn::RebindMask(d, hn::Eq(code, hn::Zero(di)));
  }
  return decision;
}

// Scale 2^exponent / 3: the product with 3 * 2^-exponent rounds once. NaN for an infinite block.
HWY_INLINE Decision ShiftDecision(VI exponent) {
  const DI di;
  const VI code = hn::Add(hn::Max(exponent, hn::Set(di, -126)), hn::Set(di, 127));
  return DecisionOf(code, hn::Mul(Constant(3.0f), InverseOfUe8m0(code)));
}

HWY_ATTR Decision DecideMxQuest(const Blocks& blocks) {
  const VI code = hn::Min(hn::ShiftRight<23>(Bits(QuestScale(blocks))), hn::Set(DI(), 254));
  return DecisionOf(code, InverseOfUe8m0(code));
}

HWY_ATTR Decision DecideMxSweep(float encode_factor, const Blocks& blocks) {
  const DI di;
  const V encode = Constant(encode_factor);
  Sweep sweep(blocks, encode);
  const VI least = hn::Set(di, -125);
  // The largest power of two that is not above amax / 3.5.
  VI exponent = hn::Max(FloorLog2(hn::Mul(sweep.amax, Constant(1.0f / 3.5f))), least);
  V scale = PowerOfTwo(exponent);
  do {
    sweep.Try(blocks, encode, exponent, least, scale, PowerOfTwo(hn::Sub(hn::Zero(di), exponent)));
    exponent = hn::Sub(exponent, hn::Set(di, 1));
    scale = PowerOfTwo(hn::Max(exponent, least));
    exponent = hn::Max(exponent, hn::Set(di, -126));  // below `least`: no longer valid
  } while (sweep.GoesOn(scale, exponent, least));
  const auto nothing = hn::Eq(sweep.amax, hn::Zero(D()));
  const VI best = hn::IfThenZeroElse(hn::RebindMask(di, nothing), sweep.best_code);
  const VI code = hn::IfThenZeroElse(hn::RebindMask(di, nothing), hn::Add(best, hn::Set(di, 127)));
  return {code, hn::Mul(encode, PowerOfTwo(hn::Sub(hn::Zero(di), best))), Constant(-0.0f), nothing};
}

HWY_ATTR Decision Decide(const LaneScaling& scaling, const Nvfp4Scaling& nv, const Blocks& blocks) {
  if (scaling.format == Format::nvfp4) {
    switch (scaling.rule) {
      case ScaleRule::static_6:
      case ScaleRule::static_4:
        return DecideNvStatic(nv, blocks);
      case ScaleRule::search:
        return DecideNvSearch(nv, blocks);
      case ScaleRule::sweep:
        return DecideNvSweep(nv, blocks);
      case ScaleRule::quest:
        return DecisionOf(NvCandidateOf(nv, QuestScale(blocks)));
      default:
        return DecideFourOverSix(nv, blocks);
    }
  }
  switch (scaling.rule) {
    case ScaleRule::shift:
      return ShiftDecision(FloorLog2(Amax(blocks)));
    case ScaleRule::search:
      return ShiftDecision(FloorLog2(hn::Mul(SearchedScale(blocks), Constant(6.0f))));
    case ScaleRule::sweep:
      return DecideMxSweep(scaling.encode, blocks);
    case ScaleRule::quest:
      return DecideMxQuest(blocks);
    default:
      return DecideMxByAmax(scaling.rule, blocks);
  }
}

// Rounds every element and packs pairs of codes; bytes[i / 2][lane].
HWY_ATTR void Encode(const Blocks& blocks, const Decision& decision, std::int32_t (*bytes)[kMostLanes]) {
  const DI di;
  const D d;
  VI low = hn::Zero(di);
  for (int i = 0; i < blocks.width; ++i) {
    const V x = hn::Add(blocks.at(i), decision.offset);
    const V product = hn::Mul(hn::Abs(x), decision.multiplier);
    const VI magnitude = CodeOfMagnitude(RoundMagnitude(product));
    const VI sign = hn::And(hn::ShiftRight<28>(Bits(x)), hn::Set(di, 8));
    const auto no_number = hn::RebindMask(di, hn::IsNaN(product));
    const VI code = hn::IfThenZeroElse(hn::RebindMask(di, decision.zero),
                                       hn::Or(magnitude, hn::IfThenZeroElse(no_number, sign)));
    if (i % 2 == 0) {
      low = code;
    } else {
      hn::StoreU(hn::Or(low, hn::ShiftLeft<4>(code)), di, bytes[i / 2]);
    }
  }
  static_cast<void>(d);
}

HWY_ATTR void QuantizeLanes(const LaneScaling& scaling, const float* values, std::int64_t blocks,
                            const float* importance, std::int64_t columns, std::uint8_t* codes,
                            std::uint8_t* scales) {
  const D d;
  const DI di;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const int width = info(scaling.format).block;
  const Nvfp4Scaling nv = scaling.format == Format::nvfp4
                              ? Nvfp4Scaling::of({.rule = scaling.rule}, scaling.amax)
                              : Nvfp4Scaling{};
  HWY_ALIGN float x[kWidest][kMostLanes] = {};
  HWY_ALIGN float w[kWidest][kMostLanes] = {};
  HWY_ALIGN std::int32_t bytes[kWidest / 2][kMostLanes];
  HWY_ALIGN std::int32_t scale_codes[kMostLanes];
  for (std::int64_t first = 0; first < blocks; first += lanes) {
    const std::int64_t count = std::min(lanes, blocks - first);
    for (std::int64_t b = 0; b < count; ++b) {
      const std::int64_t begin = (first + b) * width;
      for (int i = 0; i < width; ++i) x[i][b] = values[begin + i];
      for (int i = 0; i < width && importance != nullptr; ++i) w[i][b] = importance[begin % columns + i];
    }
    const Blocks group{width, x, importance != nullptr ? w : nullptr};
    const Decision decision = Decide(scaling, nv, group);
    Encode(group, decision, bytes);
    hn::Store(decision.code, di, scale_codes);
    for (std::int64_t b = 0; b < count; ++b) {
      std::uint8_t* out = codes + (first + b) * width / 2;
      for (int i = 0; i < width / 2; ++i) out[i] = static_cast<std::uint8_t>(bytes[i][b]);
      scales[first + b] = static_cast<std::uint8_t>(scale_codes[b]);
    }
  }
}

}  // namespace fourge::quant::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace fourge::quant {

HWY_EXPORT(QuantizeLanes);

TensorScale LaneScaling::tensor_scale() const {
  if (format == Format::nvfp4)
    return TensorScale::decode_multiplier(nvfp4_tensor_scale({.rule = rule}, amax));
  if (rule == ScaleRule::shift || rule == ScaleRule::search) return TensorScale::encode_multiplier(3.0f);
  if (rule == ScaleRule::sweep && encode != 1.0f) return TensorScale::encode_multiplier(encode);
  return {};
}

void quantize_lanes(const LaneScaling& scaling, const float* values, std::int64_t blocks,
                    const float* importance, std::int64_t columns, std::uint8_t* codes,
                    std::uint8_t* scales) {
  HWY_DYNAMIC_DISPATCH(QuantizeLanes)(scaling, values, blocks, importance, columns, codes, scales);
}

}  // namespace fourge::quant
#endif
