// Conversions between f32 and the narrow formats, under NVIDIA's names and with NVIDIA's bits.
//
// Sources: PTX ISA 9.x, 9.7.9.21 "cvt" (names, packing, satfinite, NaN); CUDA 13.0 cuda_fp4.hpp,
// cuda_fp6.hpp, cuda_fp8.hpp (the .rz forms to fp4 and fp6 and the forms without satfinite exist only there).
// Evidence: every function marked [2^32] equals the CUDA host code for all 2^32 inputs (tests/data/cvt).
#pragma once

#include <bit>
#include <cstdint>

#include "fourge/formats.h"
#include "fourge/rounding.h"

namespace fourge::reference {

// ---- f32 -> one code. NaN: 0x7f for e4m3 and e5m2, the largest positive value for e2m1, e2m3, e3m2.
// ------------

constexpr std::uint8_t narrow(ElementFormat format, float x, Rounding rounding, Overflow overflow) {
  return static_cast<std::uint8_t>(encode(format, x, rounding, overflow));
}

/// [2^32] Codes in the low four bits.
constexpr std::uint8_t cvt_rn_satfinite_e2m1_f32(float x) {
  return narrow(ElementFormat::e2m1, x, Rounding::rne, Overflow::satfinite);
}
constexpr std::uint8_t cvt_rz_satfinite_e2m1_f32(float x) {
  return narrow(ElementFormat::e2m1, x, Rounding::rz, Overflow::satfinite);
}

/// [2^32] Codes in the low six bits.
constexpr std::uint8_t cvt_rn_satfinite_e2m3_f32(float x) {
  return narrow(ElementFormat::e2m3, x, Rounding::rne, Overflow::satfinite);
}
constexpr std::uint8_t cvt_rz_satfinite_e2m3_f32(float x) {
  return narrow(ElementFormat::e2m3, x, Rounding::rz, Overflow::satfinite);
}
constexpr std::uint8_t cvt_rn_satfinite_e3m2_f32(float x) {
  return narrow(ElementFormat::e3m2, x, Rounding::rne, Overflow::satfinite);
}
constexpr std::uint8_t cvt_rz_satfinite_e3m2_f32(float x) {
  return narrow(ElementFormat::e3m2, x, Rounding::rz, Overflow::satfinite);
}

/// [2^32] Without satfinite, overflow gives NaN with the sign of x (e4m3 has no infinity).
constexpr std::uint8_t cvt_rn_satfinite_e4m3_f32(float x) {
  return narrow(ElementFormat::e4m3, x, Rounding::rne, Overflow::satfinite);
}
constexpr std::uint8_t cvt_rn_e4m3_f32(float x) {
  return narrow(ElementFormat::e4m3, x, Rounding::rne, Overflow::infinity);
}

/// [2^32] Without satfinite, overflow gives infinity.
constexpr std::uint8_t cvt_rn_satfinite_e5m2_f32(float x) {
  return narrow(ElementFormat::e5m2, x, Rounding::rne, Overflow::satfinite);
}
constexpr std::uint8_t cvt_rn_e5m2_f32(float x) {
  return narrow(ElementFormat::e5m2, x, Rounding::rne, Overflow::infinity);
}

/// [2^32] The sign is ignored; NaN gives 0xff; without satfinite, infinity and overflow give 0xff.
constexpr std::uint8_t cvt_rz_satfinite_ue8m0_f32(float x) {
  return encode_ue8m0(x, Rounding::rz, Overflow::satfinite);
}
constexpr std::uint8_t cvt_rz_ue8m0_f32(float x) { return encode_ue8m0(x, Rounding::rz, Overflow::infinity); }
constexpr std::uint8_t cvt_rp_satfinite_ue8m0_f32(float x) {
  return encode_ue8m0(x, Rounding::rp, Overflow::satfinite);
}
constexpr std::uint8_t cvt_rp_ue8m0_f32(float x) { return encode_ue8m0(x, Rounding::rp, Overflow::infinity); }

/// IEEE 754 conversions; NaN gives 0x7fff.
constexpr std::uint16_t cvt_rn_f16_f32(float x) {
  return static_cast<std::uint16_t>(encode(ElementFormat::f16, x, Rounding::rne, Overflow::infinity));
}
constexpr std::uint16_t cvt_rn_bf16_f32(float x) {
  return static_cast<std::uint16_t>(encode(ElementFormat::bf16, x, Rounding::rne, Overflow::infinity));
}

// ---- Packed forms: of the operands d, a, b the first source lies in the upper half.
// ---------------------------

constexpr std::uint8_t cvt_rn_satfinite_e2m1x2_f32(float a, float b) {
  return static_cast<std::uint8_t>(cvt_rn_satfinite_e2m1_f32(a) << 4 | cvt_rn_satfinite_e2m1_f32(b));
}
constexpr std::uint16_t pair(std::uint8_t a, std::uint8_t b) {
  return static_cast<std::uint16_t>(a << 8 | b);
}
constexpr std::uint16_t cvt_rn_satfinite_e2m3x2_f32(float a, float b) {
  return pair(cvt_rn_satfinite_e2m3_f32(a), cvt_rn_satfinite_e2m3_f32(b));
}
constexpr std::uint16_t cvt_rn_satfinite_e3m2x2_f32(float a, float b) {
  return pair(cvt_rn_satfinite_e3m2_f32(a), cvt_rn_satfinite_e3m2_f32(b));
}
constexpr std::uint16_t cvt_rn_satfinite_e4m3x2_f32(float a, float b) {
  return pair(cvt_rn_satfinite_e4m3_f32(a), cvt_rn_satfinite_e4m3_f32(b));
}
constexpr std::uint16_t cvt_rn_satfinite_e5m2x2_f32(float a, float b) {
  return pair(cvt_rn_satfinite_e5m2_f32(a), cvt_rn_satfinite_e5m2_f32(b));
}
constexpr std::uint16_t cvt_rz_satfinite_ue8m0x2_f32(float a, float b) {
  return pair(cvt_rz_satfinite_ue8m0_f32(a), cvt_rz_satfinite_ue8m0_f32(b));
}
constexpr std::uint16_t cvt_rp_satfinite_ue8m0x2_f32(float a, float b) {
  return pair(cvt_rp_satfinite_ue8m0_f32(a), cvt_rp_satfinite_ue8m0_f32(b));
}

// ---- Code -> f16 or bf16, exact. NaN gives 0x7fff, sign dropped.
// ------------------------------------------------

constexpr std::uint16_t widen(ElementFormat to, ElementFormat from, std::uint32_t code) {
  return static_cast<std::uint16_t>(
      encode_bits(to, f32_bits_of(decode(from, code)), Rounding::rne, Overflow::infinity));
}
constexpr std::uint16_t cvt_rn_f16_e2m1(std::uint8_t code) {
  return widen(ElementFormat::f16, ElementFormat::e2m1, code);
}
constexpr std::uint16_t cvt_rn_f16_e2m3(std::uint8_t code) {
  return widen(ElementFormat::f16, ElementFormat::e2m3, code);
}
constexpr std::uint16_t cvt_rn_f16_e3m2(std::uint8_t code) {
  return widen(ElementFormat::f16, ElementFormat::e3m2, code);
}
constexpr std::uint16_t cvt_rn_f16_e4m3(std::uint8_t code) {
  return widen(ElementFormat::f16, ElementFormat::e4m3, code);
}
constexpr std::uint16_t cvt_rn_f16_e5m2(std::uint8_t code) {
  return widen(ElementFormat::f16, ElementFormat::e5m2, code);
}
/// 0x00 gives 0x0040, the bf16 subnormal 2^-127.
constexpr std::uint16_t cvt_rn_bf16_ue8m0(std::uint8_t code) {
  return widen(ElementFormat::bf16, ElementFormat::ue8m0, code);
}

}  // namespace fourge::reference
