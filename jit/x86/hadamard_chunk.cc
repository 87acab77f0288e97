// The stages inside a vector, and the pass over chunks of 256 elements.
#include <algorithm>
#include <array>
#include <cstddef>
#include <utility>

#include "jit/x86/hadamard.h"

namespace fourge::jit {

using Xbyak::Label;
using Xbyak::Reg64;
using Xbyak::Zmm;

// 16 to 128 elements: all stages.
void HadamardGenerator::chunk_pass(std::int64_t elements, Target target) {
  const int vectors = static_cast<int>(elements / kLanes);
  const Reg64& to = target == Target::work ? sub_work : y;
  reset_slots();
  if (!in_l2()) {
    lea(ahead, ptr[input + kAhead]);
    fetch(fetches_of(elements));
  }
  emit(load_block(0, vectors, input, sign_cursor));
  emit(lane_stages(vectors));
  emit(butterflies(0, vectors, even_odd() ? 2 : 1));
  emit(store_vectors(0, 1, vectors, target, to, 0));
  add(input, vectors * kLanes * in_bytes());
  if (spec_.signs) add(sign_cursor, vectors * kVectorBytes);
}

// Stages inside each 256 of `elements`, the first three a chunk ahead.
//
// Port budget of a vector (16 elements), zmm, Golden Cove (p05 = either vector port), f32 without signs:
//   stage 1         2 loads that duplicate lanes, 1 fma             1 on p05
//   stages 2, 3     a shuffle (p5) and a fma each                   4 on p05, 2 of them p5
//   stage 4         a store, 2 loads that broadcast halves, 1 fma   1 on p05 (orders below 128: as stage 2)
//   stages 5..8     half an add and half a sub each                 1 each on p05
//   scale           1 mul
// 256 elements: 10 uops (11 with scale) -> 5 (5.5) cycles a vector; a copy in L2 takes 4.7. Bound: p05, at
// the clock of dense 512-bit code (docs/rotation_quantisation.md). Fetches take a load each, 2 of 6 then.
void HadamardGenerator::piped_chunk_pass(std::int64_t elements, Target target) {
  const bool loop = elements > kChunk;
  Label next_chunk;
  mov(cursor, target == Target::work ? sub_work : y);
  if (loop) mov(loops, elements / kChunk);
  L(next_chunk);
  emit_with_next_chunk(across_chunk(target), own_lines(target));
  if (!loop) return;
  add(cursor, static_cast<int>(kChunk) * (target == Target::work ? 4 : out_bytes()));
  dec(loops);
  jnz(next_chunk, T_NEAR);
}

// 512 elements. The last stage takes the second chunk from registers: 1.5 stores and 0.5 loads a vector,
// where a vertical pass after both has 2 and 1 and is bound by its stores. Sums and differences, whose lines
// may all miss L1, are not stored in turns: that takes 10.1 cycles a vector instead of 6.8.
void HadamardGenerator::piped_chunk_pair(Target target) {
  const Reg64& to = target == Target::work ? sub_work : y;
  mov(cursor, sub_work);
  emit_with_next_chunk(across_chunk(Target::work), own_lines(target));
  InstructionStream second = stages_of_chunk();
  for (int i = 0; i < kMaxVectors; ++i) {
    const Zmm v = data(i), a = pair_scratch(2 * i), sum = pair_scratch(2 * i + 1);
    append(second,
           {[=, this] { vmovups(a, at(sub_work, i * kVectorBytes)); }, [=, this] { vaddps(sum, a, v); },
            [=, this] { vsubps(v, a, v); }, [=, this] { store_vector(sum, target, to, i * kLanes); }});
  }
  append(second, store_vectors(0, 1, kMaxVectors, target, to, kChunk));
  emit_with_next_chunk(second, {});
}

// The stages across a chunk, mixed with those before of the next one.
void HadamardGenerator::emit_with_next_chunk(const InstructionStream& across, const InstructionStream& own) {
  const int lines = fetches_by_pass().chunk;
  advance_pipe();
  emit_interleaved(std::array{across, lanes_of_chunk(), fetches(lines), next_input(input), own});
  if (lines > 0) add(ahead, lines * kVectorBytes);
}

// Where the pipe goes on after this block: with the next one, or, after the last, with what nobody reads.
// Of this block's output the last pass of the block before has fetched its share.
void HadamardGenerator::pipe_block() {
  const int block_bytes = static_cast<int>(spec_.order) * in_bytes();
  if (in_l2()) {
    const Fetches fetches = fetches_by_pass();
    const int fetched = factors_.power > part() ? fetches.last : fetches.vertical;
    lea(ahead, ptr[y + static_cast<int>(spec_.order / kChunk) * fetched * kVectorBytes]);
  } else {
    lea(ahead, ptr[x + std::max(kAhead, block_bytes)]);
  }
  if (spec_.order == kChunk) return;
  lea(cursor, ptr[x + block_bytes]);
  mov(block_end(), cursor);
  block_after(cursor, x, offsetof(HadamardArgs, x_step));
  mov(next_block(), cursor);
}

// next <- the block after the one at `block`; after the last, that one again.
void HadamardGenerator::block_after(const Reg64& next, const Reg64& block, std::size_t step) {
  mov(next, block);
  add(next, ptr[args + step]);
  cmp(blocks_left, 1);
  cmove(next, block);
}

void HadamardGenerator::advance_pipe() {
  if (spec_.order == kChunk) {
    block_after(input, x, offsetof(HadamardArgs, x_step));
    return;
  }
  add(input, static_cast<int>(kChunk) * in_bytes());
  if (spec_.signs) add(sign_cursor, static_cast<int>(kChunk) * 4);
  cmp(input, block_end());
  cmove(input, next_block());
  if (spec_.signs) cmove(sign_cursor, signs);
}

// Three stages over the 16 vectors at `input`, onto the stack.
InstructionStream HadamardGenerator::lanes_of_chunk() {
  InstructionStream stream;
  for (int first = 0; first < kMaxVectors; first += kPipedBreadth) {
    const int end = first + kPipedBreadth;
    if (even_odd()) {
      append(stream, load_even_odd(lanes(first), lanes(first + 1), partner(first),
                                   ptr[input + first / 2 * kVectorBytes]));
    }
    for (int i = first; i < end && !even_odd(); ++i)
      append(stream, load_vector(lanes(i), partner(i), input, sign_cursor, i));
    for (int stage = first_stage_by_load() ? 1 : 0; stage < 3; ++stage) {
      for (int i = first; i < end; ++i)
        stream.push_back([=, this] { swap_lanes(partner(i), lanes(i), stage); });
      for (int i = first; i < end; ++i)
        stream.push_back([=, this] { vfmadd132ps(lanes(i), partner(i), plus_minus(stage)); });
    }
    for (int i = first; i < end; ++i)
      stream.push_back([=, this] { vmovaps(ptr[rsp + i * kVectorBytes], lanes(i)); });
  }
  return stream;
}

// The fourth stage from the stack, then those across the vectors. Its loads are less than half of it: they
// come before lanes_of_chunk, spread over the whole, writes the same vectors for the next chunk.
InstructionStream HadamardGenerator::stages_of_chunk() {
  reset_slots();
  InstructionStream stream = last_lane_stage(kMaxVectors);
  append(stream, butterflies(0, kMaxVectors, even_odd() ? 2 : 1));
  return stream;
}

InstructionStream HadamardGenerator::across_chunk(Target target) {
  InstructionStream stream = stages_of_chunk();
  append(stream, store_vectors(0, 1, kMaxVectors, target, cursor, 0));
  return stream;
}

// Bytes read and stages done, by pass, decide how many lines each fetches: fetches in bursts stall the loads
// behind them. Stores past the caches wait for memory as fetches do, which in larger blocks leaves time for
// more of them. In L2 the last pass over several parts waits for lines that have left L1 and has less.
HadamardGenerator::Fetches HadamardGenerator::fetches_by_pass() const {
  const int lines = fetches_of(kChunk);
  const std::int64_t block_bytes = spec_.order * in_bytes();
  if (factors_.paley > 1 && piped() && !in_l2())
    return {.chunk = lines - lines * 3 / 8, .last = lines * 3 / 8};
  if (factors_.paley > 1 || part() == kChunk || takes_chunk_pairs() ||
      (traffic_.past_caches && block_bytes <= kSmallBlock))
    return {.chunk = lines};
  const bool has_last = factors_.power > part();
  const int output = traffic_.past_caches ? 6 : 1;
  const int chunk = 10, vertical = log2(part() / kChunk) + (has_last ? 0 : output),
            last = !has_last ? 0
                   : in_l2() ? 1
                             : log2(factors_.power / part()) + output,
            all = chunk + vertical + last;
  Fetches fetches{.vertical = lines * vertical / all, .last = lines * last / all};
  fetches.chunk = lines - fetches.vertical - fetches.last;
  return fetches;
}

InstructionStream HadamardGenerator::fetches(int lines) {
  InstructionStream stream;
  for (int i = 0; i < lines; ++i) {
    const auto line = ptr[ahead + i * kVectorBytes];
    stream.push_back([=, this] { in_l2() ? prefetchw(line) : prefetcht1(line); });
  }
  return stream;
}

// Into L1, where L2 has it: the 256 elements after those at `from`.
InstructionStream HadamardGenerator::next_input(const Reg64& from) {
  InstructionStream stream;
  const int bytes = static_cast<int>(kChunk) * in_bytes();
  for (int i = 0; i < bytes && in_l2(); i += kVectorBytes)
    stream.push_back([=, this] { prefetcht0(ptr[from + bytes + i]); });
  return stream;
}

void HadamardGenerator::fetch(int lines) {
  emit(fetches(lines));
  if (lines > 0) add(ahead, lines * kVectorBytes);
}

// data(first) and following <- vectors at `from`, with the first stage where loading gives it.
InstructionStream HadamardGenerator::load_block(int first, int vectors, const Reg64& from,
                                                const Reg64& sign_words) {
  InstructionStream stream;
  for (int i = 0; i < vectors; ++i) {
    const Zmm v = data(first + i), partner = swapped(first + i);
    if (!even_odd()) {
      append(stream, load_vector(v, partner, from, sign_words, i));
    } else if (i % 2 == 0) {
      append(stream, load_even_odd(v, data(first + i + 1), partner, ptr[from + i * kLanes * in_bytes()]));
    }
  }
  return stream;
}

// v <- vector `index` at `from`, signs applied; with the first stage where loads can swap its lanes.
InstructionStream HadamardGenerator::load_vector(const Zmm& v, const Zmm& partner, const Reg64& from,
                                                 const Reg64& sign_words, int index) {
  const auto address = ptr[from + index * kLanes * in_bytes()];
  if (first_stage_by_load()) {
    return {[=, this] { vmovshdup(partner, address); }, [=, this] { vmovsldup(v, address); },
            [=, this] { vfmadd231ps(v, partner, plus_minus(0)); }};
  }
  InstructionStream stream = {[=, this] { load_as_f32(v, address, spec_.input); }};
  if (spec_.signs) stream.push_back([=, this] { vxorps(v, v, ptr[sign_words + index * kVectorBytes]); });
  return stream;
}

// Eight vectors side by side: each instruction finds its operands ready when it is issued.
InstructionStream HadamardGenerator::lane_stages(int count) {
  InstructionStream stream;
  const int shuffled = last_stage_by_load() ? 3 : 4;
  for (int first = 0; first < count; first += kBreadth) {
    const int end = std::min(first + kBreadth, count);
    for (int stage = first_stage_by_load() ? 1 : 0; stage < shuffled; ++stage) {
      for (int i = first; i < end; ++i)
        stream.push_back([=, this, v = data(i)] { swap_lanes(swapped(i), v, stage); });
      for (int i = first; i < end; ++i)
        stream.push_back([=, this, v = data(i)] { vfmadd132ps(v, swapped(i), plus_minus(stage)); });
    }
  }
  if (!last_stage_by_load()) return stream;
  for (int i = 0; i < count; ++i)
    stream.push_back([=, this, v = data(i)] { vmovaps(ptr[rsp + i * kVectorBytes], v); });
  append(stream, last_lane_stage(count));
  return stream;
}

// The fourth stage: lower half twice, plus or minus the upper half twice.
InstructionStream HadamardGenerator::last_lane_stage(int count) {
  InstructionStream stream;
  for (int i = 0; i < count; ++i) {
    const Zmm v = data(i), upper = i % 2 == 0 ? t0 : t1;
    stream.push_back([=, this] { vbroadcastf32x8(upper, ptr[rsp + i * kVectorBytes + kVectorBytes / 2]); });
    stream.push_back([=, this] { vbroadcastf32x8(v, ptr[rsp + i * kVectorBytes]); });
    stream.push_back([=, this] { vfmadd231ps(v, upper, plus_minus(3)); });
  }
  return stream;
}

// Lanes that differ in bit `stage` change places. Then (a, b) -> (a + b, a - b) is one fma, partner plus or
// minus own lane: a product with +-1 is exact, so it rounds as the addition does.
void HadamardGenerator::swap_lanes(const Zmm& partner, const Zmm& v, int stage) {
  switch (stage) {
    case 0:
      vpermilps(partner, v, 0b10'11'00'01);
      break;
    case 1:
      vpermilps(partner, v, 0b01'00'11'10);
      break;
    case 2:
      vshuff32x4(partner, v, v, 0b10'11'00'01);
      break;
    default:
      vshuff32x4(partner, v, v, 0b01'00'11'10);
  }
}

// Stages across `count` vectors, a power of two, from those `first_half` apart on.
InstructionStream HadamardGenerator::butterflies(int first, int count, int first_half) {
  InstructionStream stream;
  for (int half = first_half; half < count; half *= 2) {
    for (int i = first; i < first + count; ++i) {
      if (((i - first) & half) != 0) continue;
      const Zmm a = data(i), b = data(i + half), difference = spare();
      stream.push_back([=, this] { vsubps(difference, a, b); });
      stream.push_back([=, this] { vaddps(a, a, b); });
      std::swap(slot_[i + half], slot_[kMaxVectors]);
    }
  }
  return stream;
}

}  // namespace fourge::jit
