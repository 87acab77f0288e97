#include "simd/quantize.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "simd/hadamard.h"
#include "simd/rounding_mode.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "simd/quantize.cc"
#include "simd/foreach_target.h"  // after HWY_TARGET_INCLUDE

#if FOURGE_SIMD_TARGET
#include "simd/e2m1-inl.h"
#include "simd/element_io-inl.h"
#include "simd/scale_search-inl.h"

HWY_BEFORE_NAMESPACE();
namespace fourge::simd::HWY_NAMESPACE {

void hadamard_of_target(const HadamardSpec& spec, const HadamardArgs& args);  // simd/hadamard.cc

constexpr float kFloatMax = std::numeric_limits<float>::max();

// The rotation of a group: H * (signs * x), f32, scaled.
class Rotation {
 public:
  Rotation(const QuantizerSpec& spec, const std::uint32_t* sign_words, float scale)
      : spec_{.order = spec.rotate, .input = spec.input, .signs = spec.signs}, scale_(scale) {
    for (int i = 0; spec.signs && i < static_cast<int>(spec.rotate); ++i)
      signs_[i] = sign_words[sign_word_index(i)];
  }
  void run(const void* x, float* y) const {
    float work[kGroup];
    const std::int64_t step = spec_.order;
    hadamard_of_target(
        spec_, {x, y, work, signs_, kGroup / step, step * element_bytes(spec_.input), step * 4, scale_});
  }

 private:
  HadamardSpec spec_;
  float scale_;
  alignas(64) std::uint32_t signs_[kGroup];
};

// A group of 256 / kWidth blocks, one a lane: element i of the blocks is a row of kLanes values.
template <int kWidth>
struct Lanes {
  static constexpr int kLanes = kGroup / kWidth;
  using D = hn::CappedTag<float, kLanes>;
  using DI = hn::RebindToSigned<D>;
  using V = hn::Vec<D>;
  using VI = hn::Vec<DI>;
};

using Four = hn::CappedTag<float, 4>;

// Four rows of four elements <- their transpose.
HWY_INLINE void transpose_four(const float* from, std::int64_t from_step, float* to, std::int64_t to_step) {
  const Four d;
  const hn::Repartition<double, Four> pairs;
  const auto a = hn::LoadU(d, from), b = hn::LoadU(d, from + from_step);
  const auto c = hn::LoadU(d, from + 2 * from_step), e = hn::LoadU(d, from + 3 * from_step);
  const auto ab = hn::BitCast(pairs, hn::InterleaveLower(d, a, b)),
             ce = hn::BitCast(pairs, hn::InterleaveLower(d, c, e));
  const auto ab2 = hn::BitCast(pairs, hn::InterleaveUpper(d, a, b)),
             ce2 = hn::BitCast(pairs, hn::InterleaveUpper(d, c, e));
  hn::Store(hn::BitCast(d, hn::InterleaveLower(pairs, ab, ce)), d, to);
  hn::Store(hn::BitCast(d, hn::InterleaveUpper(pairs, ab, ce)), d, to + to_step);
  hn::Store(hn::BitCast(d, hn::InterleaveLower(pairs, ab2, ce2)), d, to + 2 * to_step);
  hn::Store(hn::BitCast(d, hn::InterleaveUpper(pairs, ab2, ce2)), d, to + 3 * to_step);
}

// 256 elements as f32.
template <ElementFormat kFormat>
HWY_INLINE void widen(const void* x, float* to) {
  const hn::CappedTag<float, 16> d;
  for (std::int64_t i = 0; i < kGroup; i += static_cast<std::int64_t>(hn::Lanes(d)))
    hn::StoreU(load_as_f32<kFormat>(d, x, i), d, to + i);
}
HWY_NOINLINE const float* widened(ElementFormat format, const void* x, float* scratch) {
  if (format == ElementFormat::f32) return static_cast<const float*>(x);
  format == ElementFormat::bf16 ? widen<ElementFormat::bf16>(x, scratch)
                                : widen<ElementFormat::f16>(x, scratch);
  return scratch;
}

// One row of a group, rotated, in natural order.
HWY_INLINE const float* prepared(const QuantizerSpec& spec, const Rotation* rotation, const void* x,
                                 float* scratch) {
  if (rotation == nullptr) return widened(spec.input, x, scratch);
  rotation->run(x, scratch);
  return scratch;
}

// What a rule decides for the blocks of some lanes, in memory: vectors of a length that is not known at
// compile time cannot stand in a structure.
struct Decision {
  alignas(64) std::int32_t scale_code[16];
  alignas(64) float multiplier[16];   // of the elements, before rounding
  alignas(64) std::int32_t keep[16];  // 0: every code is 0; else -1
};

// The blocks of one group, kWidth elements by args.rows rows: Lanes(d) of them at a time, from `lane` on.
template <int kWidth>
class BlockLanes {
 public:
  using L = Lanes<kWidth>;
  using D = typename L::D;
  using DI = typename L::DI;
  using V = typename L::V;
  using VI = typename L::VI;
  static constexpr int kLanes = L::kLanes;

