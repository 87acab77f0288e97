// The codes of a group: rounding to e2m1, packing, and the random fractions of stochastic rounding.
#include <cstddef>

#include "jit/x86/quantize.h"

namespace fourge::jit {

using Xbyak::Zmm;

namespace {

constexpr int kSmallerMagnitude = 0b0010, kLargerMagnitude = 0b0011;  // vrangeps selectors, sign of the first

}  // namespace

void QuantizeGenerator::encode_rows(Path path) {
  for_each_row([this, path] {
    if (block_2d()) {
      if (stochastic()) make_random_words(0);
      load_row(x_row, Zmm(17), 8);
    }
    encode_row(path);
  });
}

// 128 bytes at codes_row.
void QuantizeGenerator::encode_row(Path path) {
  for (int half = 0; half < 2; ++half) {
    for (int i = 0; i < 4; ++i) encode_pair(4 * half + i, Zmm(17 + i), path);
    pack_four(Zmm(17));
    vmovdqu8(ptr[codes_row + half * kVectorBytes], Zmm(17));
  }
}

// packed <- in every dword: magnitudes in bits 0..2 (even) and 4..6 (odd), signs in bits 9 and 13.
void QuantizeGenerator::encode_pair(int pair, const Zmm& packed, Path path) {
  const Zmm binades[2] = {binade0, binade1}, randoms[2] = {random0, random1};
  broadcast_to_pair(inverse, slot(kSixInverse), pair);
  if (stochastic()) random_fractions(pair);
  for (int i = 0; i < 2; ++i) {
    const Zmm y = data(pair, i);
    if (drops_sign_of_zero()) {
      vfmadd213ps(y, inverse, word(0.0f));
    } else {
      vmulps(y, y, inverse);
    }
    round_to_e2m1(y, binades[i], randoms[i], path);
    vpsrld(binades[i], binades[i], 22);  // sign to bit 9, 254 + 2 e below
    vpaddd(y, y, binades[i]);
  }
  vpslld(odd(pair), odd(pair), 4);
  vpord(packed, even(pair), odd(pair));
  if (path == Path::careful && two_level()) {
    broadcast_to_pair(scratch, slot(kZeroMask), pair);
    vpandd(packed, packed, scratch);
  }
}

// y <- sign(y) * (kMagic's sum), binade <- sign(y) * 2^e, e = 0, 1 or 2 the binade of |y|, at least 1.
// Stochastic: `random` is (2 r + 1) / 1024, so that it adds (2 r + 1) / 512 of a gap, and both sums round
// toward zero. Neither passes a code that the exact sum does not pass.
void QuantizeGenerator::round_to_e2m1(const Zmm& y, const Zmm& binade, const Zmm& random, Path path) {
  if (clamps(path)) vrangeps(y, y, word(6.0f), kSmallerMagnitude);
  vrangeps(binade, y, word(1.0f), kLargerMagnitude);
  vandps(binade, binade, word(0xff800000u));
  if (stochastic()) {
    vmulps(random, binade, random);  // exact, as the next product
    vaddps(y | T_rz_sae, y, random);
    vmulps(random, binade, word(kMagic));
    vaddps(y | T_rz_sae, y, random);
  } else {
    vfmadd231ps(y, binade, word(kMagic));
  }
}

// first <- the codes of four pairs, 64 bytes in order, from four registers as encode_pair leaves them.
//
//   dword of lane l:  pair 0 | pair 1 << 16, signs moved to bit 3 of each nibble
//                     bytes: pair 0, pair 2, pair 1, pair 3      then by lane, by pair: a transposition
void QuantizeGenerator::pack_four(const Zmm& first) {
  const Zmm second(first.getIdx() + 1), third(first.getIdx() + 2), fourth(first.getIdx() + 3);
  for (const auto& [low, high] : {std::pair{first, second}, std::pair{third, fourth}}) {
    vpslld(high, high, 16);
    vmovdqu16(low | k_odd_lanes, high);
    vpsrlw(high, low, 6);
    vpternlogd(low, high, word(0x00770077u), 0xe4);  // magnitudes from low, signs from high
  }
  vpsllw(third, third, 8);
  vmovdqu8(first | k_odd_lanes, third);
  const auto by_pair = [](std::uint32_t word) {
    constexpr std::uint32_t kByteOfPair[4] = {0, 2, 1, 3};
    const std::uint32_t of_lane_0 = kByteOfPair[word % 4];
    return of_lane_0 | (of_lane_0 + 4) << 8 | (of_lane_0 + 8) << 16 | (of_lane_0 + 12) << 24;
  };
  vpshufb(first, first, table(lanes_of(by_pair)));
  vmovdqa32(second, table(lanes_of([](std::uint32_t word) { return word % 4 * 4 + word / 4; })));
  vpermd(first, second, first);
}

// kRandom..+3 <- the four words of 16 runs of 16 elements, one run a lane (fourge/stochastic.h). Takes ten
// registers.
//   160 uops on p05 for 256 elements
void QuantizeGenerator::make_random_words(int first_temp) {
  const Zmm c0(first_temp), c1(first_temp + 1), c2(first_temp + 2), c3(first_temp + 3);
  vpbroadcastd(c0, row_run.cvt32());
  mov(rax, row_run);
  shr(rax, 32);
  vpbroadcastd(c1, eax);
  vpaddd(c0, c0, table(lanes_of([](std::uint32_t lane) { return lane; })));
  vpcmpud(k_temp, c0, table(lanes_of([](std::uint32_t lane) { return lane; })), 1);  // < : wrapped
  vpternlogd(c2, c2, c2, 0xff);
  vpsubd(c1 | k_temp, c1, c2);
  vpxord(c2, c2, c2);
  vpxord(c3, c3, c3);
  for (int round = 0; round < kPhiloxRounds; ++round) philox_round(round, first_temp);
  for (int i = 0; i < 4; ++i) vmovdqa32(slot(kRandom + i), Zmm(first_temp + i));
}

// counter <- {high(M1 c2) ^ c1 ^ key0, low(M1 c2), high(M0 c0) ^ c3 ^ key1, low(M0 c0)}
void QuantizeGenerator::philox_round(int round, int first_temp) {
  const auto t = [first_temp](int i) { return Zmm(first_temp + i); };
  const std::uint32_t multipliers[2] = {0xd2511f53u, 0xcd9e8d57u};
  for (int i = 0; i < 2; ++i) {  // t(4 + 2 i), t(5 + 2 i) <- high and low words of M_i * c_(2 i)
    const Zmm c = t(2 * i), high = t(4 + 2 * i), low = t(5 + 2 * i), odd_product = t(8 + i);
    vpsrlq(odd_product, c, 32);
    vpbroadcastd(high, scalar(multipliers[i]));
    vpmuludq(odd_product, odd_product, high);
    vpmuludq(low, c, high);
    vpsrlq(high, low, 32);
    vmovdqa32(high | k_odd_lanes, odd_product);
    vpsllq(odd_product, odd_product, 32);
    vmovdqa32(low | k_odd_lanes, odd_product);
  }
  const auto key = [this, round](int i) {
    return arg_word(offsetof(StripArgs, keys) + 4 * static_cast<std::size_t>(2 * round + i));
  };
  vpternlogd(t(1), t(6), key(0), 0x96);  // xor of three
  vpternlogd(t(3), t(4), key(1), 0x96);
  vmovdqa32(t(0), t(1));
  vmovdqa32(t(2), t(3));
  vmovdqa32(t(1), t(7));
  vmovdqa32(t(3), t(5));
}

// random0, random1 <- (2 r + 1) / 1024 for the even and odd elements of a pair. Lane l of a half holds
// elements 2 l and 2 l + 1 of a run: word l / 2, bytes 0 and 1 or 2 and 3.
void QuantizeGenerator::random_fractions(int pair) {
  const auto run_of_pair = static_cast<std::uint32_t>(2 * pair);
  const auto source = table(
      lanes_of([run_of_pair](std::uint32_t lane) { return run_of_pair + lane / 8 + (lane / 2 % 2) * 16; }));
  vmovdqa32(random0, slot(kRandom));
  vmovdqa32(random1, slot(kRandom + 2));
  vmovdqa32(fresh, source);
  vpermt2d(random0, fresh, slot(kRandom + 1));
  vpermt2d(random1, fresh, slot(kRandom + 3));
  vmovdqa32(random0 | k_lane_bit_2, random1);
  vpsrlvd(random0, random0, table(lanes_of([](std::uint32_t lane) { return lane % 2 * 16; })));
  vpsrld(random1, random0, 8);
  for (const Zmm& random : {random0, random1}) {
    vpandd(random, random, word(0xffu));
    vcvtdq2ps(random, random);
    vbroadcastss(fresh, scalar(0x1p-9f));
    vfmadd213ps(random, fresh, word(0x1p-10f));
  }
}

}  // namespace fourge::jit
