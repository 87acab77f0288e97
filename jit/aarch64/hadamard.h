// Walsh-Hadamard rotations for Advanced SIMD.
#pragma once

#include <bit>
#include <cstdint>

#include "fourge/hadamard.h"
#include "jit/aarch64/element_io.h"
#include "simd/hadamard.h"

namespace fourge::jit {

/// Null for powers of two from 16; the reason for other orders.
const char* aarch64_hadamard_refusal(const HadamardSpec& spec);

/// Emits hadamard_<output>_<input>_<order>[_signs][_scaled]__neon_jit for the orders that are not refused.
///
/// A block goes through passes of up to 16 vectors in registers, the stages in ascending order, so that every
/// sum is the textbook's:
///
///   chunk pass      16 elements: ld4 transposes, stages 1 and 2 run across vectors, trn transposes back;
///                   up to 64 elements: stages 3 to 6 across
///   vertical pass   2..16 vectors at one distance: 1..4 stages across
class AArch64HadamardGenerator : public AArch64ElementIo {
 public:
  AArch64HadamardGenerator(const HadamardSpec& spec, bool poison) : AArch64ElementIo(poison), spec_(spec) {}
  KernelNotes notes() const override;

 private:
  static constexpr int kLanes = 4, kVectorBytes = 16, kMaxVectors = 16;
  static constexpr std::int64_t kChunk = kMaxVectors * kLanes;

  // Where a pass writes: f32 for the next pass, or the output, scaled and rounded.
  enum class Target : std::uint8_t { work, output };

  void generate() override;

  // Phases, in emission order.
  void load_arguments();
  void block_loop();
  void whole_block();
  void chunk_pass(Target target);
  void vertical_pass(int radix, std::int64_t distance, Target target);

  // Parts of a pass.
  void load_sixteen(int first);
  void transpose(int first);
  void stages(int first, int count);
  void store_vector(int i, Target target, const Register& to, std::int64_t element);
  void reset_slots();

  int out_bytes() const { return bytes_of(spec_.output); }
  int bytes_in(Target target) const { return target == Target::work ? 4 : out_bytes(); }

  // Vector registers, by role. Data move between the first 17 as butterflies swap them with the spare one.
  VRegister data(int i) const { return v(slot_[i]); }
  VRegister spare() const { return data(kMaxVectors); }
  static VRegister sign(int i) { return v(20 + i); }  // 20..23
  static VRegister t(int i) { return v(24 + i); }     // 24..27
  const VRegister scale = v(28), one = v(29), half_ulp = v(30);

  // General registers, by role.
  const Register args = x(0), input_base = x(1), y = x(2), work = x(3), signs = x(4), blocks_left = x(5);
  const Register input = x(6), sign_cursor = x(7);  // of the block, ascending
  const Register cursor = x(8), output_cursor = x(9), loops = x(10), groups = x(11), step = x(12);

  HadamardSpec spec_;
  int slot_[kMaxVectors + 1] = {};
};

}  // namespace fourge::jit
