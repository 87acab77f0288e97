#include "reference/mma/dot.h"

#include <algorithm>

namespace fourge::reference {
namespace {

// MMA-Sim c785138 gives every zero this exponent, whatever its format.
constexpr int kMmaSimZeroExponent = -126;

int aligned_exponent(const Number& x, ZeroRule zeros) {
  return zeros == ZeroRule::mma_sim && x.is_zero() ? kMmaSimZeroExponent : x.exponent;
}

// The factors of one product.
struct Factors {
  Number a, b;
  Number a_scale{NumberKind::finite, false, 0, 1, 0};
  Number b_scale = a_scale;

  bool has(NumberKind kind) const {
    return a.kind == kind || b.kind == kind || a_scale.kind == kind || b_scale.kind == kind;
  }
  bool has_zero() const { return a.is_zero() || b.is_zero() || a_scale.is_zero() || b_scale.is_zero(); }
  bool negative() const { return a.negative != b.negative; }
};

Factors factors(const DotRow& a, const DotRow& b, std::size_t i, int block) {
  Factors x;
  x.a = a.elements[i];
  x.b = b.elements[i];
  if (block == 0) return x;
  x.a_scale = a.scales[i / static_cast<std::size_t>(block)];
  x.b_scale = b.scales[i / static_cast<std::size_t>(block)];
  return x;
}

// Step 1. What a NaN or an infinity among the products and c makes of the sum.
struct Special {
  bool nan = false, plus_infinity = false, minus_infinity = false;
  const char* note = "";

  void add_nan(const char* why) {
    if (!nan) note = why;
    nan = true;
  }
  void add_infinity(bool negative) { (negative ? minus_infinity : plus_infinity) = true; }
  bool decides() const { return nan || plus_infinity || minus_infinity; }

  std::uint32_t result(const FormatInfo& output) const {
    if (nan || (plus_infinity && minus_infinity)) return nan_of(output);
    return overflow_code(output, minus_infinity, Overflow::infinity);
  }
  const char* text() const {
    if (nan) return note;
    return plus_infinity && minus_infinity ? "infinities of both signs" : "an infinite product or c";
  }
};

void add_special_values(const Factors& x, Special& special) {
  if (x.has(NumberKind::nan)) {
    special.add_nan("an operand or a scale is NaN");
  } else if (x.has(NumberKind::infinity)) {
    if (x.has_zero()) {
      special.add_nan("infinity times zero");
    } else {
      special.add_infinity(x.negative());
    }
  }
}

void add_special_values(const Number& c, Special& special) {
  if (c.kind == NumberKind::nan) special.add_nan("c is NaN");
  if (c.kind == NumberKind::infinity) special.add_infinity(c.negative);
}

Term term_of(std::int64_t magnitude, bool negative, int exponent, int fraction_bits, ZeroRule zeros) {
  return {negative ? -magnitude : magnitude, exponent, fraction_bits,
          zeros == ZeroRule::mma_sim || magnitude != 0};
}

// Step 2. The exact product: at most 11 + 11 bits of the operands and 4 + 4 of the scales.
Term product(const Factors& x, ZeroRule zeros) {
  const std::int64_t magnitude =
      std::int64_t{x.a.significand} * x.b.significand * x.a_scale.significand * x.b_scale.significand;
  const int exponent =
      aligned_exponent(x.a, zeros) + aligned_exponent(x.b, zeros) + x.a_scale.exponent + x.b_scale.exponent;
  const int fraction_bits =
      x.a.fraction_bits + x.b.fraction_bits + x.a_scale.fraction_bits + x.b_scale.fraction_bits;
  return term_of(magnitude, x.negative(), exponent, fraction_bits, zeros);
}

// Elements [begin, end) and c as one sum.
std::uint32_t one_sum(const DotRow& a, const DotRow& b, std::size_t begin, std::size_t end,
                      std::uint32_t c_bits, const DotShape& shape, const DotAddRules& rules,
                      DotAddTrace* trace) {
  const Number c = decode(shape.c_format, c_bits);
  Special special;
  add_special_values(c, special);
  std::vector<Term> terms;
  terms.reserve(end - begin + 1);
  for (std::size_t i = begin; i < end; ++i) {
    const Factors x = factors(a, b, i, shape.block);
    add_special_values(x, special);
    terms.push_back(product(x, rules.zeros));
  }
  if (special.decides()) return decided(special.result(rules.output), c_bits, special.text(), trace);
  terms.push_back(
      term_of(c.significand, c.negative, aligned_exponent(c, rules.zeros), c.fraction_bits, rules.zeros));
  if (trace != nullptr) trace->c = c_bits;
  return dot_add(terms, rules, trace);
}

}  // namespace

std::uint32_t mma_dot(const DotRow& a, const DotRow& b, std::uint32_t c, const DotShape& shape,
                      const DotAddRules& rules, std::vector<DotAddTrace>* trace) {
  const std::size_t k = a.elements.size();
  const auto step = static_cast<std::size_t>(rules.products_per_sum);
  for (std::size_t begin = 0; begin < k; begin += step) {
    DotAddTrace* entry = trace != nullptr ? &trace->emplace_back() : nullptr;
    c = one_sum(a, b, begin, std::min(begin + step, k), c, shape, rules, entry);
  }
  return c;
}

}  // namespace fourge::reference
