// One chunk's sums of products of columns, added to a second moment: by VPDPBUSD or by TDPBSSD.
#pragma once

#include "jit/asm/x86_generator.h"
#include "jit/second_moment/second_moment_kernel.h"
#include "jit/x86/constant_pool.h"

namespace fourge::jit {

/// Emits the product of a panel of y with a run of panels of x (moment_pack.h): MomentBlockArgs. F, BW, DQ,
/// VL.
///
/// With codes q = 256 high + low, sum q_y q_x = 65536 hh + 256 (hl + lh) + ll; each of the sums of up to
/// 1,024 products of signed bytes is below 2^25. They pass through the stack: [plane][16 rows][16 columns] of
/// int32.
class MomentBlockGenerator : public X86Generator {
 public:
  using X86Generator::X86Generator;

 protected:
  enum Plane : int { kHighHigh, kMiddle, kLowLow, kOtherMiddle, kPlanes };
  static constexpr int kPlaneBytes = 1024, kSumRowBytes = 64;

  void generate() override;
  virtual void begin() {}
  /// Sums of the panels at `y` and `x`; add_row() is free to be called before they are stored.
  virtual void products() = 0;
  virtual void end() {}
  /// Whether kOtherMiddle is in use.
  virtual bool splits_middle() const = 0;

  void add_row();
  void add_remaining_rows();
  static int sums_offset(int plane, int row = 0) { return plane * kPlaneBytes + row * kSumRowBytes; }

  // General registers, by role. Rows wait from -16 to 0: sums of the panel before.
  const Xbyak::Reg64 args = rdi, y = rsi, x = rdx, panels_left = rcx, coarse = r8, fine_offset = r9,
                     stride = r10, row_bytes = r11;
  const Xbyak::Reg64 y_codes = r12, x_codes = r13, count = r14, sum_row = r15, coarse_row = rax, row = rbx;
  ConstantPool pool_;

 private:
  void load_arguments();
  void begin_rows();

  // Vector registers of add_row(), by role.
  const Xbyak::Zmm two_8 = zmm0, to_coarse = zmm1, to_fine = zmm2, y_scale = zmm5;
  static Xbyak::Zmm x_scale(int half) { return Xbyak::Zmm(3 + half); }
  static Xbyak::Zmm temporary(int half, int index) { return Xbyak::Zmm(6 + 5 * half + index); }
};

class MomentVnniGenerator final : public MomentBlockGenerator {
 public:
  using MomentBlockGenerator::MomentBlockGenerator;
  KernelNotes notes() const override;

 private:
  static constexpr int kRows = 8;  // of y at once: 24 accumulators

  void products() override;
  bool splits_middle() const override { return false; }
  void half_products(int first_row);

  static Xbyak::Zmm acc(int plane, int i) { return Xbyak::Zmm(8 + kRows * plane + i); }
  const Xbyak::Zmm x_high = zmm0, x_low = zmm1, flip = zmm2, zero = zmm3;
  static Xbyak::Zmm y_byte(int i, int plane) { return Xbyak::Zmm(4 + i % 2 * 2 + plane); }
};

class MomentAmxGenerator final : public MomentBlockGenerator {
 public:
  using MomentBlockGenerator::MomentBlockGenerator;
  KernelNotes notes() const override;

 private:
  void begin() override;
  void products() override;
  void end() override;
  bool splits_middle() const override { return true; }

  // Tile registers, by role.
  //
  //             b_high   b_low
  //   a_high      hh       hl
  //   a_low       lh       ll
  const Xbyak::Tmm hh = tmm0, hl = tmm1, lh = tmm2, ll = tmm3, a_high = tmm4, a_low = tmm5, b_high = tmm6,
                   b_low = tmm7;

  Xbyak::Label tile_config_;
};

}  // namespace fourge::jit
