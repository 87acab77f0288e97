#include "jit/x86/amx_steps.h"

#include <bit>
#include <cstddef>

namespace fourge::jit {

using Xbyak::Label;
using Xbyak::Reg64;

namespace {

// Predicates of vcmpps, quiet.
constexpr std::uint8_t kLess = 0x11, kLessOrEqual = 0x12, kGreaterOrEqual = 0x1d;
constexpr std::uint8_t kSmallestMagnitude = 0x0a;  // vrangeps: the smaller magnitude, sign cleared
constexpr int kAllRows = 0xffff;
constexpr int kChains = 4;

}  // namespace

void AmxStepsGenerator::generate() {
  prologue(kLocal);
  load_arguments();
  row_tile_loop();
  tilerelease();
  epilogue();
  emit_constant_pool();
}

// Rounding toward zero holds for the whole kernel: every bound below errs to the safe side under it.
void AmxStepsGenerator::load_arguments() {
  ldtilecfg(ptr[rip + tile_config_]);
  mov(dword[rsp + kSaved], 0x7f80);
  ldmxcsr(dword[rsp + kSaved]);
  mov(row_bytes, 64);
  mov(refused_out, ptr[args + offsetof(AmxStepsArgs, refused)]);
  mov(a, ptr[args + offsetof(AmxStepsArgs, a)]);
  mov(acc, ptr[args + offsetof(AmxStepsArgs, acc)]);
  mov(bounds, ptr[args + offsetof(AmxStepsArgs, bounds)]);
  xor_(tile_index, tile_index);
}

void AmxStepsGenerator::row_tile_loop() {
  Label next_tile, next_panel, passed_over;
  L(next_tile);
  mov(panel_args, tile_index);
  shr(panel_args, 1);
  add(panel_args, ptr[args + offsetof(AmxStepsArgs, pending)]);
  cmp(byte[panel_args], 0);
  je(passed_over, T_NEAR);
  mov(saved(1), acc);
  mov(saved(2), a);
  mov(b, ptr[args + offsetof(AmxStepsArgs, b)]);
  mov(panel_args, args);
  mov(panels_left, ptr[args + offsetof(AmxStepsArgs, panels)]);
  L(next_panel);
  mov(saved(0), b);
  tile();
  mov(a, saved(2));
  mov(b, saved(0));
  add(b, kTileBytes);
  add(acc, ptr[args + offsetof(AmxStepsArgs, acc_stride)]);
  add(panel_args, 4);
  add(refused_out, 2);
  dec(panels_left);
  jnz(next_panel, T_NEAR);
  mov(acc, saved(1));
  sub(refused_out, ptr[args + offsetof(AmxStepsArgs, panels)]);
  sub(refused_out, ptr[args + offsetof(AmxStepsArgs, panels)]);
  L(passed_over);
  add(refused_out, 4);
  add(a, ptr[args + offsetof(AmxStepsArgs, a_stride)]);
  add(acc, 64 * kTileRows);
  add(bounds, 4 * kTileRows);
  inc(tile_index);
  cmp(tile_index, ptr[args + offsetof(AmxStepsArgs, row_tiles)]);
  jl(next_tile, T_NEAR);
}

// 16 rows x 16 columns over the segment.
void AmxStepsGenerator::tile() {
  Label by_row, done;
  row_bounds();
  load_accumulators();
  step_loop();
  check_rows(by_row);
  store_all();
  jmp(done, T_NEAR);
  L(by_row);
  store_certified_rows();
  L(done);
  mov(word[refused_out], refused_rows.cvt16());
}

// Of each row (theorem 3): fit, that is, the products of a step add up exactly and no group is cut;
//   lower = 2^(M - 12) and upper = 2^(emin_A + emin_B + 36 - last_place) - norm_A norm_B limit |c|.
void AmxStepsGenerator::row_bounds() {
  const auto of_panel = [this](std::size_t field) { return ptr_b[panel_args + field]; };
  const Reg64& stride = a_half;
  const Reg64& row = b_half;
  mov(stride, ptr[args + offsetof(AmxStepsArgs, bound_stride)]);
  lea(row, ptr[bounds + 2 * stride]);
  vmovups(norm, ptr[bounds]);
  vmovups(reach, ptr[row]);
  vmovups(emax, ptr[row + stride]);
  vmovups(emin, ptr[row + 2 * stride]);
  vmulps(reach, reach, of_panel(offsetof(AmxStepsArgs, b_reach)));
  vaddps(emax, emax, of_panel(offsetof(AmxStepsArgs, b_emax)));
  vaddps(emin, emin, of_panel(offsetof(AmxStepsArgs, b_emin)));
  vcmpps(fit, reach, pool_word(two_24_), kLess);
  vaddps(lower, emin, pool_word(spread_));
  vcmpps(fit | fit, emax, lower, kLessOrEqual);
  kmovw(fit_rows, fit);
  mov(saved(3), rdx);

  vbroadcastss(one, ptr[rip + one_]);
  vaddps(emax, emax, pool_word(minus_12_));
  vscalefps(lower, one, emax);
  vaddps(emin, emin, pool_word(headroom_));
  vscalefps(upper, one, emin);
  vminps(upper, upper, pool_word(largest_));
  vbroadcastss(reach, ptr[panel_args + offsetof(AmxStepsArgs, b_norm)]);
  vfnmadd231ps(upper, norm, reach);
  vmovaps(ptr[rsp + kLower], lower);
  vmovaps(ptr[rsp + kUpper], upper);
  mov(b, saved(0));
}

// inside <- |c| < upper in all rows, in four chains.
void AmxStepsGenerator::load_accumulators() {
  Label read, loaded;
  for (int chain = 0; chain < kChains; ++chain) kxnorw(inside(chain), inside(chain), inside(chain));
  cmp(dword[args + offsetof(AmxStepsArgs, first)], 0);
  je(read, T_NEAR);
  for (int row = 0; row < kTileRows; ++row) {
    vpxord(c(row), c(row), c(row));
    vbroadcastss(smallest(row), ptr[rip + infinity_]);
  }
  jmp(loaded, T_NEAR);
  L(read);
  for (int row = 0; row < kTileRows; ++row) {
    vmovaps(c(row), ptr[acc + 64 * row]);
    vandps(smallest(row), c(row), pool_word(magnitude_mask_));
    vcmpps(inside(row % kChains) | inside(row % kChains), smallest(row), upper_of(row), kLess);
  }
  L(loaded);
}

// One step behind each other: the tiles of a step are multiplied while the sums of the step before are added.
//
// Budget of a step, 16 x 16 outputs, K 64: 32 TMUL cycles; 64 tile rows + 16 sums = 80 loads on p23 -> 40
// cycles; 16 stores; 32 uops on p05 -> 16 cycles.
void AmxStepsGenerator::step_loop() {
  Label next, last;
  const Reg64& steps_left = bounds;
  mov(saved(4), bounds);
  mov(steps_left, ptr[args + offsetof(AmxStepsArgs, steps)]);
  mov(a_half, a);
  mov(b_half, b);
  lea(ready_sums, ptr[rsp + kSums]);
  lea(next_sums, ptr[rsp + kSums + kTileBytes]);
  multiply_step(ready_sums);
  dec(steps_left);
  jz(last, T_NEAR);
  align(32);
  L(next);
  multiply_step(next_sums);
  add_step(ready_sums);
  xchg(ready_sums, next_sums);
  dec(steps_left);
  jnz(next, T_NEAR);
  L(last);
  add_step(ready_sums);
  mov(bounds, saved(4));
}

void AmxStepsGenerator::multiply_step(const Reg64& destination) {
  tilezero(sum);
  for (int half = 0; half < kHalfSteps; ++half) {
    tileloadd(a_tile(half), ptr[a_half + row_bytes + kTileBytes * half]);
    tileloadd(b_tile(half), ptr[b_half + row_bytes + 2 * kTileBytes * half]);
    tdpbf16ps(sum, a_tile(half), b_tile(half));
  }
  tilestored(ptr[destination + row_bytes], sum);
  add(a_half, kHalfSteps * kTileBytes);
  add(b_half, 2 * kHalfSteps * kTileBytes);
}

void AmxStepsGenerator::add_step(const Reg64& source) {
  for (int row = 0; row < kTileRows; ++row) {
    vaddps(c(row), c(row), ptr[source + 64 * row]);
    vrangeps(smallest(row), smallest(row), c(row), kSmallestMagnitude);
  }
}

// To by_row unless every row is certified.
void AmxStepsGenerator::check_rows(const Label& by_row) {
  mov(rdx, saved(3));
  for (int row = 0; row < kTileRows; ++row)
    vcmpps(inside(row % kChains) | inside(row % kChains), smallest(row), lower_of(row), kGreaterOrEqual);
  kandw(inside(0), inside(0), inside(1));
  kandw(inside(2), inside(2), inside(3));
  kandw(inside(0), inside(0), inside(2));
  mov(refused_rows, panel_args.cvt32());
  sub(refused_rows, args.cvt32());
  shr(refused_rows, 1);  // 2 bytes a panel in `dead`
  movzx(refused_rows, word[args + rsi + offsetof(AmxStepsArgs, dead)]);
  kmovw(dead, refused_rows);
  korw(inside(0), inside(0), dead);
  kortestw(inside(0), inside(0));
  jnc(by_row, T_NEAR);
  cmp(fit_rows, kAllRows);
  jne(by_row, T_NEAR);
}

void AmxStepsGenerator::store_all() {
  for (int row = 0; row < kTileRows; ++row) vmovaps(ptr[acc + 64 * row], c(row));
  xor_(refused_rows, refused_rows);
}

void AmxStepsGenerator::store_certified_rows() {
  xor_(refused_rows, refused_rows);
  for (int row = 0; row < kTileRows; ++row) {
    Label refused, store, next;
    bt(fit_rows, static_cast<std::uint8_t>(row));
    jnc(refused);
    vcmpps(inside(0), smallest(row), lower_of(row), kGreaterOrEqual);
    korw(inside(0), inside(0), dead);
    kortestw(inside(0), inside(0));
    jnc(refused);
    cmp(dword[args + offsetof(AmxStepsArgs, first)], 0);
    jne(store);
    vmovaps(smallest(row), ptr[acc + 64 * row]);
    vandps(smallest(row), smallest(row), pool_word(magnitude_mask_));
    vcmpps(inside(0), smallest(row), upper_of(row), kLess);
    korw(inside(0), inside(0), dead);
    kortestw(inside(0), inside(0));
    jnc(refused);
    L(store);
    vmovaps(ptr[acc + 64 * row], c(row));
    jmp(next);
    L(refused);
    or_(refused_rows, 1 << row);
    L(next);
  }
}

void AmxStepsGenerator::emit_constant_pool() {
  const auto f32 = [this](Label& label, float value) {
    L(label);
    dd(std::bit_cast<std::uint32_t>(value));
  };
  align(64);
  L(tile_config_);  // Intel SDM vol. 1, 18.3: palette 1; 8 tiles of 16 rows x 64 bytes
  db(1);
  for (int i = 1; i < 16; ++i) db(0);
  for (int t = 0; t < 16; ++t) dw(t < 8 ? 64 : 0);
  for (int t = 0; t < 16; ++t) db(t < 8 ? kTileRows : 0);
  L(magnitude_mask_);
  dd(0x7fffffff);
  L(infinity_);
  dd(0x7f800000);
  f32(one_, 1.0f);
  f32(two_24_, 0x1p24f);
  f32(minus_12_, -12.0f);
  f32(spread_, static_cast<float>(35 - last_place()));
  f32(headroom_, static_cast<float>(36 - last_place()));
  f32(largest_, 0x1p126f);
}

KernelNotes AmxStepsGenerator::notes() const {
  return {{{"zmm0..15", "accumulators of 16 rows"},
           {"zmm16..31", "smallest |c| of each"},
           {"tmm0, tmm1..2, tmm3..4", "sums of a step, A tiles, B tiles"},
           {"rsi, rdx, rcx, r10", "A, B, accumulators, bounds"}},
          "16 x 16 outputs, one step of K 64: 32 TMUL cycles; loads 80 -> 40 cycles; 32 uops on p05 -> 16 "
          "cycles"};
}

}  // namespace fourge::jit
