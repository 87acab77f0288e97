#include "jit/x86/gemm_exact_vnni.h"

#include <bit>
#include <cstddef>

namespace fourge::jit {

using Xbyak::Address;
using Xbyak::Label;
using Xbyak::Xmm;
using Xbyak::Ymm;
using Xbyak::Zmm;

void ExactVnniGenerator::generate() {
  prologue(kExponentBytes + kAlignedBytes + kStartBytes);
  load_arguments();
  load_constants();
  step_loop();
  epilogue_loop();
  mov(ptr[args + offsetof(ExactPanelArgs, general_vectors)], general_count);
  epilogue();
  emit_constant_pool();
}

void ExactVnniGenerator::load_arguments() {
  mov(a_step, ptr[args + offsetof(ExactPanelArgs, a)]);
  mov(codes, ptr[args + offsetof(ExactPanelArgs, codes)]);
  mov(scale_bytes, ptr[args + offsetof(ExactPanelArgs, scales)]);
  mov(certificates, ptr[args + offsetof(ExactPanelArgs, certificates)]);
  mov(steps_left, ptr[args + offsetof(ExactPanelArgs, steps)]);
  xor_(general_count, general_count);
}

void ExactVnniGenerator::load_constants() { vpbroadcastd(magnitude_mask, ptr[rip + magnitude_mask_]); }

void ExactVnniGenerator::step_loop() {
  Label next_step, no_steps;
  test(steps_left, steps_left);
  jz(no_steps, T_NEAR);
  L(next_step);
  decode_panel();
  decode_scales();
  xor_(exponents_ready, exponents_ready);
  mov(b_key, ptr[certificates + offsetof(PanelCertificate, key)]);
  row_loop();
  add(codes, kPanelCodeBytes);
  add(scale_bytes, static_cast<int>(panel_scale_bytes(spec_.format)));
  add(certificates, sizeof(PanelCertificate));
  add(a_step, ptr[args + offsetof(ExactPanelArgs, a_stride)]);
  dec(steps_left);
  jnz(next_step, T_NEAR);
  L(no_steps);
}

// The hardware's own prefetch stops at pages: from memory it reaches 60 % of the read bandwidth, this 90 %.
void ExactVnniGenerator::fetch_ahead() {
  constexpr int kStepsToL1 = 4, kStepsToL2 = 16;
  const auto fetch = [this](int steps, const auto& prefetch) {
    for (int line = 0; line < 8; ++line)
      prefetch(ptr[codes + 64 * line + steps * static_cast<int>(kPanelCodeBytes)]);
    prefetch(ptr[scale_bytes + steps * static_cast<int>(panel_scale_bytes(spec_.format))]);
    prefetch(ptr[certificates + static_cast<std::size_t>(steps) * sizeof(PanelCertificate)]);
  };
  fetch(kStepsToL1, [this](const Address& line) { prefetcht0(line); });
  fetch(kStepsToL2, [this](const Address& line) { prefetcht1(line); });
}

// b_codes(0..15) <- 12 + twice the element, from 512 bytes: 8 loads, 8 shifts (p0), 16 shuffles (p5), and
// without VBMI 16 ands (p05). vpermb reads six bits of an index: the table repeats for what the neighbour's
// code may be.
void ExactVnniGenerator::decode_panel() {
  fetch_ahead();
  if (spec_.vbmi) {
    vmovdqu64(code_table, ptr[rip + code_table_]);
    for (int v = 0; v < 8; ++v) {
      vmovdqu64(t0, ptr[codes + 64 * v]);
      vpsrlw(t1, t0, 4);
      vpermb(b_codes(2 * v), t0, code_table);
      vpermb(b_codes(2 * v + 1), t1, code_table);
    }
    return;
  }
  vbroadcasti32x4(code_table, ptr[rip + code_table_]);
  vpbroadcastd(nibble_mask, ptr[rip + nibble_mask_]);
  for (int v = 0; v < 8; ++v) {
    vmovdqu64(t0, ptr[codes + 64 * v]);
    vpsrlw(t1, t0, 4);
    vpandd(t0, t0, nibble_mask);
    vpandd(t1, t1, nibble_mask);
    vpshufb(b_codes(2 * v), code_table, t0);
    vpshufb(b_codes(2 * v + 1), code_table, t1);
  }
}

// b_scale(i) <- the scale as f32. ue4m3: the seven bits placed at f32's exponent are the value * 2^-120,
// subnormals included; NaN (0x7f) reads as 480. ue8m0: the byte is f32's exponent field; 0 reads as 0 and 255
// as infinity, and neither is ever certified with a product that is not zero. b_lower <- B's half of the
// lower bound on |c|, as bits. start_of(i) <- what one product of start and scale leaves too much.
void ExactVnniGenerator::decode_scales() {
  for (int i = 0; i < scales(); ++i) {
    vpmovzxbd(b_scale(i), ptr[scale_bytes + kPanelCols * i]);
    if (ue4m3()) {
      vpandd(b_scale(i), b_scale(i), pool_word(low_bits_));
      vpslld(b_scale(i), b_scale(i), 20);
      vmulps(b_scale(i), b_scale(i), pool_word(two_120_));
    } else {
      vpslld(b_scale(i), b_scale(i), 23);
    }
    vmulps(t0, b_scale(i), pool_word(start_factor_));
    vmovaps(start_of(i), t0);
  }
  vpmovzxbd(b_lower, ptr[certificates + offsetof(PanelCertificate, emax)]);
  vpslld(b_lower, b_lower, 23);
}

// One row, 16 columns, K = 64: 1,024 products.
void ExactVnniGenerator::row_loop() {
  Label next_row, refused, short_sum, general, done;
  mov(a_row, a_step);
  mov(acc_row, ptr[args + offsetof(ExactPanelArgs, acc)]);
  mov(rows_left, ptr[args + offsetof(ExactPanelArgs, rows)]);
  L(next_row);
  group_dots();
  vmovaps(c, ptr[acc_row]);
  if (spec_.only_general) {
    jmp(general, T_NEAR);
  } else if (fast()) {
    check_scales(general);
  } else {
    check_certificate(refused);
  }
  L(short_sum);
  short_path();
  L(done);
  add(a_row, sizeof(ActivationStep));
  add(acc_row, 64);
  dec(rows_left);
  jnz(next_row, T_NEAR);
  Label after_rows;
  jmp(after_rows, T_NEAR);

  if (!fast()) {
    L(refused);
    second_look(short_sum);
  }
  L(general);
  if (fast()) {
    wide_path();
  } else {
    general_path();
  }
  jmp(done, T_NEAR);
  L(after_rows);
}

// dot(g) <- sum over 16 k of 2a * 2b, exact in int32.
//   vpdpbusd takes u8 x s8: B carries +12, and the accumulator starts from kDotAsFloat - 12 * sum 2a, so that
//   its bits are those of the f32 1.5 * 2^23 + dot.
static_assert(16 * 12 * 24 + 12 * 16 * 12 < 1 << 20);
void ExactVnniGenerator::group_dots() {
  for (int g = 0; g < kGroups; ++g) vpbroadcastd(dot(g), ptr[a_row + offsetof(ActivationStep, bias) + 4 * g]);
  for (int q = 0; q < 4; ++q) {
    for (int g = 0; g < kGroups; ++g) vpdpbusd(dot(g), b_codes(4 * g + q), ptr_b[a_row + 4 * (4 * g + q)]);
  }
}

// Falls through when key_A + key_B is under the limit and every lane's |c| lies in the certified range.
void ExactVnniGenerator::check_certificate(const Label& refused) {
  mov(key, ptr[a_row + offsetof(ActivationStep, key)]);
  add(key, b_key);
  cmp(key, kKeyLimit);
  jge(refused, T_NEAR);
  vpaddd(t0, b_lower, a_field(offsetof(ActivationStep, lower), 0));
  vpandd(t1, c, magnitude_mask);
  vpsubd(t0, t1, t0);
  vpcmpud(accepted_lanes, t0, pool_word(bound_width_), 1);  // <
  kortestw(accepted_lanes, accepted_lanes);
  jnc(refused, T_NEAR);  // carry: all 16 lanes
}

// To general for NaN scales and exponents beyond what f32 holds.
void ExactVnniGenerator::check_scales(const Label& general) {
  mov(key, ptr[a_row + offsetof(ActivationStep, key)]);
  add(key, b_key);
  cmp(key, kNeverKey);
  jge(general, T_NEAR);
}

// D = RZ(c + X), X exact (docs/certificates.md). With Numerics::fast X and the sum are rounded to nearest.
//
// Port budget of a row, zmm, Golden Cove (p05 = either vector port):
//               vpdpbusd  fma  mul  add  certificate
//   nvfp4          16      7    1    1        5         30 on p05 -> 15 cycles
//   mxfp4          16      5    1    1        5         28 on p05 -> 14 cycles
//   loads: 16 codes, 4 biases, 8 scales, c, bound        30 on p23 -> 15 cycles
// VNNI bound: 8 cycles for 1,024 products.
void ExactVnniGenerator::short_path() {
  const int per_scale = kGroups / scales();
  for (int s = 0; s < scales(); ++s) {
    const int first = s * per_scale;
    vfmadd213ps(dot(first), b_scale(s), start_of(s));  // exact: a multiple of the scale, 24 bits of it
    for (int g = first + 1; g < first + per_scale; ++g) vfmadd231ps(dot(first), dot(g), b_scale(s));
    const Address a_scale = a_field(offsetof(ActivationStep, scale), first);
    if (s == 0) {
      vmulps(sum, dot(first), a_scale);
    } else {
      vfmadd231ps(sum, dot(first), a_scale);
    }
  }
  if (fast()) {
    vaddps(sum, sum, c);
  } else {
    vaddps(sum | T_rz_sae, sum, c);
  }
  vmovaps(ptr[acc_row], sum);
}

// Lanes with c = 0 were refused by the range test though they are fine: one test for those, off the main
// line.
void ExactVnniGenerator::second_look(const Label& accepted) {
  Label general;
  cmp(key, kKeyLimit);
  jge(general);
  vptestnmd(special_lanes, t1, t1);
  korw(accepted_lanes, accepted_lanes, special_lanes);
  kortestw(accepted_lanes, accepted_lanes);
  jc(accepted, T_NEAR);
  L(general);
}

void ExactVnniGenerator::epilogue_loop() {
  Label next_row;
  mov(acc_row, ptr[args + offsetof(ExactPanelArgs, acc)]);
  mov(rows_left, ptr[args + offsetof(ExactPanelArgs, rows)]);
  mov(d_row, ptr[args + offsetof(ExactPanelArgs, d)]);
  mov(eax, ptr[args + offsetof(ExactPanelArgs, columns)]);
  kmovw(column_mask, eax);
  vbroadcastss(t0, ptr[args + offsetof(ExactPanelArgs, alpha)]);
  if (spec_.bias) {
    mov(a_row, ptr[args + offsetof(ExactPanelArgs, bias)]);
    vmovups(t1, ptr[a_row]);
  }
  L(next_row);
  if (spec_.bias) {
    vmovaps(sum, t1);
    vfmadd231ps(sum, t0, ptr[acc_row]);
  } else {
    vmulps(sum, t0, ptr[acc_row]);
  }
  canonicalise_nan(sum);
  store_row();
  add(acc_row, 64);
  add(d_row, ptr[args + offsetof(ExactPanelArgs, d_stride)]);
  dec(rows_left);
  jnz(next_row, T_NEAR);
}

void ExactVnniGenerator::canonicalise_nan(const Zmm& x) {
  vcmpps(special_lanes, x, x, 3);  // unordered
  vbroadcastss(x | special_lanes, ptr[rip + nan_]);
}

void ExactVnniGenerator::store_row() {
  const Ymm narrow(sum.getIdx());
  switch (spec_.output) {
    case OutputType::f32:
      vmovups(ptr[d_row] | column_mask, sum);
      break;
    case OutputType::f16:
      vcvtps2ph(narrow, sum, 0);
      vmovdqu16(ptr[d_row] | column_mask, narrow);
      break;
    case OutputType::bf16:
      // bits + 0x7fff + lsb, then the upper half: RNE with carry into the exponent. 0x7fffffff would wrap:
      // NaN lanes are cut instead.
      vcmpps(special_lanes, sum, sum, 3);
      vpsrld(t2, sum, 16);
      vpandd(t3, t2, pool_word(one_));
      vpaddd(t3, t3, sum);
      vpaddd(t3, t3, pool_word(half_ulp_));
      vpsrld(t3, t3, 16);
      vmovdqa32(t3 | special_lanes, t2);
      vpmovdw(narrow, t3);
      vmovdqu16(ptr[d_row] | column_mask, narrow);
      break;
  }
}

void ExactVnniGenerator::emit_constant_pool() {
  const auto f32 = [this](Label& label, float value) {
    L(label);
    dd(std::bit_cast<std::uint32_t>(value));
  };
  const auto u32 = [this](Label& label, std::uint32_t value) {
    L(label);
    dd(value);
  };
  align(64);
  L(code_table_);
  for (unsigned index = 0; index < 64; ++index) db(static_cast<std::uint8_t>(twice_e2m1(index & 15) + 12));
  u32(dot_start_, kDotAsFloat);
  f32(start_factor_, static_cast<float>(-kGroups / scales()) * 0x1.8p23f);
  u32(nibble_mask_, 0x0f0f0f0f);
  u32(magnitude_mask_, 0x7fffffff);
  u32(bound_width_, std::uint32_t{kBoundBinades} << 23);
  u32(sign_, 0x80000000);
  u32(nan_, 0x7fffffff);
  u32(unit_255_, 255);
  u32(unit_127_, 127);
  u32(low_bits_, 0x7f);
  u32(one_, 1);
  u32(half_ulp_, 0x7fff);
  f32(minus_126_, -126.0f);
  f32(minus_6_, -6.0f);
  f32(exponent_limit_, 1000.0f);
  f32(safe_exponent_, 70.0f);  // |S| < 2^49, so the result stays below 2^119
  f32(f32_35_, 35.0f);
  f32(two_, 2.0f);
  f32(zero_, 0.0f);
  f32(minus_2_, -2.0f);
  f32(nan_scale_, 480.0f);
  f32(nan_exponent_, kNanScaleExponent);
  f32(two_120_, 0x1p120f);
}

KernelNotes ExactVnniGenerator::notes() const {
  KernelNotes notes;
  notes.registers = {
      {"zmm0..15", "B: 4 k of 16 columns each, u8, twice the element + 12"},
      {"zmm16..19", "dots of the four groups of 16, int32"},
      {"zmm20..23", "B's scales, f32"},
      {"zmm24", "sum"},
      {"zmm25", "c, the accumulator before this step"},
      {"zmm26", "B's half of the lower bound on |c|"},
      {"zmm27", "magnitude mask"},
      {"zmm28..31", "scratch"},
      {"rsi, rdx, rcx", "A step row, accumulator row, rows left"},
      {"r8, r9, r10, r11", "B codes, scales, certificates, steps left"},
      {"rbx, r12, r13, r14, r15", "A step, general vectors, D row, exponents ready, B key"},
  };
  constexpr double kProducts = 16 * kStepK;
  notes.ports = spec_.only_general ? PortBudget{ue4m3() ? 41.0 : 43.0, kProducts}
                                   : PortBudget{ue4m3() ? 15.0 : 14.0, kProducts};
  notes.budget = ue4m3()
                     ? "short path, 1 row x 16 columns x K 64: 30 uops on p05 -> 15 cycles; VNNI bound 8\n"
                       "general path: 82 uops on p05 -> 41 cycles"
                     : "short path, 1 row x 16 columns x K 64: 28 uops on p05 -> 14 cycles; VNNI bound 8\n"
                       "general path: 86 uops on p05 -> 43 cycles";
  return notes;
}

}  // namespace fourge::jit
