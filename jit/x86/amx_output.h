// D = alpha * accumulators + bias for the column blocks of the AMX kernel.
#pragma once

#include "fourge/gemm.h"
#include "jit/gemm/amx_operands.h"
#include "jit/x86/element_io.h"

namespace fourge::jit {

/// One rounding of alpha * acc + bias, then one to the output type; every NaN becomes the canonical one.
class AmxOutputGenerator : public ElementIoGenerator {
 public:
  AmxOutputGenerator(OutputType output, bool bias, bool poison = false)
      : ElementIoGenerator(poison), output_(output), bias_(bias) {}
  KernelNotes notes() const override;

 private:
  void generate() override;
  void load_arguments();
  void row_loop(int panels);
  void store_panel(int panel);

  ElementFormat element() const {
    return output_ == OutputType::bf16  ? ElementFormat::bf16
           : output_ == OutputType::f16 ? ElementFormat::f16
                                        : ElementFormat::f32;
  }
  int panel_bytes() const { return static_cast<int>(kPanelCols) * bytes_of(element()); }

  // Vector registers, by role.
  const Xbyak::Zmm alpha = zmm0, nan = zmm1, value = zmm2, t0 = zmm3, t1 = zmm4;
  static Xbyak::Zmm bias(int panel) { return Xbyak::Zmm(5 + panel); }
  static Xbyak::Opmask columns(int panel) { return Xbyak::Opmask(1 + panel); }
  const Xbyak::Opmask nan_lanes = k3;

  // General registers, by role.
  const Xbyak::Reg64 args = rdi, acc = rsi, acc_1 = rdx, d = rcx, d_stride = r8, rows_left = r9,
                     d_ahead = r10, tmp = r11;

  OutputType output_;
  bool bias_;
  Xbyak::Label nan_;
};

}  // namespace fourge::jit
