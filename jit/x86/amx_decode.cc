#include "jit/x86/amx_decode.h"

#include <cstddef>

#include "fourge/rounding.h"

namespace fourge::jit {

using Xbyak::Label;
using Xbyak::Zmm;

void AmxDecodeGenerator::generate() {
  Label next_step;
  prologue(0);
  mov(codes, ptr[args + offsetof(AmxDecodeArgs, codes)]);
  mov(scales, ptr[args + offsetof(AmxDecodeArgs, scales)]);
  mov(tiles, ptr[args + offsetof(AmxDecodeArgs, tiles)]);
  mov(steps_left, ptr[args + offsetof(AmxDecodeArgs, steps)]);
  load_constants();
  L(next_step);
  decode_step();
  add(codes, kPanelCodeBytes);
  add(scales, static_cast<int>(panel_scale_bytes(format_)));
  add(tiles, 2 * kHalfSteps * kTileBytes);
  dec(steps_left);
  jnz(next_step, T_NEAR);
  epilogue();
  emit_constant_pool();
}

void AmxDecodeGenerator::load_constants() {
  // Upper bits of an index belong to the next nibble: the table repeats.
  if (ue4m3()) {
    vbroadcasti32x4(table, ptr[rip + table_]);
    mov(scratch_bits, 0xaaaaaaaaaaaaaaaa);
    kmovq(upper_bytes, scratch_bits);
  } else {
    vbroadcasti64x4(table, ptr[rip + table_]);
  }
  vpbroadcastd(finite_bits, ptr[rip + finite_bits_]);
  vpbroadcastd(scale_bits, ptr[rip + scale_bits_]);
  vpbroadcastd(bias, ptr[rip + bias_]);
}

// 1,024 weights: 8 vectors of codes, each 4 rows of a tile.
//
//   per vector     shifts    shuffles     scale                       store
//   nvfp4             3    4 vpermb       4 vmulph 4 vpsraw 4 vpandd    4     p0 7, p5 4, p05 8 -> 9.5 cycles
//   mxfp4             3    4 vpermw (2)   4 vptestmw 4 vpaddw           4     p0 3, p5 12, p05 4 -> 12 cycles
// With the scales, 20 uops for nvfp4 and 12 for mxfp4: 86 or 98 cycles for 1,024 weights.
void AmxDecodeGenerator::decode_step() {
  for (int i = 0; i < stored_scales(format_); ++i) load_scale(i);
  for (int v = 0; v < 8; ++v) {
    const std::int64_t half = v / 4;
    element_words(v);
    for (int j = 0; j < 4; ++j) {
      multiply(value(j), v / 2);
      const auto row = static_cast<std::size_t>(half * 2 * kTileBytes + 64 * (4 * (v % 4) + j));
      vmovdqa64(ptr[tiles + row], value(j));
    }
  }
}

// value(j) <- the elements of every word's nibble j, from 64 bytes of codes.
//   ue4m3: an f16 element is nonzero in its upper byte only, so a shuffle of bytes does: one uop, vpermw is
//   two.
void AmxDecodeGenerator::element_words(int vector) {
  if (ue4m3()) {
    vmovdqu64(codes_at(2), ptr[codes + 64 * vector]);
    vpsllw(codes_at(0), codes_at(2), 8);
    vpsllw(codes_at(1), codes_at(2), 4);
    vpsrlw(codes_at(3), codes_at(2), 4);
    for (int j = 0; j < 4; ++j) vpermb(value(j) | upper_bytes | T_z, codes_at(j), table);
    return;
  }
  vmovdqu64(codes_at(0), ptr[codes + 64 * vector]);
  for (int j = 1; j < 4; ++j) vpsrlw(codes_at(j), codes_at(0), static_cast<std::uint8_t>(4 * j));
  for (int j = 0; j < 4; ++j) vpermw(value(j), codes_at(j), table);
}

// scale(i) <- both words of every column's lane: as f16, divided by 2^8 (ue4m3), or the exponent moved to
// bf16's field (ue8m0).
void AmxDecodeGenerator::load_scale(int index) {
  vpmovzxbd(scale(index), ptr[scales + kPanelCols * index]);
  if (ue4m3()) {
    vpandd(scale(index), scale(index), scale_bits);
  } else {
    vpsubd(scale(index), scale(index), bias);
  }
  vpslld(scratch, scale(index), 16 + 7);
  vpslld(scale(index), scale(index), 7);
  if (!ue4m3()) vpandd(scale(index), scale(index), scale_bits);
  vpord(scale(index), scale(index), scratch);
}

// x <- element * scale as bf16.
//   ue4m3: exact in f16 (6 significant bits, 2^-10 .. 2688); f16's 5-bit exponent under bf16's 8-bit one
//   reads as
//          the value * 2^-112, and 0 stays 0. f16 bits: s eeeee ffffff'0000 -> >> 3 -> s sss e eeee fff ffff
//          0.
//   ue8m0: the exponents add; zero must not.
void AmxDecodeGenerator::multiply(const Zmm& x, int group) {
  const Zmm& s = scale(group * stored_scales(format_) / kGroups);
  if (ue4m3()) {
    vmulph(x, x, s);
    vpsraw(x, x, 3);
    vpandd(x, x, finite_bits);
  } else {
    vptestmw(nonzero, x, x);
    vpaddw(x | nonzero, x, s);
  }
}

void AmxDecodeGenerator::emit_constant_pool() {
  align(32);
  L(table_);
  for (std::uint32_t code = 0; code < 16; ++code) {
    // f16 of value * 2^8, the upper byte, or bf16 of value; -0 becomes 0 so that adding an exponent leaves it
    // alone.
    const float x = code == 8 ? 0.0f : decode_f32(ElementFormat::e2m1, code);
    if (ue4m3()) {
      db(static_cast<std::uint8_t>(encode(ElementFormat::f16, 256 * x) >> 8));
    } else {
      dw(static_cast<std::uint16_t>(encode(ElementFormat::bf16, x)));
    }
  }
  L(finite_bits_);
  dd(0x8fff8fff);
  L(scale_bits_);
  dd(ue4m3() ? 0x7f : 0xffff);
  L(bias_);
  dd(127);
}

KernelNotes AmxDecodeGenerator::notes() const {
  return {{{"zmm0", "table of elements"},
           {"zmm4..7", "scales of the four groups"},
           {"zmm8..15", "codes shifted by a nibble each, values"},
           {"rsi, rdx, rcx, r8", "codes, scales, tiles, steps left"}},
          ue4m3() ? "1,024 weights: 86 cycles (p05)" : "1,024 weights: 98 cycles (p5)"};
}

}  // namespace fourge::jit
