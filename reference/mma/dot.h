// The dot product of two rows of elements, plus c: every kind but the fp4 block-scaled ones.
//
//   D = c + sum over i of a[i] * b[i] * scale_A(i / block) * scale_B(i / block)
//
// Each product is a term of its own: its significand is the exact product, not normalised; its exponent is
// the sum of the exponents of the operands and of the scales. c is not scaled. A row longer than
// products_per_sum is a chain of sums in ascending k, D of one being c of the next.
//
// Source: docs/numerics.md, "The sum" and "mxf8f6f4".
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "fourge/formats.h"
#include "reference/mma/dot_add.h"

namespace fourge::reference {

/// A row of A or a column of B, decoded.
struct DotRow {
  std::vector<Number> elements = {};
  std::vector<Number> scales = {};  // one per block; empty: unscaled
};

struct DotShape {
  int block = 0;                                // elements that share a scale; 0: unscaled
  ElementFormat c_format = ElementFormat::f32;  // what c's bits are
};

/// D in the bits of rules.output. `trace` receives one entry per sum.
std::uint32_t mma_dot(const DotRow& a, const DotRow& b, std::uint32_t c, const DotShape& shape,
                      const DotAddRules& rules, std::vector<DotAddTrace>* trace = nullptr);

/// The canonical NaN of an output: 0x7fffffff in a 32-bit word, 0x7fff in a 16-bit one.
constexpr std::uint32_t nan_of(const FormatInfo& output) {
  return output.storage_bits == 32 ? 0x7fff'ffffu : 0x7fffu;
}

}  // namespace fourge::reference
