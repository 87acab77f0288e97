#include "jit/x86/hadamard.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <utility>

namespace fourge::jit {

using Xbyak::Label;
using Xbyak::Reg64;
using Xbyak::Zmm;

void HadamardGenerator::generate() {
  prologue(kStackBytes);
  load_arguments();
  load_constants();
  if (spec_.order < kLanes) {
    short_vectors();
  } else {
    if (factors_.paley == 1 && spec_.order < kChunk) batch_loop();
    block_loop();
  }
  if (traffic_.past_caches) sfence();
  epilogue();
  emit_constant_pool();
}

void HadamardGenerator::load_arguments() {
  mov(x, ptr[args + offsetof(HadamardArgs, x)]);
  mov(y, ptr[args + offsetof(HadamardArgs, y)]);
  mov(work, ptr[args + offsetof(HadamardArgs, work)]);
  mov(signs, ptr[args + offsetof(HadamardArgs, sign_words)]);
  mov(blocks_left, ptr[args + offsetof(HadamardArgs, count)]);
}

void HadamardGenerator::load_constants() {
  for (int stage = 0; stage < 4; ++stage)
    vmovaps(plus_minus(stage), ptr[rip + plus_minus_ + stage * kVectorBytes]);
  if (spec_.scaled) vbroadcastss(scale, ptr[args + offsetof(HadamardArgs, scale)]);
  if (spec_.scaled && even_odd()) load_even_odd_scale();
}

// Orders 2, 4 and 8: several blocks a vector, and blocks without gaps, so that only the last vector is short.
void HadamardGenerator::short_vectors() {
  Label next_vector, tail, done;
  const auto rotate_and_store = [&](bool is_tail) {
    if (spec_.signs) vxorps(data(0), data(0), ptr[signs]);
    for (int stage = 0; stage < log2(spec_.order); ++stage) {
      swap_lanes(swapped(0), data(0), stage);
      vfmadd132ps(data(0), swapped(0), plus_minus(stage));
    }
    if (spec_.scaled) vmulps(data(0), data(0), scale);
    if (is_tail) {
      store_from_f32(ptr[y], data(0), spec_.output, t0, t1, nan_lanes, tail_lanes);
    } else {
      store_from_f32(ptr[y], data(0), spec_.output, t0, t1, nan_lanes);
    }
  };
  reset_slots();
  imul(elements_left, blocks_left, static_cast<int>(spec_.order));
  L(next_vector);
  cmp(elements_left, kLanes);
  jl(tail, T_NEAR);
  load_as_f32(data(0), ptr[x], spec_.input);
  rotate_and_store(false);
  add(x, kLanes * in_bytes());
  add(y, kLanes * out_bytes());
  sub(elements_left, kLanes);
  jmp(next_vector, T_NEAR);
  L(tail);
  test(elements_left, elements_left);
  jz(done, T_NEAR);
  mov(cursor, -1);
  bzhi(cursor, cursor, elements_left);
  kmovw(tail_lanes, cursor.cvt32());
  load_as_f32(data(0), ptr[x], spec_.input, tail_lanes);
  rotate_and_store(true);
  L(done);
}

// Orders below 256: as many blocks at once as fill 16 vectors, while there are as many.
void HadamardGenerator::batch_loop() {
  const int vectors = static_cast<int>(spec_.order / kLanes), batch = kMaxVectors / vectors;
  Label next_batch, done;
  mov(x_step, ptr[args + offsetof(HadamardArgs, x_step)]);
  mov(y_step, ptr[args + offsetof(HadamardArgs, y_step)]);
  L(next_batch);
  cmp(blocks_left, batch);
  jl(done, T_NEAR);
  if (in_l2()) {
    mov(ahead, y);
    mov(cursor, x);
  } else {
    lea(ahead, ptr[x + kAhead]);
  }
  reset_slots();
  InstructionStream stream;
  for (int b = 0; b < batch; ++b) {
    append(stream, load_block(b * vectors, vectors, x, signs));
    stream.push_back([this] { add(x, x_step); });
  }
  append(stream, lane_stages(kMaxVectors));
  for (int b = 0; b < batch; ++b) append(stream, butterflies(b * vectors, vectors, even_odd() ? 2 : 1));
  for (int b = 0; b < batch; ++b) {
    append(stream, store_vectors(b * vectors, 1, vectors, Target::output, y, 0));
    stream.push_back([this] { add(y, y_step); });
  }
  emit_interleaved(std::array{stream, fetches(fetches_of(kChunk)), next_input(cursor)});
  sub(blocks_left, batch);
  jmp(next_batch, T_NEAR);
  L(done);
}

void HadamardGenerator::block_loop() {
  Label next_block, done;
  test(blocks_left, blocks_left);
  jz(done, T_NEAR);
  if (piped()) {
    mov(input, x);
    if (spec_.signs) mov(sign_cursor, signs);
    emit(lanes_of_chunk());
  }
  L(next_block);
  if (piped()) {
    pipe_block();
  } else {
    mov(input, x);
    if (spec_.signs) mov(sign_cursor, signs);
  }
  if (!output_apart()) mov(work, y);  // passes in between fit into the output itself
  whole_block();
  add(x, ptr[args + offsetof(HadamardArgs, x_step)]);
  add(y, ptr[args + offsetof(HadamardArgs, y_step)]);
  dec(blocks_left);
  jnz(next_block, T_NEAR);
  L(done);
}

void HadamardGenerator::whole_block() {
  const std::int64_t power = factors_.power, paley = factors_.paley;
  mov(sub_work, work);
  if (paley == 1 && power == part()) {
    sub_transform(power, Target::output);
    return;
  }
  Label next_part;
  mov(sub_transforms, spec_.order / part());
  L(next_part);
  sub_transform(part(), Target::work);
  add(sub_work, static_cast<int>(part() * 4));
  dec(sub_transforms);
  jnz(next_part, T_NEAR);
  const int parts = static_cast<int>(power / part());
  if (parts == 1) {
    paley_pass();
  } else if (traffic_.past_caches) {
    last_past_caches(parts);
  } else {
    vertical_pass(parts, part(), work, Target::output);
  }
}

// 16..4096 elements at `input`, which advances, to sub_work or y.
void HadamardGenerator::sub_transform(std::int64_t power, Target target) {
  const int chunks = static_cast<int>(power / kChunk);
  if (!piped()) {
    chunk_pass(power, target);
  } else if (chunks == 1) {
    piped_chunk_pass(power, target);
  } else if (chunks == 2 && takes_chunk_pairs()) {
    piped_chunk_pair(target);
  } else {
    piped_chunk_pass(power, Target::work);
    vertical_pass(chunks, kChunk, sub_work, target);
  }
}

// `radix` vectors `distance` elements apart, over all vectors of a distance; in place, or from work to y.
//   p05 of a vector: 1 a stage, 1 for the scale. 1 load, 1 store.
void HadamardGenerator::vertical_pass(int radix, std::int64_t distance, const Reg64& base, Target target) {
  const int unroll = kMaxVectors / radix, stored = even_odd() && target == Target::output ? 2 : 1;
  const bool apart = target == Target::output && output_apart();
  const Reg64& out = apart ? output_cursor : cursor;
  const int lines = distance == kChunk ? fetches_by_pass().vertical : fetches_by_pass().last;
  Label next;
  mov(cursor, base);
  if (apart) mov(output_cursor, y);
  mov(loops, distance / (kLanes * unroll));
  if (in_l2() && target == Target::output && lines > 0) block_after(ahead, y, offsetof(HadamardArgs, y_step));
  L(next);
  fetch(lines);
  reset_slots();
  for (int u = 0; u < unroll; ++u) {
    for (int j = 0; j < radix; ++j) vmovups(data(u * radix + j), at(cursor, (j * distance + u * kLanes) * 4));
    emit(butterflies(u * radix, radix, 1));
    if ((u + 1) % stored != 0) continue;
    const int first = u + 1 - stored;
    for (int j = 0; j < radix; ++j)
      emit(store_vectors(first * radix + j, radix, stored, target, out, j * distance + first * kLanes));
  }
  add(cursor, unroll * kVectorBytes);
  if (apart) add(output_cursor, unroll * kLanes * out_bytes());
  dec(loops);
  jnz(next, T_NEAR);
}

// Of data(first), data(first + step), ...: `count` vectors without gaps in memory.
InstructionStream HadamardGenerator::store_vectors(int first, int step, int count, Target target,
                                                   const Reg64& to, std::int64_t element) {
  InstructionStream stream;
  const bool pairs = even_odd() && target == Target::output;
  for (int i = 0; i < count; i += pairs ? 2 : 1) {
    const Zmm v = data(first + i * step);
    if (pairs) {
      append(stream,
             store_even_odd(at(to, (element + i * kLanes) * out_bytes()), v, data(first + (i + 1) * step)));
    } else {
      stream.push_back([=, this] { store_vector(v, target, to, element + i * kLanes); });
    }
  }
  return stream;
}

void HadamardGenerator::store_vector(const Zmm& value, Target target, const Reg64& to, std::int64_t element) {
  if (target == Target::work) {
    vmovups(at(to, element * 4), value);
    return;
  }
  if (spec_.scaled) vmulps(value, value, scale);
  if (traffic_.past_caches) {
    vmovntps(at(to, element * out_bytes()), value);
    return;
  }
  store_from_f32(at(to, element * out_bytes()), value, spec_.output, t0, t1, nan_lanes);
}

void HadamardGenerator::add_signed(const Zmm& sum, const Zmm& a, const Xbyak::Operand& b, int sign) {
  if (sign > 0) {
    vaddps(sum, a, b);
  } else {
    vsubps(sum, a, b);
  }
}

void HadamardGenerator::reset_slots() {
  for (int i = 0; i <= kMaxVectors; ++i) slot_[i] = i;
}

void HadamardGenerator::emit_constant_pool() {
  align(64);
  L(plus_minus_);
  for (int stage = 0; stage < 4; ++stage) {
    for (int lane = 0; lane < kLanes; ++lane)
      dd(std::bit_cast<std::uint32_t>((lane >> stage & 1) != 0 ? -1.0f : 1.0f));
  }
  if (even_odd()) emit_even_odd_pool();
  emit_io_pool();
}

KernelNotes HadamardGenerator::notes() const {
  KernelNotes notes;
  notes.registers = {
      {"zmm0..16", "data, one of them spare: butterflies move through it"},
      {"zmm17, zmm18", "scratch of stores"},
      {"zmm19", "scale"},
      {"zmm20..23", "+1 and -1 by lane bit 0..3"},
      {"zmm24..31", "vectors with partner lanes swapped; piped: 2 of the next chunk and theirs"},
      {"rax", "elements left of short orders; piped: the next line to fetch"},
      {"rsi, rdx, rcx, r8, r9", "x, y, work, sign words, blocks left"},
      {"r10, r11", "input and sign cursors of the block"},
      {"rbx, r12, r13", "cursors and loop count of a pass"},
      {"r14, r15", "sub-transforms left, their base; steps of batches"},
  };
  if (factors_.paley > 1) {
    notes.registers.push_back({"zmm0..16, 20..30", "in the Paley pass: the rows' sums"});
    notes.registers.push_back({"zmm17..19, 31", "in the Paley pass: sums of two and of four inputs"});
  }
  const int per_vector = uops_of_vector();
  notes.ports = {per_vector / 2.0, kLanes};
  notes.budget = std::to_string(per_vector) + " uops on p05 a vector" +
                 (spec_.order < kLanes ? ", conversions not counted"
                                       : " of 16 -> " + std::to_string(per_vector / 2) +
                                             (per_vector % 2 != 0 ? ".5" : "") + " cycles");
  return notes;
}

int HadamardGenerator::uops_of_vector() const {
  const int stages = log2(factors_.power);
  if (spec_.order < kLanes) return 2 * stages + 1;
  const int in_lanes = (first_stage_by_load() ? 1 : 2) + 4 + (last_stage_by_load() ? 1 : 2);
  const int across = stages - 4;
  const int scaling = spec_.scaled ? 1 : 0, signing = spec_.signs ? 1 : 0;
  if (even_odd()) return 2 + in_lanes + across - 1 + scaling + 4;
  const auto conversion = [](ElementFormat format, int bf16) {
    return format == ElementFormat::bf16 ? bf16 : format == ElementFormat::f16 ? 2 : 0;
  };
  const int paley = factors_.paley == 1 ? 0 : 3 + static_cast<int>(factors_.paley) / 4 - 1;
  return conversion(spec_.input, 2) + signing + in_lanes + across + paley + scaling +
         conversion(spec_.output, 9);
}

}  // namespace fourge::jit
