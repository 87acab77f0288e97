#include "jit/x86/amx_block.h"

#include <bit>
#include <cstddef>

namespace fourge::jit {

using Xbyak::Label;
using Xbyak::Reg64;
using Xbyak::Zmm;

void AmxBlockGenerator::generate() {
  Label next_pair, last_tile, done;
  prologue(kThresholdBytes + 64);
  ldtilecfg(ptr[rip + tile_config_]);
  load_arguments();
  L(next_pair);
  cmp(row_tiles_left, 2);
  jl(last_tile, T_NEAR);
  block(2);
  sub(row_tiles_left, 2);
  jmp(next_pair, T_NEAR);
  L(last_tile);
  test(row_tiles_left, row_tiles_left);
  jz(done, T_NEAR);
  block(1);
  L(done);
  tilerelease();
  epilogue();
  emit_constant_pool();
}

void AmxBlockGenerator::load_arguments() {
  mov(a, ptr[args + offsetof(AmxBlockArgs, a)]);
  mov(b, ptr[args + offsetof(AmxBlockArgs, b)]);
  mov(acc, ptr[args + offsetof(AmxBlockArgs, acc)]);
  mov(acc_1, acc);
  add(acc_1, ptr[args + offsetof(AmxBlockArgs, acc_stride)]);
  mov(row_tiles_left, ptr[args + offsetof(AmxBlockArgs, row_tiles)]);
  xor_(row_offset, row_offset);
  for (int panel = 0; panel < 2; ++panel) {
    mov(upcoming, ptr[args + offsetof(AmxBlockArgs, upcoming) + 8 * static_cast<std::size_t>(panel)]);
    mov(upcoming_of(panel), upcoming);
  }
  mov(upcoming, ptr[args + offsetof(AmxBlockArgs, upcoming_acc)]);
  mov(upcoming_of(kAcc), upcoming);
  mov(upcoming, ptr[args + offsetof(AmxBlockArgs, upcoming_d)]);
  mov(upcoming_of(kOutputs), upcoming);
  mov(pending, ptr[args + offsetof(AmxBlockArgs, pending)]);
  mov(row_bytes, 64);
  vpbroadcastd(magnitude_mask, ptr[rip + magnitude_mask_]);
  vpxord(zero, zero, zero);
  for (int panel = 0; panel < 2; ++panel) {
    const auto index = 4 * static_cast<std::size_t>(panel);
    for (std::size_t s = 0; s < kRunSegments; ++s)
      vbroadcastss(b_norm(s, panel), ptr[args + offsetof(AmxBlockArgs, b_norm) + 8 * s + index]);
    vbroadcastss(b_unit(panel), ptr[args + offsetof(AmxBlockArgs, b_unit) + index]);
    vmulps(b_unit(panel), b_unit(panel), pool_word(two_24_));
  }
}

// One pair of row tiles (or the last single one) by 32 columns.
void AmxBlockGenerator::block(int row_tiles) {
  Label unread, multiply_now, next;
  cmp(byte[pending], 0);
  je(next, T_NEAR);
  load_bound_rows();
  if (certified_) {
    thresholds(row_tiles, next);
  } else {
    check_reach(row_tiles, next);
  }
  cmp(dword[args + offsetof(AmxBlockArgs, first)], 0);
  jne(unread, T_NEAR);
  if (certified_) check_accumulators(row_tiles, next);
  load_accumulators(row_tiles);
  jmp(multiply_now, T_NEAR);
  L(unread);
  for (int t = 0; t < row_tiles; ++t) {
    for (int panel = 0; panel < 2; ++panel) tilezero(acc_tile(t, panel));
  }
  L(multiply_now);
  multiply(row_tiles);
  store_accumulators(row_tiles);
  mov(byte[pending], 0);
  L(next);
  inc(pending);
  mov(half_steps_left, ptr[args + offsetof(AmxBlockArgs, a_stride)]);
  lea(a, ptr[a + half_steps_left * row_tiles]);
  add(acc, 64 * kTileRows * row_tiles);
  add(acc_1, 64 * kTileRows * row_tiles);
  add(row_offset, 4 * kTileRows * row_tiles);
}

void AmxBlockGenerator::load_bound_rows() {
  for (std::size_t s = 0; s < kRunSegments; ++s) {
    mov(bound_row(s), ptr[args + offsetof(AmxBlockArgs, bounds) + 8 * s]);
    add(bound_row(s), row_offset);
  }
  mov(bound_stride, ptr[args + offsetof(AmxBlockArgs, bound_stride)]);
}

// threshold = 2^24 unit_m unit_n - sum of norm_m norm_n over the segments; refused unless every one is
// positive. Norms are rounded up far enough that the rounding of this difference does not matter.
void AmxBlockGenerator::thresholds(int row_tiles, const Label& refused) {
  for (int t = 0; t < row_tiles; ++t) {
    const auto offset = static_cast<std::size_t>(64 * t);
    vmovups(unit, ptr[bound_row(0) + bound_stride + offset]);
    for (std::size_t s = 1; s < kRunSegments; ++s)
      vminps(unit, unit, ptr[bound_row(s) + bound_stride + offset]);
    for (std::size_t s = 0; s < kRunSegments; ++s) vmovups(norm(s), ptr[bound_row(s) + offset]);
    for (int panel = 0; panel < 2; ++panel) {
      vmulps(threshold, unit, b_unit(panel));
      for (std::size_t s = 0; s < kRunSegments; ++s) vfnmadd231ps(threshold, norm(s), b_norm(s, panel));
      vmovaps(threshold_of(panel, t), threshold);
      vcmpps(unfit, threshold, zero, 10);  // not >
      kortestw(unfit, unfit);
      jnz(refused, T_NEAR);
    }
  }
}

// Refused where a reach is infinite: NaN scales, and scales beyond what tiles hold.
void AmxBlockGenerator::check_reach(int row_tiles, const Label& refused) {
  const Zmm& reach = norm(0);
  for (int t = 0; t < row_tiles; ++t) {
    const auto offset = static_cast<std::size_t>(64 * t);
    vmovups(reach, ptr[bound_row(0) + 2 * bound_stride + offset]);
    for (std::size_t s = 1; s < kRunSegments; ++s)
      vmaxps(reach, reach, ptr[bound_row(s) + 2 * bound_stride + offset]);
    vcmpps(unfit, reach, pool_word(infinity_), 0);
    kortestw(unfit, unfit);
    jnz(refused, T_NEAR);
  }
}

// |c| < threshold everywhere, as integers: the sign of |c| - threshold. 3 uops on p05 for 16 outputs.
void AmxBlockGenerator::check_accumulators(int row_tiles, const Label& refused) {
  constexpr int kChains = 4;
  for (int chain = 0; chain < kChains; ++chain) vpternlogd(below(chain), below(chain), below(chain), 0xff);
  int chain = 0;
  for (int panel = 0; panel < 2; ++panel) {
    for (int row = 0; row < kTileRows * row_tiles; ++row) {
      vpandd(magnitude(chain), magnitude_mask, ptr[acc_of(panel) + 64 * row]);
      vpsubd(magnitude(chain), magnitude(chain), threshold_of(panel, row / kTileRows, row % kTileRows));
      vpandd(below(chain), below(chain), magnitude(chain));
      chain = (chain + 1) % kChains;
    }
  }
  vpternlogd(below(0), below(1), below(2), 0x80);  // and of three
  vpandd(below(0), below(0), below(3));
  vpmovd2m(all_below, below(0));
  kortestw(all_below, all_below);
  jnc(refused, T_NEAR);
}

void AmxBlockGenerator::load_accumulators(int row_tiles) {
  for (int t = 0; t < row_tiles; ++t) {
    for (int panel = 0; panel < 2; ++panel) {
      tileloadd(acc_tile(t, panel), ptr[acc_of(panel) + row_bytes + 64 * kTileRows * t]);
    }
  }
}

// K = 32 a round: 4 tile loads (64 loads on p23: 32 cycles) under 4 TDPBF16PS (64 TMUL cycles). A streams
// from L2, 2 KiB a round, past L1 (tileloaddt1), where B stays. The two panels' upcoming codes are fetched in
// turn, a line a round.
void AmxBlockGenerator::multiply(int row_tiles) {
  Label next;
  mov(a_0, a);
  mov(a_1, a);
  add(a_1, ptr[args + offsetof(AmxBlockArgs, a_stride)]);
  mov(b_row, b);
  mov(half_steps_left, ptr[args + offsetof(AmxBlockArgs, half_steps)]);
  align(32);
  L(next);
  tileloadd(b_tile(0), ptr[b_row + row_bytes]);
  tileloaddt1(a_tile(0), ptr[a_0 + row_bytes]);
  tdpbf16ps(acc_tile(0, 0), a_tile(0), b_tile(0));
  tileloadd(b_tile(1), ptr[b_row + row_bytes + kTileBytes]);
  tdpbf16ps(acc_tile(0, 1), a_tile(0), b_tile(1));
  if (row_tiles == 2) {
    tileloaddt1(a_tile(1), ptr[a_1 + row_bytes]);
    tdpbf16ps(acc_tile(1, 0), a_tile(1), b_tile(0));
    tdpbf16ps(acc_tile(1, 1), a_tile(1), b_tile(1));
    add(a_1, kTileBytes);
  }
  fetch_ahead();
  add(a_0, kTileBytes);
  add(b_row, 2 * kTileBytes);
  dec(half_steps_left);
  jnz(next, T_NEAR);
  mov(a_0, upcoming_of(0));
  mov(upcoming, upcoming_of(1));
  mov(upcoming_of(0), upcoming);
  mov(upcoming_of(1), a_0);
}

// What the next calls will touch first, from L3 or memory towards L2: five lines a round.
void AmxBlockGenerator::fetch_ahead() {
  mov(upcoming, upcoming_of(0));
  prefetcht1(ptr[upcoming]);
  add(upcoming, 64);
  mov(upcoming_of(0), upcoming);
  mov(upcoming, upcoming_of(kAcc));
  for (int line = 0; line < 2; ++line) prefetcht1(ptr[upcoming + 64 * line]);
  add(upcoming, 128);
  mov(upcoming_of(kAcc), upcoming);
  mov(upcoming, upcoming_of(kOutputs));
  for (int line = 0; line < 2; ++line) prefetcht1(ptr[upcoming + 64 * line]);
  add(upcoming, ptr[args + offsetof(AmxBlockArgs, upcoming_d_stride)]);
  mov(upcoming_of(kOutputs), upcoming);
}

void AmxBlockGenerator::store_accumulators(int row_tiles) {
  for (int t = 0; t < row_tiles; ++t) {
    for (int panel = 0; panel < 2; ++panel) {
      tilestored(ptr[acc_of(panel) + row_bytes + 64 * kTileRows * t], acc_tile(t, panel));
    }
  }
}

void AmxBlockGenerator::emit_constant_pool() {
  align(64);
  L(tile_config_);  // Intel SDM vol. 1, 18.3: palette 1; 8 tiles of 16 rows x 64 bytes
  db(1);
  for (int i = 1; i < 16; ++i) db(0);
  for (int t = 0; t < 16; ++t) dw(t < 8 ? 64 : 0);
  for (int t = 0; t < 16; ++t) db(t < 8 ? kTileRows : 0);
  L(magnitude_mask_);
  dd(0x7fffffff);
  L(two_24_);
  dd(std::bit_cast<std::uint32_t>(0x1p24f));
  L(infinity_);
  dd(0x7f800000);
}

KernelNotes AmxBlockGenerator::notes() const {
  return {
      {{"tmm0..3", "accumulators: 2 row tiles x 2 panels"},
       {"tmm4..5, tmm6..7", "A tiles, B tiles"},
       {"zmm24..31, zmm16..17", "B's norms by segment and panel, units by panel"},
       {"zmm4..7", "sign bits: |c| below its threshold so far"},
       {"rsi, rdx, rcx, r8", "A, B, accumulators of panels 0 and 1"}},
      certified_
          ? "32 x 32 outputs, K 512: 64 TDPBF16PS = 1,024 TMUL cycles; certificate 192 uops on p05 = 96 "
            "cycles;\n"
            "A 32 KiB from L2 = 32 bytes a cycle, accumulators 64 lines in and out"
          : "32 x 32 outputs, K 512: 64 TDPBF16PS = 1,024 TMUL cycles; A 32 KiB from L2 = 32 bytes a cycle,\n"
            "accumulators 64 lines in and out",
      {1024, 32 * 32 * 512}};
}

}  // namespace fourge::jit
