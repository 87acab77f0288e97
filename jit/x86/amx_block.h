// acc += A B on AMX over a run of segments: exact where their certificates hold, or without certificates.
#pragma once

#include <array>

#include "jit/asm/x86_generator.h"
#include "jit/gemm/amx_operands.h"

namespace fourge::jit {

class AmxBlockGenerator : public X86Generator {
 public:
  /// certified: a pair of row tiles that theorem 2 does not cover is refused; else only one with scales that
  /// tiles cannot hold.
  explicit AmxBlockGenerator(bool certified, bool poison = false)
      : X86Generator(poison), certified_(certified) {}
  KernelNotes notes() const override;

 private:
  void generate() override;
  void load_arguments();
  void block(int row_tiles);
  void load_bound_rows();
  void thresholds(int row_tiles, const Xbyak::Label& refused);
  void check_reach(int row_tiles, const Xbyak::Label& refused);
  void check_accumulators(int row_tiles, const Xbyak::Label& refused);
  void load_accumulators(int row_tiles);
  void multiply(int row_tiles);
  void store_accumulators(int row_tiles);
  void emit_constant_pool();

  // Tile registers, by role.
  //
  //           b(0)    b(1)
  //   a(0)  acc 0 0  acc 0 1
  //   a(1)  acc 1 0  acc 1 1
  static Xbyak::Tmm acc_tile(int row_tile, int panel) { return Xbyak::Tmm(2 * row_tile + panel); }
  static Xbyak::Tmm a_tile(int row_tile) { return Xbyak::Tmm(4 + row_tile); }
  static Xbyak::Tmm b_tile(int panel) { return Xbyak::Tmm(6 + panel); }

  // Vector registers, by role.
  static Xbyak::Zmm b_norm(std::size_t segment, int panel) {
    return Xbyak::Zmm(24 + 2 * static_cast<int>(segment) + panel);
  }
  static Xbyak::Zmm b_unit(int panel) { return Xbyak::Zmm(16 + panel); }
  static Xbyak::Zmm below(int chain) {
    return Xbyak::Zmm(4 + chain);
  }  // 4 chains; sign bits: |c| < threshold
  static Xbyak::Zmm magnitude(int chain) { return Xbyak::Zmm(8 + chain); }
  static Xbyak::Zmm norm(std::size_t segment) { return Xbyak::Zmm(20 + static_cast<int>(segment)); }
  const Xbyak::Zmm unit = zmm12, threshold = zmm15, magnitude_mask = zmm18, zero = zmm19;
  const Xbyak::Opmask unfit = k1, all_below = k2;

  // General registers, by role.
  const Xbyak::Reg64 args = rdi, a = rsi, b = rdx, acc = rcx, acc_1 = r8, row_tiles_left = r9,
                     row_offset = r10, upcoming = r11;
  const Xbyak::Reg64 pending = rbx, a_0 = r12, a_1 = r13, b_row = r14, half_steps_left = r15, row_bytes = rax;
  // Before the products, in the same registers.
  Xbyak::Reg64 bound_row(std::size_t segment) const {
    return std::array{a_0, a_1, b_row, upcoming}.at(segment);
  }
  const Xbyak::Reg64 bound_stride = half_steps_left;

  void fetch_ahead();

  // Stack: thresholds [panel][row tile][16], then the upcoming codes of two panels, accumulators, outputs.
  static constexpr int kThresholdBytes = 4 * 64, kAcc = 2, kOutputs = 3;
  Xbyak::Address upcoming_of(int turn) { return qword[rsp + kThresholdBytes + 8 * turn]; }
  Xbyak::Address threshold_of(int panel, int row_tile) { return zword[rsp + 64 * (2 * panel + row_tile)]; }
  Xbyak::Address threshold_of(int panel, int row_tile, int row) {
    return ptr_b[rsp + 64 * (2 * panel + row_tile) + 4 * row];
  }
  Xbyak::Reg64 acc_of(int panel) const { return panel == 0 ? acc : acc_1; }

  bool certified_;
  Xbyak::Label tile_config_, magnitude_mask_, two_24_, infinity_;
};

}  // namespace fourge::jit
