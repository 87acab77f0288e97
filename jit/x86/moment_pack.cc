#include "jit/x86/moment_pack.h"

#include <bit>
#include <cstddef>

namespace fourge::jit {

using Xbyak::Label;
using Xbyak::Xmm;
using Xbyak::Ymm;
using Xbyak::Zmm;

void MomentPackGenerator::generate() {
  prologue(kLocalBytes);
  load_arguments();
  largest_of_columns();
  for (int p = 0; p < kPanels; ++p) scales(p);
  load_constants();
  step_loop();
  epilogue();
  pool_.emit(*this);
}

void MomentPackGenerator::load_arguments() {
  mov(x, ptr[args + offsetof(MomentPackArgs, x)]);
  mov(stride, ptr[args + offsetof(MomentPackArgs, stride)]);
  lea(stride_3, ptr[stride + 2 * stride]);
  mov(columns, ptr[args + offsetof(MomentPackArgs, columns)]);
  mov(mask, -1);
  bzhi(mask, mask, columns);
  mov(ptr[rsp + kMasks], mask);  // 16 bits a panel
  for (int p = 0; p < kPanels; ++p) {
    kmovw(columns_mask(p), mask.cvt32());
    shr(mask, kMomentPanel);
  }
}

// Comparison without signs: NaN and infinity exceed all else.
void MomentPackGenerator::largest_of_columns() {
  Label next;
  vpbroadcastd(magnitude, ptr[rip + pool_.word(0x7fffffffu)]);
  for (int p = 0; p < kPanels; ++p) vpxord(amax(p), amax(p), amax(p));
  mov(x_token, x);
  mov(tokens_left, ptr[args + offsetof(MomentPackArgs, tokens)]);
  L(next);
  for (int p = 0; p < kPanels; ++p) {
    const Zmm value = token_codes(p);
    vmovdqu32(value | columns_mask(p) | T_z, ptr[x_token + 64 * p]);
    vpandd(value, value, magnitude);
    vpmaxud(amax(p), amax(p), value);
  }
  add(x_token, stride);
  dec(tokens_left);
  jnz(next);
}

// simd/second_moment.h, column_scale(): 16 at a time.
void MomentPackGenerator::scales(int p) {
  constexpr std::uint32_t kInfinity = 0x7f800000, kSmallest = (127 - 60) << 23;
  constexpr std::uint8_t kLess = 1, kNotLess = 5, kGreater = 30;
  Label absent;
  const auto power = [this] {
    vpbroadcastd(to_code, ptr[rip + pool_.word(std::uint32_t{127 + 127 + 14})]);
    vpsubd(to_code, to_code, biased);
    vpslld(to_code, to_code, 23);
  };
  cmp(qword[args + offsetof(MomentPackArgs, columns)], kMomentPanel * p);
  jle(absent, T_NEAR);
  vpcmpud(not_finite, amax(p), word(kInfinity), kNotLess);
  vpcmpud(dead, amax(p), word(kSmallest), kLess);
  vpsrld(biased, amax(p), 23);
  power();
  vmulps(scaled, amax(p), to_code);
  vcmpps(over, scaled, word(std::bit_cast<std::uint32_t>(float{simd::kLargestMomentCode})), kGreater);
  vpaddd(biased | over, biased, word(1));
  power();
  imul(panel, ptr[args + offsetof(MomentPackArgs, panel_bytes)], p);
  add(panel, ptr[args + offsetof(MomentPackArgs, panel)]);
  for (int half = 0; half < 2; ++half) scale_half(half);
  vpxord(scaled, scaled, scaled);
  for (int part = 0; part < 2; ++part)
    vmovdqa32(ptr[panel + offsetof(MomentHead, sums) + static_cast<std::size_t>(64 * part)], scaled);
  korw(dead, dead, not_finite);
  vpxord(to_code | dead, to_code, to_code);
  vmovaps(ptr[rsp + 64 * p], to_code);
  L(absent);
}

// Eight scales as f64. Masks of the second half lie eight bits up.
void MomentPackGenerator::scale_half(int half) {
  const Ymm exponents(scaled.getIdx());
  vextracti32x8(exponents, biased, static_cast<std::uint8_t>(half));
  vpaddd(exponents, exponents, pool_word(pool_.word(std::uint32_t{1023 - 127 - 14})));
  vpmovzxdq(scale, exponents);
  vpsllq(scale, scale, 52);
  const auto lanes_below = static_cast<std::uint8_t>(8 * half);
  kshiftrw(over, dead, lanes_below);
  vpxorq(scale | over, scale, scale);
  kshiftrw(over, not_finite, lanes_below);
  vpternlogq(scale | over, scale, scale, 0xff);  // all ones: NaN
  vmovapd(ptr[panel + static_cast<int>(offsetof(MomentHead, scale)) + 64 * half], scale);
}

void MomentPackGenerator::load_constants() {
  mov(chosen.cvt32(), 0xaaaaaaaa);
  kmovd(odd_words, chosen.cvt32());
  vpbroadcastd(half_up, ptr[rip + pool_.word(0x00800080u)]);
  vpbroadcastd(ones, ptr[rip + pool_.word(0x01010101u)]);
  for (int part = 0; part < 2; ++part) {  // high, low
    for (int pair = 0; pair < 2; ++pair) {
      const std::uint32_t odd = part == 0 ? 1 : 0;
      vmovdqa32(select(part, pair), table(lanes_of([&](std::uint32_t lane) {
                  const std::uint32_t first = lane % 4 * 4 + odd, two = first | (first + 2) << 8;
                  return pair == 0 ? 0x80800000u | two : two << 16 | 0x8080u;
                })));
    }
  }
}

// Step after step all panels, so that a page of x is left for good.
void MomentPackGenerator::step_loop() {
  Label next_step, next_panel;
  mov(tokens_left, ptr[args + offsetof(MomentPackArgs, tokens)]);
  lea(steps_left, ptr[tokens_left + (kMomentStep - 1)]);
  shr(steps_left, std::countr_zero(static_cast<std::uint64_t>(kMomentStep)));
  xor_(panel_row.cvt32(), panel_row.cvt32());
  L(next_step);
  mov(panels_left, ptr[args + offsetof(MomentPackArgs, columns)]);
  add(panels_left, kMomentPanel - 1);
  shr(panels_left, std::countr_zero(static_cast<unsigned>(kMomentPanel)));
  mov(panel, ptr[args + offsetof(MomentPackArgs, panel)]);
  mov(local, rsp);
  mov(mask, ptr[rsp + kMasks]);
  L(next_panel);
  code_step();
  if (transposed_) transpose_step();
  add(panel, ptr[args + offsetof(MomentPackArgs, panel_bytes)]);
  add(local, 64);
  shr(mask, kMomentPanel);
  dec(panels_left);
  jnz(next_panel, T_NEAR);
  mov(x_token, stride);
  shl(x_token, std::countr_zero(static_cast<std::uint64_t>(kMomentStep)));
  add(x, x_token);
  sub(x, local);  // as far back as code_step() moved on: 64 bytes a panel
  add(x, rsp);
  sub(tokens_left, kMomentStep);
  add(panel_row, kStepBytes);
  dec(steps_left);
  jnz(next_step, T_NEAR);
}

// 64 tokens of a panel, four a round; tokens beyond the last are zeros and are not read.
void MomentPackGenerator::code_step() {
  Label next;
  constexpr auto kSums = static_cast<int>(offsetof(MomentHead, sums));
  vmovaps(to_code, ptr[local]);
  vmovdqa32(sum_high, ptr[panel + kSums]);
  vmovdqa32(sum_low, ptr[panel + kSums + 64]);
  mov(x_token, x);
  mov(rows_left, kMomentStep / 4);
  add(panel, panel_row);
  L(next);
  for (int token = 0; token < 4; ++token) load_token(token);
  pack_four();
  lea(x_token, ptr[x_token + 4 * stride]);
  sub(tokens_left, 4);
  add(panel, kRowBytes);
  dec(rows_left);
  jnz(next, T_NEAR);
  add(tokens_left, kMomentStep);
  sub(panel, kStepBytes);
  sub(panel, panel_row);
  add(x, kMomentPanel * 4);
  vmovdqa32(ptr[panel + kSums], sum_high);
  vmovdqa32(ptr[panel + kSums + 64], sum_low);
}

void MomentPackGenerator::load_token(int token) {
  const Zmm q = token_codes(token);
  const Xbyak::Address from[] = {ptr[x_token], ptr[x_token + stride], ptr[x_token + 2 * stride],
                                 ptr[x_token + stride_3]};
  xor_(chosen.cvt32(), chosen.cvt32());
  cmp(tokens_left, token);
  cmovg(chosen.cvt32(), mask.cvt32());  // its low 16 bits count
  kmovw(token_mask, chosen.cvt32());
  vmovups(q | token_mask | T_z, from[token]);
  vmulps(q, q, to_code);
  vcvtps2dq(q, q);
}

// low = the code's own low byte, signed; high = (code + 128) >> 8: the high byte of code + 128.
//   16 columns x 4 tokens: 4 multiplications, 4 conversions, 2 shifts, 2 blends, 2 additions, 4 vpshufb, 2
//   or, 2 vpdpbusd: 22 uops
void MomentPackGenerator::pack_four() {
  for (int pair = 0; pair < 2; ++pair) {  // words of two tokens
    const Zmm even = token_codes(2 * pair), odd = token_codes(2 * pair + 1);
    vpslld(odd, odd, 16);
    vpblendmw(even | odd_words, even, odd);
    vpaddw(odd, even, half_up);
  }
  for (int part = 0; part < 2; ++part) {
    const int source = part == 0 ? 1 : 0;
    vpshufb(bytes, token_codes(source), select(part, 0));
    vpshufb(other_bytes, token_codes(2 + source), select(part, 1));
    vpord(bytes, bytes, other_bytes);
    vmovdqa32(ptr[panel + kHeadBytes + 64 * part], bytes);
    vpdpbusd(part == 0 ? sum_high : sum_low, ones, bytes);
  }
}

// Rows of words -> columns, behind the rows of all steps.
void MomentPackGenerator::transpose_step() {
  const Xbyak::Reg64 from = x_token, to = chosen;
  lea(from, ptr[panel + panel_row + kHeadBytes]);
  mov(to, ptr[args + offsetof(MomentPackArgs, tokens)]);
  add(to, kMomentStep - 1);
  and_(to, -kMomentStep);
  shl(to, std::countr_zero(static_cast<std::uint64_t>(kStepBytes / kMomentStep)));
  add(to, from);
  for (int plane = 0; plane < 2; ++plane) {
    for (int row = 0; row < 16; ++row) vmovdqa32(Zmm(row), ptr[from + kRowBytes * row + 64 * plane]);
    transpose();
    for (int column = 0; column < 16; ++column)
      vmovdqa32(ptr[to + kRowBytes * column + 64 * plane], Zmm(column));
  }
  load_constants();
}

// 16 x 16 words in zmm0..15, zmm16..31 for scratch: 64 shuffles.
void MomentPackGenerator::transpose() {
  for (int i = 0; i < 16; i += 2) {
    vpunpckldq(Zmm(16 + i), Zmm(i), Zmm(i + 1));
    vpunpckhdq(Zmm(17 + i), Zmm(i), Zmm(i + 1));
  }
  for (int i = 0; i < 16; i += 4) {  // zmm[i + c]: word c of each quarter, of rows i to i + 3
    vpunpcklqdq(Zmm(i), Zmm(16 + i), Zmm(18 + i));
    vpunpckhqdq(Zmm(i + 1), Zmm(16 + i), Zmm(18 + i));
    vpunpcklqdq(Zmm(i + 2), Zmm(17 + i), Zmm(19 + i));
    vpunpckhqdq(Zmm(i + 3), Zmm(17 + i), Zmm(19 + i));
  }
  constexpr std::uint8_t kEvenQuarters = 0x88, kOddQuarters = 0xdd;
  for (int c = 0; c < 4; ++c) {
    for (int half = 0; half < 2; ++half) {
      vshufi32x4(Zmm(16 + 4 * c + 2 * half), Zmm(8 * half + c), Zmm(8 * half + 4 + c), kEvenQuarters);
      vshufi32x4(Zmm(17 + 4 * c + 2 * half), Zmm(8 * half + c), Zmm(8 * half + 4 + c), kOddQuarters);
    }
  }
  for (int c = 0; c < 4; ++c) {
    for (int odd = 0; odd < 2; ++odd) {
      const Zmm upper(16 + 4 * c + odd), lower(18 + 4 * c + odd);
      vshufi32x4(Zmm(4 * odd + c), upper, lower, kEvenQuarters);
      vshufi32x4(Zmm(8 + 4 * odd + c), upper, lower, kOddQuarters);
    }
  }
}

KernelNotes MomentPackGenerator::notes() const {
  return {{{"zmm20..23", "amax of four panels of 16 columns"},
           {"zmm5..8", "codes of four tokens"},
           {"zmm16..19", "which bytes go where"}},
          transposed_ ? "16 columns x 4 tokens: 3 loads and 2 uops for amax, 22 uops for codes, 8 shuffles"
                      : "16 columns x 4 tokens: 8 uops for amax, 22 uops for codes"};
}

}  // namespace fourge::jit
