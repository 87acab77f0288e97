#include "jit/x86/quantize.h"

#include <cstddef>

namespace fourge::jit {

using Xbyak::Label;
using Xbyak::Reg64;
using Xbyak::Zmm;

void QuantizeGenerator::generate() {
  prologue(kSlots * kVectorBytes);
  load_arguments();
  group_loop();
  epilogue();
  pool_.emit(*this);
  emit_io_pool();
}

void QuantizeGenerator::load_arguments() {
  mov(x, arg(offsetof(StripArgs, x)));
  mov(codes, arg(offsetof(StripArgs, codes)));
  mov(scales, arg(offsetof(StripArgs, scales)));
  mov(flags, arg(offsetof(StripArgs, flags)));
  mov(groups_left, arg(offsetof(StripArgs, groups)));
  mov(scale_step, arg(offsetof(StripArgs, scale_step)));
  mov(sign_words, arg(offsetof(StripArgs, sign_words)));
  mov(run, arg(offsetof(StripArgs, first_run)));
  load_lane_masks();
}

// Port budget of 16 elements, zmm, Golden Cove (p05 = either vector port), bf16 to nvfp4, static_6, to
// nearest:
//   load 1, amax of a pair and NaN test 1, reduction 21 / 16, scales 25 / 16 and 2 divisions    4.9
//   broadcast of the inverse 0.5, multiply 1, binade 2, round 1, code 2, pack 2.5               9.0
//   13.9 uops on p05 -> 7 cycles; the divider is busy 20 cycles of a group's 112
// f32 input: + 1. Rotation: + 8 (16), 10 (32), 11 (64), 12 (128). Four Over Six: + 2 * 8 + 2 * 2.3 + 1 for
// both errors -> 18 cycles. Loads and stores have their own ports.
void QuantizeGenerator::group_loop() {
  Label next, careful, done, end;
  L(next);
  kxorw(k_redo, k_redo, k_redo);
  block_amax();
  if (two_level()) {
    nvfp4_scales();
  } else {
    mx_scales();
  }
  kortestw(k_plain, k_plain);
  jnc(careful, T_NEAR);
  finish_group(Path::plain);
  L(done);
  store_scales();
  store_flags();
  next_group();
  jnz(next, T_NEAR);
  jmp(end, T_NEAR);
  L(careful);
  finish_group(Path::careful);
  jmp(done, T_NEAR);
  L(end);
}

void QuantizeGenerator::next_group() {
  add(x, group_bytes());
  add(codes, kGroup / 2);
  imul(rax, scale_step, blocks() / 4);
  add(scales, rax);
  add(flags, 2);
  add(run, kGroup / 16);
  dec(groups_left);
}

// Body once; with block_2d for every row of the strip, its pointers in x_row, codes_row and row_run.
void QuantizeGenerator::for_each_row(const std::function<void()>& body) {
  mov(x_row, x);
  mov(codes_row, codes);
  if (stochastic()) mov(row_run, run);
  if (!block_2d()) {
    body();
    return;
  }
  Label next_row;
  mov(rows_left, arg(offsetof(StripArgs, rows)));
  L(next_row);
  body();
  add(x_row, arg(offsetof(StripArgs, x_stride)));
  add(codes_row, arg(offsetof(StripArgs, codes_stride)));
  if (stochastic()) add(row_run, arg(offsetof(StripArgs, run_step)));
  dec(rows_left);
  jnz(next_row, T_NEAR);
}

void QuantizeGenerator::load_row(const Reg64& from, const Zmm& first_temp, int breadth) {
  load_group(from, spec_.input, first_temp, Zmm(first_temp.getIdx() + 1));
  if (spec_.rotate != 0)
    rotate_group(spec_.rotate, sign_words, spec_.signs, arg_word(offsetof(StripArgs, rotation_scale)),
                 first_temp, breadth);
}

// amax <- the largest magnitude of every block, in reduce_pairs' order; blocks of 32 twice. k_ordered: no
// NaN.
void QuantizeGenerator::block_amax() {
  kxnorw(k_ordered, k_ordered, k_ordered);
  if (quest()) {
    block_deviation();
    return;
  }
  if (block_2d()) {
    for (int v = 0; v < kPairs; ++v) vpxord(per_pair(v), per_pair(v), per_pair(v));
  }
  for_each_row([this] {
    load_row(x_row, block_2d() ? Zmm(25) : Zmm(17), block_2d() ? 4 : 8);
    row_amax();
  });
  reduce_pairs(Reduction::max, per_pair(0), scratch);
  if (blocks() == kPairs) {
    vshuff32x4(scratch, amax, amax, 0b01'00'11'10);
    vmaxps(amax, amax, scratch);
  }
}

// amax <- fourge/quest.h. k_redo: the variance is negative or NaN.
//   p05 of 16 elements: 0.5 NaN test, 3 sums and products, 2 * 2.6 reductions
void QuantizeGenerator::block_deviation() {
  for_each_row([this] { load_row(x_row, Zmm(17), 8); });
  for (int v = 0; v < kPairs; ++v) vcmpps(k_ordered | k_ordered, even(v), odd(v), 7);
  const float share = static_cast<float>(blocks()) / kGroup;
  const Zmm mean = per_pair(1);
  sum_of_blocks(false);
  vmulps(amax, amax, word(share));
  vmovaps(slot(kSixError), amax);
  sum_of_blocks(true);
  vmulps(amax, amax, word(share));
  vmovaps(mean, slot(kSixError));
  vmulps(mean, mean, mean);
  vsubps(amax, amax, mean);
  vxorps(scratch, scratch, scratch);
  vcmpps(k_redo, amax, scratch, 25);  // not >=
  vsqrtps(amax, amax);
  vmulps(amax, amax, word(2.92247856f / 6.0f));
  vaddps(amax, amax, word(1e-8f));
}

// amax <- sum of the elements of every block, or of their squares, as a tree of neighbours.
void QuantizeGenerator::sum_of_blocks(bool squares) {
  for (int v = 0; v < kPairs; ++v) {
    if (squares) {
      vmulps(per_pair(v), even(v), even(v));
      vmulps(scratch, odd(v), odd(v));
      vaddps(per_pair(v), per_pair(v), scratch);
    } else {
      vaddps(per_pair(v), even(v), odd(v));
    }
  }
  reduce_pairs(Reduction::sum, per_pair(0), scratch);
  if (blocks() != kPairs) return;
  vshuff32x4(scratch, amax, amax, 0b01'00'11'10);
  vaddps(amax, amax, scratch);
}

void QuantizeGenerator::row_amax() {
  for (int v = 0; v < kPairs; ++v) {
    vcmpps(k_ordered | k_ordered, even(v), odd(v), 7);  // neither is NaN
    if (block_2d()) {
      vrangeps(scratch, even(v), odd(v), kLargerMagnitudePositive);
      vmaxps(per_pair(v), per_pair(v), scratch);
    } else {
      vrangeps(per_pair(v), even(v), odd(v), kLargerMagnitudePositive);
    }
  }
}

// [scales] <- the codes of kSixCode's low bytes in the order of blocks.
void QuantizeGenerator::store_scales() {
  const Xbyak::Xmm bytes(temp(0).getIdx());
  vmovdqa32(temp(0), slot(kSixCode));
  vpmovdb(bytes, temp(0));
  if (blocks() == 16) {  // block 2 v + h lies in lane v + 8 h
    const auto interleaved = [](std::uint32_t word) {
      const std::uint32_t pair = 2 * (word % 4);
      return pair | (pair + 8) << 8 | (pair + 1) << 16 | (pair + 9) << 24;
    };
    vpshufb(bytes, bytes, table(lanes_of(interleaved)));
  }
  if (spec_.quantize.layout == ScaleLayout::linear) {
    if (blocks() == 16) {
      vmovdqu8(ptr[scales], bytes);
    } else {
      vmovq(ptr[scales], bytes);
    }
    return;
  }
  vmovdqu8(slot(kSixCode), bytes);
  mov(x_row, scales);
  for (int four = 0; four < blocks() / 4; ++four) {
    mov(eax, dword[rsp + kSixCode * kVectorBytes + 4 * four]);
    mov(dword[x_row], eax);
    add(x_row, scale_step);
  }
}

// [flags] <- k_redo in the order of blocks; everything where a NaN was seen.
void QuantizeGenerator::store_flags() {
  const Xbyak::Reg64 high = x_row, mask = codes_row;
  kmovw(eax, k_redo);
  if (blocks() == 16) {
    mov(high, rax);
    shr(high, 8);
    movzx(eax, al);
    mov(mask.cvt32(), 0x5555);
    pdep(rax, rax, mask);
    add(mask.cvt32(), mask.cvt32());
    pdep(high, high, mask);
    or_(eax, high.cvt32());
  } else {
    movzx(eax, al);
  }
  mov(mask.cvt32(), (1u << blocks()) - 1);
  kortestw(k_ordered, k_ordered);
  cmovnc(eax, mask.cvt32());
  mov(ptr[flags], ax);
}

void AmaxGenerator::generate() {
  Label next;
  prologue(0);
  mov(x, ptr[args + offsetof(AmaxArgs, x)]);
  mov(groups_left, ptr[args + offsetof(AmaxArgs, groups)]);
  mov(sign_words, ptr[args + offsetof(AmaxArgs, sign_words)]);
  for (int i = 0; i < 4; ++i) vpxord(largest(i), largest(i), largest(i));
  L(next);
  load_group(x, spec_.input, zmm17, zmm18);
  if (spec_.rotate != 0)
    rotate_group(spec_.rotate, sign_words, spec_.signs, ptr_b[args + offsetof(AmaxArgs, rotation_scale)],
                 zmm17, 8);
  for (int v = 0; v < kPairs; ++v) {
    take(even(v), 2 * v);
    take(odd(v), 2 * v + 1);
  }
  add(x, kGroup * bytes_of(spec_.input));
  dec(groups_left);
  jnz(next, T_NEAR);
  for (int i = 1; i < 4; ++i) vmaxps(largest(0), largest(0), largest(i));
  vmovups(ptr[args + offsetof(AmaxArgs, lanes)], largest(0));
  epilogue();
  pool_.emit(*this);
  emit_io_pool();
}

// NaN counts as 0.
void AmaxGenerator::take(const Zmm& value, int index) {
  vcmpps(k_number, value, value, 7);
  vandps(value | k_number | T_z, value, word(0x7fffffffu));
  vmaxps(largest(index), largest(index), value);
}

KernelNotes QuantizeGenerator::notes() const {
  KernelNotes notes;
  notes.registers = {
      {"zmm0..16", "the group: even and odd elements of 8 pairs of blocks, one register spare"},
      {"zmm17..24", "of every pair: largest magnitudes, sums of errors; scales of 16 blocks"},
      {"zmm25..28", "scratch: products, binades"},
      {"zmm29..31", "random fractions, where rounding is stochastic"},
      {"k1, k2, k3", "no NaN; blocks that need no care; blocks to do again"},
      {"k5, k6, k7", "lanes whose number has bit 0, 1, 2 set"},
      {"rsi, rdx, rcx, r8, r9", "x, codes, scales, flags, groups left"},
      {"r10, r11, rbx", "scale step, sign words, number of the run of 16"},
      {"r12, r13, r14, r15", "x, codes, rows left and run of a row"},
  };
  double uops = 13.9 + (spec_.input == ElementFormat::bf16 ? 0 : spec_.input == ElementFormat::f32 ? 0 : 2);
  if (spec_.rotate != 0)
    uops += spec_.rotate == 16    ? 8
            : spec_.rotate == 32  ? 10
            : spec_.rotate == 64  ? 11
            : spec_.rotate == 128 ? 12
                                  : 13;
  if (four_over_six()) uops += 21.6;
  if (stochastic()) uops += 18;
  const int tenths = static_cast<int>(uops * 5 + 0.5);
  notes.ports = {uops / 2, 16};
  notes.budget = "about " + std::to_string(tenths / 10) + "." + std::to_string(tenths % 10) +
                 " cycles for 16 elements on p05 (1-D)";
  return notes;
}

}  // namespace fourge::jit
