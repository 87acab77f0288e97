// The GEMM kernel in f32 sums for Advanced SIMD with dot products.
#pragma once

#include "jit/aarch64/dotprod_panel.h"

namespace fourge::jit {

/// What one generated kernel is specialised for.
struct FastDotprodSpec {
  Format format = Format::nvfp4;
  OutputType output = OutputType::f32;
  bool bias = false;
  bool poison = false;  // debug: fill every vector register with ones first

  bool operator==(const FastDotprodSpec&) const = default;
};

/// Emits gemm_<output>_e2m1_e2m1_<scale>b<block>_2x16x64__dotprod_fast. The error is bounded as that of
/// simd/fast_panel.h; a step's sum is complete before the accumulator is added.
class FastDotprodGenerator : public DotprodPanelGenerator {
 public:
  explicit FastDotprodGenerator(const FastDotprodSpec& spec)
      : DotprodPanelGenerator(spec.format, spec.output, spec.bias, spec.poison) {}
  KernelNotes notes() const override;

 private:
  // Whether every scale is a number, and the product of two in f32's range.
  enum class Scales : std::uint8_t { ordinary, any };

  void generate() override;
  void prepare_step() override;
  void tile(int rows, Codes source) override;
  void sums(int rows, Codes source, Scales kind);
  void mark_nan_scales(int row);
  void add_scaled(int group, int rows, Scales kind);
  void finish_row(int row);

  static VRegister product(int quarter) { return v(12 + quarter); }  // 12..15: of two scales
  const VRegister largest_number = v(28);
};

}  // namespace fourge::jit
