// Matrices of f32, bf16 or f16 as bytes, filled with many kinds of numbers, and their comparison bit for bit.
#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "fourge/formats.h"

namespace fourge::tests {

enum class PlainData : std::uint8_t {
  gaussian,
  lognormal,    // many binades, both signs
  outliers,     // gaussian with a few values 1000 times larger
  coarse,       // small multiples of 1/4: ties everywhere
  zeros,        // both signs
  zero_blocks,  // half of the runs of 16 zero, some with one negative zero
  subnormal,    // around the smallest normal number and below
  huge,         // near the largest finite number, overflowing when added
  random_bits,  // NaN and infinities included
  specials,     // gaussian with a few NaN, infinities and zeros of both signs
};
inline constexpr PlainData kPlainData[] = {PlainData::gaussian,  PlainData::lognormal, PlainData::outliers,
                                           PlainData::coarse,    PlainData::zeros,     PlainData::zero_blocks,
                                           PlainData::subnormal, PlainData::huge,      PlainData::random_bits,
                                           PlainData::specials};
const char* name_of(PlainData data);
/// No NaN and no infinity in it.
bool is_finite(PlainData data);

/// Elements that a rows x cols matrix spans; stride 0 means cols.
std::int64_t matrix_elements(std::int64_t rows, std::int64_t cols, std::int64_t stride);
std::int64_t matrix_bytes(ElementFormat format, std::int64_t rows, std::int64_t cols, std::int64_t stride);

/// `count` elements.
std::vector<std::uint8_t> plain_matrix(ElementFormat format, std::int64_t count, PlainData data,
                                       std::mt19937_64& rng);

/// Elements as f32, exactly.
std::vector<float> to_f32(ElementFormat format, const std::vector<std::uint8_t>& bytes);
/// Elements from f32: to nearest even, beyond the largest value to infinity.
std::vector<std::uint8_t> from_f32(ElementFormat format, const std::vector<float>& values);

/// Empty when equal, any NaN being equal to any other; else index and both codes of the first difference.
std::string first_difference(ElementFormat format, const std::vector<std::uint8_t>& want,
                             const std::vector<std::uint8_t>& got);

}  // namespace fourge::tests
