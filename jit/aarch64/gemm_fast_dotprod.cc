#include "jit/aarch64/gemm_fast_dotprod.h"

#include <bit>
#include <cstddef>
#include <limits>

namespace fourge::jit {

using namespace vixl::aarch64;  // NOLINT(google-build-using-namespace): register and condition names

void FastDotprodGenerator::generate() {
  prologue(kPanelBytes, kToNearest);
  load_arguments();
  step_loop();
  epilogue_loop();
  Str(general_count, field(args, offsetof(ExactPanelArgs, general_vectors)));
  epilogue();
  emit_constant_pool();
}

// Steps whose scales need care: what decode_scales() reads as something else gets its value. ue4m3: 480 is
// NaN. ue8m0: 0 is the subnormal 2^-127, infinity is NaN.
void FastDotprodGenerator::prepare_step() {
  static_assert(kNeverKey == 1 << 20);  // above every other key: one bit tells
  const VRegister nan = v(8), special = v(9), least = v(10), number = v(11);
  Label ordinary;
  Tbz(b_key, 20, &ordinary);
  Mvni(nan.V4S(), 0x80, LSL, 24);
  Mov(key, std::bit_cast<std::uint32_t>(ue4m3() ? 480.0f : std::numeric_limits<float>::infinity()));
  Dup(special.V4S(), key);
  Movi(least.V4S(), 0x40, LSL, 16);
  for (int i = 0; i < scales() * kQuarters; ++i) {
    Ldr(number, local(kScalesAt, i));
    if (!ue4m3()) {
      Cmeq(t0.V4S(), number.V4S(), 0);
      Bit(number.V16B(), least.V16B(), t0.V16B());
    }
    Cmeq(t0.V4S(), number.V4S(), special.V4S());
    Bit(number.V16B(), nan.V16B(), t0.V16B());
    Str(number, local(kScalesAt, i));
  }
  Bind(&ordinary);
}

// Vector instructions of a row of two (Neoverse V2, Apple M1: four a cycle):
//   nvfp4   16 movi, 64 sdot, 16 scvtf, 16 fmul, 16 fmla, 4 fadd    132 -> 33 cycles
//   mxfp4    8       64        8        8        8        4         100 -> 25 cycles
// Of a single row, which decodes on the way: 32 ushr, 32 and, 64 tbl more.
void FastDotprodGenerator::tile(int rows, Codes source) {
  Label care, end;
  Ldr(key, field(a_row, offsetof(ActivationStep, key)));
  if (rows == 2) {
    Ldr(cursor.W(), field(a_row, kActivationBytes + offsetof(ActivationStep, key)));
    Orr(key, key, cursor.W());
  }
  Orr(key, key, b_key);
  Tbnz(key, 20, &care);
  if (rows == kTileRows) begin_inner_step();
  sums(rows, source, Scales::ordinary);
  if (rows == kTileRows) end_inner_step();
  B(&end);
  Bind(&care);
  sums(rows, source, Scales::any);
  Bind(&end);
}

void FastDotprodGenerator::sums(int rows, Codes source, Scales kind) {
  begin_tile(rows, source);
  for (int r = 0; r < rows && kind == Scales::any; ++r) mark_nan_scales(r);
  for (int g = 0; g < kGroups; ++g) {
    if (g % groups_per_scale() == 0) clear_dots(rows);
    group_dots(g, rows, source);
    if ((g + 1) % groups_per_scale() == 0) add_scaled(g, rows, kind);
  }
  for (int r = 0; r < rows; ++r) finish_row(r);
}

// A's scales that are NaN, told by their exponents.
void FastDotprodGenerator::mark_nan_scales(int row) {
  Ldr(t0,
      field(a_row, static_cast<std::size_t>(row * kActivationBytes) + offsetof(ActivationStep, exponent)));
  Mov(key, std::bit_cast<std::uint32_t>(kNanScaleExponent));
  Dup(t1.V4S(), key);
  Fcmeq(t0.V4S(), t0.V4S(), t1.V4S());
  Orr(a_scale(row).V16B(), a_scale(row).V16B(), t0.V16B());  // all ones is a NaN
}

// sum <- sum + dot * (scale of B * scale of A), the product of scales exact. One that overflows becomes the
// largest number: a dot of zero stays zero.
void FastDotprodGenerator::add_scaled(int group, int rows, Scales kind) {
  for (int q = 0; q < kQuarters; q += 2)
    Ldp(b_scale(q), b_scale(q + 1), local(kScalesAt + 64 * scale_of(group), q));
  if (kind == Scales::any) {
    Mov(key, std::bit_cast<std::uint32_t>(std::numeric_limits<float>::max()));
    Dup(largest_number.V4S(), key);
  }
  for (int r = 0; r < rows; ++r) {
    for (int q = 0; q < kQuarters; ++q) Scvtf(dot(r, q).V4S(), dot(r, q).V4S());
    for (int q = 0; q < kQuarters; ++q) Fmul(product(q).V4S(), b_scale(q).V4S(), a_scale(r).S(), group);
    for (int q = 0; q < kQuarters && kind == Scales::any; ++q)
      Fmin(product(q).V4S(), product(q).V4S(), largest_number.V4S());
    for (int q = 0; q < kQuarters; ++q) {
      if (scale_of(group) == 0) {
        Fmul(sum(r, q).V4S(), dot(r, q).V4S(), product(q).V4S());
      } else {
        Fmla(sum(r, q).V4S(), dot(r, q).V4S(), product(q).V4S());
      }
    }
  }
}

void FastDotprodGenerator::finish_row(int row) {
  for (int q = 0; q < kQuarters; q += 2) Ldp(c(q), c(q + 1), MemOperand(acc_row, 64 * row + 16 * q));
  for (int q = 0; q < kQuarters; ++q) Fadd(sum(row, q).V4S(), sum(row, q).V4S(), c(q).V4S());
  for (int q = 0; q < kQuarters; q += 2)
    Stp(sum(row, q), sum(row, q + 1), MemOperand(acc_row, 64 * row + 16 * q));
}

KernelNotes FastDotprodGenerator::notes() const {
  KernelNotes notes;
  notes.registers = {
      {"v0..v7", "dots of one group, int32: two rows, four quarters of the columns; then accumulators"},
      {"v8..v11", "B's scales of one group, f32"},
      {"v12..v15", "products of scales; high nibbles"},
      {"v16..v23", "sums of two rows, f32"},
      {"v24, v25; v26, v27", "A: 16 codes, four scales, of two rows; one row: v25 and v27 decode B"},
      {"v28..v31", "B: 4 k of 16 columns, s8, twice the element"},
      {"x1, x2, x3", "A row, accumulator row, rows left"},
      {"x4, x5, x6, x7, x8", "B codes, scales, certificates, steps left, A step"},
  };
  notes.budget = ue4m3()
                     ? "1 of 2 rows x 16 columns x K 64: 132 vector uops -> 33 cycles at four a cycle; sdot "
                       "bound 16"
                     : "1 of 2 rows x 16 columns x K 64: 100 vector uops -> 25 cycles at four a cycle; sdot "
                       "bound 16";
  return notes;
}

}  // namespace fourge::jit