  BlockLanes(const QuantizerSpec& spec, const StripArgs& args, const float* values, std::int64_t group,
             std::int64_t lane)
      : spec_(spec), args_(args), values_(values), group_(group), lane_(lane) {}

  // codes: [row][lane][kWidth / 2] bytes, those of the lanes in question. scale_codes: [lane].
  HWY_INLINE void run(std::uint32_t* code_words, std::uint8_t* scale_codes) const {
    const DI di;
    Decision chosen;
    decide(chosen);
    for (int r = 0; r < args_.rows; ++r) encode_row(r, chosen, code_words + r * (kGroup / 8));
    for (std::size_t i = 0; i < hn::Lanes(di); ++i)
      scale_codes[lane_ + static_cast<std::int64_t>(i)] = static_cast<std::uint8_t>(chosen.scale_code[i]);
  }

 private:
  HWY_INLINE V at(int row, int i) const { return hn::Load(D(), values_ + row * kGroup + i * kLanes + lane_); }

  HWY_INLINE V amax() const {
    const D d;
    const V infinity = hn::Inf(d);
    V largest = hn::Zero(d);
    for (int r = 0; r < args_.rows; ++r) {
      for (int i = 0; i < kWidth; ++i) {
        const V magnitude = hn::Abs(at(r, i));
        largest = hn::Max(largest, hn::IfThenElseZero(hn::Le(magnitude, infinity), magnitude));
      }
    }
    return largest;
  }

  // fourge/quest.h
  HWY_NOINLINE V quest_scale() const {
    const D d;
    const V share = hn::Set(d, 1.0f / kWidth), one = hn::Set(d, 1.0f);
    const V mean = hn::Mul(tree_sum<kWidth, false>(0), share);
    const V variance = hn::Sub(hn::Mul(tree_sum<kWidth, true>(0), share), hn::Mul(mean, mean));
    const V scale = hn::Add(hn::Mul(hn::Sqrt(variance), hn::Set(d, 2.92247856f / 6.0f)), hn::Set(d, 1e-8f));
    return hn::IfThenElse(hn::Ge(variance, hn::Zero(d)), scale, one);
  }
  // Of the elements from `first` on, or of their squares; neighbours first. NaN counts as 0.
  template <int kCount, bool kSquares>
  HWY_INLINE V tree_sum(int first) const {
    if constexpr (kCount == 1) {
      const V x = at(0, first), number = hn::IfThenZeroElse(hn::IsNaN(x), x);
      return kSquares ? hn::Mul(number, number) : number;
    } else {
      return hn::Add(tree_sum<kCount / 2, kSquares>(first),
                     tree_sum<kCount / 2, kSquares>(first + kCount / 2));
    }
  }

  HWY_INLINE LanesOfBlocks<D, kWidth> blocks() const { return {values_ + lane_, kLanes}; }

