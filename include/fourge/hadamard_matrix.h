// Small Hadamard matrices whose order is not a power of two, built by Paley's constructions.
//
//   chi(a) = 0 if q divides a, 1 if a is a square modulo the prime q, else -1;   Q[i][j] = chi(i - j)
//
//   Paley I,  q = 3 mod 4, order q + 1:    I + [0 1; -1 Q]         12: q = 11     20: q = 19
//   Paley II, q = 1 mod 4, order 2(q + 1): [C+I C-I; C-I -C-I],    28: q = 13
//                                          C = [0 1; 1 Q]
//
// Here 1 stands for a row or a column of ones. Rows that begin with -1 are negated, so column 0 is all ones;
// negating rows keeps H H^T = order * I. Source: R. E. A. C. Paley, On orthogonal matrices, J. Math. Phys. 12
// (1933). The matrices are neither symmetric nor unique: a rotation and its counterpart must use the same
// one.
#pragma once

#include <array>
#include <cstdint>

namespace fourge {

/// Orders of the matrices below; every even-sized order that fourge rotates by is one of these or 1, times a
/// power of two.
inline constexpr int kPaleyOrders[] = {12, 20, 28};
inline constexpr int kLargestPaleyOrder = 28;

/// The Legendre symbol of a modulo the odd prime q.
constexpr int legendre(int a, int q) {
  const int residue = (a % q + q) % q;
  if (residue == 0) return 0;
  for (int root = 1; root < q; ++root) {
    if (root * root % q == residue) return 1;
  }
  return -1;
}

/// Entry of the (q + 1)-square matrix with 0 on the diagonal: [0 1; corner Q].
constexpr int bordered_residue(int i, int j, int q, int corner) {
  if (i == j) return 0;
  if (i == 0) return 1;
  if (j == 0) return corner;
  return legendre(i - j, q);
}

/// Entry of Paley's matrix before rows are negated. order: 12, 20 or 28.
constexpr int raw_paley_entry(int order, int i, int j) {
  if (order != 28) {
    const int q = order - 1;
    return (i == j ? 1 : 0) + bordered_residue(i, j, q, -1);
  }
  const int q = 13, half = q + 1;
  const int c = bordered_residue(i % half, j % half, q, 1), one = i % half == j % half ? 1 : 0;
  if (i < half) return j < half ? c + one : c - one;
  return j < half ? c - one : -c - one;
}

/// H of order 12, 20 or 28: +1 or -1, column 0 all +1.
class PaleyMatrix {
 public:
  explicit constexpr PaleyMatrix(int order) : order_(order) {
    for (int i = 0; i < order; ++i) {
      const int first = raw_paley_entry(order, i, 0);
      for (int j = 0; j < order; ++j)
        signs_[index(i, j)] = static_cast<std::int8_t>(first * raw_paley_entry(order, i, j));
    }
  }
  constexpr int order() const { return order_; }
  constexpr int operator()(int row, int column) const { return signs_[index(row, column)]; }

 private:
  static constexpr std::size_t index(int row, int column) {
    return static_cast<std::size_t>(row) * kLargestPaleyOrder + static_cast<std::size_t>(column);
  }
  int order_;
  std::array<std::int8_t, kLargestPaleyOrder * kLargestPaleyOrder> signs_{};
};

}  // namespace fourge
