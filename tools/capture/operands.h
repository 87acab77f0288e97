// Seeded operands for one tile, in several distributions.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "instruction.h"

namespace fourge::capture {

// The number of a mode is the value of the tensor `mode` in a vector file.
enum class Mode : uint8_t {
  kUniform,        // uniform random bits everywhere, Inf and NaN included
  kBand,           // exponents of A and B in windows of 1..20, C within 30 binades of the products
  kZeros,          // a quarter to nine tenths of A and B zero (either sign), C often zero
  kSubnormal,      // products and C around and below the smallest normal number of D, subnormal operands
  kCancellation,   // products that cancel in pairs, C that cancels the sum up to a few last places
  kAccumulator,    // C anywhere in its range: far above, beside, far below the products
  kZeroTimesHuge,  // zeros beside the largest magnitudes, the other products and C small
  kOverflow,       // products and C around the largest finite number of D, or the largest sum that they reach
  kSpecial,        // Inf, NaN and zero sprinkled over kBand, Inf * 0 included
  kPowers,         // a few signed powers of two, far apart: ties, borders of truncation, the least exponents
};
inline constexpr std::string_view kModeNames[] = {
    "uniform",         "band",     "zeros",   "subnormal", "cancellation", "accumulator",
    "zero_times_huge", "overflow", "special", "powers"};
inline constexpr int kModes = int(sizeof kModeNames / sizeof kModeNames[0]);

// splitmix64 (Steele, Lea, Flood 2014): the same sequence on every platform.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint64_t bits();
  int below(int count) { return int(bits() % uint64_t(count)); }
  int between(int low, int high) { return low + below(high - low + 1); }  // both included
  bool chance(int numerator, int denominator) { return below(denominator) < numerator; }

 private:
  uint64_t state_;
};

// Codes, one element each: a [m, k], b [n, k] (row j = column j of B), c [m, n], scales [rows, k / block].
struct TileCodes {
  std::vector<uint32_t> a, b, c;
  std::vector<uint8_t> a_scales, b_scales;
};

TileCodes draw_tile(const Instruction& instruction, Mode mode, Random& random);

// Small integers and scales 1/2, 1, 2, so that every sum is exact in every accumulator: any wrong result on
// them is an operand in the wrong place.
TileCodes draw_exact_tile(const Instruction& instruction, Random& random);

// Sum of the products plus C in f64: exact for draw_exact_tile.
double dot(const Instruction& instruction, const TileCodes& tile, int row, int column);

}  // namespace fourge::capture
