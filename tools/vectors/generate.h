// Seeded operands for vectors: each mode aims at one way of being wrong. The same seed gives the same bits
// everywhere.
#pragma once

#include <cstdint>

#include "tools/vectors/vector_set.h"

namespace fourge::vectors {

enum class Mode : std::uint8_t {
  random,  // uniform bits, infinities and NaNs included
  edge,    // zeros, smallest and largest numbers, ones, now and then an infinity or a NaN; ends of the scales
  zeros,   // mostly zeros of both signs beside large values: what takes part in Emax
  cancel,  // products in opposite pairs that nearly cancel, c far below them
  subnormal,  // the bottom of every range
  bands,      // exponents in narrow bands, c from 40 binades below to 10 above the products
  all,        // tile t has mode t mod 6
};
inline constexpr Mode kModes[] = {Mode::random,    Mode::edge,  Mode::zeros, Mode::cancel,
                                  Mode::subnormal, Mode::bands, Mode::all};

constexpr const char* name_of(Mode mode) {
  constexpr const char* kNames[] = {"random", "edge", "zeros", "cancel", "subnormal", "bands", "all"};
  return kNames[static_cast<int>(mode)];
}

/// Operands for `tiles` instructions; D is empty. model, shape and row bytes are taken from `set`.
void generate_operands(VectorSet& set, std::int64_t tiles, Mode mode, std::uint64_t seed);

}  // namespace fourge::vectors
