// The paths of vectors that the short path does not take.
#include <cstddef>

#include "jit/x86/gemm_exact_vnni.h"

namespace fourge::jit {

using Xbyak::Label;
using Xbyak::Ymm;
using Xbyak::Zmm;

// numerics.md 4.2 for every input: align to the largest exponent, truncate, add as integers, round toward
// zero.
//
//   p05: 16 dots + 12 exponents + 18 scaling + 28 truncate and sum + 8 normalise = 82 for nvfp4 -> 41 cycles
void ExactVnniGenerator::general_path() {
  inc(general_count);
  scale_exponents();
  largest_exponent();
  align_and_sum();
  normalise();
  special_values();
  vmovaps(ptr[acc_row], sum);
}

// Numerics::fast where the short path's products leave f32's range, or a scale is NaN: the exponents are
// added before anything is scaled.
void ExactVnniGenerator::wide_path() {
  inc(general_count);
  scale_exponents();
  kxorw(nan_scale_lanes, nan_scale_lanes, nan_scale_lanes);
  vmovaps(sum, c);
  for (int g = 0; g < kGroups; ++g) {
    vbroadcastss(t0, ptr[a_row + offsetof(ActivationStep, exponent) + 4 * g]);
    vaddps(t0, t0, b_exponent(scale_of(g)));
    vcmpps(special_lanes, t0, pool_word(exponent_limit_), 14);  // >
    korw(nan_scale_lanes, nan_scale_lanes, special_lanes);
    vsubps(dot(g), dot(g), pool_word(dot_start_));
    if (ue4m3()) {
      vmulps(dot(g), dot(g), b_scale(scale_of(g)));
      vmulps(dot(g), dot(g), a_field(offsetof(ActivationStep, scale), g));
    } else {
      vaddps(t0, t0, pool_word(minus_2_));
      vscalefps(dot(g), dot(g), t0);
    }
    vaddps(sum, sum, dot(g));
  }
  vbroadcastss(sum | nan_scale_lanes, ptr[rip + nan_]);
  vmovaps(ptr[acc_row], sum);
}

// The panel's exponents, computed at the first general vector of a step. A zero ue4m3 scale counts as -126;
// NaN scales as 4096.
void ExactVnniGenerator::scale_exponents() {
  Label ready;
  test(exponents_ready, exponents_ready);
  jnz(ready, T_NEAR);
  for (int i = 0; i < scales(); ++i) {
    if (ue4m3()) {
      vgetexpps(t0, b_scale(i));
      vmaxps(t0, t0, pool_word(minus_6_));
      vptestnmd(special_lanes, b_scale(i), b_scale(i));
      vbroadcastss(t0 | special_lanes, ptr[rip + minus_126_]);
      vcmpps(special_lanes, b_scale(i), pool_word(nan_scale_), 0);  // ==
    } else {
      vpmovzxbd(t0, ptr[scale_bytes + kPanelCols * i]);
      vpcmpd(special_lanes, t0, pool_word(unit_255_), 0);
      vpsubd(t0, t0, pool_word(unit_127_));
      vcvtdq2ps(t0, t0);
    }
    vbroadcastss(t0 | special_lanes, ptr[rip + nan_exponent_]);
    vmovaps(b_exponent(i), t0);
  }
  mov(exponents_ready, 1);
  L(ready);
}

// t1 <- the largest exponent of the products' scales.
void ExactVnniGenerator::scale_exponent_of_row() {
  for (int g = 0; g < kGroups; ++g) {
    const Zmm& e = g == 0 ? t1 : t2;
    vmovaps(e, b_exponent(scale_of(g)));
    vaddps(e, e, a_field(offsetof(ActivationStep, exponent), g));
    if (g > 0) vmaxps(t1, t1, t2);
  }
}

// t0 <- Emax - 35; special_lanes: a result that might overflow, a NaN scale, or c infinite or NaN.
// vmaxps returns its second source when either is NaN, so a NaN exponent of c survives.
void ExactVnniGenerator::largest_exponent() {
  scale_exponent_of_row();
  vgetexpps(t0, c);
  vbroadcastss(t2, ptr[rip + minus_126_]);
  vmaxps(t0, t2, t0);
  vmaxps(t0, t1, t0);
  vcmpps(special_lanes, t0, pool_word(safe_exponent_), 6);  // not <=
  vsubps(t0, t0, pool_word(f32_35_));
}

// t2, t3 <- sum of trunc(term * 2^(35 - Emax)) as int64, lanes 0..7 and 8..15. Scaling by a power of two is
// exact in f32: a term has at most 24 significant bits, and what underflows truncates to 0 anyway.
void ExactVnniGenerator::align_and_sum() {
  vxorps(t1, t0, pool_word(sign_));
  vscalefps(sum, c, t1);
  vmovaps(aligned(), sum);
  vcvttps2qq(t2, aligned_half(0));
  vcvttps2qq(t3, aligned_half(1));
  if (!ue4m3()) vsubps(t1, t1, pool_word(two_));  // dots are in units of 2^-2
  for (int g = 0; g < kGroups; ++g) {
    if (ue4m3()) {  // V_g * 2^E_g: 20 significant bits
      vfmadd213ps(dot(g), b_scale(g), start_of(g));
      vmulps(dot(g), dot(g), a_field(offsetof(ActivationStep, scale), g));
      vscalefps(dot(g), dot(g), t1);
    } else {  // the scales are powers of two beyond f32: shift by E_g - Emax + 33
      vsubps(dot(g), dot(g), pool_word(dot_start_));
      vaddps(sum, t1, b_exponent(scale_of(g)));
      vaddps(sum, sum, a_field(offsetof(ActivationStep, exponent), g));
      vscalefps(dot(g), dot(g), sum);
    }
    vmovaps(aligned(), dot(g));
    for (int half = 0; half < 2; ++half) {
      vcvttps2qq(sum, aligned_half(half));
      vpaddq(half == 0 ? t2 : t3, half == 0 ? t2 : t3, sum);
    }
  }
}

// sum <- RZ_f32(S * 2^(Emax - 35)). Rounding to 24 bits and then to the subnormal grid, both toward zero, is
// one rounding toward zero; -0 becomes +0.
void ExactVnniGenerator::normalise() {
  const Ymm low(t2.getIdx()), high(t3.getIdx());
  vcvtqq2ps(low | T_rz_sae, t2);
  vcvtqq2ps(high | T_rz_sae, t3);
  vinsertf32x8(t2, t2, high, 1);
  vscalefps(sum | T_rz_sae, t2, t0);
  vaddps(sum, sum, pool_word(zero_));
}

// Beyond the largest finite value the result is infinity, which scaling to nearest gives exactly there. NaN
// scales and a NaN c give NaN; an infinite c stays.
void ExactVnniGenerator::special_values() {
  Label none;
  kortestw(special_lanes, special_lanes);
  jz(none, T_NEAR);
  vscalefps(t3 | T_rn_sae, t2, t0);
  vfpclassps(accepted_lanes, t3, 0x18);  // +-infinity
  vmovaps(sum | accepted_lanes, t3);
  vcmpps(special_lanes, t0, pool_word(exponent_limit_), 6);  // not <=: a NaN scale, or c infinite or NaN
  vbroadcastss(sum | special_lanes, ptr[rip + nan_]);
  scale_exponent_of_row();
  vcmpps(nan_scale_lanes, t1, pool_word(exponent_limit_), 14);  // >
  vfpclassps(accepted_lanes, c, 0x18);
  kandnw(accepted_lanes, nan_scale_lanes, accepted_lanes);
  vmovaps(sum | accepted_lanes, c);
  L(none);
}

}  // namespace fourge::jit