  HWY_INLINE void decide(Decision& chosen) const {
    const D d;
    const DI di;
    if (spec_.quantize.format != Format::nvfp4) {
      spec_.quantize.rule == ScaleRule::sweep ? sweep<PowerOfTwoScales>(1.0f, 127, chosen)
                                              : decide_mx(chosen);
      return;
    }
    switch (spec_.quantize.rule) {
      case ScaleRule::quest:
        return decide_nv(quest_scale(), chosen);
      case ScaleRule::search:
        return decide_nv(hn::Mul(searched_scale(blocks(), amax()), hn::Set(d, args_.encode)), chosen);
      case ScaleRule::sweep:
        return sweep<Ue4m3Scales>(args_.encode, 0, chosen);
      default:
        break;
    }
    const V q_max = hn::Set(d, largest_code(spec_.quantize.rule));
    const V target = hn::Mul(hn::Div(amax(), q_max), hn::Set(d, args_.encode));
    decide_nv(target, chosen);
    if (!is_four_over_six(spec_.quantize.rule)) return;
    Decision four;
    decide_nv(hn::Mul(target, hn::Set(d, 1.5f)), four);
    const auto take_four = hn::Lt(error(four), error(chosen));
    const auto as_words = hn::RebindMask(di, take_four);
    const auto take = [&](const std::int32_t* from, std::int32_t* to) HWY_ATTR {
      hn::Store(hn::IfThenElse(as_words, hn::Load(di, from), hn::Load(di, to)), di, to);
    };
    take(four.scale_code, chosen.scale_code);
    take(four.keep, chosen.keep);
    hn::Store(hn::IfThenElse(take_four, hn::Load(d, four.multiplier), hn::Load(d, chosen.multiplier)), d,
              chosen.multiplier);
  }

  HWY_INLINE void decide_nv(V target, Decision& out) const {
    const D d;
    const DI di;
    const VI code = ue4m3_nearest(d, target);
    const V product = hn::Mul(hn::Set(d, args_.decode), ue4m3_value(d, code));
    hn::Store(code, di, out.scale_code);
    hn::Store(hn::Min(hn::Div(hn::Set(d, 1.0f), product), hn::Set(d, kFloatMax)), d, out.multiplier);
    hn::Store(hn::VecFromMask(di, hn::Gt(code, hn::Zero(di))), di, out.keep);
  }

  // bias: from the number of a scale to its code.
  template <class Scales>
  HWY_INLINE void sweep(float encode, std::int32_t bias, Decision& out) const {
    const D d;
    const DI di;
    const V factor = hn::Set(d, encode), largest = largest_encoded(blocks(), factor);
    const auto nothing = hn::RebindMask(di, hn::Eq(largest, hn::Zero(d)));
    const VI best = swept_scale<Scales>(blocks(), factor, largest);
    const V inverse = Scales::inverse(d, hn::Max(best, hn::Set(di, Scales::kLeast)));
    hn::Store(hn::IfThenZeroElse(nothing, hn::Add(best, hn::Set(di, bias))), di, out.scale_code);
    hn::Store(hn::Mul(factor, inverse), d, out.multiplier);
    hn::Store(hn::IfThenZeroElse(nothing, hn::Set(di, -1)), di, out.keep);
  }

  HWY_INLINE bool is_static() const {
    return spec_.quantize.rule == ScaleRule::static_6 || spec_.quantize.rule == ScaleRule::static_4;
  }

