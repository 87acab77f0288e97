// Block scales and the choice of Four Over Six, the blocks of 64 elements in one vector. A block of 32 has
// two lanes, which hold the same.
#include <cstddef>
#include <limits>

#include "jit/aarch64/quantize.h"

namespace fourge::jit {

using namespace vixl::aarch64;  // NOLINT(google-build-using-namespace): register and condition names

namespace {

// Added to x times its binade 2^e: leaves round(x / 2^(e - 3)) + 56 in the last byte of the fraction; 56 + 8
// * 127 is 48 modulo 256, what the exponent field e + 127, times 8, lacks of the code 8 (e + 6) + round(x /
// 2^(e - 3)).
constexpr float kScaleMagic = 0x1p20f + 7.0f;

}  // namespace

// amax <- fourge/quest.h, from signed data. redo <- where the variance is negative or NaN.
void AArch64QuantizeGenerator::block_deviation() {
  const VRegister mean = inverse, share = t(1);
  for (const bool squares : {false, true}) {
    sum_of_run(0, kVectors, squares, 0);
    if (is_wide()) {
      Rev64(t(1).V4S(), t(0).V4S());
      Fadd(t(0).V4S(), t(0).V4S(), t(1).V4S());
    }
    set(share, 1.0f / static_cast<float>(info(spec_.quantize.format).block));
    Fmul((squares ? amax : mean).V4S(), t(0).V4S(), share.V4S());
  }
  Fmul(mean.V4S(), mean.V4S(), mean.V4S());
  Fsub(amax.V4S(), amax.V4S(), mean.V4S());
  Fcmge(redo.V4S(), amax.V4S(), 0.0);
  Mvn(redo.V16B(), redo.V16B());
  Fsqrt(amax.V4S(), amax.V4S());
  set(t(0), 2.92247856f / 6.0f);
  Fmul(amax.V4S(), amax.V4S(), t(0).V4S());
  set(t(0), 1e-8f);
  Fadd(amax.V4S(), amax.V4S(), t(0).V4S());
}

// t(temp) <- the sum of elements first..first + count - 1 of every lane, or of their squares, neighbours
// first.
void AArch64QuantizeGenerator::sum_of_run(int first, int count, bool squares, int temp) {
  const VRegister sum = t(temp), product = keep;
  if (count > 2) {
    sum_of_run(first, count / 2, squares, temp);
    sum_of_run(first + count / 2, count / 2, squares, temp + 1);
    Fadd(sum.V4S(), sum.V4S(), t(temp + 1).V4S());
  } else if (squares) {
    Fmul(sum.V4S(), data(first).V4S(), data(first).V4S());
    Fmul(product.V4S(), data(first + 1).V4S(), data(first + 1).V4S());
    Fadd(sum.V4S(), sum.V4S(), product.V4S());
  } else {
    Fadd(sum.V4S(), data(first).V4S(), data(first + 1).V4S());
  }
}

// quant/nvfp4.h.
void AArch64QuantizeGenerator::nvfp4_scales() {
  const VRegister target = t(0);
  if (quest()) {
    Mov(target.V16B(), amax.V16B());
  } else {
    set(t(1), largest_code(spec_.quantize.rule));
    Fdiv(target.V4S(), amax.V4S(), t(1).V4S());
    load_argument(t(1), offsetof(simd::StripArgs, encode));
    Fmul(target.V4S(), target.V4S(), t(1).V4S());
  }
  if (four_over_six()) Str(target, slot(kTarget));
  nvfp4_scale();
  if (four_over_six()) choose_four_or_six();
  Cmgt(keep.V4S(), code.V4S(), 0);
}

// unit, code, inverse <- of the target in t(0). Rounded as the elements are: the binade of the target, at
// least 2^-6, makes an addition round at its step.
void AArch64QuantizeGenerator::nvfp4_scale() {
  const VRegister target = t(0), binade = t(1), constant = t(2);
  set(constant, 448.0f);
  Fmin(target.V4S(), target.V4S(), constant.V4S());
  set(binade, 0x1p-6f);
  Fmax(binade.V4S(), binade.V4S(), target.V4S());
  And(binade.V16B(), binade.V16B(), exponent_mask.V16B());
  set(constant, kScaleMagic);
  Fmla(target.V4S(), binade.V4S(), constant.V4S());
  Mov(unit.V16B(), target.V16B());
  Fmls(unit.V4S(), binade.V4S(), constant.V4S());
  Usra(target.V4S(), binade.V4S(), 20);
  set_words(constant, 0xff);
  And(code.V16B(), target.V16B(), constant.V16B());

  load_argument(t(3), offsetof(simd::StripArgs, decode));
  Fmul(t(3).V4S(), t(3).V4S(), unit.V4S());
  Fdiv(inverse.V4S(), one.V4S(), t(3).V4S());
  set_words(constant, 0x7f7f'ffffu);  // the largest f32
  Fmin(inverse.V4S(), inverse.V4S(), constant.V4S());
}

// Where four errs less than the six in place: its inverse and code. redo: where an error is out of range.
void AArch64QuantizeGenerator::choose_four_or_six() {
  const VRegister error_of_four = t(3), error_of_six = t(0), take_four = t(1), limit = t(2);
  block_error();
  Str(t(3), slot(kSixError));
  Str(inverse, slot(kSixInverse));
  Str(code, slot(kSixCode));
  Ldr(t(0), slot(kTarget));
  set(t(1), 1.5f);
  Fmul(t(0).V4S(), t(0).V4S(), t(1).V4S());
  nvfp4_scale();
  block_error();

  Ldr(error_of_six, slot(kSixError));
  Fadd(take_four.V4S(), error_of_four.V4S(), error_of_six.V4S());
  set(limit, 0x1p110f);
  Fcmgt(take_four.V4S(), limit.V4S(), take_four.V4S());
  Orn(redo.V16B(), redo.V16B(), take_four.V16B());
  Fcmgt(take_four.V4S(), error_of_six.V4S(), error_of_four.V4S());
  Ldr(t(0), slot(kSixInverse));
  Bif(inverse.V16B(), t(0).V16B(), take_four.V16B());
  Ldr(t(0), slot(kSixCode));
  Bif(code.V16B(), t(0).V16B(), take_four.V16B());
}

// t(3) <- every block's error under inverse and unit: ((q unit) amax) / denominator - |x|, each operation
// rounded, summed in ascending order. The division by a constant as Markstein has it: quotient by the rounded
// reciprocal, exact remainder, one correction; correctly rounded for both denominators
// (tests/jit/quantize_test.cc) away from the ends of the range, where redo_blocks() decides.
void AArch64QuantizeGenerator::block_error() {
  const VRegister y = t(0), binade = t(1), quotient = t(2), sum = t(3);
  for (int i = 0; i < kVectors; ++i) {
    Fmul(y.V4S(), data(i).V4S(), inverse.V4S());
    round_to_e2m1(y, binade);
    Fmls(y.V4S(), binade.V4S(), factors.S(), kMagicLane);
    Fmul(y.V4S(), y.V4S(), unit.V4S());
    Fmul(y.V4S(), y.V4S(), factors.S(), kAmaxLane);
    Fmul(quotient.V4S(), y.V4S(), factors.S(), kReciprocalLane);
    Fmls(y.V4S(), quotient.V4S(), factors.S(), kDenominatorLane);
    Fmla(quotient.V4S(), y.V4S(), factors.S(), kReciprocalLane);
    Fabd(quotient.V4S(), quotient.V4S(), data(i).V4S());
    add_error(sum, quotient, i == 0);
  }
}

void AArch64QuantizeGenerator::add_error(const VRegister& sum, const VRegister& error, bool is_first) {
  if (spec_.quantize.rule == ScaleRule::mse_4_6) Fmul(error.V4S(), error.V4S(), error.V4S());
  if (is_first) {
    Mov(sum.V16B(), error.V16B());
  } else if (spec_.quantize.rule == ScaleRule::abs_max_4_6) {
    Fmax(sum.V4S(), sum.V4S(), error.V4S());
  } else {
    Fadd(sum.V4S(), sum.V4S(), error.V4S());
  }
}

// quant/mxfp4.h. The multiplier is 2^(127 - code), 2^-127 being subnormal; three times that under shift.
void AArch64QuantizeGenerator::mx_scales() {
  mx_scale_code();
  set_words(inverse, 254);
  Sub(inverse.V4S(), inverse.V4S(), code.V4S());
  Shl(inverse.V4S(), inverse.V4S(), 23);
  set_words(t(0), 0x0040'0000u);
  Umax(inverse.V4S(), inverse.V4S(), t(0).V4S());
  if (spec_.quantize.rule == ScaleRule::shift) {
    set(t(0), 3.0f);
    Fmul(inverse.V4S(), inverse.V4S(), t(0).V4S());
  }
  if (is_static()) Cmgt(keep.V4S(), code.V4S(), 0);
}

void AArch64QuantizeGenerator::two_binades_below() {
  set_words(t(0), 2);
  Uqsub(code.V4S(), code.V4S(), t(0).V4S());
}

void AArch64QuantizeGenerator::mx_scale_code() {
  const VRegister addend = t(0), largest = t(1), tiny = t(2);
  const auto exponent_of_sum = [&](const VRegister& bits, std::uint32_t value) {
    set_words(addend, value);
    Add(code.V4S(), bits.V4S(), addend.V4S());
    Ushr(code.V4S(), code.V4S(), 23);
  };
  const auto limit = [&](std::uint32_t value, bool from_below) {
    set_words(addend, value);
    if (from_below) {
      Umax(code.V4S(), code.V4S(), addend.V4S());
    } else {
      Umin(code.V4S(), code.V4S(), addend.V4S());
    }
  };
  switch (spec_.quantize.rule) {
    case ScaleRule::floor:
      Ushr(code.V4S(), amax.V4S(), 23);
      two_binades_below();
      break;
    case ScaleRule::ceil:
      exponent_of_sum(amax, 0x007f'ffffu);
      two_binades_below();
      break;
    case ScaleRule::even:
      exponent_of_sum(amax, 0x0020'0000u);
      two_binades_below();
      break;
    case ScaleRule::shift:
      Ushr(code.V4S(), amax.V4S(), 23);
      limit(1, true);
      break;
    case ScaleRule::quest:
      Ushr(code.V4S(), amax.V4S(), 23);
      limit(254, false);
      break;
    case ScaleRule::rceil:  // up to 2^-127, the subnormal 0x400000, the code is 0
      set(largest, 1.0f / 6.0f);
      Fmul(largest.V4S(), amax.V4S(), largest.V4S());
      exponent_of_sum(largest, 0x007f'ffffu);
      limit(254, false);
      set_words(addend, 0x0040'0000u);
      Cmhs(tiny.V4S(), addend.V4S(), largest.V4S());
      Bic(code.V16B(), code.V16B(), tiny.V16B());
      break;
    default:
      set(largest, largest_code(spec_.quantize.rule));
      Fdiv(largest.V4S(), amax.V4S(), largest.V4S());
      exponent_of_sum(largest, 0x007f'ffffu);
  }
}

// One byte a block, four of them scale_step bytes from the next four.
void AArch64QuantizeGenerator::store_scales() {
  const VRegister bytes = t(0);
  if (is_wide()) {
    Uzp1(bytes.V4S(), code.V4S(), code.V4S());
    Xtn(bytes.V4H(), bytes.V4S());
  } else {
    Xtn(bytes.V4H(), code.V4S());
  }
  Xtn(bytes.V8B(), bytes.V8H());
  if (is_wide()) {  // 2 bytes forward, then the rest of the step
    Str(bytes.H(), MemOperand(scales));
    Add(scales, scales, next_step);
    Sub(next_step, scale_step, next_step);
  } else {
    Str(bytes.S(), MemOperand(scales));
    Add(scales, scales, scale_step);
  }
}

// The quarter's bits enter flag_bits from above.
void AArch64QuantizeGenerator::store_flags() {
  const int bits = is_wide() ? 2 : 4;
  Adr(pointer, &flag_weights_);
  Ldr(t(0), MemOperand(pointer));
  And(t(0).V16B(), t(0).V16B(), redo.V16B());
  Addv(t(0).S(), t(0).V4S());
  Fmov(pointer.W(), t(0).S());
  Lsr(flag_bits, flag_bits, bits);
  Orr(flag_bits, flag_bits, Operand(pointer, LSL, 3 * bits));
}

}  // namespace fourge::jit
