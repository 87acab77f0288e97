// bf16 to bf16: 32 elements as two f32 vectors, of the even ones and of the odd ones, so that the first stage
// is an addition and a subtraction, and the two pack again without a shuffle.
#include <cstddef>

#include "jit/x86/hadamard.h"

namespace fourge::jit {

using Xbyak::Address;
using Xbyak::Label;
using Xbyak::Zmm;

// A NaN of 0x7fffffff would be rounded to -0. Those of bf16 and of operations have zeros below bit 16; a NaN
// as scale is made one of them.
void HadamardGenerator::load_even_odd_scale() {
  constexpr std::uint8_t kUnordered = 3;
  vcmpps(nan_lanes, scale, scale, kUnordered);
  vpandd(scale | nan_lanes, scale, pool_word(upper_half_));
  vpord(scale | nan_lanes, scale, pool_word(quiet_));
}

// sums, differences <- the first stage of 32 elements. uops on p05 a vector: 2.
InstructionStream HadamardGenerator::load_even_odd(const Zmm& sums, const Zmm& differences, const Zmm& odd,
                                                   const Address& from) {
  return {[=, this] { vpslld(sums, from, 16); }, [=, this] { vmovdqu32(odd, from); },
          [=, this] { vpandd(odd, odd, pool_word(upper_half_)); },
          [=, this] { vsubps(differences, sums, odd); }, [=, this] { vaddps(sums, sums, odd); }};
}

// bits + 0x7fff + lsb of the upper half: to nearest even, with carry into the exponent. Both vectors are
// lost. uops on p05 a vector: 4, 5 with the scale.
InstructionStream HadamardGenerator::store_even_odd(const Address& to, const Zmm& even, const Zmm& odd) {
  constexpr std::uint8_t kFirstMaskedOrSecond = 0xec;  // (first & third) | second
  InstructionStream stream;
  for (const Zmm& v : {even, odd}) {
    const Zmm lsb = v.getIdx() == even.getIdx() ? t0 : t1;
    if (spec_.scaled) stream.push_back([=, this] { vmulps(v, v, scale); });
    stream.push_back([=, this] { vpandd(lsb, v, pool_word(lsb_)); });
    stream.push_back([=, this] { vpaddd(v, v, pool_word(half_ulp_)); });
    stream.push_back([=, this] { vpdpwssd(v, lsb, pool_word(lsb_)); });  // bit 16 times 1, in the upper word
  }
  stream.push_back([=, this] { vpsrld(even, even, 16); });
  stream.push_back([=, this] { vpternlogd(odd, even, pool_word(upper_half_), kFirstMaskedOrSecond); });
  stream.push_back([=, this] { vmovdqu32(to, odd); });
  return stream;
}

void HadamardGenerator::emit_even_odd_pool() {
  const auto pool = [this](Label& label, std::uint32_t value) {
    L(label);
    dd(value);
  };
  align(4);
  pool(upper_half_, 0xffff0000u);
  pool(quiet_, 0x00400000u);
  pool(lsb_, 0x00010000u);
  pool(half_ulp_, 0x7fffu);
}

}  // namespace fourge::jit
