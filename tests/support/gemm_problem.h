// Random GEMM problems of many kinds, their answer by reference/, and a bit-for-bit comparison.
#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "fourge/gemm.h"
#include "jit/gemm/gemm_kernel.h"

namespace fourge::tests {

enum class DataKind : std::uint8_t {
  gaussian,        // quantised normal data, unit accumulators
  random_bits,     // any codes, any finite scales, any finite c
  cancelling,      // row pairs that sum to nearly nothing, so that c becomes tiny
  extreme_scales,  // both ends of the scale format, mixed in a row
  wide_spread,     // neighbouring scales many binades apart
  zero_blocks,     // half of the blocks zero, half of those with large scales
  zero_rows,       // whole rows and columns zero, scales too
  nan_scales,      // a few NaN scales
  special_c,       // c of infinities, NaNs, zeros of both signs, subnormals, the largest finite
  largest,         // every element +-6 at the largest scales
  c_range,         // c from far below to far above the products
  subnormal,       // the smallest scales, products and accumulators
};
inline constexpr DataKind kDataKinds[] = {
    DataKind::gaussian,    DataKind::random_bits, DataKind::cancelling, DataKind::extreme_scales,
    DataKind::wide_spread, DataKind::zero_blocks, DataKind::zero_rows,  DataKind::nan_scales,
    DataKind::special_c,   DataKind::largest,     DataKind::c_range,    DataKind::subnormal};
const char* name_of(DataKind kind);

struct GemmProblem {
  GemmSpec spec;
  DataKind kind = DataKind::gaussian;
  QuantizedMatrix a, b;
  std::vector<float> c, bias;
  float alpha = 1.0f;

  std::string describe() const;
  /// Operands with D at d; strides tight.
  GemmOperands operands(void* d) const;
};

GemmProblem make_problem(const GemmSpec& spec, DataKind kind, std::mt19937_64& rng);

/// A spec with sizes up to `largest` in m and n and 4 steps in k, tails included; any format, output and
/// epilogue.
GemmSpec random_spec(std::mt19937_64& rng, std::int64_t largest);

/// D by reference/, bytes_of(output) * m * n bytes.
std::vector<std::uint8_t> reference_answer(const GemmProblem& problem);

/// D by a kernel, on `threads` threads; a gtest failure is recorded when it cannot run.
std::vector<std::uint8_t> answer(const jit::GemmKernel& kernel, const GemmProblem& problem, int threads,
                                 RunStats* stats = nullptr);

/// The same through the public interface.
std::vector<std::uint8_t> answer(const Gemm& gemm, const GemmProblem& problem, int threads,
                                 RunStats* stats = nullptr);

/// Empty when equal, else the first difference: row, column, both bit patterns.
std::string first_difference(const GemmProblem& problem, const std::vector<std::uint8_t>& want,
                             const std::vector<std::uint8_t>& got);

}  // namespace fourge::tests
