// The pass over the runs of a Paley order: every row's signed sum of 12, 20 or 28 vectors.
#include <cstddef>
#include <vector>

#include "jit/x86/hadamard.h"

namespace fourge::jit {

using Xbyak::Label;
using Xbyak::Zmm;

namespace {

// What a row adds in a group of four columns: sign * ((x0 +- x1) +- (x2 +- x3)).
struct PaleyTerm {
  int four;  // bit 0: minus x1, bit 1: minus x3, bit 2: minus the second pair
  int sign;

  bool operator==(const PaleyTerm&) const = default;
};

PaleyTerm paley_term(const PaleyMatrix& h, int row, int group) {
  const int j = 4 * group, s0 = h(row, j);
  const int s1 = s0 * h(row, j + 1), s2 = s0 * h(row, j + 2), s3 = s0 * h(row, j + 3);
  return {(s1 < 0 ? 1 : 0) + (s2 * s3 < 0 ? 2 : 0) + (s2 < 0 ? 4 : 0), s0};
}

// The first row whose terms in groups 0 to `last` are the same; its sum is this row's.
int leading_row(const PaleyMatrix& h, int row, int last) {
  for (int leader = 0; leader < row; ++leader) {
    int group = 0;
    while (group <= last && paley_term(h, leader, group) == paley_term(h, row, group)) ++group;
    if (group > last) return leader;
  }
  return row;
}

}  // namespace

// A column of vectors at a time, every row's sum in a register: four inputs after another are added to all.
//
// Port budget of a vector (16 elements), zmm, Golden Cove (p05 = either vector port):
//   sums of four inputs   12 for 4 vectors: 3 on p05; 1.75 loads
//   rows' sums            paley / 4 - 1 on p05, at order 28 a little less: rows that begin alike
//   scale, store          1 on p05, 1 store
// 12, 20, 28: 6, 8, 10 uops -> 3, 4, 5 cycles a vector; 28 x 256 takes 5.4. Bound: p05.
//
// Where runs are 2 KiB apart, 28 lines meet in 2 sets of L1, which hold 24. The last ones read are written
// first, so that 4 of them are fetched again, not all.
void HadamardGenerator::paley_pass() {
  const PaleyMatrix h(static_cast<int>(factors_.paley));
  Label next;
  mov(cursor, work);
  mov(output_cursor, y);
  mov(loops, factors_.power / kLanes);
  L(next);
  const int groups = h.order() / 4, lines = fetches_by_pass().last * groups / 4;
  for (int group = 0; group < groups; ++group) {
    fetch((group + 1) * lines / groups - group * lines / groups);
    paley_group(h, group);
  }
  if (spec_.scaled) vbroadcastss(scale, ptr[args + offsetof(HadamardArgs, scale)]);
  for (int row = h.order() - 1; row >= 0; --row)
    store_vector(row_sum(row), Target::output, output_cursor, row * factors_.power);
  add(cursor, kVectorBytes);
  add(output_cursor, kLanes * out_bytes());
  dec(loops);
  jnz(next, T_NEAR);
  load_constants();
}

// Adds what four inputs give to every row. Rows that began alike share the first one's sum until they part.
void HadamardGenerator::paley_group(const PaleyMatrix& h, int group) {
  const auto column = [&](int k) { return at(cursor, (4 * group + k) * factors_.power * 4); };
  for (int row = 0; row < h.order() && group > 0; ++row) {
    const int leader = leading_row(h, row, group - 1);
    if (leader != row && leading_row(h, row, group) == row) vmovaps(row_sum(row), row_sum(leader));
  }
  vmovups(four, column(2));
  vaddps(high[0], four, column(3));
  vsubps(high[1], four, column(3));
  vmovups(low, column(0));
  vaddps(low, low, column(1));
  for (const int index : {0, 2, 4, 6}) add_four(h, group, index);
  vmovups(low, column(0));
  vsubps(low, low, column(1));
  for (const int index : {1, 3, 5, 7}) add_four(h, group, index);
}

// low +- high: the sum of its row in the first group, later added to those of its rows.
void HadamardGenerator::add_four(const PaleyMatrix& h, int group, int index) {
  std::vector<int> rows;
  for (int row = 0; row < h.order(); ++row) {
    if (paley_term(h, row, group).four == index && leading_row(h, row, group) == row) rows.push_back(row);
  }
  if (rows.empty()) return;
  const Zmm sum = group == 0 ? row_sum(rows.front()) : four, pair = high[index >> 1 & 1];
  add_signed(sum, low, pair, (index & 4) != 0 ? -1 : 1);
  if (group == 0) return;  // alike so far: one row leads
  for (const int row : rows) add_signed(row_sum(row), row_sum(row), four, paley_term(h, row, group).sign);
}

}  // namespace fourge::jit
