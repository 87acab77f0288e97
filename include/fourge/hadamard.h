// Walsh-Hadamard rotations of rows, or of blocks along rows: spec and kernel.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "fourge/error.h"
#include "fourge/formats.h"
#include "fourge/kernel.h"

namespace fourge {

inline constexpr std::int64_t kLargestHadamardOrder = 32768;

/// order = paley * power, power a power of two, paley 1, 12, 20 or 28: the two factors.
struct HadamardFactors {
  std::int64_t paley = 0;  // 0: the order is not of that form
  std::int64_t power = 0;
};
constexpr HadamardFactors hadamard_factors(std::int64_t order) {
  for (const std::int64_t paley : {1, 12, 20, 28}) {
    const std::int64_t power = order / paley;
    if (power > 0 && order % paley == 0 && (power & (power - 1)) == 0) return {paley, power};
  }
  return {};
}

/// y = scale * H (signs * x) for every block of `order` elements.
///
///   H = P (x) S, P the Paley matrix of order `paley` (hadamard_matrix.h), S the Sylvester matrix of order
///   `power`: S[i][j] = (-1)^popcount(i & j), natural order. Orders: powers of two from 2, 12, 20 and 28
///   times a power of two from 1; at most 32768.
///
/// Arithmetic: f32, every operation rounded to nearest even, in this order.
///   1. x as f32 (exact), negated where its sign bit is set.
///   2. In every run of `power` elements, for half = 1, 2, 4, ... power / 2: each pair (a, b) of elements
///      i and i + half becomes (a + b, a - b).
///   3. If paley > 1, over the `paley` runs, element by element. Columns go four at a time, ascending:
///        t = (x0 + s1 x1) + s2 (x2 + s2 s3 x3)           s: the row's signs divided by the first of the four
///      and the row's sum is t of the first four (its sign is +1), then sum + s t of the next, ascending.
///   4. One multiplication by `scale`, if the spec has one.
///   5. Rounding to the output's format: to nearest even, beyond the largest value to infinity.
/// A NaN in a block makes every element of it NaN; which NaN is not specified.
struct HadamardSpec {
  std::int64_t order = 16;
  ElementFormat input = ElementFormat::f32;   // f32, bf16 or f16
  ElementFormat output = ElementFormat::f32;  // f32, bf16 or f16
  bool signs = false;                         // a sign vector is given with each call
  bool scaled = true;                         // a scale is given with each call

  bool operator==(const HadamardSpec&) const = default;
};

/// Order and formats; the reason when they cannot be.
Status check(const HadamardSpec& spec);

/// hadamard_<output>_<input>_<order>[_signs][_scaled], the name of its kernels up to the level:
/// docs/names.md.
std::string kernel_name(const HadamardSpec& spec);

/// 1 / sqrt(order) rounded to f32: makes the rotation orthonormal.
float orthonormal_scale(std::int64_t order);

/// One call. Strides count elements of the matrix they belong to; 0 means cols.
struct HadamardOperands {
  const void* x = nullptr;
  void* y = nullptr;  // may be x where formats and strides are the same; else they must not overlap
  std::int64_t rows = 0;
  std::int64_t cols = 0;  // a multiple of the order
  std::int64_t x_stride = 0;
  std::int64_t y_stride = 0;
  const std::uint8_t* signs = nullptr;  // spec.signs: bit i % 8 of byte i / 8 negates element i of a block
  float scale = 1.0f;                   // spec.scaled
};

namespace jit {
class HadamardKernel;
}  // namespace jit

/// A rotation for one spec: chosen, generated or fetched from the cache. Copies share the kernel.
class Hadamard {
 public:
  /// Errors: what check(spec) says; kUnsupportedIsa when no kernel can run (the reason lists every refusal).
  static Result<Hadamard> create(const HadamardSpec& spec, const KernelOptions& options = {});

  /// Safe to call from several threads at once. kBadShape, kBadArgument.
  Status run(const HadamardOperands& operands, const RunOptions& options = {}) const;

  const HadamardSpec& spec() const { return spec_; }
  KernelCode code() const;
  /// One line a registered kernel: chosen, or why it was not.
  const std::vector<std::string>& decisions() const { return decisions_; }

 private:
  HadamardSpec spec_;
  std::shared_ptr<const jit::HadamardKernel> kernel_;
  std::vector<std::string> decisions_;
};

}  // namespace fourge
