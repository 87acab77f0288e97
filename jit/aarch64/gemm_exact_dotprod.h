// The bit-exact GEMM kernel for Advanced SIMD with dot products: int8 group dots, a certified short path, a
// general path.
#pragma once

#include <cstdint>

#include "fourge/gemm.h"
#include "jit/asm/aarch64_generator.h"
#include "jit/gemm/exact_operands.h"

namespace fourge::jit {

/// What one generated kernel is specialised for.
struct ExactDotprodSpec {
  Format format = Format::nvfp4;
  OutputType output = OutputType::f32;
  bool bias = false;
  bool poison = false;        // debug: fill every vector register with ones first
  bool only_general = false;  // debug and bench: never take the short path

  bool operator==(const ExactDotprodSpec&) const = default;
};

/// Emits gemm_<output>_e2m1_e2m1_<scale>b<block>_2x16x64__dotprod. Operands: simd/exact_operands.h.
///
/// Two rows of A share the loads of B's decoded codes; a last odd row runs alone. The whole of the steps runs
/// with FPCR toward zero: on the short path everything but the last addition is exact, and so is everything
/// on the general path.
class ExactDotprodGenerator : public AArch64Generator {
 public:
  explicit ExactDotprodGenerator(const ExactDotprodSpec& spec) : AArch64Generator(spec.poison), spec_(spec) {}
  KernelNotes notes() const override;

 private:
  static constexpr int kQuarters = 4;  // vectors of 4 columns that make a panel
  static constexpr int kTileRows = 2;

  void generate() override;

  // Phases, in emission order.
  void load_arguments();
  void load_constants();
  void step_loop();
  void decode_panel();
  void decode_scales();
  void row_loops();
  void tile(int rows);
  void clear_dots(int rows);
  void group_dots(int group, int rows);
  void add_scaled(int group, int rows);
  void check_certificate(int row, Label* look_again, Label* general);
  void finish_row(int row);
  void second_look(Label* accepted);
  void general_row();
  void prepare_exponents();
  void general_dots();
  void general_columns();
  void largest_exponent();
  void power_of_two(const VRegister& x, int constant, int sign);
  void sum_of_terms();
  void load_scale(int scale);
  void round_toward_zero();
  void special_values();
  void epilogue_loop();
  void store_row();
  void round_to_bf16(const VRegister& x);
  void emit_constant_pool();

  bool ue4m3() const { return spec_.format == Format::nvfp4; }
  int scales() const { return stored_scales(spec_.format); }
  int scale_of(int group) const { return group * scales() / kGroups; }
  int groups_per_scale() const { return kGroups / scales(); }

  // Vector registers, by role. The row loop:
  static VRegister dot(int row, int quarter) { return v(4 * row + quarter); }       // 0..7
  static VRegister b_scale(int quarter) { return v(8 + quarter); }                  // 8..11
  static VRegister sum(int row, int quarter) { return v(16 + 4 * row + quarter); }  // 16..23
  static VRegister a_codes(int row) { return v(24 + row); }                         // 24, 25
  static VRegister a_scale(int row) { return v(26 + row); }                         // 26, 27
  static VRegister b_codes(int quarter) { return v(28 + quarter); }                 // 28..31
  // The certificate and the end of a row: dots are done with.
  static VRegister c(int quarter) { return v(quarter); }          // 0..3
  static VRegister above(int quarter) { return v(4 + quarter); }  // 4..7: |c| - lower bound, as bits
  const VRegister t0 = v(12), t1 = v(13), t2 = v(14), t3 = v(15);
  // Elsewhere, where the row loop's are free (the general path keeps 16..23).
  const VRegister nibble_mask = v(24), code_table = v(25);
  const VRegister largest = v(0), nan_scales = v(1), unit = v(2), total = v(3), c_pair = v(4),
                  magnitude = v(5);
  const VRegister term = v(6), scale_pair = v(7);
  static VRegister a_wide(int pair) { return v(8 + pair); }       // 8, 9: A's scales as f64
  static VRegister y(int quarter) { return v(quarter); }          // 0..3: a row of D
  static VRegister bias(int quarter) { return v(16 + quarter); }  // 16..19
  const VRegister alpha = v(24), canonical_nan = v(25), one = v(26), half_ulp = v(27);

  // General registers, by role.
  const Register args = x(0), a_row = x(1), acc_row = x(2);
  const Register rows_left = x(3), codes = x(4), scale_bytes = x(5);
  const Register certificates = x(6), steps_left = x(7), a_step = x(8);
  const Register general_count = x(9), quads = x(10), cursor = x(11);
  const Register key = w(12), b_key = w(13), width = w(14);
  const Register exponents_ready = w(15);
  const Register general_a = x(19), general_acc = x(20);  // the row in question
  const Register column = x(21);                          // of the general path: 4 * column, in bytes
  const Register d_row = x(22), columns = x(23), pool = x(24);
  const Register from = x(25), to = x(26), left = x(27);

  // Stack.
  static constexpr int kQuadsAt = 0;                    // decoded codes [16 quads][16 columns][4]
  static constexpr int kScalesAt = kQuadsAt + 1024;     // f32 [4][16]
  static constexpr int kExponentsAt = kScalesAt + 256;  // i32 [4][16], made at the first general row
  static constexpr int kDotsAt = kExponentsAt + 256;    // i32 [4][16], of one general row
  static constexpr int kLowerAt = kDotsAt + 256;        // i32 [16]: B's half of the lower bound on |c|
  static constexpr int kRowAt = kLowerAt + 64;          // 64 bytes: a row of D with columns to leave out
  static constexpr int kLocalBytes = kRowAt + 64;
  MemOperand activation_field(std::size_t offset) const {
    return MemOperand(general_a, static_cast<std::int64_t>(offset));
  }
  MemOperand local(int offset, int quarter = 0) const {
    return MemOperand(vixl::aarch64::sp, offset + 16 * quarter);
  }

  ExactDotprodSpec spec_;
  Label general_, code_table_;
};

}  // namespace fourge::jit
