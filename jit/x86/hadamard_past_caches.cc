// The last pass of a large power of two whose results go past the caches.
#include <array>

#include "jit/x86/hadamard.h"

namespace fourge::jit {

using Xbyak::Label;
using Xbyak::Zmm;

// The stages across `parts` (2, 4 or 8), at one pair of them after another: 16 sums, then 16 differences,
// because memory takes 1 KiB in a row faster than parts of it.
//   p05 of a vector: parts / 2, which is log2(parts) or, for 8, one more; 1 for the scale. 1 store.
// Bound: memory (docs/rotation_quantisation.md).
void HadamardGenerator::last_past_caches(int parts) {
  const int half = parts / 2, lines = 2 * fetches_by_pass().last;
  Label next;
  mov(cursor, work);
  mov(output_cursor, y);
  mov(loops, part() / kChunk);
  reset_slots();
  L(next);
  for (int p = 0; p < half; ++p) {
    InstructionStream stream;
    for (int i = 0; i < kMaxVectors; ++i) {
      const Zmm a = i % 2 == 0 ? t0 : t1, b = data(i), sum = pair_scratch(i);
      stream.push_back([=, this] { across_parts(a, sum, p, 0, half, i); });
      stream.push_back([=, this] { across_parts(b, sum, p, half, half, i); });
      stream.push_back([=, this] { vaddps(sum, a, b); });
      stream.push_back([=, this] { vsubps(b, a, b); });
      stream.push_back(
          [=, this] { store_vector(sum, Target::output, output_cursor, p * part() + i * kLanes); });
    }
    append(stream, store_vectors(0, 1, kMaxVectors, Target::output, output_cursor, (p + half) * part()));
    emit_interleaved(std::array{stream, fetches(lines)});
    if (lines > 0) add(ahead, lines * kVectorBytes);
  }
  add(cursor, static_cast<int>(kChunk) * 4);
  add(output_cursor, static_cast<int>(kChunk) * 4);
  dec(loops);
  jnz(next, T_NEAR);
}

// sum <- vector `index` of part `p` after the stages across `count` parts (1, 2 or 4) from `first` on.
void HadamardGenerator::across_parts(const Zmm& sum, const Zmm& t, int p, int first, int count, int index) {
  const auto from = [&](int j) { return at(cursor, (j * part() + index * kLanes) * 4); };
  const int half = count / 2, sign = (p & half) != 0 ? -1 : 1;
  if (count == 1) {
    vmovaps(sum, from(first));
    return;
  }
  across_parts(sum, t, p, first, half, index);
  if (half == 1) {
    add_signed(sum, sum, from(first + 1), sign);
  } else {
    across_parts(t, t, p, first + half, half, index);
    add_signed(sum, sum, t, sign);
  }
}

// The lines that the chunk after the one at `cursor` goes to: where the sums of a block exceed L1,
// they come from L2 and are to be there before they are written.
InstructionStream HadamardGenerator::own_lines(Target target) {
  InstructionStream stream;
  const bool in_l1 = spec_.order * 4 <= kSmallWork;
  if (target != Target::work || !output_apart() || in_l2() || in_l1) return stream;
  for (int i = 0; i < kMaxVectors; ++i)
    stream.push_back([=, this] { prefetchw(at(cursor, kChunk * 4 + i * kVectorBytes)); });
  return stream;
}

}  // namespace fourge::jit