  HWY_INLINE void decide_mx(Decision& out) const {
    const D d;
    const DI di;
    const ScaleRule rule = spec_.quantize.rule;
    const VI code = mx_scale_code(mx_measure());
    // 2^(127 - code); code 254 gives the subnormal 2^-127, NaN's code NaN.
    const VI normal = hn::ShiftLeft<23>(hn::Sub(hn::Set(di, 254), code));
    const VI least = hn::IfThenElse(hn::Eq(code, hn::Set(di, 254)), hn::Set(di, 0x0040'0000), normal);
    const VI bits = hn::IfThenElse(hn::Eq(code, hn::Set(di, 255)), hn::Set(di, 0x7fff'ffff), least);
    const VI something = hn::VecFromMask(di, hn::Gt(code, hn::Zero(di)));
    hn::Store(code, di, out.scale_code);
    const V inverse = hn::BitCast(d, bits);
    const bool in_thirds = rule == ScaleRule::shift || rule == ScaleRule::search;
    hn::Store(in_thirds ? hn::Mul(inverse, hn::Set(d, 3.0f)) : inverse, d, out.multiplier);
    hn::Store(is_static() ? something : hn::Set(di, -1), di, out.keep);
  }

  // What the scale follows from: the largest magnitude, or what stands for it.
  HWY_INLINE V mx_measure() const {
    switch (spec_.quantize.rule) {
      case ScaleRule::quest:
        return quest_scale();
      case ScaleRule::search:
        return hn::Mul(searched_scale(blocks(), amax()), hn::Set(D(), 6.0f));
      default:
        return amax();
    }
  }

  HWY_INLINE VI mx_scale_code(V largest) const {
    const D d;
    const DI di;
    const VI bits = hn::BitCast(di, largest);
    // Rounded up to a power of two, to nearest and so on; then two binades down.
    const auto below = [&](std::int32_t bump) HWY_ATTR {
      const VI exponent = hn::ShiftRight<23>(hn::Add(bits, hn::Set(di, bump)));
      return hn::Max(hn::Sub(exponent, hn::Set(di, 2)), hn::Zero(di));
    };
    const auto at_or_above = [&](V x) HWY_ATTR {
      return hn::ShiftRight<23>(hn::Add(hn::BitCast(di, x), hn::Set(di, 0x007f'ffff)));
    };
    switch (spec_.quantize.rule) {
      case ScaleRule::floor:
        return below(0);
      case ScaleRule::ceil:
        return below(0x007f'ffff);
      case ScaleRule::even:
        return below(0x0020'0000);
      case ScaleRule::rceil: {
        // 2^-127 is the subnormal 0x400000: up to it the code is 0; infinity becomes 254.
        const V x = hn::Mul(largest, hn::Set(d, 1.0f / 6.0f));
        const VI code = hn::Min(at_or_above(x), hn::Set(di, 254));
        const auto tiny = hn::Lt(hn::BitCast(di, x), hn::Set(di, 0x0040'0001));
        return hn::IfThenZeroElse(tiny, code);
      }
      case ScaleRule::shift:
      case ScaleRule::search:
        return hn::Max(hn::ShiftRight<23>(bits), hn::Set(di, 1));
      case ScaleRule::quest:
        return hn::Min(hn::ShiftRight<23>(bits), hn::Set(di, 254));
      case ScaleRule::static_4:
        return at_or_above(hn::Div(largest, hn::Set(d, 4.0f)));
      default:
        return at_or_above(hn::Div(largest, hn::Set(d, 6.0f)));
    }
  }

  // One element's codes. -0 in front keeps every x; the static mxfp4 rules turn -0 into 0.
  HWY_INLINE VI code_at(int row, int i, const Decision& decision, VI random) const {
    const D d;
    const bool plain_zero = spec_.quantize.format != Format::nvfp4 && is_static();
    const V x = hn::Add(at(row, i), hn::Set(d, plain_zero ? 0.0f : -0.0f));
    const V y = hn::Mul(x, hn::Load(d, decision.multiplier));
    const VI code = spec_.quantize.rounding == ElementRounding::nearest ? e2m1_nearest(d, y)
                                                                        : e2m1_stochastic(d, y, random);
    return hn::And(code, hn::Load(DI(), decision.keep));
  }

  // Random bytes of a row's blocks, drawn 16 elements at a time.
  struct RandomWords {
    alignas(64) std::int32_t of[4][16];
  };
  HWY_NOINLINE void draw(int row, int first, RandomWords& words) const {
    const hn::RebindToUnsigned<D> du;
    alignas(64) std::uint32_t low[16], high[16];
    for (std::size_t i = 0; i < hn::Lanes(du); ++i) {
      const std::int64_t element = group_ * kGroup + (lane_ + static_cast<std::int64_t>(i)) * kWidth + first;
      const std::uint64_t run =
          args_.first_run + static_cast<std::uint64_t>(row * args_.run_step + element / 16);
      low[i] = static_cast<std::uint32_t>(run), high[i] = static_cast<std::uint32_t>(run >> 32);
    }
    auto w0 = hn::Zero(du), w1 = w0, w2 = w0, w3 = w0;
    philox(du, hn::Load(du, low), hn::Load(du, high), args_.keys.data(), w0, w1, w2, w3);
    hn::Store(hn::BitCast(DI(), w0), DI(), words.of[0]);
    hn::Store(hn::BitCast(DI(), w1), DI(), words.of[1]);
    hn::Store(hn::BitCast(DI(), w2), DI(), words.of[2]);
    hn::Store(hn::BitCast(DI(), w3), DI(), words.of[3]);
  }

  // f(i, code vector) for the elements of a row in ascending order.
  template <class F>
  HWY_INLINE void for_each_code(int row, const Decision& decision, const F& f) const {
    const DI di;
    if (spec_.quantize.rounding == ElementRounding::nearest) {
      for (int i = 0; i < kWidth; ++i) f(i, code_at(row, i, decision, hn::Zero(di)));
      return;
    }
    for (int first = 0; first < kWidth; first += 16) {
      RandomWords words;
      draw(row, first, words);
      for (int word = 0; word < 4; ++word) {
        VI bytes = hn::Load(di, words.of[word]);
        for (int i = first + 4 * word; i < first + 4 * word + 4; ++i) {
          f(i, code_at(row, i, decision, hn::And(bytes, hn::Set(di, 0xff))));
          bytes = hn::ShiftRight<8>(bytes);
        }
      }
    }
  }

  // Sequential over a row; rows as a tree: r with r + 8, r + 4, r + 2, r + 1 (quant/nvfp4.h).
  HWY_NOINLINE V error(const Decision& decision) const {
    const D d;
    alignas(64) float rows[16][16] = {};
    for (int r = 0; r < args_.rows; ++r) hn::Store(row_error(r, decision), d, rows[r]);
    if (!spec_.quantize.block_2d) return hn::Load(d, rows[0]);
    for (int half = 8; half > 0; half /= 2) {
      for (int r = 0; r < half; ++r) {
        const V a = hn::Load(d, rows[r]), b = hn::Load(d, rows[r + half]);
        // std::max(a, b): a unless a < b
        const V both = spec_.quantize.rule == ScaleRule::abs_max_4_6 ? hn::IfThenElse(hn::Lt(a, b), b, a)
                                                                     : hn::Add(a, b);
        hn::Store(both, d, rows[r]);
      }
    }
    return hn::Load(d, rows[0]);
  }

  HWY_INLINE V row_error(int row, const Decision& decision) const {
    const D d;
    const V scale = ue4m3_value(d, hn::Load(DI(), decision.scale_code)),
            amax_of_tensor = hn::Set(d, args_.amax);
    const V denominator = hn::Set(d, largest_code(spec_.quantize.rule) * largest_scale(spec_.quantize));
    const ScaleRule rule = spec_.quantize.rule;
    V total = hn::Zero(d);
    for_each_code(row, decision, [&](int i, VI code) HWY_ATTR {
      const V decoded =
          hn::Div(hn::Mul(hn::Mul(e2m1_magnitude(d, code), scale), amax_of_tensor), denominator);
      const V e = hn::Abs(hn::Sub(decoded, hn::Abs(at(row, i))));
      if (rule == ScaleRule::mse_4_6) {
        total = hn::Add(total, hn::Mul(e, e));
      } else if (rule == ScaleRule::mae_4_6) {
        total = hn::Add(total, e);
      } else {
        total = hn::IfThenElse(hn::Gt(e, total), e, total);
      }
    });
    return total;
  }

  // Eight codes a word; a lane's words side by side are its block's bytes.
  HWY_INLINE void encode_row(int row, const Decision& decision, std::uint32_t* words) const {
    const hn::RebindToUnsigned<D> du;
    alignas(64) std::uint32_t of_word[4][16];
    auto word = hn::Zero(du);
    for_each_code(row, decision, [&](int i, VI code) HWY_ATTR {
      word = hn::Or(hn::ShiftRight<4>(word), hn::ShiftLeft<28>(hn::BitCast(du, code)));
      if (i % 8 == 7) hn::Store(word, du, of_word[i / 8]);
    });
    constexpr int kWords = kWidth / 8;
    for (int i = 0; i < static_cast<int>(hn::Lanes(du)); ++i) {
      for (int w = 0; w < kWords; ++w) words[(lane_ + i) * kWords + w] = of_word[w][i];
    }
  }

  const QuantizerSpec& spec_;
  const StripArgs& args_;
  const float* values_;
  std::int64_t group_, lane_;
};

// The rows of a group in lane order: element i of block b at [row][i][b].
template <int kWidth>
HWY_INLINE void load_group(const QuantizerSpec& spec, const StripArgs& args, const Rotation* rotation,
                           std::int64_t group, float* values) {
  constexpr int kLanes = Lanes<kWidth>::kLanes;
  alignas(64) float scratch[kGroup];
  const auto* x = static_cast<const std::uint8_t*>(args.x) + group * kGroup * element_bytes(spec.input);
  for (std::int64_t r = 0; r < args.rows; ++r) {
    const float* row = prepared(spec, rotation, x + r * args.x_stride, scratch);
    for (int b = 0; b < kLanes; b += 4) {
      for (int i = 0; i < kWidth; i += 4)
        transpose_four(row + b * kWidth + i, kWidth, values + r * kGroup + i * kLanes + b, kLanes);
    }
  }
}

template <int kWidth>
HWY_INLINE void store_group(const StripArgs& args, std::int64_t group, const std::uint32_t* code_words,
                            const std::uint8_t* scale_codes) {
  constexpr int kLanes = Lanes<kWidth>::kLanes;
  for (std::int64_t r = 0; r < args.rows; ++r)
    std::memcpy(args.codes + r * args.codes_stride + group * (kGroup / 2), code_words + r * (kGroup / 8),
                kGroup / 2);
  for (int four = 0; four < kLanes / 4; ++four)
    std::memcpy(args.scales + (group * (kLanes / 4) + four) * args.scale_step, scale_codes + 4 * four, 4);
}

template <int kWidth>
HWY_NOINLINE void strip(const QuantizerSpec& spec, const StripArgs& args, const Rotation* rotation) {
  alignas(64) float values[kWidth * kGroup];
  std::uint32_t code_words[kWidth * kGroup / 8];
  std::uint8_t scale_codes[16];
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(typename Lanes<kWidth>::D()));
  for (std::int64_t group = 0; group < args.groups; ++group) {
    load_group<kWidth>(spec, args, rotation, group, values);
    for (std::int64_t lane = 0; lane < Lanes<kWidth>::kLanes; lane += lanes)
      BlockLanes<kWidth>(spec, args, values, group, lane).run(code_words, scale_codes);
    store_group<kWidth>(args, group, code_words, scale_codes);
    args.flags[group] = 0;
  }
}

void quantize_strip_of_target(const QuantizerSpec& spec, const StripArgs& args) {
  const RoundingMode mode(RoundingMode::to_nearest);
  const bool is_wide = info(spec.quantize.format).block == 32;
  if (spec.rotate != 0) {
    const Rotation rotation(spec, args.sign_words, args.rotation_scale);
    is_wide ? strip<32>(spec, args, &rotation) : strip<16>(spec, args, &rotation);
  } else {
    is_wide ? strip<32>(spec, args, nullptr) : strip<16>(spec, args, nullptr);
  }
}

HWY_NOINLINE float largest_magnitude(const QuantizerSpec& spec, const AmaxArgs& args,
                                     const Rotation* rotation) {
  const hn::CappedTag<float, 16> d;
  const hn::RebindToSigned<decltype(d)> di;
  alignas(64) float scratch[kGroup];
  auto largest = hn::Zero(di);  // magnitudes are ordered like their bits
  for (std::int64_t group = 0; group < args.groups; ++group) {
    const auto* x = static_cast<const std::uint8_t*>(args.x) + group * kGroup * element_bytes(spec.input);
    const float* row = prepared(spec, rotation, x, scratch);
    for (std::int64_t i = 0; i < kGroup; i += static_cast<std::int64_t>(hn::Lanes(d))) {
      const auto magnitude = hn::Abs(hn::LoadU(d, row + i));
      const auto number = hn::RebindMask(di, hn::Le(magnitude, hn::Inf(d)));
      largest = hn::Max(largest, hn::IfThenElseZero(number, hn::BitCast(di, magnitude)));
    }
  }
  return hn::GetLane(hn::MaxOfLanes(d, hn::BitCast(d, largest)));
}

void amax_of_target(const QuantizerSpec& spec, AmaxArgs& args) {
  const RoundingMode mode(RoundingMode::to_nearest);
  if (spec.rotate != 0) {
    const Rotation rotation(spec, args.sign_words, args.rotation_scale);
    args.amax = largest_magnitude(spec, args, &rotation);
  } else {
    args.amax = largest_magnitude(spec, args, nullptr);
  }
}

}  // namespace fourge::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif

#if HWY_ONCE
namespace fourge::simd {

QuantizeFunctions quantize(Target target) {
  switch (target) {
#define FOURGE_TARGET(name, space) \
  case Target::name:               \
    return {space::quantize_strip_of_target, space::amax_of_target};
#include "simd/targets.inc"
    default:
      return {};
  }
}

}  // namespace fourge::simd
#endif
