#include "jit/aarch64/quantize.h"

#include <bit>

#include "jit/quantize/quantize_kernel.h"

namespace fourge::jit {

using namespace vixl::aarch64;  // NOLINT(google-build-using-namespace): register and condition names

namespace {

// Added to y times its binade 2^e: leaves round(y / 2^(e - 1)) + 2 in the last fraction bits. 2^22 has an
// ulp of half a unit; the 1 adds two of them, which keeps the parity that ties look at.
constexpr float kMagic = 0x1p22f + 1.0f;

}  // namespace

const char* aarch64_quantize_refusal(const QuantizerSpec& spec) {
  if (spec.quantize.block_2d) return "takes blocks of one row only";
  if (tries_scales(spec.quantize.rule)) return "has no rule that tries scales";
  return spec.quantize.rounding == ElementRounding::nearest ? nullptr : "rounds to nearest only";
}

void AArch64QuantizeGenerator::generate() {
  prologue(local_bytes(), kToNearest);
  load_arguments();
  group_loop();
  epilogue();
  const std::uint32_t narrow[4] = {1, 2, 4, 8}, wide[4] = {1, 0, 2, 0};
  pool_words(flag_weights_, is_wide() ? wide : narrow, 4);
}

void AArch64QuantizeGenerator::load_arguments() {
  using simd::StripArgs;
  const auto field = [this](std::size_t offset) {
    return MemOperand(args, static_cast<std::int64_t>(offset));
  };
  Ldr(pointer, field(offsetof(StripArgs, sign_words)));
  prepare_signs(pointer);
  Ldr(input, field(offsetof(StripArgs, x)));
  Ldr(codes, field(offsetof(StripArgs, codes)));
  Ldr(scales, field(offsetof(StripArgs, scales)));
  Ldr(flags, field(offsetof(StripArgs, flags)));
  Ldr(groups_left, field(offsetof(StripArgs, groups)));
  Ldr(scale_step, field(offsetof(StripArgs, scale_step)));
  if (is_wide()) Mov(next_step, 2);
  load_factors();
}

void AArch64QuantizeGenerator::load_factors() {
  set(one, 1.0f);
  set(six, 6.0f);
  set_words(exponent_mask, 0x7f80'0000u);
  const float denominator = largest_code(spec_.quantize.rule) * largest_scale(spec_.quantize);
  load_argument(factors, offsetof(simd::StripArgs, amax));
  for (const auto& [lane, value] : {std::pair{kMagicLane, kMagic},
                                    {kReciprocalLane, 1.0f / denominator},
                                    {kDenominatorLane, denominator}}) {
    Mov(pointer.W(), std::bit_cast<std::uint32_t>(value));
    Ins(factors.V4S(), lane, pointer.W());
  }
}

void AArch64QuantizeGenerator::load_argument(const VRegister& to, std::size_t offset) {
  Add(pointer, args, static_cast<std::int64_t>(offset));
  Ld1r(to.V4S(), MemOperand(pointer));
}

void AArch64QuantizeGenerator::group_loop() {
  Label next_group, next_quarter;
  Bind(&next_group);
  begin_group();
  Mov(flag_bits, 0);
  Mov(quarters_left, kQuarters);
  Bind(&next_quarter);
  quarter();
  Subs(quarters_left, quarters_left, 1);
  B(&next_quarter, ne);
  Strh(flag_bits.W(), MemOperand(flags, 2, PostIndex));
  Subs(groups_left, groups_left, 1);
  B(&next_group, ne);
}

// Instructions of 64 elements, static nvfp4, no rotation: load 43 (bf16), 49 (f32), 57 (f16); signs and
// magnitudes 32, amax 17, scales and flags 42, codes 120. Four Over Six by squares: 489 more.
void AArch64QuantizeGenerator::quarter() {
  load_quarter(false);
  gather_signs();
  if (quest()) block_deviation();
  for (int i = 0; i < kVectors; ++i) Fabs(data(i).V4S(), data(i).V4S());
  if (!quest()) block_amax();
  if (two_level()) {
    nvfp4_scales();
  } else {
    mx_scales();
  }
  store_scales();
  store_flags();
  encode();
}

// Bit 4 i + 3 of a lane of signs_low (signs_high) <- the sign of its element i (8 + i); the rest is anything.
void AArch64QuantizeGenerator::gather_signs() {
  if (is_static() && !two_level()) {  // -0 becomes 0
    set_words(t(0), 0);
    for (int i = 0; i < kVectors; ++i) Fadd(data(i).V4S(), data(i).V4S(), t(0).V4S());
  }
  for (int half = 0; half < 2; ++half) {
    const VRegister signs = half == 0 ? signs_low : signs_high;
    Mov(signs.V16B(), data(8 * half + 7).V16B());
    for (int i = 6; i >= 0; --i) Sri(signs.V4S(), data(8 * half + i).V4S(), 4 * (7 - i));
  }
}

// redo <- where it is NaN or infinite.
void AArch64QuantizeGenerator::block_amax() {
  for (int i = 0; i < 4; ++i) Fmax(t(i).V4S(), data(i).V4S(), data(i + 4).V4S());
  for (int i = 8; i < kVectors; ++i) Fmax(t(i % 4).V4S(), t(i % 4).V4S(), data(i).V4S());
  Fmax(t(0).V4S(), t(0).V4S(), t(1).V4S());
  Fmax(t(2).V4S(), t(2).V4S(), t(3).V4S());
  Fmax(amax.V4S(), t(0).V4S(), t(2).V4S());
  if (is_wide()) {
    Rev64(t(0).V4S(), amax.V4S());
    Fmax(amax.V4S(), amax.V4S(), t(0).V4S());
  }
  Fcmgt(redo.V4S(), exponent_mask.V4S(), amax.V4S());
  Mvn(redo.V16B(), redo.V16B());
}

// magnitude <- in its low three bits but for the binade's share: encode() adds that.
void AArch64QuantizeGenerator::round_to_e2m1(const VRegister& magnitude, const VRegister& binade) {
  Fmin(magnitude.V4S(), magnitude.V4S(), six.V4S());
  Fmax(binade.V4S(), magnitude.V4S(), one.V4S());
  And(binade.V16B(), binade.V16B(), exponent_mask.V16B());
  Fmla(magnitude.V4S(), binade.V4S(), factors.S(), kMagicLane);
}

// 254 + 2 e, the exponent field above its last bit, is 2 e - 2 modulo 8: what round_to_e2m1's sum lacks.
// A nibble's upper neighbours overwrite what lies above its three bits.
void AArch64QuantizeGenerator::encode() {
  const VRegister words[2] = {t(2), t(3)};
  for (int half = 0; half < 2; ++half) {
    for (int i = 0; i < 8; ++i) {
      const VRegister y = data(8 * half + i), binade = t(i % 2);
      Fmul(y.V4S(), y.V4S(), inverse.V4S());
      round_to_e2m1(y, binade);
      Usra(y.V4S(), binade.V4S(), 22);
      if (i == 0) {
        Mov(words[half].V16B(), y.V16B());
      } else {
        Sli(words[half].V4S(), y.V4S(), 4 * i);
      }
    }
  }
  Movi(t(0).V16B(), 0x88);
  Bit(words[0].V16B(), signs_low.V16B(), t(0).V16B());
  Bit(words[1].V16B(), signs_high.V16B(), t(0).V16B());
  if (clears_codes()) {
    for (const VRegister& word : words) And(word.V16B(), word.V16B(), keep.V16B());
  }
  Zip1(t(0).V4S(), words[0].V4S(), words[1].V4S());
  Zip2(t(1).V4S(), words[0].V4S(), words[1].V4S());
  Stp(t(0), t(1), MemOperand(codes, 2 * kVectorBytes, PostIndex));
}

KernelNotes AArch64QuantizeGenerator::notes() const {
  KernelNotes notes;
  notes.registers = {
      {"v0..v16", "64 elements, a run of 16 in each lane; a spare one that butterflies swap with"},
      {"v17, v18", "signs of a lane's elements 0..7, 8..15"},
      {"v19, v20, v25", "1 / scale; amax, then the scale; its code"},
      {"v21..v24", "scratch"},
      {"v26, v27", "lanes with a scale; lanes to be done again"},
      {"v28..v31", "1, 6, infinity; magic, amax, 1 / denominator, denominator"},
      {"x1..x8", "x, codes, scales, flags, groups left, steps of scales, flag bits"},
  };
  notes.budget =
      "instructions for 64 elements, static nvfp4: load 43 (bf16), signs and magnitudes 32, amax 17, scales "
      "and "
      "flags 42, codes 120; a rotation of 64: 152, and 20 for signs";
  return notes;
}

}  // namespace fourge::jit
