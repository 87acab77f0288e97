#include "jit/x86/pairs.h"

#include <utility>

namespace fourge::jit {

using Xbyak::Address;
using Xbyak::Reg64;
using Xbyak::Ymm;
using Xbyak::Zmm;

void PairGenerator::load_group(const Reg64& from, ElementFormat format, const Zmm& t0, const Zmm& t1) {
  for (int i = 0; i <= 2 * kPairs; ++i) slot_[i] = i;
  const auto even_elements = table(lanes_of([](std::uint32_t lane) { return 2 * lane; }));
  const auto odd_elements = table(lanes_of([](std::uint32_t lane) { return 2 * lane + 1; }));
  for (int v = 0; v < kPairs; ++v) {
    const auto first = ptr[from + 32 * v * bytes_of(format)];
    if (format == ElementFormat::bf16) {  // a dword holds an even and an odd element
      vmovdqu32(odd(v), first);
      vpslld(even(v), odd(v), 16);
      vpandd(odd(v), odd(v), word(0xffff0000u));
      continue;
    }
    load_as_f32(t0, first, format);
    load_as_f32(t1, ptr[from + (32 * v + 16) * bytes_of(format)], format);
    vmovaps(even(v), even_elements);
    vpermi2ps(even(v), t0, t1);
    vmovaps(odd(v), odd_elements);
    vpermi2ps(odd(v), t0, t1);
  }
}

// The textbook order: distance 1 between the vectors of a pair, 2, 4, 8, 16 between lanes, then between
// pairs.
void PairGenerator::rotate_group(std::int64_t order, const Reg64& sign_words, bool signs,
                                 const Address& scale, const Zmm& temp, int breadth) {
  if (signs) {
    for (int i = 0; i < 2 * kPairs; ++i)
      vxorps(Zmm(slot_[i]), Zmm(slot_[i]), ptr[sign_words + i * kVectorBytes]);
  }
  for (int v = 0; v < kPairs; ++v) butterfly(2 * v, 2 * v + 1);
  for (int lane_bit = 0; lane_bit < 4 && (std::int64_t{4} << lane_bit) <= order; ++lane_bit)
    lane_butterflies(lane_bit, temp, breadth);
  for (int distance = 1; 64 * distance <= order; distance *= 2) {
    for (int v = 0; v < kPairs; ++v) {
      if ((v & distance) != 0) continue;
      butterfly(2 * v, 2 * (v + distance));
      butterfly(2 * v + 1, 2 * (v + distance) + 1);
    }
  }
  for (int i = 0; i < 2 * kPairs; ++i) vmulps(Zmm(slot_[i]), Zmm(slot_[i]), scale);
}

void PairGenerator::butterfly(int a, int b) {
  const Zmm spare(slot_[2 * kPairs]);
  vsubps(spare, Zmm(slot_[a]), Zmm(slot_[b]));
  vaddps(Zmm(slot_[a]), Zmm(slot_[a]), Zmm(slot_[b]));
  std::swap(slot_[b], slot_[2 * kPairs]);
}

// As HadamardGenerator::swap_lanes: a shuffle and a fma.
void PairGenerator::lane_butterflies(int lane_bit, const Zmm& temp, int breadth) {
  const auto plus_minus = table(lanes_of([lane_bit](std::uint32_t lane) {
    return std::bit_cast<std::uint32_t>((lane >> lane_bit & 1) != 0 ? -1.0f : 1.0f);
  }));
  for (int first = 0; first < 2 * kPairs; first += breadth) {
    for (int i = 0; i < breadth; ++i) {
      const Zmm x(slot_[first + i]), partner(temp.getIdx() + i);
      if (lane_bit == 0) vpermilps(partner, x, 0b10'11'00'01);
      if (lane_bit == 1) vpermilps(partner, x, 0b01'00'11'10);
      if (lane_bit == 2) vshuff32x4(partner, x, x, 0b10'11'00'01);
      if (lane_bit == 3) vshuff32x4(partner, x, x, 0b01'00'11'10);
    }
    for (int i = 0; i < breadth; ++i) vfmadd132ps(Zmm(slot_[first + i]), Zmm(temp.getIdx() + i), plus_minus);
  }
}

void PairGenerator::load_lane_masks() {
  mov(rax, 0xaaaaaaaaaaaaaaaaull);
  kmovq(k_odd_lanes, rax);
  mov(eax, 0xcccc);
  kmovw(k_lane_bit_1, eax);
  mov(eax, 0xf0f0);
  kmovw(k_lane_bit_2, eax);
}

void PairGenerator::reduce_pairs(Reduction reduction, const Zmm& first, const Zmm& t) {
  for (int lane_bit = 0; lane_bit < 3; ++lane_bit) {
    const int distance = 1 << lane_bit;
    for (int i = 0; i < kPairs; i += 2 * distance)
      reduce_step(reduction, Zmm(first.getIdx() + i), Zmm(first.getIdx() + i + distance), lane_bit, t);
  }
}

// a <- lanes where the bit is 0 from a, where it is 1 from b, each with its neighbour in that bit.
void PairGenerator::reduce_step(Reduction reduction, const Zmm& a, const Zmm& b, int lane_bit, const Zmm& t) {
  const auto& chosen = lane_bit == 0 ? k_odd_lanes : lane_bit == 1 ? k_lane_bit_1 : k_lane_bit_2;
  const std::uint32_t bit = 1u << lane_bit;
  vmovaps(t,
          table(lanes_of([bit](std::uint32_t lane) { return (lane ^ bit) + ((lane & bit) != 0 ? 16 : 0); })));
  vpermi2ps(t, a, b);
  vblendmps(a | chosen, a, b);
  if (reduction == Reduction::sum) {
    vaddps(a, a, t);
  } else {
    vmaxps(a, a, t);
  }
}

void PairGenerator::broadcast_to_pair(const Zmm& dst, const Address& values, int pair) {
  const auto index = static_cast<std::uint32_t>(pair);
  vmovaps(dst, table(lanes_of([index](std::uint32_t lane) { return (lane & 8) | index; })));
  vpermps(dst, dst, values);
}

}  // namespace fourge::jit
