// Quantising at memory speed: rotation, transposition, block scales and rounding in one kernel.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "fourge/error.h"
#include "fourge/formats.h"
#include "fourge/kernel.h"
#include "fourge/quantize.h"

namespace fourge {

/// What quantize() does, on any plain input and with what usually comes before it:
///   x as f32 -> transposed -> rotated (Hadamard, hadamard.h, f32) -> quantised by the rule.
/// The codes and scales are those of quantize() on the f32 matrix that arises, bit for bit.
struct QuantizerSpec {
  QuantizeSpec quantize = {};
  ElementFormat input = ElementFormat::f32;  // f32, bf16 or f16
  bool transpose = false;                    // quantises x^T: blocks run down the columns of x
  std::int64_t rotate = 0;  // order of the rotation of blocks along the quantised rows; 0: none
  bool signs = false;       // the rotation takes a sign vector

  bool operator==(const QuantizerSpec&) const = default;
};

/// Rule, format, input and rotation; the reason when they cannot be.
Status check(const QuantizerSpec& spec);

/// quantize_<format>_<rule>_<input>[_2d][_max<n>][_stochastic][_t][_r<order>[s]][_<layout>], the name of its
/// kernels up to the level: docs/names.md.
std::string kernel_name(const QuantizerSpec& spec);

/// One call. x is rows x cols; the quantised matrix is that, or cols x rows with transpose.
struct QuantizeOperands {
  const void* x = nullptr;
  std::int64_t rows = 0;
  std::int64_t cols = 0;
  std::int64_t x_stride = 0;            // elements; 0 means cols
  const std::uint8_t* signs = nullptr;  // spec.signs: bit i % 8 of byte i / 8 negates element i of a block
  std::optional<float> rotation_scale = {};  // 1 / sqrt(order) when not given
  std::optional<float> amax = {};  // nvfp4: of the whole (rotated) tensor; found by a pass when not given
  std::uint64_t seed = 0;          // stochastic rounding
  std::uint8_t* codes = nullptr;   // rows * cols / 2 bytes, no gaps between rows
  std::uint8_t* scales = nullptr;  // scale_bytes(layout, quantised rows, quantised cols / block)
};

/// What a call found and did.
struct QuantizeOutcome {
  float amax = 0.0f;  // nvfp4; 0 for other formats unless given
  TensorScale tensor_scale;
  std::int64_t blocks = 0;  // 1 x block, or block x block with block_2d
  std::int64_t redone_blocks =
      0;  // by portable code: NaN in reach, or Four Over Six errors too close to call
};

namespace jit {
class QuantizeKernel;
}  // namespace jit

/// A quantiser for one spec: chosen, generated or fetched from the cache. Copies share the kernel.
class Quantizer {
 public:
  /// Errors: what check(spec) says; kUnsupportedIsa when no kernel can run (the reason lists every refusal).
  static Result<Quantizer> create(const QuantizerSpec& spec, const KernelOptions& options = {});

  /// Safe to call from several threads at once. A NaN does not count in an amax and becomes +6. An infinity
  /// is refused when it is met in the search for the tensor's amax; else it becomes +-6 under its block's
  /// largest scale, which for the static mxfp4 rules is NaN (0xff). kBadShape, kBadArgument, kOutOfMemory.
  Result<QuantizeOutcome> run(const QuantizeOperands& operands, const RunOptions& options = {}) const;

  const QuantizerSpec& spec() const { return spec_; }
  KernelCode code() const;
  /// One line a registered kernel: chosen, or why it was not.
  const std::vector<std::string>& decisions() const { return decisions_; }

 private:
  QuantizerSpec spec_;
  std::shared_ptr<const jit::QuantizeKernel> kernel_;
  std::vector<std::string> decisions_;
};

}  // namespace fourge
