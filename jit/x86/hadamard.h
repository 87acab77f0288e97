// Walsh-Hadamard rotations for AVX-512.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "fourge/hadamard.h"
#include "fourge/hadamard_matrix.h"
#include "jit/hadamard/hadamard_kernel.h"
#include "jit/x86/element_io.h"
#include "jit/x86/instruction_stream.h"

namespace fourge::jit {

/// Where a call's data lie. Input beyond L2 is prefetched into it. Else the next input and the lines that f32
/// results go to, for writing, are fetched into L1: a store that misses L1 holds up those behind it. f32
/// results can go past the caches, which spares reading their lines first.
struct HadamardTraffic {
  bool beyond_l2 = false;
  bool past_caches = false;  // f32 output, orders from 16, not in place, y and its step 64-byte aligned

  bool operator==(const HadamardTraffic&) const = default;
};

/// Emits hadamard_<output>_<input>_<order>[_signs][_scaled]__avx512. Orders as HadamardSpec's, but for Paley
/// orders the power must fill a vector: at least 16.
///
/// A block goes through passes; each keeps up to 16 vectors in registers and does up to 8 of the butterfly
/// stages, in ascending order, so that every sum is the textbook's:
///
///   chunk pass      16 vectors in a row (256 elements): 4 stages inside a vector, then up to 4 across
///   vertical pass   2..16 vectors at one distance: 1..4 stages across
///   paley pass      12, 20 or 28 vectors at one distance: their signed sums
///
/// Large powers run as sub-transforms (part() elements, 16 KiB at most, in L1) and one more vertical pass.
/// From 256 elements on the chunk pass is piped: while a chunk goes through the stages across vectors, the
/// next one, of the next block after a block's last, goes through the three before, onto the stack.
class HadamardGenerator : public ElementIoGenerator {
 public:
  HadamardGenerator(const HadamardSpec& spec, bool poison, HadamardTraffic traffic = {})
      : ElementIoGenerator(poison), spec_(spec), factors_(hadamard_factors(spec.order)), traffic_(traffic) {}
  KernelNotes notes() const override;

 private:
  static constexpr int kLanes = 16, kVectorBytes = 64, kMaxVectors = 16;
  static constexpr std::int64_t kChunk = 256, kSubTransform = 4096, kSubTransformInL2 = 2048;
  static constexpr int kAhead = 16 << 10;                // bytes: a sub-transform
  static constexpr std::int64_t kSmallBlock = 8 << 10;   // bytes
  static constexpr std::int64_t kSmallPaley = 24 << 10;  // bytes: a block stays in L1 until its last pass
  static constexpr std::int64_t kSmallWork = 16 << 10;   // bytes: they stay in L1 beside input and output

  // Where a pass writes: f32 for the next pass, or the output, scaled and rounded.
  enum class Target : std::uint8_t { work, output };

  void generate() override;

  // Phases, in emission order.
  void load_arguments();
  void load_constants();
  void short_vectors();
  void batch_loop();
  void block_loop();
  void whole_block();
  void sub_transform(std::int64_t power, Target target);
  void chunk_pass(std::int64_t elements, Target target);
  void piped_chunk_pass(std::int64_t elements, Target target);
  void piped_chunk_pair(Target target);
  void vertical_pass(int radix, std::int64_t distance, const Xbyak::Reg64& base, Target target);
  void last_past_caches(int parts);
  void paley_pass();
  void emit_constant_pool();

  // Parts of a pass.
  InstructionStream load_block(int first, int vectors, const Xbyak::Reg64& from,
                               const Xbyak::Reg64& sign_words);
  InstructionStream store_vectors(int first, int step, int count, Target target, const Xbyak::Reg64& to,
                                  std::int64_t element);
  void load_even_odd_scale();
  InstructionStream load_even_odd(const Xbyak::Zmm& sums, const Xbyak::Zmm& differences,
                                  const Xbyak::Zmm& odd, const Xbyak::Address& from);
  InstructionStream store_even_odd(const Xbyak::Address& to, const Xbyak::Zmm& even, const Xbyak::Zmm& odd);
  void emit_even_odd_pool();
  int uops_of_vector() const;
  void pipe_block();
  void block_after(const Xbyak::Reg64& next, const Xbyak::Reg64& block, std::size_t step);
  void advance_pipe();
  InstructionStream lanes_of_chunk();
  void emit_with_next_chunk(const InstructionStream& across, const InstructionStream& own);
  InstructionStream stages_of_chunk();
  InstructionStream across_chunk(Target target);
  InstructionStream fetches(int lines);
  InstructionStream next_input(const Xbyak::Reg64& from);
  void fetch(int lines);
  InstructionStream load_vector(const Xbyak::Zmm& v, const Xbyak::Zmm& partner, const Xbyak::Reg64& from,
                                const Xbyak::Reg64& sign_words, int index);
  InstructionStream lane_stages(int count);
  InstructionStream last_lane_stage(int count);
  void swap_lanes(const Xbyak::Zmm& partner, const Xbyak::Zmm& v, int stage);
  InstructionStream butterflies(int first, int count, int first_half);
  void store_vector(const Xbyak::Zmm& value, Target target, const Xbyak::Reg64& to, std::int64_t element);
  void paley_group(const PaleyMatrix& h, int group);
  void add_four(const PaleyMatrix& h, int group, int index);
  void across_parts(const Xbyak::Zmm& sum, const Xbyak::Zmm& t, int p, int first, int count, int index);
  void add_signed(const Xbyak::Zmm& sum, const Xbyak::Zmm& a, const Xbyak::Operand& b, int sign);
  InstructionStream own_lines(Target target);
  Xbyak::Address at(const Xbyak::Reg64& base, std::int64_t bytes) {
    return ptr[base + static_cast<int>(bytes)];
  }

