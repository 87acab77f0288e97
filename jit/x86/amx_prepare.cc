#include "jit/x86/amx_prepare.h"

#include <bit>
#include <cmath>
#include <cstddef>
#include <limits>

#include "fourge/rounding.h"

namespace fourge::jit {

using Xbyak::Label;
using Xbyak::Xmm;
using Xbyak::Ymm;
using Xbyak::Zmm;

void AmxPrepareGenerator::generate() {
  Label next_row;
  prologue(0);
  mov(codes_row, ptr[args + offsetof(AmxPrepareArgs, codes)]);
  mov(scales_row, ptr[args + offsetof(AmxPrepareArgs, scales)]);
  mov(tiles, ptr[args + offsetof(AmxPrepareArgs, tiles)]);
  mov(rows_left, ptr[args + offsetof(AmxPrepareArgs, rows)]);
  xor_(row_offset, row_offset);
  load_constants();
  L(next_row);
  row();
  add(codes_row, ptr[args + offsetof(AmxPrepareArgs, codes_stride)]);
  add(scales_row, ptr[args + offsetof(AmxPrepareArgs, scales_stride)]);
  add(tiles, 64);
  inc(row_offset);
  dec(rows_left);
  jnz(next_row, T_NEAR);
  epilogue();
  emit_constant_pool();
}

void AmxPrepareGenerator::load_constants() {
  vbroadcasti64x4(table, ptr[rip + table_]);
  vmovdqu64(spread_bytes, ptr[rip + spread_bytes_]);
  vmovdqu64(nibble_shift, ptr[rip + nibble_shift_]);
  vpbroadcastd(finite_bits, ptr[rip + finite_bits_]);
  vpbroadcastd(magnitude_bits, ptr[rip + magnitude_bits_]);
  vpbroadcastd(to_2_112, ptr[rip + to_2_112_]);
  for (int half = 0; half < 2; ++half) vmovdqu64(scale_words(half), ptr[rip + scale_words_ + 64 * half]);
  vpbroadcastd(scale_bits, ptr[rip + scale_bits_]);
  vpbroadcastd(exponent_bias, ptr[rip + exponent_bias_]);
  vbroadcasti32x4(square_table, ptr[rip + square_table_]);
  vmovdqu32(scale_dwords, ptr[rip + scale_dwords_]);
  vpxord(zero, zero, zero);
}

void AmxPrepareGenerator::row() {
  Label next_segment, next_step, segment_sized;
  mov(codes, codes_row);
  mov(scale_ptr, scales_row);
  mov(tile_row, tiles);
  mov(steps_left, ptr[args + offsetof(AmxPrepareArgs, steps)]);
  mov(bounds, ptr[args + offsetof(AmxPrepareArgs, bounds)]);
  lea(bounds, ptr[bounds + 4 * row_offset]);
  mov(bound_stride, ptr[args + offsetof(AmxPrepareArgs, bound_stride)]);
  mov(tmp, ptr[args + offsetof(AmxPrepareArgs, unit_exponent)]);
  vmovsd(unit_exponent, ptr[tmp + 8 * row_offset]);
  L(next_segment);
  begin_segment();
  mov(segment_left, kSegmentSteps);
  cmp(steps_left, segment_left);
  cmovl(segment_left, steps_left);
  sub(steps_left, segment_left);
  L(next_step);
  step();
  dec(segment_left);
  jnz(next_step, T_NEAR);
  end_segment();
  add(bounds, ptr[args + offsetof(AmxPrepareArgs, segment_stride)]);
  test(steps_left, steps_left);
  jnz(next_segment, T_NEAR);
  mov(tmp, ptr[args + offsetof(AmxPrepareArgs, unit_exponent)]);
  vmovsd(ptr[tmp + 8 * row_offset], unit_exponent);
}

void AmxPrepareGenerator::begin_segment() {
  vpxord(square_sum, square_sum, square_sum);
  vbroadcastsd(smallest, ptr[rip + infinity_]);
  vpxord(largest, largest, largest);
  vsubpd(largest, largest, smallest);
  vpxord(reach_sum, reach_sum, reach_sum);
  vmovapd(lowest, smallest);
  kxorw(never, never, never);
}

void AmxPrepareGenerator::step() {
  if (scales() == 4) {
    vpbroadcastd(step_scales, ptr[scale_ptr]);
  } else {
    vpbroadcastw(step_scales, ptr[scale_ptr]);
  }
  for (int half = 0; half < 2; ++half) decode_half(half);
  bound_step();
  add(codes, kStepK / 2);
  add(scale_ptr, scales());
  add(tile_row, kHalfSteps * kTileBytes);
}

// 32 elements: 16 bytes of codes -> 32 words in tile order, element * scale as bf16 (amx_operands.h).
//   broadcast load, vpshufb, vpsrlvw, vpermw, scale vpshufb + shift, vmulph or vpaddw, 3 more: 9 uops, 3 of
//   them p5
void AmxPrepareGenerator::decode_half(int half) {
  vbroadcasti32x4(value, ptr[codes + 16 * half]);
  vpshufb(value, value, spread_bytes);
  vpsrlvw(value, value, nibble_shift);
  vpermw(value, value, table);
  vpshufb(factor, step_scales, scale_words(half));
  if (ue4m3()) {
    vpandd(factor, factor, scale_bits);
    vpsllw(factor, factor, 7);
    vmulph(value, value, factor);
    vpsraw(value, value, 3);
    vpandd(value, value, finite_bits);
    vptestmw(nonzero, value, magnitude_bits);
    vpaddw(value | nonzero, value, to_2_112);
  } else {
    vpsubw(factor, factor, exponent_bias);
    vpsllw(factor, factor, 7);
    vptestmw(nonzero, value, value);
    vpaddw(value | nonzero, value, factor);
  }
  vmovdqa64(ptr[tile_row + kTileBytes * half], value);
}

// Adds the squares of the four groups, and takes their exponents into the smallest (groups whose products are
// not all zero) and the largest (all groups). Reach squared = squares / 2^(2 last place of this step's
// scales), the largest of each group over the segment: their sum bounds that of every step.
void AmxPrepareGenerator::bound_step() {
  const Xmm dwords(scratch.getIdx());
  vmovdqu8(low, ptr[codes]);
  vpsrlw(high, low, 4);
  vpandd(low, low, pool_word(nibble_mask_));
  vpandd(high, high, pool_word(nibble_mask_));
  vpshufb(low, square_table, low);
  vpshufb(high, square_table, high);
  vpsadbw(low, low, zero);
  vpsadbw(high, high, zero);
  vpaddq(low, low, high);  // sum of (2 element)^2, a group a lane

  vpshufb(dwords, Xmm(step_scales.getIdx()), scale_dwords);
  if (ue4m3()) {
    vpandd(dwords, dwords, pool_word(scale_bits_));
    vpslld(dwords, dwords, 20);
    vmulps(dwords, dwords, pool_word(two_120_));
  } else {
    vpslld(dwords, dwords, 23);
  }
  vcvtps2pd(scale, dwords);
  vgetexppd(exponent, scale);
  vptestmq(nonzero, low, low);
  if (ue4m3()) {
    vmaxpd(exponent, exponent, pool_word(minus_6_));
    vcmppd(nonzero | nonzero, scale, zero, 4);  // !=
    vcmppd(other, scale, pool_word(nan_scale_), 0);
  } else {  // byte 0 reads as 0 and byte 255 as infinity: their exponents are infinite and never certified
    vcmppd(other | nonzero, exponent, pool_word(minus_limit_), 1);  // <
    korb(never, never, other);
    vcmppd(other, exponent, pool_word(limit_), 14);  // >
  }
  korb(never, never, other);
  vcvtuqq2pd(low, low);
  vmulpd(low, low, scale);
  vmulpd(low, low, scale);
  vaddpd(square_sum, square_sum, low);

  vminpd(smallest | nonzero, smallest, exponent);
  vbroadcastsd(step_last, ptr[rip + infinity_]);
  last_place_of_scales();
  vpermq(spread, step_last, 0x4e);
  vminpd(step_last, step_last, spread);
  vpermilpd(spread, step_last, 5);
  vminpd(step_last, step_last, spread);
  vminpd(lowest, lowest, step_last);
  vmulpd(spread, step_last, pool_word(minus_2_));
  vscalefpd(low, low, spread);
  vmaxpd(reach_sum, reach_sum, low);
  if (!ue4m3()) vmaxpd(exponent, exponent, pool_word(minus_127_));
  vmaxpd(largest, largest, exponent);
}

// step_last, where nonzero <- exponent of the lowest bit of the scale's significand: f64's lowest set bit
// lies 52 - (63 - lzcnt) places below its exponent.
void AmxPrepareGenerator::last_place_of_scales() {
  if (!ue4m3()) {  // powers of two
    vmovapd(step_last | nonzero, exponent);
    return;
  }
  vpandq(spread, scale, pool_word(fraction_bits_));
  vporq(spread, spread, pool_word(hidden_bit_));
  vpsubq(other_bits, zero, spread);
  vpandq(spread, spread, other_bits);
  vplzcntq(spread, spread);
  vcvtuqq2pd(spread, spread);
  vgetexppd(other_bits, scale);
  vaddpd(other_bits, other_bits, pool_word(f64_11_));
  vsubpd(step_last | nonzero, other_bits, spread);
}

// x <- the sum of its four lanes.
void AmxPrepareGenerator::sum_lanes(const Ymm& x) {
  const Xmm t(scratch.getIdx()), sum(x.getIdx());
  vextractf64x2(t, x, 1);
  vaddpd(sum, sum, t);
  vpermilpd(t, sum, 1);
  vaddsd(sum, sum, t);
}

// x, f64 <- half its square root, rounded up, as f32.
void AmxPrepareGenerator::to_norm(const Xmm& x) {
  vsqrtsd(x, x, x);
  vmulsd(x, x, ptr[rip + half_up_]);
  vcvtsd2ss(x, x, x);
}

// The five bounds of the segment; norm and unit 0, reach infinite where it can never be certified.
void AmxPrepareGenerator::end_segment() {
  const Xmm norm(square_sum.getIdx()), reach(reach_sum.getIdx()), emin(smallest.getIdx()),
      emax(largest.getIdx());
  const Xmm t(scratch.getIdx()), unit(high.getIdx()), low_exponent(low.getIdx());
  Label store, no_spread, reachable;
  sum_lanes(square_sum);
  to_norm(norm);
  sum_lanes(reach_sum);
  vscalefsd(reach, reach, ptr[rip + f64_2_]);  // elements end one place below
  to_norm(reach);
  vextractf64x2(t, largest, 1);
  vmaxpd(emax, emax, t);
  vpermilpd(t, emax, 1);
  vmaxsd(emax, emax, t);
  vsubsd(low_exponent, Xmm(lowest.getIdx()), ptr[rip + one_]);
  vminsd(unit_exponent, unit_exponent, low_exponent);
  vextractf64x2(t, smallest, 1);
  vminpd(emin, emin, t);
  vpermilpd(t, emin, 1);
  vminsd(emin, emin, t);

  lea(tmp, ptr[bounds + 2 * bound_stride]);
  kortestb(never, never);
  jz(reachable);
  vbroadcastss(reach, ptr[rip + infinity_f32_]);
  L(reachable);
  vmovss(ptr[tmp], reach);
  vcvtsd2ss(t, emin, emin);
  vmovss(ptr[tmp + 2 * bound_stride], t);
  vcvtsd2ss(t, emax, emax);
  vmovss(ptr[tmp + bound_stride], t);

  vsubsd(emax, emax, unit_exponent);
  vcmpsd(other, emax, ptr[rip + spread_], 6);  // not <=
  korb(never, never, other);
  vcmpsd(other, unit_exponent, ptr[rip + lowest_unit_], 1);  // <
  korb(never, never, other);
  vmovsd(unit, ptr[rip + one_]);
  vscalefsd(unit, unit, unit_exponent);
  vcvtsd2ss(unit, unit, unit);
  kortestb(never, never);
  jz(store);
  vpxord(unit, unit, unit);
  L(store);
  vmovss(ptr[bounds], norm);
  vmovss(ptr[bounds + bound_stride], unit);
  vucomisd(unit_exponent, ptr[rip + no_unit_]);
  jne(no_spread);
  mov(dword[tmp + bound_stride], 0xff800000);  // every accumulator is 0, whatever its scale
  L(no_spread);
}

void AmxPrepareGenerator::emit_constant_pool() {
  const auto f64 = [this](Label& label, double x) {
    L(label);
    dq(std::bit_cast<std::uint64_t>(x));
  };
  const auto dq_at = [this](Label& label, std::uint64_t bits) {
    L(label);
    dq(bits);
  };
  align(64);
  L(spread_bytes_);  // every lane: its 4 bytes as words, twice
  for (int i = 0; i < 64; ++i) db(i % 2 == 0 ? 4 * (i / 16) + i % 8 / 2 : 0x80);
  L(nibble_shift_);
  for (int i = 0; i < 32; ++i) dw(i % 8 < 4 ? 0 : 4);
  L(scale_words_);  // [half][64]
  for (int i = 0; i < 128; ++i) db(i % 2 == 0 ? (2 * (i / 64) + i % 64 / 32) * scales() / kGroups : 0x80);
  L(table_);
  for (std::uint32_t code = 0; code < 16; ++code) {
    const float x = code == 8 ? 0.0f : decode_f32(ElementFormat::e2m1, code);
    dw(static_cast<std::uint16_t>(ue4m3() ? encode(ElementFormat::f16, 256 * x)
                                          : encode(ElementFormat::bf16, x)));
  }
  L(square_table_);
  for (unsigned code = 0; code < 16; ++code)
    db(static_cast<std::uint8_t>(twice_e2m1(code) * twice_e2m1(code)));
  L(scale_dwords_);
  for (int i = 0; i < 16; ++i) db(i % 4 == 0 ? i / 4 * scales() / kGroups : 0x80);
  L(nibble_mask_);
  dd(0x0f0f0f0f);
  L(finite_bits_);
  dd(0x8fff8fff);
  L(magnitude_bits_);
  dd(0x0fff0fff);
  L(to_2_112_);
  dd(0x70007000);  // 2 * 112 in bf16's exponent field
  L(scale_bits_);
  dd(0x007f007f);
  L(exponent_bias_);
  dd(0x007f007f);
  L(two_120_);
  dd(std::bit_cast<std::uint32_t>(0x1p120f));
  align(8);
  f64(infinity_, std::numeric_limits<double>::infinity());
  f64(minus_6_, -6.0);
  f64(minus_2_, -2.0);
  f64(minus_127_, -127.0);
  f64(nan_scale_, 480.0);
  f64(limit_, kMaxUe8m0Exponent);
  f64(minus_limit_, -kMaxUe8m0Exponent);
  f64(half_up_, 0.5 * (1 + 0x1p-12));  // squares are of twice the elements
  f64(f64_2_, 2.0);
  f64(f64_11_, 11.0);
  dq_at(fraction_bits_, 0x000fffffffffffff);
  dq_at(hidden_bit_, 0x0010000000000000);
  f64(spread_, kMaxSpread);
  f64(lowest_unit_, kMinUnitExponent);
  f64(one_, 1.0);
  f64(no_unit_, kNoUnitExponent);
  L(infinity_f32_);
  dd(0x7f800000);
}

KernelNotes AmxPrepareGenerator::notes() const {
  return {{{"zmm0..12", "tables, patterns and values of the decoder"},
           {"ymm16..28", "squares, scales and exponents of four groups"},
           {"r12, r13, r14", "codes, scales and tile row of the row at hand"}},
          "64 elements: 18 uops decode + 45 uops bounds -> about 32 cycles"};
}

}  // namespace fourge::jit
