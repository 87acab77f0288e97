#include "jit/aarch64/hadamard.h"

#include <algorithm>
#include <cstddef>
#include <utility>

namespace fourge::jit {

using namespace vixl::aarch64;  // NOLINT(google-build-using-namespace): register and condition names

namespace {

MemOperand field(const Register& base, std::size_t offset) {
  return MemOperand(base, static_cast<std::int64_t>(offset));
}

}  // namespace

const char* aarch64_hadamard_refusal(const HadamardSpec& spec) {
  const HadamardFactors factors = hadamard_factors(spec.order);
  if (factors.paley > 1) return "takes powers of two only";
  return factors.power < 16 ? "takes orders from 16 only" : nullptr;
}

void AArch64HadamardGenerator::generate() {
  prologue(0, kToNearest);
  load_arguments();
  block_loop();
  epilogue();
}

void AArch64HadamardGenerator::load_arguments() {
  using simd::HadamardArgs;
  Ldr(input_base, field(args, offsetof(HadamardArgs, x)));
  Ldr(y, field(args, offsetof(HadamardArgs, y)));
  Ldr(work, field(args, offsetof(HadamardArgs, work)));
  Ldr(signs, field(args, offsetof(HadamardArgs, sign_words)));
  Ldr(blocks_left, field(args, offsetof(HadamardArgs, count)));
  if (spec_.scaled) {
    Add(step, args, offsetof(HadamardArgs, scale));
    Ld1r(scale.V4S(), MemOperand(step));
  }
  load_io_constants(one, half_ulp);
}

void AArch64HadamardGenerator::block_loop() {
  using simd::HadamardArgs;
  Label next_block;
  Bind(&next_block);
  Mov(input, input_base);
  if (spec_.signs) Mov(sign_cursor, signs);
  if (spec_.output == ElementFormat::f32) Mov(work, y);  // passes in between fit into the output itself
  whole_block();
  Ldr(step, field(args, offsetof(HadamardArgs, x_step)));
  Add(input_base, input_base, step);
  Ldr(step, field(args, offsetof(HadamardArgs, y_step)));
  Add(y, y, step);
  Subs(blocks_left, blocks_left, 1);
  B(&next_block, ne);
}

void AArch64HadamardGenerator::whole_block() {
  chunk_pass(spec_.order <= kChunk ? Target::output : Target::work);
  std::int64_t distance = kChunk;
  while (distance < spec_.order) {
    const std::int64_t rest = spec_.order / distance;
    const std::int64_t radix = rest <= kMaxVectors ? rest : rest <= 64 ? 8 : kMaxVectors;
    vertical_pass(static_cast<int>(radix), distance, radix == rest ? Target::output : Target::work);
    distance *= radix;
  }
}

// Stages inside 64 elements or less, over the block.
//
// Vector instructions of 4 elements (Neoverse V2, Apple M1: four a cycle), f32: stages 1 and 2 two,
// transposing two, stages 3 to 6 four, scale one; a quarter of an ld4, a store.
void AArch64HadamardGenerator::chunk_pass(Target target) {
  const int vectors = static_cast<int>(std::min(spec_.order, kChunk)) / kLanes;
  const std::int64_t chunks = spec_.order / (vectors * kLanes);
  Label next_chunk;
  Mov(cursor, target == Target::work ? work : y);
  Mov(loops, chunks);
  Bind(&next_chunk);
  reset_slots();
  for (int i = 0; i < vectors; i += 4) load_sixteen(i);
  stages(0, vectors);
  for (int i = 0; i < vectors; ++i) store_vector(i, target, cursor, i * kLanes);
  Add(cursor, cursor, vectors * kLanes * bytes_in(target));
  Subs(loops, loops, 1);
  B(&next_chunk, ne);
}

// data(first .. first + 3) <- the next 16 elements after stages 1 and 2. Slots are still in order here.
void AArch64HadamardGenerator::load_sixteen(int first) {
  load_transposed(first, input, spec_.input);
  if (spec_.signs) {
    Ld4(sign(0).V4S(), sign(1).V4S(), sign(2).V4S(), sign(3).V4S(), MemOperand(sign_cursor, 64, PostIndex));
    for (int i = 0; i < 4; ++i) Eor(v(first + i).V16B(), v(first + i).V16B(), sign(i).V16B());
  }
  // Butterflies into the scratch registers, so that the four stay where they are.
  const VRegister a = v(first), b = v(first + 1), c = v(first + 2), d = v(first + 3);
  Fadd(t(0).V4S(), a.V4S(), b.V4S());
  Fsub(t(1).V4S(), a.V4S(), b.V4S());
  Fadd(t(2).V4S(), c.V4S(), d.V4S());
  Fsub(t(3).V4S(), c.V4S(), d.V4S());
  Fadd(a.V4S(), t(0).V4S(), t(2).V4S());
  Fadd(b.V4S(), t(1).V4S(), t(3).V4S());
  Fsub(c.V4S(), t(0).V4S(), t(2).V4S());
  Fsub(d.V4S(), t(1).V4S(), t(3).V4S());
  transpose(first);
}

// Lane i of the j-th <-> lane j of the i-th.
void AArch64HadamardGenerator::transpose(int first) {
  const VRegister a = v(first), b = v(first + 1), c = v(first + 2), d = v(first + 3);
  Trn1(t(0).V4S(), a.V4S(), b.V4S());
  Trn2(t(1).V4S(), a.V4S(), b.V4S());
  Trn1(t(2).V4S(), c.V4S(), d.V4S());
  Trn2(t(3).V4S(), c.V4S(), d.V4S());
  Trn1(a.V2D(), t(0).V2D(), t(2).V2D());
  Trn1(b.V2D(), t(1).V2D(), t(3).V2D());
  Trn2(c.V2D(), t(0).V2D(), t(2).V2D());
  Trn2(d.V2D(), t(1).V2D(), t(3).V2D());
}

// All stages across `count` vectors, a power of two.
void AArch64HadamardGenerator::stages(int first, int count) {
  for (int half = 1; half < count; half *= 2) {
    for (int i = first; i < first + count; ++i) {
      if (((i - first) & half) != 0) continue;
      Fsub(spare().V4S(), data(i).V4S(), data(i + half).V4S());
      Fadd(data(i).V4S(), data(i).V4S(), data(i + half).V4S());
      std::swap(slot_[i + half], slot_[kMaxVectors]);
    }
  }
}

// `radix` vectors `distance` elements apart, over the block; in place, or from work to y.
//   A vector: 1 instruction a stage, 1 for the scale; 1 load, 1 store.
void AArch64HadamardGenerator::vertical_pass(int radix, std::int64_t distance, Target target) {
  const int unroll = kMaxVectors / radix;
  const std::int64_t group = radix * distance;
  Label next_group, next;
  Mov(cursor, work);
  Mov(output_cursor, target == Target::work ? work : y);
  Mov(groups, spec_.order / group);
  Bind(&next_group);
  Mov(loops, distance / (kLanes * unroll));
  Bind(&next);
  reset_slots();
  for (int u = 0; u < unroll; ++u) {
    for (int j = 0; j < radix; ++j)
      Ldr(data(u * radix + j), MemOperand(cursor, (j * distance + u * kLanes) * 4));
    stages(u * radix, radix);
    for (int j = 0; j < radix; ++j)
      store_vector(u * radix + j, target, output_cursor, j * distance + u * kLanes);
  }
  Add(cursor, cursor, unroll * kVectorBytes);
  Add(output_cursor, output_cursor, unroll * kLanes * bytes_in(target));
  Subs(loops, loops, 1);
  B(&next, ne);
  Add(cursor, cursor, (group - distance) * 4);
  Add(output_cursor, output_cursor, (group - distance) * bytes_in(target));
  Subs(groups, groups, 1);
  B(&next_group, ne);
}

void AArch64HadamardGenerator::store_vector(int i, Target target, const Register& to, std::int64_t element) {
  if (target == Target::work) {
    Str(data(i), MemOperand(to, element * 4));
    return;
  }
  if (spec_.scaled) Fmul(data(i).V4S(), data(i).V4S(), scale.V4S());
  store_from_f32(to, element * out_bytes(), data(i), spec_.output, t(0), t(1));
}

void AArch64HadamardGenerator::reset_slots() {
  for (int i = 0; i <= kMaxVectors; ++i) slot_[i] = i;
}

KernelNotes AArch64HadamardGenerator::notes() const {
  KernelNotes notes;
  notes.registers = {
      {"v0..v16", "data: 16 vectors and a spare one that butterflies swap with"},
      {"v20..v23", "sign bits"},
      {"v24..v27", "scratch"},
      {"v28, v29, v30", "scale; 1 and 0x7fff for rounding to bf16"},
      {"x1..x5", "x, y, work, signs, blocks left"},
      {"x6, x7, x8, x9", "cursors: input, signs, a pass's source and destination"},
  };
  notes.budget =
      "vector instructions of 4 elements: log2(order) stages, 2 to transpose, 1 to scale; loads and "
      "stores: 1 each a pass of 64, 512, 4096 elements";
  return notes;
}

}  // namespace fourge::jit