  bool first_stage_by_load() const { return spec_.input == ElementFormat::f32 && !spec_.signs; }
  // Passes in between need memory of their own where the output has another format or is not to be read.
  bool output_apart() const { return spec_.output != ElementFormat::f32 || traffic_.past_caches; }
  bool last_stage_by_load() const { return factors_.power >= 128; }
  // Vector 2i holds the even ones of 32 elements, 2i + 1 the odd ones: lanes are bits 1 to 4 of an index.
  bool even_odd() const {
    return spec_.input == ElementFormat::bf16 && spec_.output == ElementFormat::bf16 && !spec_.signs &&
           factors_.paley == 1 && factors_.power >= 2 * kLanes;
  }
  bool piped() const { return factors_.power >= kChunk; }
  bool takes_chunk_pairs() const { return part() == 2 * kChunk && !even_odd(); }
  // Elements of a sub-transform. Past the caches the last pass is to have two streams of output: 16 streams
  // of a line each took 12 % longer. Even and odd vectors leave a pass together: 8 of each.
  std::int64_t part() const {
    const bool halved =
        factors_.paley == 1 && ((traffic_.past_caches && factors_.power >= kSubTransform / 2) ||
                                (even_odd() && factors_.power == kSubTransform));
    if (in_l2() && factors_.power > kSubTransform) return std::max(kSubTransformInL2, factors_.power / 8);
    return std::min(halved ? factors_.power / 2 : factors_.power, kSubTransform);
  }
  // Lines fetched by an iteration (16 vectors) of each pass: one of the input, in L2 of the output, for each
  // that is read or written.
  struct Fetches {
    int chunk = 0, vertical = 0, last = 0;
  };
  Fetches fetches_by_pass() const;
  int fetches_of(std::int64_t elements) const {
    const bool stays_in_l1 = factors_.paley > 1 && spec_.order * 4 <= kSmallPaley;
    if (in_l2() && (output_apart() || stays_in_l1)) return 0;
    const int bytes = static_cast<int>(elements) * (in_l2() ? out_bytes() : in_bytes());
    return (bytes + kVectorBytes - 1) / kVectorBytes;
  }
  bool in_l2() const { return !traffic_.beyond_l2; }
  int in_bytes() const { return bytes_of(spec_.input); }
  int out_bytes() const { return bytes_of(spec_.output); }
  static int log2(std::int64_t n) { return std::countr_zero(static_cast<std::uint64_t>(n)); }

  // Vector registers, by role. Data move between the first 17 as butterflies swap them with the spare one.
  Xbyak::Zmm data(int i) const { return Xbyak::Zmm(slot_[i]); }
  Xbyak::Zmm spare() const { return data(kMaxVectors); }
  void reset_slots();
  const Xbyak::Zmm t0 = zmm17, t1 = zmm18, scale = zmm19;
  static Xbyak::Zmm plus_minus(int stage) {
    return Xbyak::Zmm(20 + stage);
  }  // +1 where lane bit `stage` is 0
  static constexpr int kBreadth = 8;
  static Xbyak::Zmm swapped(int i) { return Xbyak::Zmm(24 + i % kBreadth); }
  // Of the piped pass: vectors of the next chunk, kPipedBreadth side by side.
  static constexpr int kPipedBreadth = 2;
  static Xbyak::Zmm lanes(int i) { return Xbyak::Zmm(24 + i % kPipedBreadth); }
  static Xbyak::Zmm partner(int i) { return Xbyak::Zmm(26 + i % kPipedBreadth); }
  static Xbyak::Zmm pair_scratch(int i) { return Xbyak::Zmm(28 + i % 4); }
  // Of the Paley pass: sums of up to 28 rows and, in the four others, what is being added to them. It loads
  // the scale to store with, and the constants anew when it ends.
  static Xbyak::Zmm row_sum(int row) { return Xbyak::Zmm(row < 17 ? row : row + 3); }
  const Xbyak::Zmm four = t0, low = t1, high[2] = {scale, zmm31};
  const Xbyak::Opmask nan_lanes = k1, tail_lanes = k2;

  // General registers, by role.
  const Xbyak::Reg64 args = rdi, x = rsi, y = rdx, work = rcx, signs = r8, blocks_left = r9;
  const Xbyak::Reg64 input = r10, sign_cursor = r11;     // of the block, ascending; piped: a chunk ahead
  const Xbyak::Reg64 cursor = rbx, output_cursor = r12;  // of a pass
  const Xbyak::Reg64 loops = r13, sub_transforms = r14, sub_work = r15, elements_left = rax;
  const Xbyak::Reg64 x_step = r14, y_step = r15;  // batches only
  const Xbyak::Reg64 ahead = rax;                 // what is fetched next

  // The stack: 16 vectors of a chunk, where the pipe goes on.
  static constexpr int kPipe = kMaxVectors * kVectorBytes, kStackBytes = kPipe + kVectorBytes;
  Xbyak::Address block_end() { return qword[rsp + kPipe]; }
  Xbyak::Address next_block() { return qword[rsp + kPipe + 8]; }

  HadamardSpec spec_;
  HadamardFactors factors_;
  HadamardTraffic traffic_;
  int slot_[kMaxVectors + 1] = {};
  Xbyak::Label plus_minus_, upper_half_, quiet_, lsb_, half_ulp_;
};

}  // namespace fourge::jit
