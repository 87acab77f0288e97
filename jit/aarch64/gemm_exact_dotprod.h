// The bit-exact GEMM kernel for Advanced SIMD with dot products: int8 group dots, a certified short path, a
// general path.
#pragma once

#include <cstdint>

#include "jit/aarch64/dotprod_panel.h"

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
/// The whole of the steps runs with FPCR toward zero: on the short path everything but the last addition is
/// exact, and so is everything on the general path.
class ExactDotprodGenerator : public DotprodPanelGenerator {
 public:
  explicit ExactDotprodGenerator(const ExactDotprodSpec& spec)
      : DotprodPanelGenerator(spec.format, spec.output, spec.bias, spec.poison), spec_(spec) {}
  KernelNotes notes() const override;

 private:
  void generate() override;

  // Phases, in emission order.
  void prepare_step() override;
  void tile(int rows, Codes source) override;
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

  // Vector registers, by role. The certificate:
  static VRegister above(int quarter) { return v(4 + quarter); }  // 4..7: |c| - lower bound, as bits
  // The general path, which keeps 16..23.
  const VRegister largest = v(0), nan_scales = v(1), unit = v(2), total = v(3), c_pair = v(4),
                  magnitude = v(5);
  const VRegister term = v(6), scale_pair = v(7);
  static VRegister a_wide(int pair) { return v(8 + pair); }  // 8, 9: A's scales as f64

  // General registers, by role.
  const Register width = w(14), exponents_ready = w(15);
  const Register general_a = x(19), general_acc = x(20);  // the row in question
  const Register column = x(21);                          // of the general path: 4 * column, in bytes

  // Stack.
  static constexpr int kExponentsAt = kPanelBytes;    // i32 [4][16], made at the first general row
  static constexpr int kDotsAt = kExponentsAt + 256;  // i32 [4][16], of one general row
  static constexpr int kLowerAt = kDotsAt + 256;      // i32 [16]: B's half of the lower bound on |c|
  static constexpr int kLocalBytes = kLowerAt + 64;
  MemOperand activation_field(std::size_t offset) const {
    return MemOperand(general_a, static_cast<std::int64_t>(offset));
  }

  ExactDotprodSpec spec_;
  Label general_;
};

}  // namespace fourge::jit
