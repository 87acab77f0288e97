// 64 elements, rotated, in 16 registers.
#include <cstddef>
#include <utility>

#include "jit/aarch64/quantize.h"

namespace fourge::jit {

using namespace vixl::aarch64;  // NOLINT(google-build-using-namespace): register and condition names

// The caller's words hold a run's 8 even elements, then elsewhere its 8 odd ones (simd::sign_word_index): 4
// of 4 runs are a 4 x 4 matrix.
void AArch64QuarterGenerator::prepare_signs(const Register& sign_words) {
  if (!spec_.signs) return;
  reset_slots();
  Add(cursor, sp, signs_at());
  Mov(loops, kQuarters);
  Label next;
  Bind(&next);
  for (int odd = 0; odd < 2; ++odd) {
    for (int half = 0; half < 2; ++half) {
      for (int run = 0; run < 4; ++run)
        Ldr(data(run), MemOperand(sign_words, 4 * simd::sign_word_index(16 * run + 8 * half + odd)));
      transpose(0, 1, 2, 3);
      for (int i = 0; i < 4; ++i) Str(data(i), MemOperand(cursor, (8 * half + 2 * i + odd) * kVectorBytes));
    }
  }
  Add(sign_words, sign_words, 4 * 64);
  Add(cursor, cursor, kQuarterBytes);
  Subs(loops, loops, 1);
  B(&next, ne);
}

void AArch64QuarterGenerator::begin_group() {
  if (spec_.signs) Add(sign_cursor, sp, signs_at());
  if (!through_stack()) return;
  Add(cursor, sp, group_at());
  Mov(loops, kQuarters);
  Label next;
  Bind(&next);
  load_runs(true);
  rotate_quarter();
  for (int i = 0; i < kVectors; ++i) Str(data(i), MemOperand(cursor, i * kVectorBytes));
  Add(cursor, cursor, kQuarterBytes);
  Subs(loops, loops, 1);
  B(&next, ne);
  stages_between_quarters();
  Add(cursor, sp, group_at());
}

void AArch64QuarterGenerator::load_quarter(bool any_order) {
  if (!through_stack()) {
    load_runs(spec_.rotate != 0 || !any_order);
    if (spec_.rotate != 0) rotate_quarter();
    return;
  }
  reset_slots();
  for (int i = 0; i < kVectors; i += 2)
    Ldp(data(i), data(i + 1), MemOperand(cursor, 2 * kVectorBytes, PostIndex));
}

void AArch64QuarterGenerator::load_runs(bool in_lanes) {
  reset_slots();
  if (spec_.input == ElementFormat::f32) {
    load_f32_runs(in_lanes);
  } else {
    load_pairs(in_lanes);
  }
  Add(input, input, 64 * bytes_of(spec_.input));
}

// 4 elements of 4 runs are a 4 x 4 matrix.
//   4 elements: 1 load, 2 to transpose
void AArch64QuarterGenerator::load_f32_runs(bool in_lanes) {
  for (int i = 0; i < kVectors; i += 4) {
    for (int run = 0; run < 4; ++run) Ldr(data(i + run), MemOperand(input, (16 * run + i) * 4));
    if (in_lanes) transpose(i, i + 1, i + 2, i + 3);
  }
}

// Two neighbours in a word are transposed together.
//   4 elements: 1/2 load, 1 to transpose, 1 (bf16) or 2 (f16) to widen
void AArch64QuarterGenerator::load_pairs(bool in_lanes) {
  for (int i = 0; i < kVectors; i += 8) {
    for (int run = 0; run < 4; ++run) Ldr(data(i + 2 * run), MemOperand(input, (16 * run + i) * 2));
    if (in_lanes) transpose(i, i + 2, i + 4, i + 6);
    if (spec_.input == ElementFormat::bf16) Movi(t(0).V2D(), 0xffff0000ffff0000u);
    for (int j = i; j < i + 8; j += 2) widen_pair(j);
  }
}

void AArch64QuarterGenerator::widen_pair(int even) {
  const VRegister low = data(even), high = data(even + 1);
  if (spec_.input == ElementFormat::bf16) {
    And(high.V16B(), low.V16B(), t(0).V16B());
    Shl(low.V4S(), low.V4S(), 16);
  } else {
    Shrn(high.V4H(), low.V4S(), 16);
    Xtn(low.V4H(), low.V4S());
    Fcvtl(high.V4S(), high.V4H());
    Fcvtl(low.V4S(), low.V4H());
  }
}

// Lane i of the j-th <-> lane j of the i-th.
void AArch64QuarterGenerator::transpose(int a, int b, int c, int d) {
  Trn1(t(0).V4S(), data(a).V4S(), data(b).V4S());
  Trn2(t(1).V4S(), data(a).V4S(), data(b).V4S());
  Trn1(t(2).V4S(), data(c).V4S(), data(d).V4S());
  Trn2(t(3).V4S(), data(c).V4S(), data(d).V4S());
  Trn1(data(a).V2D(), t(0).V2D(), t(2).V2D());
  Trn1(data(b).V2D(), t(1).V2D(), t(3).V2D());
  Trn2(data(c).V2D(), t(0).V2D(), t(2).V2D());
  Trn2(data(d).V2D(), t(1).V2D(), t(3).V2D());
}

// 4 elements: 4 for the first stages, 2 for each of the next two; 1 for the scale, 1 for signs and 1/4 load.
void AArch64QuarterGenerator::rotate_quarter() {
  if (spec_.signs) negate();
  stages_between_registers(kVectors);
  if (spec_.rotate >= 32) stage_between_lanes(1);
  if (spec_.rotate >= 64) stage_between_lanes(2);
  if (!through_stack()) scale();
}

void AArch64QuarterGenerator::negate() {
  for (int i = 0; i < kVectors; i += 4) {
    Ld1(t(0).V4S(), t(1).V4S(), t(2).V4S(), t(3).V4S(), MemOperand(sign_cursor, 4 * kVectorBytes, PostIndex));
    for (int j = 0; j < 4; ++j) Eor(data(i + j).V16B(), data(i + j).V16B(), t(j).V16B());
  }
}

// All stages across each `count` neighbouring registers, a power of two.
void AArch64QuarterGenerator::stages_between_registers(std::int64_t count) {
  for (int half = 1; half < count; half *= 2) {
    for (int i = 0; i < kVectors; ++i) {
      if ((i & half) != 0) continue;
      Fsub(spare().V4S(), data(i).V4S(), data(i + half).V4S());
      Fadd(data(i).V4S(), data(i).V4S(), data(i + half).V4S());
      std::swap(slot_[i + half], slot_[kVectors]);
    }
  }
}

// Lanes `distance` apart: the other lane plus 1 or -1 times this one, a product without rounding.
void AArch64QuarterGenerator::stage_between_lanes(int distance) {
  Fmov(alternating.V4S(), 1.0f);
  Fneg(t(0).V4S(), alternating.V4S());
  if (distance == 1) {
    Trn1(alternating.V4S(), alternating.V4S(), t(0).V4S());
  } else {
    Trn1(alternating.V2D(), alternating.V2D(), t(0).V2D());
  }
  for (int i = 0; i < kVectors; ++i) {
    if (distance == 1) {
      Rev64(spare().V4S(), data(i).V4S());
    } else {
      Ext(spare().V16B(), data(i).V16B(), data(i).V16B(), 8);
    }
    Fmla(spare().V4S(), data(i).V4S(), alternating.V4S());
    std::swap(slot_[i], slot_[kVectors]);
  }
}

// Four registers of each quarter at a time, those of one place next to each other.
void AArch64QuarterGenerator::stages_between_quarters() {
  const auto place = [this](int i) {
    return MemOperand(cursor, i % kQuarters * kQuarterBytes + i / kQuarters * kVectorBytes);
  };
  Add(cursor, sp, group_at());
  Mov(loops, kVectors / kQuarters);
  Label next;
  Bind(&next);
  reset_slots();
  for (int i = 0; i < kVectors; ++i) Ldr(data(i), place(i));
  stages_between_registers(spec_.rotate / 64);
  scale();
  for (int i = 0; i < kVectors; ++i) Str(data(i), place(i));
  Add(cursor, cursor, kQuarters * kVectorBytes);
  Subs(loops, loops, 1);
  B(&next, ne);
}

void AArch64QuarterGenerator::scale() {
  Add(pointer, args, static_cast<std::int64_t>(rotation_scale_));
  Ld1r(t(0).V4S(), MemOperand(pointer));
  for (int i = 0; i < kVectors; ++i) Fmul(data(i).V4S(), data(i).V4S(), t(0).V4S());
}

void AArch64QuarterGenerator::reset_slots() {
  for (int i = 0; i <= kVectors; ++i) slot_[i] = i;
}

void AArch64AmaxGenerator::generate() {
  using simd::AmaxArgs;
  const auto field = [this](std::size_t offset) {
    return MemOperand(args, static_cast<std::int64_t>(offset));
  };
  prologue(local_bytes(), kToNearest);
  Ldr(pointer, field(offsetof(AmaxArgs, sign_words)));
  prepare_signs(pointer);
  Ldr(input, field(offsetof(AmaxArgs, x)));
  Ldr(groups_left, field(offsetof(AmaxArgs, groups)));
  for (int i = 0; i < 4; ++i) Movi(largest(i).V4S(), 0);
  Label next_group, next_quarter;
  Bind(&next_group);
  begin_group();
  Mov(quarters_left, kQuarters);
  Bind(&next_quarter);
  load_quarter(true);
  for (int i = 0; i < kVectors; ++i) {  // NaN counts as 0
    Fcmeq(t(i % 4).V4S(), data(i).V4S(), data(i).V4S());
    Fabs(data(i).V4S(), data(i).V4S());
    And(data(i).V16B(), data(i).V16B(), t(i % 4).V16B());
    Fmax(largest(i).V4S(), largest(i).V4S(), data(i).V4S());
  }
  Subs(quarters_left, quarters_left, 1);
  B(&next_quarter, ne);
  Subs(groups_left, groups_left, 1);
  B(&next_group, ne);
  for (int i = 1; i < 4; ++i) Fmax(largest(0).V4S(), largest(0).V4S(), largest(i).V4S());
  Fmaxv(t(0).S(), largest(0).V4S());
  Str(t(0).S(), field(offsetof(AmaxArgs, amax)));
  epilogue();
}

}  // namespace fourge::jit
