#include "jit/x86/decode.h"

#include <cstddef>

namespace fourge::jit {

using Xbyak::Address;
using Xbyak::Label;
using Xbyak::Reg64;
using Xbyak::Ymm;
using Xbyak::Zmm;

void DecodeGenerator::generate() {
  Label next_row, single, done;
  prologue(0);
  load_arguments();
  L(next_row);
  mov(scales, row_scales);
  mov(blocks_left, ptr[args + offsetof(DecodeRows, first.blocks)]);
  block_loop(kUnroll, single);
  L(single);
  block_loop(1, done);
  L(done);
  add(row_scales, ptr[args + offsetof(DecodeRows, scale_row_step)]);
  add(y, y_gap);
  dec(rows_left);
  jnz(next_row, T_NEAR);
  epilogue();
}

void DecodeGenerator::load_arguments() {
  mov(codes, ptr[args + offsetof(DecodeRows, first.codes)]);
  mov(row_scales, ptr[args + offsetof(DecodeRows, first.scales)]);
  mov(y, ptr[args + offsetof(DecodeRows, first.y)]);
  mov(table, ptr[args + offsetof(DecodeRows, first.table)]);
  mov(rows_left, ptr[args + offsetof(DecodeRows, rows)]);
  mov(scale_step, ptr[args + offsetof(DecodeRows, scale_step)]);
  imul(rax, ptr[args + offsetof(DecodeRows, first.blocks)], width() * out_bytes());
  mov(y_gap, ptr[args + offsetof(DecodeRows, y_step)]);
  sub(y_gap, rax);
  mov(eax, 0xffff0000u);
  kmovd(upper_half, eax);
}

// While `unroll` blocks are left; then to `done`.
void DecodeGenerator::block_loop(int unroll, const Label& done) {
  Label next;
  L(next);
  cmp(blocks_left, unroll);
  jl(done, T_NEAR);
  for (int block = 0; block < unroll; ++block) {
    if (is_f32()) {
      block_f32(block);
    } else if (width() == 16 && unroll > 1) {
      if (block % 2 == 0) two_blocks(block);
    } else {
      one_block(block);
    }
  }
  add(codes, unroll * width() / 2);
  if (unroll == kUnroll) {
    add(scales, scale_step);
  } else {
    add(scales, unroll);  // the last ones are of one word
  }
  add(y, unroll * width() * out_bytes());
  sub(blocks_left, unroll);
  jmp(next, T_NEAR);
}

// row <- the offset of the block's row of products.
void DecodeGenerator::row_of(const Reg64& row, int block) {
  movzx(row.cvt32(), byte[scales + block]);
  if (scale_codes(spec_.format) == 128) and_(row.cvt32(), 127);
  shl(row.cvt32(), is_f32() ? 6 : 5);
}

// Port budget of 16 elements, zmm, Golden Cove: vpmovzx (p5), shift (p0), or (p05), vpermps (p5): 2 cycles
// for a line of output. A store to L2 takes 4.
void DecodeGenerator::block_f32(int block) {
  row_of(row0, block);
  for (int v = 0; v < width() / 16; ++v) {
    const int i = block * width() / 16 + v;
    vpmovzxbq(nibbles(i), ptr[codes + 8 * i]);
    vpsllq(shifted(i), nibbles(i),
           28);  // the high nibble into the odd dword; vpermps reads four bits of each
    vporq(nibbles(i), nibbles(i), shifted(i));
    vpermps(products(i), nibbles(i), ptr[table + row0]);
    vmovups(ptr[y + i * kVectorBytes], products(i));
  }
}

// 32 elements, a scale for each half:
//   vpmovzx (p5), shift (p0), or (p05), 2 vpermw (p5), 5 uops of which 3 on p5: 3 cycles for a line of
//   output.
void DecodeGenerator::two_blocks(int block) {
  const int i = block / 2;
  row_of(row0, block);
  row_of(row1, block + 1);
  vbroadcasti64x4(row_vector(2 * i), ptr[table + row0]);
  vbroadcasti64x4(row_vector(2 * i + 1), ptr[table + row1]);
  spread_nibbles(nibbles(i), ptr[codes + 16 * i]);
  vpermw(products(i), nibbles(i), row_vector(2 * i));
  vpermw(products(i) | upper_half, nibbles(i), row_vector(2 * i + 1));
  vmovdqu16(ptr[y + i * kVectorBytes], products(i));
}

// A block of 32 in one row of products, 4 uops; or a lone block of 16.
void DecodeGenerator::one_block(int block) {
  row_of(row0, block);
  vbroadcasti64x4(row_vector(block), ptr[table + row0]);
  if (width() == 32) {
    spread_nibbles(nibbles(block), ptr[codes + 16 * block]);
    vpermw(products(block), nibbles(block), row_vector(block));
    vmovdqu16(ptr[y + block * kVectorBytes], products(block));
    return;
  }
  vmovq(Xbyak::Xmm(shifted(block).getIdx()), ptr[codes]);
  vpmovzxbd(nibbles(block), Xbyak::Xmm(shifted(block).getIdx()));
  vpslld(shifted(block), nibbles(block), 12);
  vpord(nibbles(block), nibbles(block), shifted(block));
  vpermw(products(block), nibbles(block), row_vector(block));
  vmovdqu16(ptr[y], Ymm(products(block).getIdx()));
}

// Words <- nibbles of 16 bytes, in their low four bits. Bit 4 of a word chooses between two equal halves of a
// row; vpermw reads no more.
void DecodeGenerator::spread_nibbles(const Zmm& spread, const Address& from) {
  const Zmm high(spread.getIdx() + 4);
  vpmovzxbd(spread, from);
  vpslld(high, spread, 12);
  vpord(spread, spread, high);
}

KernelNotes DecodeGenerator::notes() const {
  KernelNotes notes;
  notes.registers = {
      {"zmm0..3, zmm4..7", "nibbles spread over lanes; the same, shifted"},
      {"zmm8..11", "products"},
      {"zmm12..19", "rows of the table"},
      {"k1", "the upper half of words"},
      {"rsi, rdx, rcx, r8, r9", "codes, scales, y, table, blocks left"},
      {"rax, r10", "offsets of rows of the table"},
      {"r11, rbx, r12, r13",
       "scales of the row, rows left, bytes between rows of y, four scales to the next"},
  };
  notes.ports = is_f32() ? PortBudget{2, 16} : PortBudget{width() == 16 ? 3.0 : 2.0, 32};
  notes.budget = is_f32()        ? "16 elements: 4 uops on p05, 2 of them p5 -> 2 cycles"
                 : width() == 16 ? "32 elements: 5 uops on p05, 3 of them p5 -> 3 cycles"
                                 : "32 elements: 4 uops on p05, 2 of them p5 -> 2 cycles";
  return notes;
}

}  // namespace fourge::jit
