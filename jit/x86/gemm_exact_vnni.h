// The bit-exact GEMM kernel for AVX-512 VNNI: int8 group dots, a certified short path, a general path.
#pragma once

#include <cstdint>

#include "fourge/gemm.h"
#include "jit/asm/x86_generator.h"
#include "jit/gemm/exact_operands.h"

namespace fourge::jit {

/// What one generated kernel is specialised for.
struct ExactVnniSpec {
  Format format = Format::nvfp4;
  OutputType output = OutputType::f32;
  bool bias = false;
  Numerics numerics = Numerics::blackwell;  // fast: the short path for every finite scale
  bool vbmi = false;                        // AVX512_VBMI: codes decode by one shuffle of 64 entries
  bool poison = false;                      // debug: fill every vector register with ones first
  bool only_general = false;                // debug and bench: never take the short path

  bool operator==(const ExactVnniSpec&) const = default;
};

/// Emits gemm_<output>_e2m1_e2m1_<scale>b<block>_1x16x64__avx512_vnni.
class ExactVnniGenerator : public X86Generator {
 public:
  explicit ExactVnniGenerator(const ExactVnniSpec& spec) : X86Generator(spec.poison), spec_(spec) {}
  KernelNotes notes() const override;

 private:
  void generate() override;

  // Phases, in emission order.
  void load_arguments();
  void load_constants();
  void step_loop();
  void fetch_ahead();
  void decode_panel();
  void decode_scales();
  void row_loop();
  void group_dots();
  void check_certificate(const Xbyak::Label& refused);
  void check_scales(const Xbyak::Label& general);
  void short_path();
  void second_look(const Xbyak::Label& accepted);
  void general_path();
  void wide_path();
  void scale_exponents();
  void scale_exponent_of_row();
  void largest_exponent();
  void align_and_sum();
  void normalise();
  void special_values();
  void epilogue_loop();
  void canonicalise_nan(const Xbyak::Zmm& x);
  void store_row();
  void emit_constant_pool();

  bool fast() const { return spec_.numerics == Numerics::fast; }
  bool ue4m3() const { return spec_.format == Format::nvfp4; }
  int scales() const { return stored_scales(spec_.format); }
  int scale_of(int group) const { return group * scales() / kGroups; }

  // Vector registers, by role.
  static Xbyak::Zmm b_codes(int quad) { return Xbyak::Zmm(quad); }     // 0..15: 4 k of 16 columns, u8, + 12
  static Xbyak::Zmm dot(int group) { return Xbyak::Zmm(16 + group); }  // 16..19
  static Xbyak::Zmm b_scale(int index) { return Xbyak::Zmm(20 + index); }  // 20..23
  const Xbyak::Zmm sum = zmm24, c = zmm25, b_lower = zmm26, magnitude_mask = zmm27;
  const Xbyak::Zmm t0 = zmm28, t1 = zmm29, t2 = zmm30, t3 = zmm31;
  // The same registers in phases where no codes are live.
  const Xbyak::Zmm nibble_mask = t2, code_table = t3;
  const Xbyak::Opmask accepted_lanes = k1, special_lanes = k2, nan_scale_lanes = k3, column_mask = k4;

  // General registers, by role.
  const Xbyak::Reg64 args = rdi, a_row = rsi, acc_row = rdx, rows_left = rcx, codes = r8, scale_bytes = r9;
  const Xbyak::Reg64 certificates = r10, steps_left = r11, a_step = rbx, general_count = r12, d_row = r13;
  const Xbyak::Reg64 exponents_ready = r14;  // 0 until this step's panel exponents are on the stack
  const Xbyak::Reg32 b_key = r15d, key = eax;

  // Stack: exponents of the panel's scales as f32 [4][16], room for one vector, then what undoes the dots'
  // start [4][16].
  static constexpr int kExponentBytes = 4 * 64, kAlignedBytes = 64, kStartBytes = 4 * 64;
  Xbyak::Address start_of(int scale) { return zword[rsp + kExponentBytes + kAlignedBytes + 64 * scale]; }
  Xbyak::Address b_exponent(int scale) { return zword[rsp + 64 * scale]; }
  Xbyak::Address aligned() { return zword[rsp + kExponentBytes]; }
  Xbyak::Address aligned_half(int half) { return yword[rsp + kExponentBytes + 32 * half]; }
  Xbyak::Address a_field(std::size_t offset, int group) {
    return ptr_b[a_row + offset + 4 * static_cast<std::size_t>(group)];
  }

  ExactVnniSpec spec_;
  Xbyak::Label code_table_, dot_start_, start_factor_, nibble_mask_, magnitude_mask_, bound_width_,
      minus_126_, minus_6_, exponent_limit_, safe_exponent_, f32_35_;
  Xbyak::Label sign_, zero_, nan_, nan_scale_, minus_2_, nan_exponent_, unit_255_, unit_127_, two_, two_120_,
      low_bits_, one_, half_ulp_;
};

}  // namespace fourge::jit
