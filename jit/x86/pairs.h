// A group of 256 elements as 8 pairs of vectors, even and odd elements apart: loading, rotating, reducing.
#pragma once

#include <array>
#include <cstdint>

#include "fourge/formats.h"
#include "jit/quantize/quantize_kernel.h"
#include "jit/x86/constant_pool.h"
#include "jit/x86/element_io.h"

namespace fourge::jit {

/// Base of the generators that work on groups.
///
///   element of a group   7 6 5 | 4 | 3 2 1 | 0
///                         pair  half  lane   even(0) / odd(1) vector
///   lane of a vector            3   2 1 0
///
/// A block of 16 is one half of a pair, a block of 32 a whole pair. Codes come out packed without a shuffle,
/// since the low nibbles are the even elements.
class PairGenerator : public ElementIoGenerator {
 protected:
  static constexpr int kPairs = 8, kVectorBytes = 64;

  explicit PairGenerator(bool poison) : ElementIoGenerator(poison) {}

  // even(v), odd(v) <- the group at `from`. p05 of a vector: bf16 1, f32 1 (p5), f16 2.
  void load_group(const Xbyak::Reg64& from, ElementFormat format, const Xbyak::Zmm& t0, const Xbyak::Zmm& t1);
  // Rotates by order 16..256. p05 of a vector: 1 + 2 * 3 (order 16), + 2 (32), + 1 for each doubling, + 1 for
  // the scale. temps: registers from `temp` on, `breadth` of them, 4 or 8: so many vectors go side by side.
  void rotate_group(std::int64_t order, const Xbyak::Reg64& sign_words, bool signs,
                    const Xbyak::Address& scale, const Xbyak::Zmm& temp, int breadth);

  enum class Reduction : std::uint8_t { sum, max };
  // first <- the reduction of the 8 lanes of each half of eight registers from `first` on: lane l is that of
  // half l / 8 of pair l % 8. In the order of distances 2, 4, 8 between elements. 21 uops on p05, 7 of them
  // p5.
  void reduce_pairs(Reduction reduction, const Xbyak::Zmm& first, const Xbyak::Zmm& t);
  void reduce_step(Reduction reduction, const Xbyak::Zmm& a, const Xbyak::Zmm& b, int lane_bit,
                   const Xbyak::Zmm& t);
  void load_lane_masks();

  // dst <- the pair's two values of a vector in reduce_pairs' order, each in all lanes of its half. One p5.
  void broadcast_to_pair(const Xbyak::Zmm& dst, const Xbyak::Address& values, int pair);

  Xbyak::Address word(std::uint32_t value) { return ptr_b[rip + pool_.word(value)]; }
  Xbyak::Address word(float value) { return ptr_b[rip + pool_.word(value)]; }
  Xbyak::Address scalar(std::uint32_t value) { return ptr[rip + pool_.word(value)]; }
  Xbyak::Address scalar(float value) { return ptr[rip + pool_.word(value)]; }
  Xbyak::Address table(const ConstantPool::Table& values) { return ptr[rip + pool_.table(values)]; }

  // The data registers move as butterflies swap them with the spare one: zmm0..16 belong to them.
  Xbyak::Zmm even(int pair) const { return Xbyak::Zmm(slot_[2 * pair]); }
  Xbyak::Zmm odd(int pair) const { return Xbyak::Zmm(slot_[2 * pair + 1]); }
  Xbyak::Zmm data(int pair, int is_odd) const { return Xbyak::Zmm(slot_[2 * pair + is_odd]); }

  // Byte, word or dword lanes with odd number; dword lanes with bit 1, with bit 2 set.
  const Xbyak::Opmask k_odd_lanes = k5, k_lane_bit_1 = k6, k_lane_bit_2 = k7;

  ConstantPool pool_;

 private:
  void butterfly(int a, int b);
  void lane_butterflies(int lane_bit, const Xbyak::Zmm& temp, int breadth);

  int slot_[2 * kPairs + 1] = {};
};

}  // namespace fourge::jit
