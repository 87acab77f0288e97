// acc += A B on AMX step by step: exact sums of products by tiles, one rounding toward zero a step.
#pragma once

#include "fourge/matrix.h"
#include "jit/asm/x86_generator.h"
#include "jit/gemm/amx_operands.h"

namespace fourge::jit {

/// A row of a tile is certified by theorem 3 of docs/certificates.md or left as it was.
class AmxStepsGenerator : public X86Generator {
 public:
  explicit AmxStepsGenerator(Format format, bool poison = false) : X86Generator(poison), format_(format) {}
  KernelNotes notes() const override;

 private:
  void generate() override;

  // Phases, in emission order.
  void load_arguments();
  void row_tile_loop();
  void tile();
  void row_bounds();
  void load_accumulators();
  void step_loop();
  void multiply_step(const Xbyak::Reg64& destination);
  void add_step(const Xbyak::Reg64& source);
  void check_rows(const Xbyak::Label& by_row);
  void store_all();
  void store_certified_rows();
  void emit_constant_pool();

  // Vector registers, by role.
  static Xbyak::Zmm c(int row) { return Xbyak::Zmm(row); }              // 0..15: accumulators of the tile
  static Xbyak::Zmm smallest(int row) { return Xbyak::Zmm(16 + row); }  // 16..31: smallest |c| so far
  // Before the accumulators are loaded; one lane a row.
  const Xbyak::Zmm reach = zmm0, emax = zmm1, emin = zmm2, norm = zmm3, one = zmm4, lower = zmm5,
                   upper = zmm6;
  const Xbyak::Opmask fit = k1, dead = k3;
  static Xbyak::Opmask inside(int chain) { return Xbyak::Opmask(4 + chain); }  // 4 chains

  // Tile registers, by role.
  const Xbyak::Tmm sum = tmm0;
  static Xbyak::Tmm a_tile(int half) { return Xbyak::Tmm(1 + half); }
  static Xbyak::Tmm b_tile(int half) { return Xbyak::Tmm(3 + half); }

  // General registers, by role.
  const Xbyak::Reg64 args = rdi, a = rsi, b = rdx, acc = rcx, panels_left = r8, tile_index = r9, bounds = r10;
  const Xbyak::Reg64 panel_args = r11, refused_out = rbx, a_half = r12, b_half = r13, ready_sums = r14,
                     next_sums = r15, row_bytes = rax;
  const Xbyak::Reg32 fit_rows = edx;  // where b is not needed any more
  const Xbyak::Reg32 refused_rows = esi;

  // Stack: two tiles of sums, lower and upper limits of the rows, pointers, a word for MXCSR.
  static constexpr int kSums = 0, kLower = 2048, kUpper = kLower + 64, kSaved = kUpper + 64,
                       kLocal = kSaved + 64;
  Xbyak::Address lower_of(int row) { return ptr_b[rsp + kLower + 4 * row]; }
  Xbyak::Address upper_of(int row) { return ptr_b[rsp + kUpper + 4 * row]; }
  Xbyak::Address saved(int index) { return qword[rsp + kSaved + 8 * index]; }

  // Where a group's sum ends: 2^(E_g - last_place_).
  int last_place() const { return 2 * (info(info(format_).scale).fraction_bits + 1); }

  Format format_;
  Xbyak::Label tile_config_, magnitude_mask_, infinity_, one_, two_24_, minus_12_, headroom_, spread_,
      largest_;
};

}  // namespace fourge::jit
