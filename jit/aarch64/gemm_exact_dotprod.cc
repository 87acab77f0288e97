#include "jit/aarch64/gemm_exact_dotprod.h"

#include <bit>
#include <cstddef>

namespace fourge::jit {

using namespace vixl::aarch64;  // NOLINT(google-build-using-namespace): register and condition names

void ExactDotprodGenerator::generate() {
  prologue(kLocalBytes, kTowardZero);
  load_arguments();
  Mov(width, kBoundBinades << 23);
  step_loop();
  set_fpcr(kToNearest);
  epilogue_loop();
  Str(general_count, field(args, offsetof(ExactPanelArgs, general_vectors)));
  epilogue();
  Bind(&general_);
  general_row();
  emit_constant_pool();
}

// B's half of the lower bound. What decode_scales() reads as something else, NaN scales and ue8m0's 0, is
// never certified with a product that is not zero.
void ExactDotprodGenerator::prepare_step() {
  Ldr(t0, field(certificates, offsetof(PanelCertificate, emax)));
  widen_bytes(7, 15);
  for (int q = 0; q < kQuarters; ++q) Add(v(q).V4S(), v(q).V4S(), v(q).V4S());
  for (int q = 0; q < kQuarters; q += 2) Stp(v(q), v(q + 1), local(kLowerAt, q));
  Mov(exponents_ready, 0);
}

// `rows` rows, 16 columns, K = 64: 1,024 products a row.
//
// Vector instructions of a row of two (Neoverse V2, Apple M1: four a cycle):
//   nvfp4   16 movi, 64 sdot, 16 scvtf, 16 fmul, 16 fmla, 16 certificate, 4 fadd     148 -> 37 cycles
//   mxfp4    8       64        8        8        8        16              4          116 -> 29 cycles
//   loads    32 B in pairs for both rows, scales, c, bounds, A             about 30 a row
// sdot bound: 16 cycles.
void ExactDotprodGenerator::tile(int rows, Codes source) {
  if (rows == kTileRows) begin_inner_step();
  Label looks[kTileRows], accepts[kTileRows], generals[kTileRows], dones[kTileRows], end;
  begin_tile(rows, source);
  for (int g = 0; g < kGroups; ++g) {
    if (g % groups_per_scale() == 0) clear_dots(rows);
    group_dots(g, rows, source);
    if ((g + 1) % groups_per_scale() == 0) add_scaled(g, rows);
  }
  for (int r = 0; r < rows; ++r) {
    check_certificate(r, &looks[r], &generals[r]);
    Bind(&accepts[r]);
    finish_row(r);
    Bind(&dones[r]);
  }
  if (rows == kTileRows) end_inner_step();
  B(&end);
  for (int r = 0; r < rows; ++r) {
    Bind(&looks[r]);
    second_look(&accepts[r]);
    Bind(&generals[r]);
    if (source == Codes::packed) decode_panel();
    Add(general_a, a_row, r * kActivationBytes);
    Add(general_acc, acc_row, 64 * r);
    Bl(&general_);
    B(&dones[r]);
  }
  Bind(&end);
}

// sum <- sum + dot * scale of B * scale of A.
void ExactDotprodGenerator::add_scaled(int group, int rows) {
  for (int q = 0; q < kQuarters; q += 2)
    Ldp(b_scale(q), b_scale(q + 1), local(kScalesAt + 64 * scale_of(group), q));
  for (int r = 0; r < rows; ++r) {
    for (int q = 0; q < kQuarters; ++q) Scvtf(dot(r, q).V4S(), dot(r, q).V4S());
    for (int q = 0; q < kQuarters; ++q) Fmul(dot(r, q).V4S(), dot(r, q).V4S(), b_scale(q).V4S());
    for (int q = 0; q < kQuarters; ++q) {
      if (scale_of(group) == 0) {
        Fmul(sum(r, q).V4S(), dot(r, q).V4S(), a_scale(r).S(), group);
      } else {
        Fmla(sum(r, q).V4S(), dot(r, q).V4S(), a_scale(r).S(), group);
      }
    }
  }
}

// c(0..3) <- the accumulators. Falls through when key_A + key_B is under the limit and every lane's |c| lies
// in the certified range.
void ExactDotprodGenerator::check_certificate(int row, Label* look_again, Label* general) {
  const std::size_t a = static_cast<std::size_t>(row * kActivationBytes);
  if (spec_.only_general) {
    B(general);
    return;
  }
  Ldr(key, field(a_row, a + offsetof(ActivationStep, key)));
  Add(key, key, b_key);
  Cmp(key, kKeyLimit);
  B(general, ge);
  Add(cursor, a_row, static_cast<std::int64_t>(a + offsetof(ActivationStep, lower)));
  Ld1r(t0.V4S(), MemOperand(cursor));
  for (int q = 0; q < kQuarters; q += 2) {
    Ldp(c(q), c(q + 1), MemOperand(acc_row, 64 * row + 16 * q));
    Ldp(t1, t2, local(kLowerAt, q));
    Fabs(above(q).V4S(), c(q).V4S());
    Fabs(above(q + 1).V4S(), c(q + 1).V4S());
    Add(t1.V4S(), t1.V4S(), t0.V4S());
    Add(t2.V4S(), t2.V4S(), t0.V4S());
    Sub(above(q).V4S(), above(q).V4S(), t1.V4S());
    Sub(above(q + 1).V4S(), above(q + 1).V4S(), t2.V4S());
  }
  Umax(t0.V4S(), above(0).V4S(), above(1).V4S());
  Umax(t1.V4S(), above(2).V4S(), above(3).V4S());
  Umax(t0.V4S(), t0.V4S(), t1.V4S());
  Umaxv(t0.S(), t0.V4S());
  Fmov(key, t0.S());
  Cmp(key, width);
  B(look_again, hs);
}

// D = RZ(c + X), X exact (docs/certificates.md): FPCR rounds toward zero, which also makes 0 a +0.
void ExactDotprodGenerator::finish_row(int row) {
  for (int q = 0; q < kQuarters; ++q) Fadd(sum(row, q).V4S(), sum(row, q).V4S(), c(q).V4S());
  for (int q = 0; q < kQuarters; q += 2)
    Stp(sum(row, q), sum(row, q + 1), MemOperand(acc_row, 64 * row + 16 * q));
}

// Lanes with c = 0 were refused by the range test though they are fine: one test for those, off the main
// line.
void ExactDotprodGenerator::second_look(Label* accepted) {
  for (int q = 0; q < kQuarters; ++q) {
    Fcmeq(t0.V4S(), c(q).V4S(), 0.0);
    Bic(above(q).V16B(), above(q).V16B(), t0.V16B());
  }
  Umax(t0.V4S(), above(0).V4S(), above(1).V4S());
  Umax(t1.V4S(), above(2).V4S(), above(3).V4S());
  Umax(t0.V4S(), t0.V4S(), t1.V4S());
  Umaxv(t0.S(), t0.V4S());
  Fmov(key, t0.S());
  Cmp(key, width);
  B(accepted, lo);
}

KernelNotes ExactDotprodGenerator::notes() const {
  KernelNotes notes;
  notes.registers = {
      {"v0..v7", "dots of one group, int32: two rows, four quarters of the columns; then c and |c|"},
      {"v8..v11", "B's scales of one group, f32"},
      {"v12..v15", "scratch"},
      {"v16..v23", "sums of two rows, f32"},
      {"v24, v25; v26, v27", "A: 16 codes, four scales, of two rows"},
      {"v28..v31", "B: 4 k of 16 columns, s8, twice the element"},
      {"x1, x2, x3", "A row, accumulator row, rows left"},
      {"x4, x5, x6, x7, x8", "B codes, scales, certificates, steps left, A step"},
      {"x9, x10, x24", "general vectors, decoded codes, pool"},
  };
  notes.budget = ue4m3()
                     ? "short path, 1 of 2 rows x 16 columns x K 64: 148 vector uops -> 37 cycles at four a "
                       "cycle; sdot bound 16"
                     : "short path, 1 of 2 rows x 16 columns x K 64: 116 vector uops -> 29 cycles at four a "
                       "cycle; sdot bound 16";
  return notes;
}

}  // namespace fourge::jit
