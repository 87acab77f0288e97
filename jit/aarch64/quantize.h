// Block quantisers for Advanced SIMD: 64 elements rotated, scaled and rounded in registers.
#pragma once

#include <cstddef>
#include <cstdint>

#include "fourge/quantizer.h"
#include "jit/aarch64/element_io.h"
#include "simd/quantize.h"

namespace fourge::jit {

/// Null for specs of one-row blocks rounded to nearest; the reason for others.
const char* aarch64_quantize_refusal(const QuantizerSpec& spec);

/// What both generators below begin with: 64 elements, rotated, in 16 registers.
///
/// Lane l of data(i) is element i of the l-th run of 16: every sum and maximum over a block goes down a lane,
/// in the order of its definition. A rotation's stages run between
///   registers   1..4
///   lanes       5, 6
///   quarters    7, 8, through the stack
class AArch64QuarterGenerator : public AArch64ElementIo {
 protected:
  // rotation_scale: offset of the factor in the argument. slots: vectors of stack for the body itself.
  AArch64QuarterGenerator(const QuantizerSpec& inner, bool poison, std::size_t rotation_scale, int slots)
      : AArch64ElementIo(poison), spec_(inner), rotation_scale_(rotation_scale), slots_(slots) {}

  static constexpr int kVectors = 16, kVectorBytes = 16, kQuarters = 4;
  static constexpr int kQuarterBytes = kVectors * kVectorBytes;  // as f32 in registers' order

  // Stack of the body from its lowest address: the slots, the group, the sign words in registers' order.
  int local_bytes() const { return signs_at() + (spec_.signs ? kQuarters * kQuarterBytes : 0); }
  // Once a call. sign_words: those of simd/quantize.h, advances.
  void prepare_signs(const Register& sign_words);
  // Before the quarters of each group.
  void begin_group();
  // data <- the next quarter. `any_order`: without a rotation, elements may lie in any lane.
  void load_quarter(bool any_order);

  bool through_stack() const { return spec_.rotate > 64; }
  bool is_wide() const { return info(spec_.quantize.format).block == 32; }

  // Vector registers, by role. Data move between the first 17 as butterflies swap them with the spare one.
  VRegister data(int i) const { return v(slot_[i]); }
  VRegister spare() const { return data(kVectors); }
  static VRegister t(int i) { return v(21 + i); }  // 21..24: scratch
  const VRegister alternating = v(25);

  // General registers, by role.
  const Register args = x(0), input = x(1);  // input: advances
  const Register cursor = x(9), sign_cursor = x(10), loops = x(11), pointer = x(13);

  QuantizerSpec spec_;

 private:
  int group_at() const { return slots_ * kVectorBytes; }
  int signs_at() const { return group_at() + (through_stack() ? kQuarters * kQuarterBytes : 0); }

  void load_runs(bool in_lanes);
  void load_f32_runs(bool in_lanes);
  void load_pairs(bool in_lanes);
  void widen_pair(int even);
  void transpose(int a, int b, int c, int d);
  void rotate_quarter();
  void negate();
  void stages_between_registers(std::int64_t count);
  void stage_between_lanes(int distance);
  void stages_between_quarters();
  void scale();
  void reset_slots();

  std::size_t rotation_scale_;
  int slots_;
  int slot_[kVectors + 1] = {};
};

/// Emits quantize_...__neon (kernel_name()): simd::StripArgs. Bit b of a group's flags is set where block b
/// holds a NaN or an infinity, or where Four Over Six or QuEST leave the range: redo_blocks() does it again.
///
///   amax     signs to two words, magnitudes, the largest of every block               quantize.cc
///   scales   what quant/nvfp4.h and quant/mxfp4.h say, 4 runs of 16 in one vector     quantize_scales.cc
///   choice   Four Over Six: both errors of every block, summed as defined             quantize_scales.cc
///   codes    round, gather 8 nibbles a lane, store                                    quantize.cc
class AArch64QuantizeGenerator : public AArch64QuarterGenerator {
 public:
  AArch64QuantizeGenerator(const QuantizerSpec& inner, bool poison)
      : AArch64QuarterGenerator(inner, poison, offsetof(simd::StripArgs, rotation_scale), kSlots) {}
  KernelNotes notes() const override;

 private:
  enum Slot : int { kTarget, kSixInverse, kSixCode, kSixError, kSlots };

  void generate() override;
  void load_arguments();
  void load_factors();
  void group_loop();
  void quarter();

  // amax
  void gather_signs();
  void block_amax();

  // scales
  void block_deviation();
  void sum_of_run(int first, int count, bool squares, int temp);
  void nvfp4_scales();
  void nvfp4_scale();
  void mx_scales();
  void mx_scale_code();
  void two_binades_below();
  void choose_four_or_six();
  void block_error();
  void add_error(const VRegister& sum, const VRegister& error, bool is_first);
  void store_scales();
  void store_flags();

  // codes
  void round_to_e2m1(const VRegister& magnitude, const VRegister& binade);
  void encode();

  bool two_level() const { return spec_.quantize.format == Format::nvfp4; }
  bool four_over_six() const { return is_four_over_six(spec_.quantize.rule); }
  bool quest() const { return spec_.quantize.rule == ScaleRule::quest; }
  bool is_static() const {
    return spec_.quantize.rule == ScaleRule::static_6 || spec_.quantize.rule == ScaleRule::static_4;
  }
  bool clears_codes() const { return two_level() || is_static(); }  // under a zero scale

  MemOperand slot(Slot index) { return MemOperand(vixl::aarch64::sp, index * kVectorBytes); }
  void set(const VRegister& to, float value) { Fmov(to.V4S(), value); }
  void set_words(const VRegister& to, std::uint32_t value) { Movi(to.V4S(), value); }
  void load_argument(const VRegister& to, std::size_t offset);

  // Vector registers, by role. v0..16: the quarter; v21..24 and v25: scratch (AArch64QuarterGenerator).
  const VRegister signs_low = v(17), signs_high = v(18), inverse = v(19);
  const VRegister amax = v(20);                // of every lane's block; with quest, the scale before rounding
  const VRegister unit = v(20), code = v(25);  // value and code of the scale
  const VRegister keep = v(26), redo = v(27);  // 0 where all codes are 0; all ones where to be done again
  const VRegister one = v(28), six = v(29), exponent_mask = v(30);  // the last also as infinity
  const VRegister factors = v(31);                                  // by lane:
  static constexpr int kMagicLane = 0, kAmaxLane = 1, kReciprocalLane = 2, kDenominatorLane = 3;

  // General registers, by role.
  const Register codes = x(2), scales = x(3), flags = x(4), groups_left = x(5), scale_step = x(6);
  const Register next_step = x(7), flag_bits = x(8), quarters_left = x(12);

  Label flag_weights_;
};

/// Emits the search for the largest magnitude: simd::AmaxArgs.
class AArch64AmaxGenerator : public AArch64QuarterGenerator {
 public:
  AArch64AmaxGenerator(const QuantizerSpec& inner, bool poison)
      : AArch64QuarterGenerator(inner, poison, offsetof(simd::AmaxArgs, rotation_scale), 0) {}
  KernelNotes notes() const override { return {}; }

 private:
  void generate() override;

  static VRegister largest(int i) { return v(26 + i % 4); }  // 26..29
  const Register groups_left = x(5), quarters_left = x(12);
};

}  // namespace fourge::jit
