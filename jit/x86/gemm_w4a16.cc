#include "jit/x86/gemm_w4a16.h"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdio>

namespace fourge::jit {

using simd::kPanelCodeBytes;
using simd::kPanelCols;
using simd::kStepK;
using simd::kW4a16MaxRows;
using simd::W4a16PanelArgs;
using Xbyak::Label;
using Xbyak::Zmm;

namespace {

constexpr std::uint32_t every_byte(std::uint8_t byte) { return byte * 0x01010101u; }

constexpr ElementFormat format_of(OutputType type) {
  return type == OutputType::f32    ? ElementFormat::f32
         : type == OutputType::bf16 ? ElementFormat::bf16
                                    : ElementFormat::f16;
}

}  // namespace

void W4a16Generator::generate() {
  prologue(kScaleBytes);
  load_arguments();
  load_accumulators();
  step_loop();
  store_rows();
  epilogue();
  pool_.emit(*this);
  emit_io_pool();
}

void W4a16Generator::load_arguments() {
  mov(a, ptr[args + offsetof(W4a16PanelArgs, a)]);
  mov(codes, ptr[args + offsetof(W4a16PanelArgs, codes)]);
  mov(scale_bytes, ptr[args + offsetof(W4a16PanelArgs, scales)]);
  mov(steps_left, ptr[args + offsetof(W4a16PanelArgs, steps)]);
  mov(eax, ptr[args + offsetof(W4a16PanelArgs, columns)]);
  kmovw(column_mask, eax);
  mov(rax, simd::panel_scale_bytes(spec_.format) == 64 ? ~std::uint64_t{0} : 0xffff'ffffu);
  kmovq(all_scales, rax);
  vmovaps(table, ptr[rip + pool_.table(lanes_of([](std::uint32_t code) {
            return f32_bits_of(decode(ElementFormat::e2m1, code));
          }))]);
}

void W4a16Generator::load_accumulators() {
  Label from_c, done;
  mov(c_row, ptr[args + offsetof(W4a16PanelArgs, c)]);
  test(c_row, c_row);
  jnz(from_c);
  for (int r = 0; r < spec_.rows; ++r) vpxord(acc(r), acc(r), acc(r));
  jmp(done, T_NEAR);
  L(from_c);
  mov(stride, ptr[args + offsetof(W4a16PanelArgs, c_stride)]);
  for (int r = 0; r < spec_.rows; ++r) {
    vmovups(acc(r) | column_mask | T_z, ptr[c_row]);
    add(c_row, stride);
  }
  L(done);
}

// Latency 4 at two a cycle asks for 8 chains; at few rows decoding takes longer than the FMAs and 4 do.
int W4a16Generator::side_by_side() const {
  const int fitting = std::bit_floor(static_cast<unsigned>(kW4a16MaxRows / spec_.rows));
  return std::min({fitting, 4, blocks()});
}

// Port budget of a step, zmm, Golden Cove (p05 = either vector port): notes().
void W4a16Generator::step_loop() {
  Label next_step;
  L(next_step);
  decode_scales();
  for (int first = 0; first < blocks(); first += side_by_side()) {
    dots_of_blocks(first);
    scale_dots(first);
  }
  add(a, 4 * kStepK * spec_.rows);
  add(codes, kPanelCodeBytes);
  add(scale_bytes, static_cast<int>(simd::panel_scale_bytes(spec_.format)));
  dec(steps_left);
  jnz(next_step, T_NEAR);
}

// scale(i) <- the scale as f32. ue4m3: its seven bits at f32's exponent are the value * 2^-120. ue8m0: the
// byte is f32's exponent field. Bytes for which that is not so are rare: one test for all of a step.
void W4a16Generator::decode_scales() {
  Label none;
  vmovdqu8(t1 | all_scales | T_z, ptr[scale_bytes]);
  for (int i = 0; i < blocks(); ++i) {
    vpmovzxbd(t0, ptr[scale_bytes + kPanelCols * i]);
    vpslld(t0, t0, ue4m3() ? 20 : 23);
    if (ue4m3()) vmulps(t0, t0, pool_word(pool_.word(0x1p120f)));
    vmovaps(scale(i), t0);
  }
  if (ue4m3()) {  // above 0x7e: NaN, or bit 7, which is ignored
    vpcmpub(rare, t1, ptr[rip + pool_.table(lanes_of([](std::uint32_t) { return every_byte(0x7e); }))], 6);
  } else {  // byte + 1 is 0 or 1: NaN, or 2^-127, which is subnormal
    vpaddb(t1, t1, ptr[rip + pool_.table(lanes_of([](std::uint32_t) { return every_byte(1); }))]);
    vptestnmb(rare | all_scales, t1,
              ptr[rip + pool_.table(lanes_of([](std::uint32_t) { return every_byte(0xfe); }))]);
  }
  kortestq(rare, rare);
  jz(none, T_NEAR);
  decode_rare_scales();
  L(none);
}

// The same for every byte.
void W4a16Generator::decode_rare_scales() {
  for (int i = 0; i < blocks(); ++i) {
    vpmovzxbd(t0, ptr[scale_bytes + kPanelCols * i]);
    if (ue4m3()) {
      vpandd(t0, t0, pool_word(pool_.word(0x7fu)));
      vpcmpeqd(nan_lanes, t0, pool_word(pool_.word(0x7fu)));
      vpslld(t0, t0, 20);
      vmulps(t0, t0, pool_word(pool_.word(0x1p120f)));
    } else {
      vpcmpeqd(nan_lanes, t0, pool_word(pool_.word(255u)));
      vptestnmd(zero_scales, t0, t0);
      vpslld(t0, t0, 23);
      vbroadcastss(t0 | zero_scales, ptr[rip + pool_.word(0x00400000u)]);
    }
    vbroadcastss(t0 | nan_lanes, ptr[rip + pool_.word(0x7fffffffu)]);
    vmovaps(scale(i), t0);
  }
}

// dot(side, row) <- the dots of blocks first .. first + side_by_side() - 1.
void W4a16Generator::dots_of_blocks(int first) {
  for (int i = 0; i < block(); ++i) {
    for (int side = 0; side < side_by_side(); ++side) {
      const int k = (first + side) * block() + i;
      element(side, k);
      for (int r = 0; r < spec_.rows; ++r) {
        if (i == 0) {
          vmulps(dot(side, r), elements, activation(k, r));
        } else {
          vfmadd231ps(dot(side, r), elements, activation(k, r));
        }
      }
    }
  }
}

// elements <- e2m1 at k of 16 columns as f32. A column's dword holds k = 8 v + t in the low nibble of byte t
// and k = 8 v + 4 + t in the high one; vpermps looks at the lowest four bits only, so a shift is all it
// takes, or a load t bytes further on (the last bytes of the codes are followed by scales).
void W4a16Generator::element(int side, int k) {
  const int t = k % 4, vector = k / 8 * 64;
  const bool high = k % 8 >= 4;
  const Zmm& source = codes_of(side);
  if (k % 8 == 0) vmovdqu32(source, ptr[codes + vector]);
  if (!high && t == 0) {
    vpermps(elements, source, table);
  } else if (!high && byte_offsets()) {
    vmovdqu32(elements, ptr[codes + vector + t]);
    vpermps(elements, elements, table);
  } else {
    vpsrld(elements, source, static_cast<std::uint8_t>(8 * t + (high ? 4 : 0)));
    vpermps(elements, elements, table);
  }
}

// acc(row) <- fma(dot, scale, acc) in ascending blocks.
void W4a16Generator::scale_dots(int first) {
  for (int side = 0; side < side_by_side(); ++side) {
    if (spec_.rows > 1) vmovaps(t1, scale(first + side));
    for (int r = 0; r < spec_.rows; ++r) {
      if (spec_.rows > 1) {
        vfmadd231ps(acc(r), dot(side, r), t1);
      } else {
        vfmadd231ps(acc(r), dot(side, r), scale(first + side));
      }
    }
  }
}

void W4a16Generator::store_rows() {
  mov(d_row, ptr[args + offsetof(W4a16PanelArgs, d)]);
  mov(stride, ptr[args + offsetof(W4a16PanelArgs, d_stride)]);
  const Zmm &alpha = elements, &bias_row = table;
  vbroadcastss(alpha, ptr[args + offsetof(W4a16PanelArgs, alpha)]);
  if (spec_.bias) {
    mov(bias, ptr[args + offsetof(W4a16PanelArgs, bias)]);
    vmovups(bias_row, ptr[bias]);
  }
  for (int r = 0; r < spec_.rows; ++r) {
    if (spec_.bias) {
      vfmadd213ps(acc(r), alpha, bias_row);
    } else {
      vmulps(acc(r), acc(r), alpha);
    }
    vcmpps(nan_lanes, acc(r), acc(r), 3);  // unordered
    vbroadcastss(acc(r) | nan_lanes, ptr[rip + pool_.word(0x7fffffffu)]);
    store_from_f32(ptr[d_row], acc(r), format_of(spec_.output), t0, t1, nan_lanes, column_mask);
    add(d_row, stride);
  }
}

KernelNotes W4a16Generator::notes() const {
  KernelNotes notes;
  notes.registers = {
      {"zmm0..11", "dots of blocks side by side, f32 [side][row]"},
      {"zmm12..23", "accumulators of the rows, f32"},
      {"zmm24..27", "codes of 16 columns x 8 k, one for each block side by side"},
      {"zmm28", "elements at one k of 16 columns, f32"},
      {"zmm29, zmm30", "scratch, scale"},
      {"zmm31", "the 16 elements of e2m1"},
      {"rsi, rdx, rcx, r8", "A step, B codes, B scales, steps left"},
  };
  const int shifts = kStepK / 8 * (byte_offsets() ? 4 : 7);
  const int scales = blocks() * (ue4m3() ? 3 : 2) + 2, fmas = (kStepK + blocks()) * spec_.rows;
  const int uops = kStepK + shifts + scales + fmas;
  const int loads = kStepK * spec_.rows + 8 + (byte_offsets() ? 24 * 7 / 4 : 0) + 2 * blocks();
  char text[320];
  std::snprintf(
      text, sizeof text,
      "%d rows x 16 columns x K 64: %d vpermps (p5), %d shifts (p0), %d for scales, %d mul and fma: "
      "%d uops on p05 -> %.1f cycles\nloads: %d on p23 -> %.1f cycles; FMA bound %d cycles",
      spec_.rows, kStepK, shifts, scales, fmas, uops, uops / 2.0, loads, loads / 2.0,
      kStepK * spec_.rows / 2);
  notes.ports = {std::max(uops, loads) / 2.0, static_cast<double>(spec_.rows) * 16 * kStepK};
  notes.budget = text;
  return notes;
}

}  // namespace fourge::jit
