// The W4A16 kernel for AVX-512: weights decoded in registers once for up to 12 rows, f32 FMA.
#pragma once

#include <cstdint>

#include "fourge/gemm.h"
#include "jit/x86/constant_pool.h"
#include "jit/x86/element_io.h"
#include "simd/w4a16_operands.h"

namespace fourge::jit {

/// What one generated kernel is specialised for.
struct W4a16Spec {
  Format format = Format::nvfp4;
  OutputType output = OutputType::f32;
  bool bias = false;
  int rows = 1;         // 1..simd::kW4a16MaxRows
  bool poison = false;  // debug: fill every vector register with ones first

  bool operator==(const W4a16Spec&) const = default;
};

/// Emits gemm_<output>_<a>_e2m1_<scale>b<block>_<rows>x16x64__avx512_fma. F, BW, VL.
class W4a16Generator : public ElementIoGenerator {
 public:
  explicit W4a16Generator(const W4a16Spec& spec) : ElementIoGenerator(spec.poison), spec_(spec) {}
  KernelNotes notes() const override;

 private:
  void generate() override;

  // Phases, in emission order.
  void load_arguments();
  void load_accumulators();
  void step_loop();
  void decode_scales();
  void decode_rare_scales();
  void dots_of_blocks(int first);
  void element(int block, int i);
  void scale_dots(int first);
  void store_rows();

  int block() const { return info(spec_.format).block; }
  int blocks() const { return simd::kStepK / block(); }  // in a step
  bool ue4m3() const { return spec_.format == Format::nvfp4; }
  // Blocks whose dots are formed side by side: enough chains of FMAs to hide their latency.
  int side_by_side() const;
  bool byte_offsets() const { return spec_.rows <= 4; }

  // Vector registers, by role.
  Xbyak::Zmm dot(int side, int row) const { return Xbyak::Zmm(side * spec_.rows + row); }  // 0..11
  static Xbyak::Zmm acc(int row) { return Xbyak::Zmm(12 + row); }                          // 12..23
  static Xbyak::Zmm codes_of(int side) { return Xbyak::Zmm(24 + side); }                   // 24..27
  const Xbyak::Zmm elements = zmm28, t0 = zmm29, t1 = zmm30, table = zmm31;
  const Xbyak::Opmask column_mask = k1, rare = k2, zero_scales = k3, nan_lanes = k4, all_scales = k5;

  // General registers, by role.
  const Xbyak::Reg64 args = rdi, a = rsi, codes = rdx, scale_bytes = rcx, steps_left = r8, c_row = r9;
  const Xbyak::Reg64 d_row = r10, stride = r11, bias = rax;

  // Stack: the step's scales as f32 [4][16].
  static constexpr int kScaleBytes = 4 * 64;
  Xbyak::Address scale(int index) { return zword[rsp + 64 * index]; }
  Xbyak::Address activation(int k, int row) { return ptr_b[a + 4 * (k * spec_.rows + row)]; }

  W4a16Spec spec_;
  ConstantPool pool_;
};

}  // namespace fourge::jit
