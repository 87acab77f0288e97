#include "jit/x86/moment_block.h"

#include <bit>
#include <cstddef>

#include "jit/x86/moment_pack.h"

namespace fourge::jit {

using Xbyak::Label;
using Xbyak::Zmm;

void MomentBlockGenerator::generate() {
  Label next;
  prologue(kPlanes * kPlaneBytes);
  load_arguments();
  begin();
  L(next);
  products();
  begin_rows();
  if (!splits_middle()) add_remaining_rows();
  add(x, ptr[args + offsetof(MomentBlockArgs, panel_bytes)]);
  add(coarse, kMomentPanel * sizeof(double));
  dec(panels_left);
  jnz(next, T_NEAR);
  add_remaining_rows();
  end();
  epilogue();
  pool_.emit(*this);
}

void MomentBlockGenerator::load_arguments() {
  mov(y, ptr[args + offsetof(MomentBlockArgs, y)]);
  mov(x, ptr[args + offsetof(MomentBlockArgs, x)]);
  mov(panels_left, ptr[args + offsetof(MomentBlockArgs, panels)]);
  mov(coarse, ptr[args + offsetof(MomentBlockArgs, coarse)]);
  mov(fine_offset, ptr[args + offsetof(MomentBlockArgs, fine)]);
  sub(fine_offset, coarse);
  mov(stride, ptr[args + offsetof(MomentBlockArgs, stride)]);
  mov(row_bytes, MomentPackGenerator::kRowBytes);
  xor_(row.cvt32(), row.cvt32());
}

// All rows of the sums on the stack wait for add_row().
void MomentBlockGenerator::begin_rows() {
  const auto word_of = [this](double value) -> const Label& {  // doubles whose low word is 0
    return pool_.word(static_cast<std::uint32_t>(std::bit_cast<std::uint64_t>(value) >> 32));
  };
  const auto set = [&](const Zmm& vector, double value) {
    vpbroadcastd(vector, ptr[rip + word_of(value)]);
    vpsllq(vector, vector, 32);
  };
  set(two_8, 256.0);
  set(to_coarse, simd::kMomentToCoarse);
  set(to_fine, simd::kMomentToFine);
  for (int half = 0; half < 2; ++half)
    vmovapd(x_scale(half), ptr[x + offsetof(MomentHead, scale) + static_cast<std::size_t>(64 * half)]);
  mov(sum_row, rsp);
  mov(coarse_row, coarse);
  mov(row, -kMomentPanel);
}

// 16 outputs: sums -> f64, scaled, split in two exact parts (simd/second_moment.h, kMomentToCoarse) and
// added. Every fused operation is exact but the one that rounds to the coarse grid.
//   8 outputs: 3 or 4 conversions, 2 fma, 2 for the scale, 2 to coarse, 3 to fine, 2 additions: 14 to 16 uops
void MomentBlockGenerator::add_row() {
  vbroadcastsd(y_scale, ptr[y + row * 8 + offsetof(MomentHead, scale) + kMomentPanel * sizeof(double)]);
  for (int half = 0; half < 2; ++half) {
    const Zmm sum = temporary(half, 0), middle = temporary(half, 1), low = temporary(half, 2),
              scale = temporary(half, 3), rounded = temporary(half, 4);
    const auto plane = [&](int p) { return ptr[sum_row + sums_offset(p) + 32 * half]; };
    vmulpd(scale, x_scale(half), y_scale);
    vcvtdq2pd(sum, plane(kHighHigh));
    vcvtdq2pd(middle, plane(kMiddle));
    if (splits_middle()) {
      vcvtdq2pd(low, plane(kOtherMiddle));
      vaddpd(middle, middle, low);
    }
    vcvtdq2pd(low, plane(kLowLow));
    vfmadd132pd(sum, middle, two_8);
    vfmadd132pd(sum, low, two_8);
    vmovapd(rounded, to_coarse);
    vfmadd231pd(rounded, sum, scale);
    vsubpd(rounded, rounded, to_coarse);
    vfmsub213pd(sum, scale, rounded);
    vaddpd(sum, sum, to_fine);
    vsubpd(sum, sum, to_fine);
    vaddpd(rounded, rounded, ptr[coarse_row + 64 * half]);
    vmovupd(ptr[coarse_row + 64 * half], rounded);
    vaddpd(sum, sum, ptr[coarse_row + fine_offset + 64 * half]);
    vmovupd(ptr[coarse_row + fine_offset + 64 * half], sum);
  }
  add(coarse_row, stride);
  add(sum_row, kSumRowBytes);
  inc(row);
}

void MomentBlockGenerator::add_remaining_rows() {
  Label next, done;
  test(row, row);
  jz(done, T_NEAR);
  L(next);
  add_row();
  jnz(next, T_NEAR);
  L(done);
}

void MomentVnniGenerator::products() {
  for (int first_row = 0; first_row < kMomentPanel; first_row += kRows) half_products(first_row);
}

// VPDPBUSD takes unsigned bytes on one side: x + 128. What that adds, 128 times the sums of y's bytes, is
// subtracted beforehand.
//   8 rows, 16 columns, 4 tokens: 32 VPDPBUSD and 2 flips on p05: 17 cycles; 18 loads
void MomentVnniGenerator::half_products(int first_row) {
  Label next;
  vpbroadcastd(flip, ptr[rip + pool_.word(0x80808080u)]);
  vpxord(zero, zero, zero);
  for (int i = 0; i < kRows; ++i) {
    const auto sums = [&](int part) {
      return ptr[y + offsetof(MomentHead, sums) +
                 static_cast<std::size_t>(4 * (kMomentPanel * part + first_row + i))];
    };
    for (const auto& [plane, part] : {std::pair{kHighHigh, 0}, std::pair{kLowLow, 1}}) {
      vpbroadcastd(acc(plane, i), sums(part));
      vpslld(acc(plane, i), acc(plane, i), 7);
      vpsubd(acc(plane, i), zero, acc(plane, i));
    }
    vpaddd(acc(kMiddle, i), acc(kHighHigh, i), acc(kLowLow, i));
  }
  lea(y_codes, ptr[y + MomentPackGenerator::kHeadBytes + 4 * first_row]);
  lea(x_codes, ptr[x + MomentPackGenerator::kHeadBytes]);
  mov(count, ptr[args + offsetof(MomentBlockArgs, steps)]);
  shl(count, 4);
  align(32);
  L(next);
  vpxord(x_high, flip, ptr[x_codes]);
  vpxord(x_low, flip, ptr[x_codes + 64]);
  for (int i = 0; i < kRows; ++i) {
    const Zmm y_high = y_byte(i, 0), y_low = y_byte(i, 1);
    vpbroadcastd(y_high, ptr[y_codes + 4 * i]);
    vpbroadcastd(y_low, ptr[y_codes + 64 + 4 * i]);
    vpdpbusd(acc(kMiddle, i), x_low, y_high);
    vpdpbusd(acc(kHighHigh, i), x_high, y_high);
    vpdpbusd(acc(kLowLow, i), x_low, y_low);
    vpdpbusd(acc(kMiddle, i), x_high, y_low);
  }
  add(y_codes, row_bytes);
  add(x_codes, row_bytes);
  dec(count);
  jnz(next, T_NEAR);
  for (int plane = 0; plane < 3; ++plane)
    for (int i = 0; i < kRows; ++i) vmovdqa32(ptr[rsp + sums_offset(plane, first_row + i)], acc(plane, i));
}

KernelNotes MomentVnniGenerator::notes() const {
  return {{{"zmm8..31", "accumulators of 8 rows: hh, hl + lh, ll"},
           {"zmm0..1", "x's bytes, made unsigned"},
           {"zmm4..7", "y's bytes, broadcast"},
           {"rsi, rdx, r8", "panels of y and x, coarse sums"}},
          "8 rows, 16 columns, 4 tokens: 34 uops on p05 = 17 cycles for 512 products\n"
          "16 outputs into the sums: 28 uops",
          {17, 512}};
}

void MomentAmxGenerator::begin() { ldtilecfg(ptr[rip + tile_config_]); }

// 64 tokens a round: 4 tile loads (64 loads on p23: 32 cycles) under 4 TDPBSSD (64 TMUL cycles), and a row of
// the sums of the panel before. y stays in L1, x streams from L2 past it.
void MomentAmxGenerator::products() {
  Label next, no_row;
  const auto from = [this](const Xbyak::Reg64& codes, int part) {
    return ptr[codes + row_bytes + 64 * part];
  };
  lea(x_codes, ptr[x + MomentPackGenerator::kHeadBytes]);
  mov(count, ptr[args + offsetof(MomentBlockArgs, steps)]);
  imul(y_codes, count, MomentPackGenerator::kStepBytes);
  lea(y_codes, ptr[y + y_codes + MomentPackGenerator::kHeadBytes]);
  for (const Xbyak::Tmm& tile : {hh, hl, lh, ll}) tilezero(tile);
  align(32);
  L(next);
  tileloadd(a_high, from(y_codes, 0));
  tileloaddt1(b_high, from(x_codes, 0));
  tdpbssd(hh, a_high, b_high);
  tileloaddt1(b_low, from(x_codes, 1));
  tdpbssd(hl, a_high, b_low);
  tileloadd(a_low, from(y_codes, 1));
  tdpbssd(lh, a_low, b_high);
  tdpbssd(ll, a_low, b_low);
  add(y_codes, MomentPackGenerator::kStepBytes);
  add(x_codes, MomentPackGenerator::kStepBytes);
  test(row, row);
  jz(no_row, T_NEAR);
  add_row();
  L(no_row);
  dec(count);
  jnz(next, T_NEAR);
  add_remaining_rows();
  mov(count, kSumRowBytes);
  tilestored(ptr[rsp + count + sums_offset(kHighHigh)], hh);
  tilestored(ptr[rsp + count + sums_offset(kMiddle)], hl);
  tilestored(ptr[rsp + count + sums_offset(kOtherMiddle)], lh);
  tilestored(ptr[rsp + count + sums_offset(kLowLow)], ll);
}

void MomentAmxGenerator::end() {
  Label past;
  tilerelease();
  jmp(past);
  align(64);
  L(tile_config_);  // Intel SDM vol. 1, 18.3: palette 1; 8 tiles of 16 rows x 64 bytes
  db(1);
  for (int i = 1; i < 16; ++i) db(0);
  for (int t = 0; t < 16; ++t) dw(t < 8 ? 64 : 0);
  for (int t = 0; t < 16; ++t) db(t < 8 ? 16 : 0);
  L(past);
}

KernelNotes MomentAmxGenerator::notes() const {
  return {
      {{"tmm0..3", "accumulators hh, hl, lh, ll"},
       {"tmm4..5, tmm6..7", "high and low bytes of y, of x"},
       {"zmm0..15", "a row of the panel before on its way into the sums"},
       {"rsi, rdx, r8", "panels of y and x, coarse sums"}},
      "16 x 16 outputs, 64 tokens: 4 TDPBSSD = 64 TMUL cycles for 16,384 products; 4 tile loads = 32 cycles\n"
      "of p23; a row of sums, 34 uops on p05 = 17 cycles",
      {64, 16384}};
}

}  // namespace fourge::jit
