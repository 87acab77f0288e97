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
  mov(bounds, ptr[args + offsetof(AmxBlockArgs, bounds)]);
  for (int panel = 0; panel < 2; ++panel) {
    mov(upcoming, ptr[args + offsetof(AmxBlockArgs, upcoming) + 8 * static_cast<std::size_t>(panel)]);
    mov(upcoming_of(panel), upcoming);
  }
  mov(upcoming, ptr[args + offsetof(AmxBlockArgs, upcoming_acc)]);
  mov(upcoming_of(kAcc), upcoming);
  mov(upcoming, ptr[args + offsetof(AmxBlockArgs, upcoming_d)]);
  mov(upcoming_of(kOutputs), upcoming);
  mov(refused_flag, ptr[args + offsetof(AmxBlockArgs, refused)]);
  mov(row_bytes, 64);
  vpbroadcastd(magnitude_mask, ptr[rip + magnitude_mask_]);
  vpxord(zero, zero, zero);
  for (int panel = 0; panel < 2; ++panel) {
    const auto index = 4 * static_cast<std::size_t>(panel);
    vbroadcastss(b_norm(panel), ptr[args + offsetof(AmxBlockArgs, b_norm) + index]);
    vbroadcastss(b_unit(panel), ptr[args + offsetof(AmxBlockArgs, b_unit) + index]);
    vmulps(b_unit(panel), b_unit(panel), pool_word(two_24_));
  }
}

// One pair of row tiles (or the last single one) by 32 columns.
void AmxBlockGenerator::block(int row_tiles) {
  Label refused, unread, multiply_now, next;
  if (certified_) {
    thresholds(row_tiles, refused);
  } else {
    check_reach(row_tiles, refused);
  }
  cmp(dword[args + offsetof(AmxBlockArgs, first)], 0);
  jne(unread, T_NEAR);
  if (certified_) check_accumulators(row_tiles, refused);
  load_accumulators(row_tiles);
  jmp(multiply_now, T_NEAR);
  L(unread);
  for (int t = 0; t < row_tiles; ++t) {
    for (int panel = 0; panel < 2; ++panel) tilezero(acc_tile(t, panel));
  }
  L(multiply_now);
  multiply(row_tiles);
  store_accumulators(row_tiles);
  mov(byte[refused_flag], 0);
  jmp(next, T_NEAR);
  L(refused);
  mov(byte[refused_flag], 1);
  L(next);
  inc(refused_flag);
  mov(half_steps_left, ptr[args + offsetof(AmxBlockArgs, a_stride)]);
  lea(a, ptr[a + half_steps_left * row_tiles]);
  add(acc, 64 * kTileRows * row_tiles);
  add(acc_1, 64 * kTileRows * row_tiles);
  add(bounds, 4 * kTileRows * row_tiles);
}

// threshold = 2^24 unit_m unit_n - norm_m norm_n; refused unless every one is positive. Norms are rounded up
// far enough that the rounding of this difference does not matter.
void AmxBlockGenerator::thresholds(int row_tiles, const Label& refused) {
  const Reg64& unit_row = half_steps_left;
  mov(unit_row, bounds);
  add(unit_row, ptr[args + offsetof(AmxBlockArgs, bound_stride)]);
  for (int t = 0; t < row_tiles; ++t) {
    const auto offset = static_cast<std::size_t>(64 * t);
    vmovups(unit, ptr[unit_row + offset]);
    vmovups(norm, ptr[bounds + offset]);
    for (int panel = 0; panel < 2; ++panel) {
      vmulps(threshold, unit, b_unit(panel));
      vfnmadd231ps(threshold, norm, b_norm(panel));
      vmovaps(threshold_of(panel, t), threshold);
      vcmpps(unfit, threshold, zero, 10);  // not >
      kortestw(unfit, unfit);
      jnz(refused, T_NEAR);
    }
  }
}

// Refused where a reach is infinite: NaN scales, and scales beyond what tiles hold.
void AmxBlockGenerator::check_reach(int row_tiles, const Label& refused) {
  const Reg64& reach_row = half_steps_left;
  mov(reach_row, ptr[args + offsetof(AmxBlockArgs, bound_stride)]);
  lea(reach_row, ptr[bounds + 2 * reach_row]);
  for (int t = 0; t < row_tiles; ++t) {
    vmovups(norm, ptr[reach_row + static_cast<std::size_t>(64 * t)]);
    vcmpps(unfit, norm, pool_word(infinity_), 0);
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

// K = 32 a round: 4 tile loads (64 loads on p23: 32 cycles) under 4 TDPBF16PS (64 TMUL cycles). The two
// panels' upcoming codes are fetched in turn, a line a round.
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
  tileloadd(a_tile(0), ptr[a_0 + row_bytes]);
  tdpbf16ps(acc_tile(0, 0), a_tile(0), b_tile(0));
  tileloadd(b_tile(1), ptr[b_row + row_bytes + kTileBytes]);
  tdpbf16ps(acc_tile(0, 1), a_tile(0), b_tile(1));
  if (row_tiles == 2) {
    tileloadd(a_tile(1), ptr[a_1 + row_bytes]);
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
  return {{{"tmm0..3", "accumulators: 2 row tiles x 2 panels"},
           {"tmm4..5, tmm6..7", "A tiles, B tiles"},
           {"zmm0..3", "B's norms and units, by panel"},
           {"zmm4..7", "sign bits: |c| below its threshold so far"},
           {"rsi, rdx, rcx, r8", "A, B, accumulators of panels 0 and 1"}},
          certified_
              ? "32 x 32 outputs, K 256: 32 TDPBF16PS = 512 TMUL cycles; certificate 192 uops on p05 = 96 "
                "cycles;\n"
                "accumulators 64 loads + 64 stores"
              : "32 x 32 outputs, K 256: 32 TDPBF16PS = 512 TMUL cycles; accumulators 64 loads + 64 stores"};
}

}  // namespace fourge::jit
