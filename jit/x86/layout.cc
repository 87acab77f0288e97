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
  } else if (spec_.from == ByteLayout::linear || spec_.to == ByteLayout::linear) {
    transposition_loop();
  } else {
    tile_loop();
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

void LayoutGenerator::transposition_loop() {
  Label next;
  const Reg64& linear = to_tiles() ? from : to;
  const Reg64& tiled = to_tiles() ? to : from;
  set_row_bases(linear, stride, tiles() == ByteLayout::swizzled_128x4 ? 32 : 4);
  lea(second_tile_row, ptr[tiled + tile_row_stride]);
  L(next);
  if (to_tiles()) {
    load_rows();
    transpose();
    store_tiles();
  } else {
    load_tiles();
    transpose();
    store_rows();
  }
  for (const Reg64& base : bases) add(base, kVectorBytes);
  add(tiled, kUnitTiles * tile_bytes(tiles()));
  add(second_tile_row, kUnitTiles * tile_bytes(tiles()));
  dec(units_left);
  jnz(next, T_NEAR);
}

// zmm k <-> row unit_row(k) of the linear side.
void LayoutGenerator::load_rows() {
  for (int k = 0; k < kUnitRows; ++k) {
    const bool tall = tiles() == ByteLayout::swizzled_128x4;
    vmovdqu32(Zmm(k), ptr[tall ? row(k % 4, k / 4) : row(k / 4, k % 4)]);
  }
}
void LayoutGenerator::store_rows() {
  for (int k = 0; k < kUnitRows; ++k) {
    const bool tall = tiles() == ByteLayout::swizzled_128x4;
    vmovdqu32(ptr[tall ? row(k % 4, k / 4) : row(k / 4, k % 4)], Zmm(k));
  }
}

// zmm t <-> the 16 rows of column tile t.
void LayoutGenerator::load_tiles() {
  for (int t = 0; t < kUnitTiles; ++t) {
    if (tiles() == ByteLayout::swizzled_128x4) {
      vmovdqu32(Zmm(t), ptr[from + t * 512]);
    } else {
      vmovdqu32(Ymm(t), ptr[from + t * 32]);
      vinserti64x4(Zmm(t), Zmm(t), ptr[second_tile_row + t * 32], 1);
    }
  }
}
void LayoutGenerator::store_tiles() {
  for (int t = 0; t < kUnitTiles; ++t) {
    if (tiles() == ByteLayout::swizzled_128x4) {
      vmovdqu32(ptr[to + t * 512], Zmm(t));
    } else {
      vmovdqu32(ptr[to + t * 32], Ymm(t));
      vextracti64x4(ptr[second_tile_row + t * 32], Zmm(t), 1);
    }
  }
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

// 128x4 <-> 8x4: row 32 j + 8 h + i is word 4 (8 h + i) + j of the tall tile, word i of small tile 4 j + h.
void LayoutGenerator::tile_loop() {
  Label next;
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
  L(next);
  if (to_small) {
    small_from_tall();
  } else {
    tall_from_small();
  }
  for (const Reg64& base : bases) add(base, 32);
  add(tall, 512);
  dec(units_left);
  jnz(next, T_NEAR);
}

void LayoutGenerator::small_from_tall() {
  for (int h = 0; h < 4; ++h) {
    vmovdqu32(Zmm(0), ptr[from + h * 128]);
    vmovdqu32(Zmm(1), ptr[from + h * 128 + kVectorBytes]);
    for (int half = 0; half < 2; ++half) {
      const Zmm words(2 + half);
      vmovdqa32(words, Zmm(30 + half));
      vpermi2d(words, Zmm(0), Zmm(1));
      vmovdqu32(ptr[row(2 * half, h)], Ymm(2 + half));
      vextracti64x4(ptr[row(2 * half + 1, h)], words, 1);
    }
  }
}

void LayoutGenerator::tall_from_small() {
  for (int h = 0; h < 4; ++h) {
    for (int half = 0; half < 2; ++half) {
      vmovdqu32(Ymm(half), ptr[row(2 * half, h)]);
      vinserti64x4(Zmm(half), Zmm(half), ptr[row(2 * half + 1, h)], 1);
    }
    for (int half = 0; half < 2; ++half) {
      const Zmm words(2 + half);
      vmovdqa32(words, Zmm(30 + half));
      vpermi2d(words, Zmm(0), Zmm(1));
      vmovdqu32(ptr[to + h * 128 + half * kVectorBytes], words);
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
      {"zmm0..15", "words of 16 rows or tiles"},
      {"zmm16..31", "the same half transposed; indices and masks"},
      {"rsi, rdx, r9", "from, to, units left"},
      {"rbx, r12, r13, r14", "rows 0, 4, 8, 12 of a unit, or those 32 apart"},
      {"rcx, r8, r10, r11", "strides; the second row of tiles"},
  };
  const bool tiles_only = spec_.from != ByteLayout::linear && spec_.to != ByteLayout::linear;
  notes.ports = {!is_scales(spec_.from) ? 2.0 : tiles_only ? 1.5 : 4.0, 64};
  notes.budget = !is_scales(spec_.from) ? "2 cycles on p0 for 64 bytes"
                 : spec_.from == ByteLayout::linear || spec_.to == ByteLayout::linear
                     ? "4 cycles on p5 for 64 bytes"
                     : "1.5 cycles on p5 for 64 bytes";
  return notes;
}

}  // namespace fourge::jit
