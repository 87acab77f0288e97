#include "jit/x86/layout.h"

#include <cstddef>

namespace fourge::jit {

using Xbyak::Label;
using Xbyak::Reg64;
using Xbyak::Ymm;
using Xbyak::Zmm;

void LayoutGenerator::generate() {
  prologue(0);
  load_arguments();
  if (!is_scales(spec_.from)) {
    code_loop();
  } else if (spec_.from != ByteLayout::linear && spec_.to != ByteLayout::linear) {
    tile_loop();
  } else if (tiles() == ByteLayout::swizzled_128x4) {
    tall_loop();
  } else {
    small_loop();
  }
  epilogue();
  pool_.emit(*this);
}

void LayoutGenerator::load_arguments() {
  mov(from, ptr[args + offsetof(LayoutArgs, from)]);
  mov(to, ptr[args + offsetof(LayoutArgs, to)]);
  mov(stride, ptr[args + offsetof(LayoutArgs, row_stride)]);
  mov(tile_row_stride, ptr[args + offsetof(LayoutArgs, tile_row_stride)]);
  mov(units_left, ptr[args + offsetof(LayoutArgs, units)]);
}

// bases[j] <- first + j * step * row_stride; `stride` and `stride_3` serve row().
void LayoutGenerator::set_row_bases(const Reg64& first, const Reg64& row_stride, int step) {
  if (row_stride.getIdx() != stride.getIdx()) mov(stride, row_stride);
  lea(stride_3, ptr[stride + 2 * stride]);
  imul(rax, stride, step);
  mov(bases[0], first);
  for (int j = 1; j < 4; ++j) lea(bases[j], ptr[bases[j - 1] + rax]);
}

Xbyak::RegExp LayoutGenerator::row(int base, int k) const {
  if (k == 0) return bases[base];
  return k == 3 ? bases[base] + stride_3 : bases[base] + stride * k;
}

// Linear beside 8x4: 16 rows, from unit to unit along them.
void LayoutGenerator::small_loop() {
  Label next;
  const Reg64& linear = to_tiles() ? from : to;
  const Reg64& tiled = to_tiles() ? to : from;
  set_row_bases(linear, stride, 4);
  lea(second_tile_row, ptr[tiled + tile_row_stride]);
  if (to_tiles()) load_small_indices();
  L(next);
  for (int part = 0; part < 4; ++part) to_tiles() ? small_from_rows(part) : rows_from_small(part);
  for (const Reg64& base : bases) add(base, kVectorBytes);
  add(tiled, kUnitTiles * 32);
  add(second_tile_row, kUnitTiles * 32);
  dec(units_left);
  jnz(next, T_NEAR);
}

// Linear beside 128x4: the 128 rows of 16 tiles, four and those 32 apart at a time, then the next 16 tiles.
// So whole tiles pass through L1 once; rows of tiles would come back for each line of them.
void LayoutGenerator::tall_loop() {
  Label next, next_rows;
  const Reg64& linear = to_tiles() ? from : to;
  const Reg64& tiled = to_tiles() ? to : from;
  set_row_bases(linear, stride, 32);
  lea(four_rows, ptr[stride * 4]);
  imul(back, stride, -32);
  add(back, kVectorBytes);
  L(next);
  mov(rows_left, 8);
  L(next_rows);
  if (to_tiles()) {
    for (int k = 0; k < kUnitRows; ++k) vmovdqu32(Zmm(k), ptr[row(k % 4, k / 4)]);
    for (int t = 0; t < kUnitTiles; ++t) prefetchw(ptr[to + t * 512 + kVectorBytes]);
  } else {
    for (int t = 0; t < kUnitTiles; ++t) vmovdqu32(Zmm(t), ptr[from + t * 512]);
  }
  transpose();
  for (int k = 0; k < 16; ++k) vmovdqu32(to_tiles() ? ptr[to + k * 512] : ptr[row(k % 4, k / 4)], Zmm(k));
  for (const Reg64& base : bases) add(base, four_rows);
  add(tiled, kVectorBytes);
  dec(rows_left);
  jnz(next_rows, T_NEAR);
  for (const Reg64& base : bases) add(base, back);
  add(tiled, (kUnitTiles - 1) * 512);
  dec(units_left);
  jnz(next, T_NEAR);
}

// Word j of zmm i <- word i of zmm j: words, then pairs of them, then quarters of vectors.
void LayoutGenerator::transpose() {
  for (int i = 0; i < 16; i += 2) {
    vpunpckldq(Zmm(16 + i), Zmm(i), Zmm(i + 1));
    vpunpckhdq(Zmm(17 + i), Zmm(i), Zmm(i + 1));
  }
  for (int i = 0; i < 16; i += 4) {  // quarter q of zmm i + c: word 4 q + c of rows i..i + 3
    vpunpcklqdq(Zmm(i), Zmm(16 + i), Zmm(18 + i));
    vpunpckhqdq(Zmm(i + 1), Zmm(16 + i), Zmm(18 + i));
    vpunpcklqdq(Zmm(i + 2), Zmm(17 + i), Zmm(19 + i));
    vpunpckhqdq(Zmm(i + 3), Zmm(17 + i), Zmm(19 + i));
  }
  constexpr std::uint8_t kEven = 0x88, kOdd = 0xdd;  // quarters 0 and 2, 1 and 3 of both sources
  for (int c = 0; c < 4; ++c) {
    const Zmm even_low(16 + 4 * c), odd_low(17 + 4 * c), even_high(18 + 4 * c), odd_high(19 + 4 * c);
    vshufi32x4(even_low, Zmm(c), Zmm(4 + c), kEven);
    vshufi32x4(odd_low, Zmm(c), Zmm(4 + c), kOdd);
    vshufi32x4(even_high, Zmm(8 + c), Zmm(12 + c), kEven);
    vshufi32x4(odd_high, Zmm(8 + c), Zmm(12 + c), kOdd);
    vshufi32x4(Zmm(c), even_low, even_high, kEven);
    vshufi32x4(Zmm(4 + c), odd_low, odd_high, kEven);
    vshufi32x4(Zmm(8 + c), even_low, even_high, kOdd);
    vshufi32x4(Zmm(12 + c), odd_low, odd_high, kOdd);
  }
}

// Quarter q of `vector` <- the 16 bytes at quarter(q): three uops on p05, where shuffles would need p5.
template <class Quarter>
void LayoutGenerator::load_quarters(const Zmm& vector, const Quarter& quarter) {
  vmovdqu32(Xbyak::Xmm(vector.getIdx()), ptr[quarter(0)]);
  for (int q = 1; q < 4; ++q) vinserti32x4(vector, vector, ptr[quarter(q)], static_cast<std::uint8_t>(q));
}

// In every quarter: word j of zmm first + i <- word i of zmm first + j, i, j < 4. Through the four after
// those.
void LayoutGenerator::transpose_quarters(int first) {
  const auto at = [first](int i) { return Zmm(first + i); };
  vpunpckldq(at(4), at(0), at(1));
  vpunpckhdq(at(5), at(0), at(1));
  vpunpckldq(at(6), at(2), at(3));
  vpunpckhdq(at(7), at(2), at(3));
  vpunpcklqdq(at(0), at(4), at(6));
  vpunpckhqdq(at(1), at(4), at(6));
  vpunpcklqdq(at(2), at(5), at(7));
  vpunpckhqdq(at(3), at(5), at(7));
}

// Lane 8 t + r of a line of two small tiles: row r of tile t; the first source holds the even rows.
void LayoutGenerator::load_small_indices() {
  for (std::uint32_t pair = 0; pair < 2; ++pair) {
    vmovdqa32(Zmm(30 + static_cast<int>(pair)), table(lanes_of([pair](std::uint32_t lane) {
                const std::uint32_t row = lane % 8, tile = 2 * pair + lane / 8;
                return row % 2 * 16 + row / 2 * 4 + tile;
              })));
  }
}

// Column tiles 4 part..4 part + 3 of both rows of tiles.
void LayoutGenerator::small_from_rows(int part) {
  for (int tile_row = 0; tile_row < 2; ++tile_row) {
    const int first = (2 * part + tile_row) % 4 * 4;
    for (int odd = 0; odd < 2; ++odd) {
      load_quarters(Zmm(first + odd),
                    [&](int q) { return row(2 * tile_row + q / 2, q % 2 * 2 + odd) + part * kQuarterBytes; });
    }
    const Reg64& tiled = tile_row == 0 ? to : second_tile_row;
    for (int pair = 0; pair < 2; ++pair) {
      const Zmm words(first + 2 + pair);
      vmovdqa32(words, Zmm(30 + pair));
      vpermi2d(words, Zmm(first), Zmm(first + 1));
      vmovdqu32(ptr[tiled + (2 * part + pair) * kVectorBytes], words);
    }
  }
}

// Rows 4 part..4 part + 3: quarter q of a row holds column tiles 4 q..4 q + 3.
void LayoutGenerator::rows_from_small(int part) {
  const int first = part % 2 * 8;
  const Reg64& tiled = part < 2 ? from : second_tile_row;
  for (int t = 0; t < 4; ++t) {
    load_quarters(Zmm(first + t), [&](int q) { return tiled + (4 * q + t) * 32 + part % 2 * kQuarterBytes; });
  }
  transpose_quarters(first);
  for (int k = 0; k < 4; ++k) vmovdqu32(ptr[row(part, k)], Zmm(first + k));
}

// 128x4 <-> 8x4: row 32 j + 8 h + i is word 4 (8 h + i) + j of the tall tile, word i of small tile 4 j + h.
// Two column tiles at a time: small ones fill a line.
void LayoutGenerator::tile_loop() {
  Label next, single, done;
  const bool to_small = spec_.to == ByteLayout::swizzled_8x4;
  const Reg64& tall = to_small ? from : to;
  set_row_bases(to_small ? to : from, tile_row_stride, 4);
  const std::uint32_t first = to_small ? 0 : 1;  // which pair of index tables
  for (std::uint32_t half = 0; half < 2; ++half) {
    vmovdqa32(Zmm(30 + static_cast<int>(half)), table(lanes_of([half, first](std::uint32_t lane) {
                // to 8x4: lane 8 * (j % 2) + i of the pair of j; to 128x4: lane 4 * (i % 4) + j of the four i
                return first == 0 ? 4 * (lane % 8) + lane / 8 + 2 * half : lane % 4 * 8 + lane / 4 + 4 * half;
              })));
  }
  const auto convert = [&](int count) {
    for (int h = 0; h < 4; ++h) to_small ? small_from_tall(h, count) : tall_from_small(h, count);
    for (const Reg64& base : bases) add(base, 32 * count);
    add(tall, 512 * count);
    sub(units_left, count);
  };
  L(next);
  cmp(units_left, 2);
  jl(single, T_NEAR);
  convert(2);
  jmp(next, T_NEAR);
  L(single);
  test(units_left, units_left);
  jz(done, T_NEAR);
  convert(1);
  L(done);
}

void LayoutGenerator::small_from_tall(int h, int count) {
  const int first = h % 2 * 8;
  for (int tile = 0; tile < count; ++tile) {
    const Zmm low(first), high(first + 1);
    vmovdqu32(low, ptr[from + tile * 512 + h * 128]);
    vmovdqu32(high, ptr[from + tile * 512 + h * 128 + kVectorBytes]);
    for (int half = 0; half < 2; ++half) {
      const Zmm words(first + 2 + 2 * half + tile);
      vmovdqa32(words, Zmm(30 + half));
      vpermi2d(words, low, high);
    }
  }
  for (int half = 0; half < 2; ++half) {
    const Zmm words(first + 2 + 2 * half), next_tile(words.getIdx() + 1), line(first + 6 + half);
    if (count == 1) {
      vmovdqu32(ptr[row(2 * half, h)], Ymm(words.getIdx()));
      vextracti64x4(ptr[row(2 * half + 1, h)], words, 1);
    } else {
      vinserti64x4(line, words, Ymm(next_tile.getIdx()), 1);
      vshufi64x2(words, words, next_tile, 0b11'10'11'10);
      vmovdqu32(ptr[row(2 * half, h)], line);
      vmovdqu32(ptr[row(2 * half + 1, h)], words);
    }
  }
}

void LayoutGenerator::tall_from_small(int h, int count) {
  for (int tile = 0; tile < count; ++tile) {
    const int first = (2 * h + tile) % 4 * 4;
    for (int half = 0; half < 2; ++half) {
      const Zmm rows(first + half);
      vmovdqu32(Ymm(rows.getIdx()), ptr[row(2 * half, h) + tile * 32]);
      vinserti64x4(rows, rows, ptr[row(2 * half + 1, h) + tile * 32], 1);
    }
    for (int half = 0; half < 2; ++half) {
      const Zmm words(first + 2 + half);
      vmovdqa32(words, Zmm(30 + half));
      vpermi2d(words, Zmm(first), Zmm(first + 1));
      vmovdqu32(ptr[to + tile * 512 + h * 128 + half * kVectorBytes], words);
    }
  }
}

void LayoutGenerator::code_loop() {
  constexpr int kUnroll = 4;
  Label next, single, done;
  const bool to_halves = spec_.from == ByteLayout::pairs;
  const std::uint32_t half = (to_halves ? spec_.to : spec_.from) == ByteLayout::halves_32 ? 8 : 4;
  // Byte m and index half + m of a block side by side, or back.
  const auto source = [to_halves, half](std::uint32_t index) {
    const std::uint32_t block = index / (2 * half) * (2 * half), m = index % (2 * half);
    return block + (to_halves ? m / 2 + m % 2 * half : m % half * 2 + m / half);
  };
  vmovdqa32(zmm31, table(lanes_of([source](std::uint32_t lane) {
              const std::uint32_t index = lane % 4 * 4;
              return source(index) | source(index + 1) << 8 | source(index + 2) << 16 |
                     source(index + 3) << 24;
            })));
  vpbroadcastd(zmm30, ptr[rip + pool_.word(0xf0fff0ffu)]);
  vpbroadcastd(zmm29, ptr[rip + pool_.word(0x00f000f0u)]);
  L(next);
  cmp(units_left, kUnroll);
  jl(single, T_NEAR);
  for (int i = 0; i < kUnroll; ++i) code_vector(i);
  add(from, kUnroll * kVectorBytes);
  add(to, kUnroll * kVectorBytes);
  sub(units_left, kUnroll);
  jmp(next, T_NEAR);
  L(single);
  test(units_left, units_left);
  jz(done, T_NEAR);
  code_vector(0);
  add(from, kVectorBytes);
  add(to, kVectorBytes);
  dec(units_left);
  jmp(single, T_NEAR);
  L(done);
}

// In every 16 bits nibbles 1 and 2 change places: (a0 a1) (b0 b1) <-> (a0 b0) (a1 b1).
void LayoutGenerator::code_vector(int i) {
  const bool to_halves = spec_.from == ByteLayout::pairs;
  const Zmm codes(3 * i), up(3 * i + 1), down(3 * i + 2);
  vmovdqu32(codes, ptr[from + i * kVectorBytes]);
  if (to_halves) vpshufb(codes, codes, zmm31);
  vpsllw(up, codes, 4);
  vpsrlw(down, codes, 4);
  vpternlogd(codes, up, zmm30, 0xe4);    // where zmm30 is 0, from up
  vpternlogd(codes, down, zmm29, 0xd8);  // where zmm29 is 1, from down
  if (!to_halves) vpshufb(codes, codes, zmm31);
  vmovdqu32(ptr[to + i * kVectorBytes], codes);
}

KernelNotes LayoutGenerator::notes() const {
  KernelNotes notes;
  notes.registers = {
      {"zmm0..15", "words of rows or tiles"},
      {"zmm16..31", "the same half transposed; indices and masks"},
      {"rsi, rdx, r9", "from, to, units left"},
      {"rbx, r12, r13, r14", "rows 0, 4, 8, 12 of a unit, or those 32 apart"},
      {"rcx, r8, r10, r11", "strides; the second row of tiles"},
      {"rax, r15", "128x4 beside linear: the way back to the first rows, rows left"},
  };
  const bool tiles_only = spec_.from != ByteLayout::linear && spec_.to != ByteLayout::linear;
  if (!is_scales(spec_.from)) {
    notes.ports = {2.0, kVectorBytes};
    notes.budget = "2 cycles on p0 for 64 bytes";
  } else if (tiles_only) {
    notes.ports = {spec_.to == ByteLayout::swizzled_8x4 ? 2.0 : 1.0, kVectorBytes};
    notes.budget = spec_.to == ByteLayout::swizzled_8x4 ? "2 cycles on p5 for 64 bytes"
                                                        : "1 cycle on p05 for 64 bytes, half of it p5";
  } else if (tiles() == ByteLayout::swizzled_128x4) {
    notes.ports = {4.0, kVectorBytes};
    notes.budget = "4 cycles on p5 for 64 bytes";
  } else {
    notes.ports = {to_tiles() ? 2.0 : 2.5, kVectorBytes};
    notes.budget = to_tiles() ? "64 bytes: 4 uops on p05, 1 of them p5 -> 2 cycles"
                              : "64 bytes: 5 uops on p05, 2 of them p5 -> 2.5 cycles";
  }
  return notes;
}

}  // namespace fourge::jit
