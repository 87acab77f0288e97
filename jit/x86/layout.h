// Layout conversions for AVX-512: scales as transpositions of words, codes as swaps of nibbles.
#pragma once

#include "fourge/layout.h"
#include "jit/asm/x86_generator.h"
#include "jit/layout/layout_kernel.h"
#include "jit/x86/constant_pool.h"

namespace fourge::jit {

/// Emits layout_<to>_<from>__avx512: LayoutArgs. F, BW, DQ.
///
/// Port budget of 64 bytes, Golden Cove; a copy in L2 takes 4.6 cycles:
///   linear <-> 128x4   4 p5: each of 16 vectors passes four shuffles of a 16 x 16 transposition
///   linear to 8x4      3 p05 (loads that insert quarters), 1 p5: 2 cycles
///   8x4 to linear      3 p05, 2 p5: 2.5 cycles
///   128x4 to 8x4       2 p5; back 1 p05, 1 p5
///   codes              1 p5 (bytes), 2 p0 (shifts), 2 p05 (selections)
class LayoutGenerator : public X86Generator {
 public:
  LayoutGenerator(const LayoutSpec& spec, bool poison) : X86Generator(poison), spec_(spec) {}
  KernelNotes notes() const override;

 private:
  static constexpr int kVectorBytes = 64, kQuarterBytes = 16;

  void generate() override;
  void load_arguments();
  void set_row_bases(const Xbyak::Reg64& first, const Xbyak::Reg64& stride, int step);
  void small_loop();
  void tall_loop();
  void transpose();
  template <class Quarter>
  void load_quarters(const Xbyak::Zmm& vector, const Quarter& quarter);
  void transpose_quarters(int first);
  void load_small_indices();
  void small_from_rows(int part);
  void rows_from_small(int part);
  void tile_loop();
  void small_from_tall(int h, int count);
  void tall_from_small(int h, int count);
  void code_loop();
  void code_vector(int offset);

  bool to_tiles() const { return spec_.from == ByteLayout::linear; }
  ByteLayout tiles() const { return to_tiles() ? spec_.to : spec_.from; }
  Xbyak::Address table(const ConstantPool::Table& values) { return ptr[rip + pool_.table(values)]; }
  // Row `k` above base number `base`, k < 4.
  Xbyak::RegExp row(int base, int k) const;

  const Xbyak::Reg64 args = rdi, from = rsi, to = rdx, stride = rcx, stride_3 = r8, units_left = r9;
  const Xbyak::Reg64 tile_row_stride = r10, second_tile_row = r11;
  const Xbyak::Reg64 four_rows = r10, back = rax, rows_left = r15;  // 128x4 beside linear
  const Xbyak::Reg64 bases[4] = {rbx, r12, r13, r14};

  LayoutSpec spec_;
  ConstantPool pool_;
};

}  // namespace fourge::jit
