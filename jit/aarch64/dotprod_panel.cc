#include "jit/aarch64/dotprod_panel.h"

#include <bit>
#include <cstddef>

namespace fourge::jit {

using namespace vixl::aarch64;  // NOLINT(google-build-using-namespace): register and condition names

void DotprodPanelGenerator::load_arguments() {
  Ldr(a_step, field(args, offsetof(ExactPanelArgs, a)));
  Ldr(codes, field(args, offsetof(ExactPanelArgs, codes)));
  Ldr(scale_bytes, field(args, offsetof(ExactPanelArgs, scales)));
  Ldr(certificates, field(args, offsetof(ExactPanelArgs, certificates)));
  Ldr(steps_left, field(args, offsetof(ExactPanelArgs, steps)));
  Mov(general_count, 0);
  Adr(pool, &code_table_);
  Mov(quads, sp);
}

void DotprodPanelGenerator::step_loop() {
  Label next_step, many_rows, done;
  Bind(&next_step);
  Ldr(b_key, field(certificates, offsetof(PanelCertificate, key)));
  decode_scales();
  prepare_step();
  Mov(a_row, a_step);
  Ldr(acc_row, field(args, offsetof(ExactPanelArgs, acc)));
  Ldr(rows_left, field(args, offsetof(ExactPanelArgs, rows)));
  Cmp(rows_left, 1);
  B(&many_rows, ne);
  tile(1, Codes::packed);
  B(&done);
  Bind(&many_rows);
  decode_panel();
  row_loops();
  Bind(&done);
  Add(codes, codes, kPanelCodeBytes);
  Add(scale_bytes, scale_bytes, panel_scale_bytes(format_));
  Add(certificates, certificates, sizeof(PanelCertificate));
  Ldr(cursor, field(args, offsetof(ExactPanelArgs, a_stride)));
  Add(a_step, a_step, cursor);
  Subs(steps_left, steps_left, 1);
  B(&next_step, ne);
}

// quads[q] <- twice the element, s8, of 16 columns. 32 loads, 32 shifts, 32 ands, 64 tbl, 64 stores (in
// pairs).
void DotprodPanelGenerator::decode_panel() {
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

// v(0..3) <- the 16 bytes of t0 as words, shifted left by low + high; low <= 7, high <= 15.
void DotprodPanelGenerator::widen_bytes(int low, int high) {
  Ushll(t1.V8H(), t0.V8B(), low);
  Ushll2(t2.V8H(), t0.V16B(), low);
  Ushll(v(0).V4S(), t1.V4H(), high);
  Ushll2(v(1).V4S(), t1.V8H(), high);
  Ushll(v(2).V4S(), t2.V4H(), high);
  Ushll2(v(3).V4S(), t2.V8H(), high);
}

// ue4m3: the seven bits placed at f32's exponent are the value * 2^-120, subnormals included; NaN (0x7f)
// reads as 480. ue8m0: the byte is f32's exponent field; 0 reads as 0 and 255 as infinity.
void DotprodPanelGenerator::decode_scales() {
  if (ue4m3()) {
    Mov(key, std::bit_cast<std::uint32_t>(0x1p120f));
    Dup(t3.V4S(), key);
  }
  for (int s = 0; s < scales(); ++s) {
    Ldr(t0, MemOperand(scale_bytes, kPanelCols * s));
    if (ue4m3()) Shl(t0.V16B(), t0.V16B(), 1);  // bit 7 goes
    widen_bytes(ue4m3() ? 6 : 7, ue4m3() ? 13 : 15);
    for (int q = 0; q < kQuarters; ++q) {
      if (ue4m3()) {
        Fmul(v(q).V4S(), v(q).V4S(), t3.V4S());
      } else {
        Add(v(q).V4S(), v(q).V4S(), v(q).V4S());
      }
    }
    for (int q = 0; q < kQuarters; q += 2) Stp(v(q), v(q + 1), local(kScalesAt + 64 * s, q));
  }
}

void DotprodPanelGenerator::row_loops() {
  Label next_tile, last_row, done;
  Subs(rows_left, rows_left, kTileRows);
  B(&last_row, lt);
  Bind(&next_tile);
  tile(kTileRows, Codes::decoded);
  Add(a_row, a_row, kTileRows * kActivationBytes);
  Add(acc_row, acc_row, kTileRows * 64);
  Subs(rows_left, rows_left, kTileRows);
  B(&next_tile, ge);
  Bind(&last_row);
  Tbz(rows_left, 0, &done);  // -2 or -1 rows are left
  tile(1, Codes::decoded);
  Bind(&done);
}

void DotprodPanelGenerator::clear_dots(int rows) {
  for (int r = 0; r < rows; ++r) {
    for (int q = 0; q < kQuarters; ++q) Movi(dot(r, q).V2D(), 0);
  }
}

// dot <- dot + the sum of 16 products 2a * 2b, exact in int32.
void DotprodPanelGenerator::group_dots(int group, int rows, Codes source) {
  if (source == Codes::packed) {
    packed_group_dots(group);
    return;
  }
  for (int r = 0; r < rows; ++r) Ldr(a_codes(r), MemOperand(a_row, r * kActivationBytes + 16 * group));
  for (int t = 0; t < 4; ++t) {
    for (int q = 0; q < kQuarters; q += 2)
      Ldp(b_codes(q), b_codes(q + 1), MemOperand(quads, 64 * (4 * group + t) + 16 * q));
    for (int r = 0; r < rows; ++r) {
      for (int q = 0; q < kQuarters; ++q) Sdot(dot(r, q).V4S(), b_codes(q).V16B(), a_codes(r).S4B(), t);
    }
  }
}

// The same for one row, B decoded on the way: 8 vectors of codes are loaded, split, looked up and used once.
void DotprodPanelGenerator::packed_group_dots(int group) {
  const VRegister high[] = {t0, t1, t2, t3};
  Ldr(a_codes(0), MemOperand(a_row, 16 * group));
  for (int half = 0; half < 2; ++half) {
    for (int q = 0; q < kQuarters; q += 2)
      Ldp(b_codes(q), b_codes(q + 1), MemOperand(codes, 64 * (2 * group + half) + 16 * q));
    for (int q = 0; q < kQuarters; ++q) {
      Ushr(high[q].V16B(), b_codes(q).V16B(), 4);
      And(b_codes(q).V16B(), b_codes(q).V16B(), packed_mask.V16B());
      Tbl(b_codes(q).V16B(), packed_table.V16B(), b_codes(q).V16B());
      Tbl(high[q].V16B(), packed_table.V16B(), high[q].V16B());
    }
    for (int q = 0; q < kQuarters; ++q) {
      Sdot(dot(0, q).V4S(), b_codes(q).V16B(), a_codes(0).S4B(), 2 * half);
      Sdot(dot(0, q).V4S(), high[q].V16B(), a_codes(0).S4B(), 2 * half + 1);
    }
  }
}

void DotprodPanelGenerator::begin_tile(int rows, Codes source) {
  for (int r = 0; r < rows; ++r)
    Ldr(a_scale(r),
        field(a_row, offsetof(ActivationStep, scale) + static_cast<std::size_t>(r * kActivationBytes)));
  if (source == Codes::decoded) return;
  Ldr(packed_table, MemOperand(pool));
  Movi(packed_mask.V16B(), 0x0f);
}

// y = alpha * acc, or fma(alpha, acc, bias), to nearest even; then the output's rounding.
void DotprodPanelGenerator::epilogue_loop() {
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
  if (bias_) {
    Ldr(cursor, field(args, offsetof(ExactPanelArgs, bias)));
    for (int q = 0; q < kQuarters; ++q) Ldr(bias(q), MemOperand(cursor, 16 * q));
  }
  Bind(&next_row);
  for (int q = 0; q < kQuarters; ++q) {
    Ldr(t0, MemOperand(acc_row, 16 * q));
    if (bias_) {
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
void DotprodPanelGenerator::store_row() {
  const int bytes = static_cast<int>(bytes_of(output_)), vectors = bytes;  // of 16 bytes each
  if (output_ == OutputType::f16) {
    for (int q = 0; q < kQuarters; q += 2) {
      Fcvtn(y(q / 2).V4H(), y(q).V4S());
      Fcvtn2(y(q / 2).V8H(), y(q + 1).V4S());
    }
  } else if (output_ == OutputType::bf16) {
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
void DotprodPanelGenerator::round_to_bf16(const VRegister& x) {
  Ushr(t0.V4S(), x.V4S(), 16);
  And(t0.V16B(), t0.V16B(), one.V16B());
  Add(t0.V4S(), t0.V4S(), half_ulp.V4S());
  Fcmeq(t1.V4S(), x.V4S(), x.V4S());
  And(t0.V16B(), t0.V16B(), t1.V16B());
  Add(x.V4S(), x.V4S(), t0.V4S());
}

void DotprodPanelGenerator::emit_constant_pool() {
  std::uint8_t table[16];
  for (unsigned code = 0; code < 16; ++code) table[code] = static_cast<std::uint8_t>(twice_e2m1(code));
  pool_bytes(code_table_, table, 16);
}

}  // namespace fourge::jit
