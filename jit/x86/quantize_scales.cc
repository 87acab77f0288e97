// Block scales and the choice of Four Over Six, 16 blocks in one vector.
#include <cstddef>
#include <limits>

#include "jit/x86/quantize.h"

namespace fourge::jit {

using Xbyak::Opmask;
using Xbyak::Zmm;

namespace {

constexpr int kEqual = 0, kLess = 1, kNotEqual = 4, kNotLess = 5, kLessQuiet = 17;  // vcmpps predicates

// Added to x times its binade 2^e: leaves round(x / 2^(e - 3)) + 56 in the last byte of the fraction; 56 + 8
// * 127 is 48 modulo 256, what the exponent field e + 127, times 8, lacks of the code 8 (e + 6) + round(x /
// 2^(e - 3)).
constexpr float kScaleMagic = 0x1p20f + 7.0f;

// How far apart two sums of errors must be. With u = 2^-24, S the factor from code to value (rounded twice)
// and d = RN(RN(q scale amax) / denominator):
//   |q S - d| <= 6 S * 4.01 u, so |e' - e| <= delta S + 2.01 u |e| for every element, delta = 24.2 u
//   mse  |E' - E| <= (eta + depth u) E + n (delta S)^2 / eta, for every eta    (AM-GM on 2 |e| delta S)
//   mae  |E' - E| <= depth u E + n delta S
// n elements, depth: roundings that a term meets in both sums and in e' (16, and 4 of the tree over rows; 5,
// or 35 over rows; 8 for the rest). Below, the bounds of both candidates together, S being that of four, the
// larger one: of_sum multiplies E_four + E_six, of_unit S, squared under mse; 1.1 is for terms of second
// order.
struct Margins {
  float of_sum, of_unit;
};
constexpr Margins margins_of(ScaleRule rule, bool block_2d) {
  constexpr double kU = 0x1p-24, kDelta = 24.2 * kU, kEta = 0x1p-17;
  const double n = block_2d ? 256 : 16, depth = block_2d ? 16 + 4 + 35 + 8 : 16 + 5 + 8;
  if (rule == ScaleRule::mse_4_6)
    return {static_cast<float>(1.1 * (kEta + depth * kU)),
            static_cast<float>(1.1 * 2 * n * kDelta * kDelta / kEta)};
  return {static_cast<float>(1.1 * depth * kU), static_cast<float>(1.1 * 2 * n * kDelta)};
}

}  // namespace

// quant/nvfp4.h. Slots of the stack: 1 / (decode * scale), the factor from code to value, the code of the
// scale.
void QuantizeGenerator::nvfp4_scales() {
  const Zmm target = temp(0), four = temp(5);
  if (quest()) {
    vmovaps(target, amax);
  } else {
    vdivps(target, amax, word(largest_code(spec_.quantize.rule)));
    vmulps(target, target, arg_word(offsetof(StripArgs, encode)));
  }
  if (four_over_six()) vmulps(four, target, word(1.5f));
  nvfp4_scale(target, kSixInverse, kSixUnit, kSixCode, true);
  if (four_over_six()) nvfp4_scale(four, kFourInverse, kFourUnit, kFourCode, false);
}

// Rounded as the elements are: the binade of the target, at least 2^-6, makes an addition round at its step.
void QuantizeGenerator::nvfp4_scale(const Zmm& target, Slot inverse_slot, Slot unit_slot, Slot code_slot,
                                    bool first) {
  const Zmm binade = temp(1), scale = temp(2), one = temp(3), denominator = temp(4);
  vminps(target, target, word(448.0f));
  vmaxps(binade, target, word(0x1p-6f));
  vandps(binade, binade, word(0x7f800000u));
  vfmadd231ps(target, binade, word(kScaleMagic));
  vmovaps(scale, target);
  vfnmadd231ps(scale, binade, word(kScaleMagic));
  vpsrld(binade, binade, 20);
  vpaddd(target, target, binade);
  vpandd(target, target, word(0xffu));
  vmovdqa32(slot(code_slot), target);

  vmulps(denominator, scale, arg_word(offsetof(StripArgs, decode)));
  vbroadcastss(one, scalar(1.0f));
  vdivps(one, one, denominator);
  vptestmd(k_temp, scale, scale);
  vminps(one | k_temp | T_z, one, word(std::numeric_limits<float>::max()));
  vmovaps(slot(inverse_slot), one);
  check_plain(one, first, k_temp);
  if (!four_over_six()) return;
  if (sums_errors()) vmulps(scale, scale, arg_word(offsetof(StripArgs, error_scale)));
  vmovaps(slot(unit_slot), scale);
}

// k_plain: the lanes (of `lanes`) whose largest product needs no saturation: below 7, which still rounds
// to 6. Rounding is monotonic, so amax * multiplier is the largest product itself.
void QuantizeGenerator::check_plain(const Zmm& multiplier, bool first, const Opmask& lanes) {
  const float limit = always_clamps() ? std::numeric_limits<float>::infinity() : 7.0f;
  vmulps(scratch, amax, multiplier);
  if (!first) kandw(lanes, lanes, k_plain);
  vcmpps(k_plain | lanes, scratch, word(limit), kLessQuiet);
}

// quant/mxfp4.h.
void QuantizeGenerator::mx_scales() {
  const Zmm code = temp(0), multiplier = temp(1);
  mx_scale_codes(code);
  vmovdqa32(slot(kSixCode), code);
  if (spec_.quantize.rule == ScaleRule::shift) {  // 3 * 2^(127 - code) = 1.5 * 2^(128 - code)
    vpbroadcastd(multiplier, scalar(255u));
    vpsubd(multiplier, multiplier, code);
    vpslld(multiplier, multiplier, 23);
    vpord(multiplier, multiplier, word(0x00400000u));
  } else {
    vpbroadcastd(multiplier, scalar(254u));
    vpsubd(multiplier, multiplier, code);
    vpslld(multiplier, multiplier, 23);
    vpmaxud(multiplier, multiplier, word(0x00400000u));  // 2^-127 is subnormal
    if (is_static()) {  // codes under the scale's code 0 are 0, those of the least numbers below 0 too
      vptestmd(k_temp, code, code);
      vmovaps(multiplier | k_temp | T_z, multiplier);
    }
  }
  vmovaps(slot(kSixInverse), multiplier);
  vcmpps(k_temp, amax, word(std::numeric_limits<float>::infinity()), kLess);
  check_plain(multiplier, true, k_temp);
}

void QuantizeGenerator::two_binades_below(const Zmm& code) {
  vpsubd(code, code, word(2u));
  vpxord(scratch, scratch, scratch);
  vpmaxsd(code, code, scratch);
}

void QuantizeGenerator::mx_scale_codes(const Zmm& code) {
  const Zmm subnormal = temp(1);
  switch (spec_.quantize.rule) {
    case ScaleRule::floor:
      vpsrld(code, amax, 23);
      two_binades_below(code);
      break;
    case ScaleRule::ceil:
      vpaddd(code, amax, word(0x007fffffu));
      vpsrld(code, code, 23);
      two_binades_below(code);
      break;
    case ScaleRule::even:
      vpaddd(code, amax, word(0x00200000u));
      vpsrld(code, code, 23);
      two_binades_below(code);
      break;
    case ScaleRule::shift:
      vpsrld(code, amax, 23);
      vpmaxsd(code, code, word(1u));
      break;
    case ScaleRule::quest:
      vpsrld(code, amax, 23);
      vpminsd(code, code, word(254u));
      break;
    case ScaleRule::rceil:  // below the normal range only what exceeds 2^-127 = 0x400000 rounds up to 1
      vmulps(code, amax, word(1.0f / 6.0f));
      vpcmpud(k_temp, code, word(0x00800000u), kLess);
      vpaddd(subnormal, code, word(0x003fffffu));
      vpaddd(code, code, word(0x007fffffu));
      vmovdqa32(code | k_temp, subnormal);
      vpsrld(code, code, 23);
      vpminsd(code, code, word(254u));
      break;
    default:
      vdivps(code, amax, word(largest_code(spec_.quantize.rule)));
      vpaddd(code, code, word(0x007fffffu));
      vpsrld(code, code, 23);
  }
}

void QuantizeGenerator::finish_group(Path path) {
  if (path == Path::careful && !two_level() && !quest())
    vcmpps(k_redo, amax, word(std::numeric_limits<float>::infinity()), kEqual);
  if (stochastic() && !block_2d()) {
    mov(row_run, run);
    make_random_words(18);
  }
  if (four_over_six()) {
    block_errors(kSixInverse, kSixUnit, path);
    vmovaps(slot(kSixError), per_pair(0));
    block_errors(kFourInverse, kFourUnit, path);
    choose();
  }
  if (path == Path::careful && two_level()) {  // codes under a zero scale are 0, also those of -0
    vmovdqa32(scratch, slot(kSixCode));
    vptestmd(k_temp, scratch, scratch);
    vpternlogd(scratch | k_temp | T_z, scratch, scratch, 0xff);
    vmovdqa32(slot(kZeroMask), scratch);
  }
  encode_rows(path);
}

// per_pair(0) <- E of every block.
void QuantizeGenerator::block_errors(Slot inverse_slot, Slot unit_slot, Path path) {
  if (block_2d()) {
    for (int v = 0; v < kPairs; ++v) vpxord(per_pair(v), per_pair(v), per_pair(v));
  }
  for_each_row([this, inverse_slot, unit_slot, path] {
    if (block_2d()) {
      if (stochastic()) make_random_words(0);
      load_row(x_row, Zmm(25), 4);
    }
    row_errors(inverse_slot, unit_slot, path);
  });
  reduce_pairs(spec_.quantize.rule == ScaleRule::abs_max_4_6 ? Reduction::max : Reduction::sum, per_pair(0),
               scratch);
}

// e from q, the rounded product as a number: what round_to_e2m1 added is taken away again, exactly.
//   p05 of 16 elements: 1 broadcasts, 4 product and rounding, 1 q, 1 e (abs_max 6), 1 sum (mae 2)
void QuantizeGenerator::row_errors(Slot inverse_slot, Slot unit_slot, Path path) {
  const Zmm inverse_of_pair = zmm25, unit_of_pair = zmm26, y = zmm27, binade = zmm28;
  for (int v = 0; v < kPairs; ++v) {
    broadcast_to_pair(inverse_of_pair, slot(inverse_slot), v);
    broadcast_to_pair(unit_of_pair, slot(unit_slot), v);
    if (stochastic()) random_fractions(v);
    for (int i = 0; i < 2; ++i) {
      vmulps(y, data(v, i), inverse_of_pair);
      round_to_e2m1(y, binade, i == 0 ? random0 : random1, path);
      vfnmadd231ps(y, binade, word(kMagic));
      if (sums_errors()) {
        vfmsub213ps(y, unit_of_pair, data(v, i));
      } else {
        exact_error(y, unit_of_pair, data(v, i), binade);
      }
      add_error(per_pair(v), y, i == 0 && !block_2d());
    }
  }
}

// y <- ((y * scale) * amax) / denominator - x, each operation rounded. The division by a constant as
// Markstein has it: quotient by the rounded reciprocal, exact remainder, one correction; correctly rounded
// for both denominators (tests/jit/quantize_test.cc) away from the ends of the range, where amax is not.
void QuantizeGenerator::exact_error(const Zmm& y, const Zmm& scale, const Zmm& x_value, const Zmm& quotient) {
  const float denominator = largest_code(spec_.quantize.rule) * largest_scale(spec_.quantize);
  vmulps(y, y, scale);
  vmulps(y, y, arg_word(offsetof(StripArgs, amax)));
  vmulps(quotient, y, word(1.0f / denominator));
  vfnmadd231ps(y, quotient, word(denominator));
  vfmadd231ps(quotient, y, word(1.0f / denominator));
  vsubps(y, quotient, x_value);
}

void QuantizeGenerator::add_error(const Zmm& sum, const Zmm& e, bool is_first) {
  switch (spec_.quantize.rule) {
    case ScaleRule::mse_4_6:
      if (is_first) {
        vmulps(sum, e, e);
      } else {
        vfmadd231ps(sum, e, e);
      }
      break;
    case ScaleRule::mae_4_6:
      if (is_first) {
        vandps(sum, e, word(0x7fffffffu));
      } else {
        vandps(e, e, word(0x7fffffffu));
        vaddps(sum, sum, e);
      }
      break;
    default:
      if (is_first) {
        vandps(sum, e, word(0x7fffffffu));
      } else {
        vrangeps(sum, sum, e, kLargerMagnitudePositive);
      }
  }
}

// kSixInverse, kSixCode <- those of four where its error is smaller. k_redo: too close to call, or out of
// range.
void QuantizeGenerator::choose() {
  const Zmm four = per_pair(0), six = temp(0), difference = temp(1), sum = temp(2), margin = temp(3);
  vmovaps(six, slot(kSixError));
  vaddps(sum, four, six);
  vcmpps(k_redo, sum, word(0x1p110f), kNotLess);  // or NaN
  if (sums_errors()) {
    const Margins margins = margins_of(spec_.quantize.rule, block_2d());
    vsubps(difference, four, six);
    vandps(difference, difference, word(0x7fffffffu));
    vmovaps(margin, slot(kFourUnit));
    if (spec_.quantize.rule == ScaleRule::mse_4_6) vmulps(margin, margin, margin);
    vmulps(margin, margin, word(margins.of_unit));
    vfmadd231ps(margin, sum, word(margins.of_sum));
    vmovdqa32(scratch, slot(kFourCode));  // equal scales make equal errors
    vpcmpd(k_temp, scratch, slot(kSixCode), kNotEqual);
    vcmpps(k_temp | k_temp, difference, margin, kLess);
    korw(k_redo, k_redo, k_temp);
  }

  vcmpps(k_temp, four, six, kLess);
  vmovaps(six, slot(kSixInverse));
  vmovaps(six | k_temp, slot(kFourInverse));
  vmovaps(slot(kSixInverse), six);
  vmovdqa32(six, slot(kSixCode));
  vmovdqa32(six | k_temp, slot(kFourCode));
  vmovdqa32(slot(kSixCode), six);
}

}  // namespace fourge::jit
