#include "jit/aarch64/gemm_exact_dotprod.h"

#include <bit>
#include <cstddef>

namespace fourge::jit {

using namespace vixl::aarch64;  // NOLINT(google-build-using-namespace): register and condition names

namespace {

constexpr int kActivationBytes = static_cast<int>(sizeof(ActivationStep));

MemOperand field(const Register& base, std::size_t offset) {
  return MemOperand(base, static_cast<std::int64_t>(offset));
}

}  // namespace

void ExactDotprodGenerator::generate() {
  prologue(kLocalBytes, kTowardZero);
  load_arguments();
  load_constants();
  step_loop();
  set_fpcr(kToNearest);
  epilogue_loop();
  Str(general_count, field(args, offsetof(ExactPanelArgs, general_vectors)));
  epilogue();
  Bind(&general_);
  general_row();
  emit_constant_pool();
}

void ExactDotprodGenerator::load_arguments() {
  Ldr(a_step, field(args, offsetof(ExactPanelArgs, a)));
  Ldr(codes, field(args, offsetof(ExactPanelArgs, codes)));
  Ldr(scale_bytes, field(args, offsetof(ExactPanelArgs, scales)));
  Ldr(certificates, field(args, offsetof(ExactPanelArgs, certificates)));
  Ldr(steps_left, field(args, offsetof(ExactPanelArgs, steps)));
  Mov(general_count, 0);
}

void ExactDotprodGenerator::load_constants() {
  Adr(pool, &code_table_);
  Mov(quads, sp);
  Mov(width, kBoundBinades << 23);
}

void ExactDotprodGenerator::step_loop() {
  Label next_step;
  Bind(&next_step);
  decode_panel();
  decode_scales();
  Mov(exponents_ready, 0);
  Ldr(b_key, field(certificates, offsetof(PanelCertificate, key)));
  row_loops();
  Add(codes, codes, kPanelCodeBytes);
  Add(scale_bytes, scale_bytes, panel_scale_bytes(spec_.format));
  Add(certificates, certificates, sizeof(PanelCertificate));
  Ldr(cursor, field(args, offsetof(ExactPanelArgs, a_stride)));
  Add(a_step, a_step, cursor);
  Subs(steps_left, steps_left, 1);
  B(&next_step, ne);
}

// quads[q] <- twice the element, s8, of 16 columns. 32 loads, 32 shifts, 32 ands, 64 tbl, 64 stores (in
// pairs).
void ExactDotprodGenerator::decode_panel() {
  Ldr(code_table, MemOperand(pool));
  Movi(nibble_mask.V16B(), 0x0f);
  for (int vector = 0; vector < 8; ++vector) {
    for (int half = 0; half < kQuarters; half += 2) {
      const VRegister low[] = {v(0), v(1)}, high[] = {v(2), v(3)};
      Ldp(low[0], low[1], MemOperand(codes, 64 * vector + 16 * half));
      for (int i = 0; i < 2; ++i) {
        Ushr(high[i].V16B(), low[i].V16B(), 4);
        And(low[i].V16B(), low[i].V16B(), nibble_mask.V16B());
        Tbl(low[i].V16B(), code_table.V16B(), low[i].V16B());
        Tbl(high[i].V16B(), code_table.V16B(), high[i].V16B());
      }
      Stp(low[0], low[1], MemOperand(quads, 64 * (2 * vector) + 16 * half));
      Stp(high[0], high[1], MemOperand(quads, 64 * (2 * vector + 1) + 16 * half));
    }
  }
}

// The scales as f32. ue4m3: the seven bits placed at f32's exponent are the value * 2^-120, subnormals
// included; NaN (0x7f) reads as 480. ue8m0: the byte is f32's exponent field; 0 reads as 0 and 255 as
// infinity, and neither is ever certified with a product that is not zero. Then B's half of the lower bound.
void ExactDotprodGenerator::decode_scales() {
  const auto widen = [this] {  // v(0..3) <- t0's bytes as words
    Uxtl(t1.V8H(), t0.V8B());
    Uxtl2(t2.V8H(), t0.V16B());
    Uxtl(v(0).V4S(), t1.V4H());
    Uxtl2(v(1).V4S(), t1.V8H());
    Uxtl(v(2).V4S(), t2.V4H());
    Uxtl2(v(3).V4S(), t2.V8H());
  };
  if (ue4m3()) {
    Mov(key, std::bit_cast<std::uint32_t>(0x1p120f));
    Dup(t3.V4S(), key);
  }
  for (int s = 0; s < scales(); ++s) {
    Ldr(t0, MemOperand(scale_bytes, kPanelCols * s));
    widen();
    for (int q = 0; q < kQuarters; ++q) {
      if (ue4m3()) Bic(v(q).V4S(), 0x80);
      Shl(v(q).V4S(), v(q).V4S(), ue4m3() ? 20 : 23);
      if (ue4m3()) Fmul(v(q).V4S(), v(q).V4S(), t3.V4S());
      Str(v(q), local(kScalesAt + 64 * s, q));
    }
  }
  Ldr(t0, field(certificates, offsetof(PanelCertificate, emax)));
  widen();
  for (int q = 0; q < kQuarters; ++q) {
    Shl(v(q).V4S(), v(q).V4S(), 23);
    Str(v(q), local(kLowerAt, q));
  }
}

void ExactDotprodGenerator::row_loops() {
  Label next_tile, last_row, done;
  Mov(a_row, a_step);
  Ldr(acc_row, field(args, offsetof(ExactPanelArgs, acc)));
  Ldr(rows_left, field(args, offsetof(ExactPanelArgs, rows)));
  Subs(rows_left, rows_left, kTileRows);
  B(&last_row, lt);
  Bind(&next_tile);
  tile(kTileRows);
  Add(a_row, a_row, kTileRows * kActivationBytes);
  Add(acc_row, acc_row, kTileRows * 64);
  Subs(rows_left, rows_left, kTileRows);
  B(&next_tile, ge);
  Bind(&last_row);
  Tbz(rows_left, 0, &done);  // -2 or -1 rows are left
  tile(1);
  Bind(&done);
}

// `rows` rows, 16 columns, K = 64: 1,024 products a row.
//
// Vector instructions of a row of two (Neoverse V2, Apple M1: four a cycle):
//   nvfp4   16 movi, 64 sdot, 16 scvtf, 16 fmul, 16 fmla, 16 certificate, 4 fadd     148 -> 37 cycles
//   mxfp4    8       64        8        8        8        16              4          116 -> 29 cycles
//   loads    32 B in pairs for both rows, scales, c, bounds, A             about 30 a row
// sdot bound: 16 cycles.
void ExactDotprodGenerator::tile(int rows) {
  if (rows == kTileRows) begin_inner_step();
  Label looks[kTileRows], accepts[kTileRows], generals[kTileRows], dones[kTileRows], end;
  for (int r = 0; r < rows; ++r)
    Ldr(a_scale(r),
        field(a_row, offsetof(ActivationStep, scale) + static_cast<std::size_t>(r * kActivationBytes)));
  for (int g = 0; g < kGroups; ++g) {
    if (g % groups_per_scale() == 0) clear_dots(rows);
    group_dots(g, rows);
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
    Add(general_a, a_row, r * kActivationBytes);
    Add(general_acc, acc_row, 64 * r);
    Bl(&general_);
    B(&dones[r]);
  }
  Bind(&end);
}

void ExactDotprodGenerator::clear_dots(int rows) {
  for (int r = 0; r < rows; ++r) {
    for (int q = 0; q < kQuarters; ++q) Movi(dot(r, q).V2D(), 0);
  }
}

// dot <- dot + the sum of 16 products 2a * 2b, exact in int32.
void ExactDotprodGenerator::group_dots(int group, int rows) {
  for (int r = 0; r < rows; ++r) Ldr(a_codes(r), MemOperand(a_row, r * kActivationBytes + 16 * group));
  for (int t = 0; t < 4; ++t) {
    for (int q = 0; q < kQuarters; q += 2)
      Ldp(b_codes(q), b_codes(q + 1), MemOperand(quads, 64 * (4 * group + t) + 16 * q));
    for (int r = 0; r < rows; ++r) {
      for (int q = 0; q < kQuarters; ++q) Sdot(dot(r, q).V4S(), b_codes(q).V16B(), a_codes(r).S4B(), t);
    }
  }
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

// y = alpha * acc, or fma(alpha, acc, bias), to nearest even; then the output's rounding.
void ExactDotprodGenerator::epilogue_loop() {
  Label next_row;
  Ldr(acc_row, field(args, offsetof(ExactPanelArgs, acc)));
  Ldr(rows_left, field(args, offsetof(ExactPanelArgs, rows)));
  Ldr(d_row, field(args, offsetof(ExactPanelArgs, d)));
  Ldr(columns.W(), field(args, offsetof(ExactPanelArgs, columns)));
  Clz(columns.W(), columns.W());
  Mov(left.W(), 32);
  Sub(columns.W(), left.W(), columns.W());  // how many: the mask's ones are its lowest bits
  Add(cursor, args, offsetof(ExactPanelArgs, alpha));
  Ld1r(alpha.V4S(), MemOperand(cursor));
  Mvni(canonical_nan.V4S(), 0x80, LSL, 24);
  Movi(one.V4S(), 1);
  Ushr(half_ulp.V4S(), canonical_nan.V4S(), 16);
  if (spec_.bias) {
    Ldr(cursor, field(args, offsetof(ExactPanelArgs, bias)));
    for (int q = 0; q < kQuarters; ++q) Ldr(bias(q), MemOperand(cursor, 16 * q));
  }
  Bind(&next_row);
  for (int q = 0; q < kQuarters; ++q) {
    Ldr(t0, MemOperand(acc_row, 16 * q));
    if (spec_.bias) {
      Mov(y(q).V16B(), bias(q).V16B());
      Fmla(y(q).V4S(), t0.V4S(), alpha.V4S());
    } else {
      Fmul(y(q).V4S(), t0.V4S(), alpha.V4S());
    }
    Fcmeq(t1.V4S(), y(q).V4S(), y(q).V4S());
    Bif(y(q).V16B(), canonical_nan.V16B(), t1.V16B());
  }
  store_row();
  Add(acc_row, acc_row, 64);
  Ldr(cursor, field(args, offsetof(ExactPanelArgs, d_stride)));
  Add(d_row, d_row, cursor);
  Subs(rows_left, rows_left, 1);
  B(&next_row, ne);
}

// y(0..3) -> the row's columns; those to leave out go no further than the stack.
void ExactDotprodGenerator::store_row() {
  const int bytes = static_cast<int>(bytes_of(spec_.output)), vectors = bytes;  // of 16 bytes each
  if (spec_.output == OutputType::f16) {
    for (int q = 0; q < kQuarters; q += 2) {
      Fcvtn(y(q / 2).V4H(), y(q).V4S());
      Fcvtn2(y(q / 2).V8H(), y(q + 1).V4S());
    }
  } else if (spec_.output == OutputType::bf16) {
    for (int q = 0; q < kQuarters; ++q) round_to_bf16(y(q));
    for (int q = 0; q < kQuarters; q += 2) Uzp2(y(q / 2).V8H(), y(q).V8H(), y(q + 1).V8H());
  }
  Label part, next_column, stored;
  Cmp(columns, kPanelCols);
  B(&part, ne);
  for (int i = 0; i < vectors; ++i) Str(y(i), MemOperand(d_row, 16 * i));
  B(&stored);
  Bind(&part);
  for (int i = 0; i < vectors; ++i) Str(y(i), local(kRowAt, i));
  Add(from, sp, kRowAt);
  Mov(to, d_row);
  Mov(left, columns);
  Bind(&next_column);
  if (bytes == 4) {
    Ldr(key, MemOperand(from, 4, PostIndex));
    Str(key, MemOperand(to, 4, PostIndex));
  } else {
    Ldrh(key, MemOperand(from, 2, PostIndex));
    Strh(key, MemOperand(to, 2, PostIndex));
  }
  Subs(left, left, 1);
  B(&next_column, ne);
  Bind(&stored);
}

// bf16 in the upper halves of the words: bits + 0x7fff + lsb carries into the exponent by itself; the
// canonical NaN would wrap and stays.
void ExactDotprodGenerator::round_to_bf16(const VRegister& x) {
  Ushr(t0.V4S(), x.V4S(), 16);
  And(t0.V16B(), t0.V16B(), one.V16B());
  Add(t0.V4S(), t0.V4S(), half_ulp.V4S());
  Fcmeq(t1.V4S(), x.V4S(), x.V4S());
  And(t0.V16B(), t0.V16B(), t1.V16B());
  Add(x.V4S(), x.V4S(), t0.V4S());
}

void ExactDotprodGenerator::emit_constant_pool() {
  std::uint8_t table[16];
  for (unsigned code = 0; code < 16; ++code) table[code] = static_cast<std::uint8_t>(twice_e2m1(code));
  pool_bytes(code_table_, table, 16);
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
