// Stochastic rounding to e2m1: the random bytes and what is done with them, bit for bit.
#pragma once

#include <array>
#include <bit>
#include <cstdint>

namespace fourge {

using PhiloxWords = std::array<std::uint32_t, 4>;

/// Philox4x32 with 10 rounds. Source: J. K. Salmon et al., Parallel Random Numbers: As Easy as 1, 2, 3,
/// SC 2011; the constants are those of the authors' Random123.
constexpr PhiloxWords philox4x32(PhiloxWords counter, std::uint32_t key0, std::uint32_t key1) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t p0 = std::uint64_t{0xd2511f53} * counter[0];
    const std::uint64_t p1 = std::uint64_t{0xcd9e8d57} * counter[2];
    counter = {static_cast<std::uint32_t>(p1 >> 32) ^ counter[1] ^ key0, static_cast<std::uint32_t>(p1),
               static_cast<std::uint32_t>(p0 >> 32) ^ counter[3] ^ key1, static_cast<std::uint32_t>(p0)};
    key0 += 0x9e3779b9;
    key1 += 0xbb67ae85;
  }
  return counter;
}

/// The random words of elements 16 * run .. 16 * run + 15: counter = run (low word first), key = seed (low
/// word first).
constexpr PhiloxWords stochastic_words(std::uint64_t seed, std::uint64_t run) {
  return philox4x32({static_cast<std::uint32_t>(run), static_cast<std::uint32_t>(run >> 32), 0, 0},
                    static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32));
}

/// Byte i % 4 of word i / 4, i = index % 16, of the words of run index / 16.
constexpr std::uint8_t stochastic_byte(std::uint64_t seed, std::uint64_t index) {
  const PhiloxWords words = stochastic_words(seed, index / 16);
  return static_cast<std::uint8_t>(words[index % 16 / 4] >> (index % 4 * 8));
}

/// code = floor(|x| / step + (2 r + 1) / 512) + 2 e, with |x| at most 6 (saturation), step = 2^(e - 1) the
/// gap between codes around |x| and e = 0, 1 or 2 its binade. So the probability to go up is the fraction of
/// a gap to 1/256, a representable value stays, and the sign is kept (bit 3). NaN gives +6.
constexpr std::uint8_t e2m1_stochastic(float x, std::uint8_t random) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(x), magnitude_bits = bits & 0x7fff'ffffu;
  if (magnitude_bits > 0x7f80'0000u) return 7;
  const double unclamped = std::bit_cast<float>(magnitude_bits);
  const double magnitude = unclamped > 6.0 ? 6.0 : unclamped;
  const int e = magnitude >= 4.0 ? 2 : magnitude >= 2.0 ? 1 : 0;
  const double gaps = magnitude * (e == 0 ? 2.0 : e == 1 ? 1.0 : 0.5);
  const int code = static_cast<int>(gaps + (2 * random + 1) / 512.0) + 2 * e;
  return static_cast<std::uint8_t>(static_cast<std::uint32_t>(code) | (bits >> 31) << 3);
}

}  // namespace fourge
