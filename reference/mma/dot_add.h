// The dot-add core of every tensor core here: align all terms to the largest exponent, cut what falls below
// the accumulator's last bit, add exactly, round once.
//
//   Emax = max E_i over the terms that count
//   T_i  = trunc(v_i * 2^(F - Emax)) for every term, c among them                    toward zero, per term
//   D    = round((T_0 + T_1 + ...) * 2^(Emax - F))
//
//             2^Emax          2^(Emax - F)
//   largest   1.x x x x x x x x x |
//   others          x x x x x x x | x x        right of the bar is cut, sign-magnitude, before the addition
//
// Source: docs/numerics.md, "The sum"; the evidence for each instruction stands in mma/rules.h.
#pragma once

#include <bit>
#include <cstdint>
#include <span>
#include <vector>

#include "fourge/formats.h"
#include "fourge/rounding.h"

namespace fourge::reference {

/// Which terms take part in the choice of Emax.
enum class ZeroRule : std::uint8_t {
  hardware,  // zero products and c = 0 do not; Emax is at least lowest_exponent. Measured on an H100.
  mma_sim,   // all do: a zero operand has exponent -126. MMA-Sim c785138; wrong on an H100.
  scales,    // all do, with exponents that come from the scales alone: the block-scaled fp4 kinds
};

constexpr const char* name_of(ZeroRule rule) {
  return rule == ZeroRule::hardware ? "hardware" : rule == ZeroRule::mma_sim ? "mma-sim" : "scales";
}

/// What no document states about one sum. mma/rules.h has a row for each instruction.
struct DotAddRules {
  int fraction_bits = 25;     // F: bits kept below 2^Emax
  int products_per_sum = 16;  // products aligned and added with c as one sum; a longer K chains sums
  FormatInfo output = info(ElementFormat::f32);
  Rounding rounding = Rounding::rz;
  ZeroRule zeros = ZeroRule::hardware;
  int lowest_exponent = -133;  // floor of Emax under ZeroRule::hardware
};

/// Below every exponent of every format, scaled or not.
inline constexpr int kNoLowestExponent = -1024;

/// One addend: significand * 2^(exponent - fraction_bits), not normalised.
struct Term {
  std::int64_t significand = 0;
  int exponent = 0;
  int fraction_bits = 0;
  bool counts = true;  // takes part in Emax

  constexpr bool operator==(const Term&) const = default;
};

/// Step 3. The largest exponent among the terms that count.
constexpr int largest_exponent(std::span<const Term> terms, int lowest) {
  int largest = lowest;
  for (const Term& term : terms) {
    if (term.counts && term.exponent > largest) largest = term.exponent;
  }
  return largest;
}

/// Step 4. The term in units of 2^(largest - fraction_bits), truncated toward zero.
constexpr std::int64_t align_and_truncate(const Term& term, int largest, int fraction_bits) {
  if (term.significand == 0) return 0;  // its exponent may lie above `largest`
  const auto magnitude =
      static_cast<std::uint64_t>(term.significand < 0 ? -term.significand : term.significand);
  const int shift = fraction_bits - term.fraction_bits + term.exponent - largest;
  if (magnitude == 0) return 0;  // it may not count towards Emax, and then shift has no bound
  const std::uint64_t kept = shift >= 0    ? magnitude << shift
                             : shift > -64 ? magnitude >> -shift
                                           : std::uint64_t{0};
  return term.significand < 0 ? -static_cast<std::int64_t>(kept) : static_cast<std::int64_t>(kept);
}

/// Step 5. The exact sum of the truncated terms.
constexpr std::int64_t sum_of(std::span<const Term> terms, int largest, int fraction_bits) {
  std::int64_t sum = 0;
  for (const Term& term : terms) sum += align_and_truncate(term, largest, fraction_bits);
  return sum;
}

/// Step 6. Rounds sum * 2^(largest - fraction_bits). Zero, exact or by underflow, is +0; overflow is
/// infinity.
constexpr std::uint32_t round_out(std::int64_t sum, int largest, const DotAddRules& rules) {
  const bool negative = sum < 0;
  const auto magnitude = static_cast<std::uint64_t>(negative ? -sum : sum);
  const std::uint32_t bits = round_pack(rules.output, negative, magnitude, largest - rules.fraction_bits,
                                        rules.rounding, Overflow::infinity);
  return bits == place(rules.output, true, 0) ? 0 : bits;
}

/// How one sum came about, for a person to read.
struct DotAddTrace {
  std::vector<Term> terms = {};  // the products or groups, then c; empty when a special value decided
  int largest_exponent = 0;
  int fraction_bits = 0;
  std::int64_t sum = 0;  // units of 2^(largest_exponent - fraction_bits)
  std::uint32_t c = 0;
  std::uint32_t result = 0;
  const char* note = "";  // which special value decided
};

/// Step 1 settled the result.
inline std::uint32_t decided(std::uint32_t result, std::uint32_t c, const char* note, DotAddTrace* trace) {
  if (trace != nullptr) *trace = {.c = c, .result = result, .note = note};
  return result;
}

/// Steps 3 to 6.
inline std::uint32_t dot_add(std::span<const Term> terms, const DotAddRules& rules,
                             DotAddTrace* trace = nullptr) {
  const int lowest = rules.zeros == ZeroRule::hardware ? rules.lowest_exponent : kNoLowestExponent;
  const int largest = largest_exponent(terms, lowest);
  const std::int64_t sum = sum_of(terms, largest, rules.fraction_bits);
  const std::uint32_t result = round_out(sum, largest, rules);
  if (trace != nullptr) {
    trace->terms.assign(terms.begin(), terms.end());
    trace->largest_exponent = largest;
    trace->fraction_bits = rules.fraction_bits;
    trace->sum = sum;
    trace->result = result;
  }
  return result;
}

}  // namespace fourge::reference
