// Block quantisers for AVX-512: rotation, scales, Four Over Six and rounding of a group in registers.
#pragma once

#include <cstdint>
#include <functional>

#include "fourge/quantizer.h"
#include "jit/quantize/quantize_kernel.h"
#include "jit/x86/pairs.h"

namespace fourge::jit {

/// Emits quantize_...__avx512 (kernel_name()): StripArgs. F, BW, DQ, VL and BMI2.
///
/// For every group of 256 elements:
///   amax     load, rotate, largest magnitude of every block                               quantize.cc
///   scales   what quant/nvfp4.h and quant/mxfp4.h say, 16 blocks in one vector            quantize_scales.cc
///   choice   Four Over Six: both errors of every block, and which is smaller              quantize_scales.cc
///   codes    round, pack, store                                                           quantize_encode.cc
/// With block_2d each phase but the scales runs over the rows of the strip and loads them again; else the
/// group stays in registers.
///
/// The sums of mse and mae run in another order than the definition's, over code * S - x with one rounded S.
/// Where they are closer than what that can change (Margins), or out of range, the block's bit in flags is
/// set and redo_blocks() decides; so is the whole group's where a NaN is in it. abs_max is computed as
/// defined.
class QuantizeGenerator : public PairGenerator {
 public:
  QuantizeGenerator(const QuantizerSpec& inner, bool poison) : PairGenerator(poison), spec_(inner) {}
  KernelNotes notes() const override;

 private:
  // Saturation and zero scales cost extra instructions; groups without either take the `plain` path.
  enum class Path : std::uint8_t { plain, careful };
  static constexpr int kLargerMagnitudePositive = 0b1011;  // vrangeps selector
  // Added to y times its binade 2^e: leaves round(|y| / 2^(e - 1)) + 2 in the last fraction bits. 2^22 has an
  // ulp of half a unit; the 1 adds two of them, which keeps the parity that ties look at.
  static constexpr float kMagic = 0x1p22f + 1.0f;
  enum Slot : int {
    kSixInverse,
    kSixUnit,
    kFourInverse,
    kFourUnit,
    kSixCode,
    kFourCode,
    kSixError,
    kZeroMask,
    kRandom,
    kSlots = kRandom + 4
  };

  void generate() override;
  void load_arguments();
  void group_loop();
  void next_group();

  // amax
  void load_row(const Xbyak::Reg64& from, const Xbyak::Zmm& temp, int breadth);
  void block_amax();
  void row_amax();
  void block_deviation();
  void sum_of_blocks(bool squares);
  void for_each_row(const std::function<void()>& body);

  // scales
  void nvfp4_scales();
  void nvfp4_scale(const Xbyak::Zmm& target, Slot inverse, Slot unit, Slot code, bool first);
  void mx_scales();
  void mx_scale_codes(const Xbyak::Zmm& code);
  void two_binades_below(const Xbyak::Zmm& code);
  void check_plain(const Xbyak::Zmm& multiplier, bool first, const Xbyak::Opmask& lanes);
  void finish_group(Path path);
  void block_errors(Slot inverse, Slot unit, Path path);
  void row_errors(Slot inverse, Slot unit, Path path);
  void exact_error(const Xbyak::Zmm& y, const Xbyak::Zmm& scale, const Xbyak::Zmm& x_value,
                   const Xbyak::Zmm& quotient);
  void add_error(const Xbyak::Zmm& sum, const Xbyak::Zmm& error, bool is_first);
  void choose();
  void store_scales();
  void store_flags();

  // codes
  void encode_rows(Path path);
  void encode_row(Path path);
  void encode_pair(int pair, const Xbyak::Zmm& packed, Path path);
  void round_to_e2m1(const Xbyak::Zmm& y, const Xbyak::Zmm& binade, const Xbyak::Zmm& random, Path path);
  void pack_four(const Xbyak::Zmm& first);
  void make_random_words(int first_temp);
  void philox_round(int round, int first_temp);
  void random_fractions(int pair);

  bool two_level() const { return spec_.quantize.format == Format::nvfp4; }
  bool four_over_six() const { return is_four_over_six(spec_.quantize.rule); }
  bool sums_errors() const { return spec_.quantize.rule != ScaleRule::abs_max_4_6; }
  bool is_static() const {
    return spec_.quantize.rule == ScaleRule::static_6 || spec_.quantize.rule == ScaleRule::static_4;
  }
  bool stochastic() const { return spec_.quantize.rounding == ElementRounding::stochastic; }
  bool quest() const { return spec_.quantize.rule == ScaleRule::quest; }
  bool block_2d() const { return spec_.quantize.block_2d; }
  bool drops_sign_of_zero() const { return !two_level() && is_static(); }
  // Values of 7 and more would round to 8.
  bool always_clamps() const { return stochastic() || spec_.quantize.rule == ScaleRule::floor || quest(); }
  bool clamps(Path path) const { return path == Path::careful || always_clamps(); }
  int blocks() const { return kGroup / info(spec_.quantize.format).block; }
  int group_bytes() const { return kGroup * bytes_of(spec_.input); }

  Xbyak::Address slot(int index) { return ptr[rsp + index * kVectorBytes]; }
  Xbyak::Address arg(std::size_t offset) { return ptr[args + offset]; }
  Xbyak::Address arg_word(std::size_t offset) { return ptr_b[args + offset]; }

  // Vector registers, by role. zmm0..16: the group (PairGenerator).
  static Xbyak::Zmm per_pair(int pair) { return Xbyak::Zmm(17 + pair); }  // 17..24: amax or error sums
  const Xbyak::Zmm amax = zmm17, scratch = zmm25;               // amax: with quest, the scale before rounding
  static Xbyak::Zmm temp(int i) { return Xbyak::Zmm(18 + i); }  // scales: 18..31
  const Xbyak::Zmm inverse = zmm21, unit = zmm22;               // codes and errors: of a pair
  const Xbyak::Zmm binade0 = zmm28, binade1 = zmm27, random0 = zmm29, random1 = zmm30, fresh = zmm31;
  const Xbyak::Opmask k_ordered = k1, k_plain = k2, k_redo = k3, k_temp = k4;

  // General registers, by role.
  const Xbyak::Reg64 args = rdi, x = rsi, codes = rdx, scales = rcx, flags = r8, groups_left = r9;
  const Xbyak::Reg64 scale_step = r10, sign_words = r11, run = rbx, x_row = r12, codes_row = r13;
  const Xbyak::Reg64 rows_left = r14, row_run = r15;

  QuantizerSpec spec_;
};

/// Emits the search for the largest magnitude: AmaxArgs.
class AmaxGenerator : public PairGenerator {
 public:
  AmaxGenerator(const QuantizerSpec& inner, bool poison) : PairGenerator(poison), spec_(inner) {}
  KernelNotes notes() const override { return {}; }

 private:
  void generate() override;
  void take(const Xbyak::Zmm& value, int index);

  static Xbyak::Zmm largest(int i) { return Xbyak::Zmm(28 + i % 4); }
  const Xbyak::Reg64 args = rdi, x = rsi, groups_left = r9, sign_words = r11;
  const Xbyak::Opmask k_number = k1;
  QuantizerSpec spec_;
};

}  // namespace fourge::jit
