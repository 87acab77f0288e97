// What the GEMM panels on dot products share: decoding B, group dots, the loops over steps and rows, the
// epilogue.
#pragma once

#include <cstdint>

#include "fourge/gemm.h"
#include "jit/asm/aarch64_generator.h"
#include "jit/gemm/exact_operands.h"

namespace fourge::jit {

/// One panel of 16 columns: void(ExactPanelArgs*). Operands: simd/exact_operands.h.
///
/// From two rows on, B's codes are decoded to the stack once a step and two rows at a time share their loads.
/// A single row reads the packed codes.
class DotprodPanelGenerator : public AArch64Generator {
 protected:
  DotprodPanelGenerator(Format format, OutputType output, bool bias, bool poison)
      : AArch64Generator(poison), format_(format), output_(output), bias_(bias) {}

  static constexpr int kQuarters = 4;  // vectors of 4 columns that make a panel
  static constexpr int kTileRows = 2;
  static constexpr int kActivationBytes = static_cast<int>(sizeof(ActivationStep));

  // Where group dots take B from.
  enum class Codes : std::uint8_t { packed, decoded };

  // What a step needs beyond decode_scales(): B's scales as f32 at kScalesAt.
  virtual void prepare_step() = 0;
  // `rows` rows at a_row and acc_row, 16 columns, K = 64. Codes::packed: one row.
  virtual void tile(int rows, Codes source) = 0;

  // Phases, in emission order.
  void load_arguments();
  void step_loop();
  void epilogue_loop();
  void emit_constant_pool();

  // Parts.
  void decode_panel();
  void decode_scales();
  void widen_bytes(int low, int high);
  void row_loops();
  void begin_tile(int rows, Codes source);
  void clear_dots(int rows);
  void group_dots(int group, int rows, Codes source);
  void packed_group_dots(int group);
  void store_row();
  void round_to_bf16(const VRegister& x);

  bool ue4m3() const { return format_ == Format::nvfp4; }
  int scales() const { return stored_scales(format_); }
  int scale_of(int group) const { return group * scales() / kGroups; }
  int groups_per_scale() const { return kGroups / scales(); }

  // Vector registers, by role. The row loop:
  static VRegister dot(int row, int quarter) { return v(4 * row + quarter); }       // 0..7
  static VRegister b_scale(int quarter) { return v(8 + quarter); }                  // 8..11
  static VRegister sum(int row, int quarter) { return v(16 + 4 * row + quarter); }  // 16..23
  static VRegister a_codes(int row) { return v(24 + row); }                         // 24, 25
  static VRegister a_scale(int row) { return v(26 + row); }                         // 26, 27
  static VRegister b_codes(int quarter) { return v(28 + quarter); }                 // 28..31
  static VRegister c(int quarter) { return v(quarter); }  // 0..3: accumulators, when dots are done with
  const VRegister t0 = v(12), t1 = v(13), t2 = v(14), t3 = v(15);
  const VRegister packed_mask = v(25), packed_table = v(27);  // of one row
  // Elsewhere, where the row loop's are free.
  const VRegister nibble_mask = v(24), code_table = v(25);
  static VRegister y(int quarter) { return v(quarter); }          // 0..3: a row of D
  static VRegister bias(int quarter) { return v(16 + quarter); }  // 16..19
  const VRegister alpha = v(24), canonical_nan = v(25), one = v(26), half_ulp = v(27);

  // General registers, by role.
  const Register args = x(0), a_row = x(1), acc_row = x(2);
  const Register rows_left = x(3), codes = x(4), scale_bytes = x(5);
  const Register certificates = x(6), steps_left = x(7), a_step = x(8);
  const Register general_count = x(9), quads = x(10), cursor = x(11);
  const Register key = w(12), b_key = w(13);
  const Register d_row = x(22), columns = x(23), pool = x(24);
  const Register from = x(25), to = x(26), left = x(27);

  // Stack.
  static constexpr int kQuadsAt = 0;                 // decoded codes [16 quads][16 columns][4]
  static constexpr int kScalesAt = kQuadsAt + 1024;  // f32 [4][16]
  static constexpr int kRowAt = kScalesAt + 256;     // 64 bytes: a row of D with columns to leave out
  static constexpr int kPanelBytes = kRowAt + 64;
  MemOperand local(int offset, int quarter = 0) const {
    return MemOperand(vixl::aarch64::sp, offset + 16 * quarter);
  }
  static MemOperand field(const Register& base, std::size_t offset) {
    return MemOperand(base, static_cast<std::int64_t>(offset));
  }

  Format format_;
  OutputType output_;
  bool bias_;
  Label code_table_;
};

}  // namespace fourge::jit
