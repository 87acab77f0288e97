// W4A16 problems: 4-bit weights of every kind of data with plain activations; their answer by reference/.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <random>
#include <vector>

#include "fourge/gemm.h"
#include "tests/support/gemm_problem.h"

namespace fourge::tests {

// A W4A4 problem with its activations replaced by plain numbers.
struct W4a16Problem {
  GemmProblem base;
  std::vector<std::uint8_t> a;  // bf16 or f32, rows `stride` elements apart
  std::int64_t stride = 0;

  const GemmSpec& spec() const { return base.spec; }
  PlainView view() const { return {a.data(), spec().m, spec().k, stride}; }
  float activation(std::int64_t row, std::int64_t k) const {
    const std::int64_t index = row * stride + k;
    std::uint32_t bits = 0;
    if (spec().activations == Activations::f32) {
      std::memcpy(&bits, a.data() + 4 * index, 4);
    } else {
      std::memcpy(reinterpret_cast<std::uint8_t*>(&bits) + 2, a.data() + 2 * index, 2);
    }
    return std::bit_cast<float>(bits);
  }
};

enum class Values {
  normal,
  wide,     // every exponent up to 2^119
  special,  // infinities, NaNs, zeros and subnormals among them
};

/// activations of `spec`: bf16 or f32 at random where it says same.
W4a16Problem make_w4a16(GemmSpec spec, DataKind kind, Values values, std::mt19937_64& rng);

/// Any spec with m and n up to `largest`; the i-th kind of data.
W4a16Problem random_w4a16(int i, std::int64_t largest, std::mt19937_64& rng);

std::vector<std::uint8_t> output_of(const GemmSpec& spec);
std::vector<std::uint8_t> reference_answer(const W4a16Problem& problem);
std::vector<std::uint8_t> answer(const jit::GemmKernel& kernel, const W4a16Problem& problem, int threads);

}  // namespace fourge::tests
