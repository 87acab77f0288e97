// Reading the golden vectors of shared/golden/quant.
#pragma once

#include <gtest/gtest.h>

#include <bit>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "fourge/quantize.h"
#include "quant/npy.h"

namespace fourge::quant {

struct GoldenBytes {
  std::int64_t rows = 0;
  std::int64_t cols = 0;
  std::vector<std::uint8_t> bytes;

  std::uint8_t at(std::int64_t row, std::int64_t col) const {
    return bytes[static_cast<std::size_t>(row * cols + col)];
  }
};

inline GoldenBytes read_golden_bytes(const std::filesystem::path& path) {
  const Result<NpyFile> file = NpyFile::open(path);
  if (!file.ok()) {
    ADD_FAILURE() << file.failure().message();
    return {};
  }
  EXPECT_EQ(file->dtype(), DType::u8);
  const bool is_matrix = file->shape().size() == 2;
  return {
      is_matrix ? file->shape()[0] : 1, file->shape().back(), {file->bytes().begin(), file->bytes().end()}};
}

struct GoldenInput {
  std::int64_t rows = 0;
  std::int64_t cols = 0;
  std::vector<float> values;
};

/// f32, or bf16 kept as u16 bit patterns.
inline GoldenInput read_golden_input(const std::filesystem::path& path) {
  const Result<NpyFile> file = NpyFile::open(path);
  if (!file.ok() || file->shape().size() != 2) {
    ADD_FAILURE() << path << (file.ok() ? ": not a matrix" : file.failure().message());
    return {};
  }
  Tensor tensor = file->tensor();
  if (tensor.dtype == DType::u16) tensor.dtype = DType::bf16;
  return {file->shape()[0], file->shape()[1], *tensor_to_f32(tensor)};
}

/// Differences of one quantised matrix from golden codes and scales, both padded at will.
struct Mismatches {
  std::int64_t scales = 0;
  std::int64_t codes = 0;             // where the golden scale is not 0
  std::int64_t codes_under_zero = 0;  // codes other than 0 under a ue4m3 scale of 0
  std::int64_t compared = 0;          // elements
};

inline Mismatches compare(const QuantizedMatrix& ours, const GoldenBytes& codes, const GoldenBytes& scales) {
  Mismatches count;
  EXPECT_GE(codes.rows, ours.rows);
  EXPECT_GE(codes.cols, ours.cols / 2);
  EXPECT_GE(scales.rows, ours.rows);
  EXPECT_GE(scales.cols, ours.scale_cols());
  const QuantizedView view = ours.view();
  const std::int64_t block = info(ours.format).block;
  for (std::int64_t r = 0; r < ours.rows; ++r) {
    for (std::int64_t c = 0; c < ours.cols; ++c) {
      const std::uint8_t scale = scales.at(r, c / block);
      if (c % block == 0) count.scales += view.scale(r, c / block) != scale ? 1 : 0;
      const unsigned byte = codes.at(r, c / 2), expected = c % 2 == 0 ? byte & 15u : byte >> 4;
      const bool no_scale = scale == 0 && info(ours.format).scale == ElementFormat::ue4m3;
      if (no_scale) {
        count.codes_under_zero += view.code(r, c) != 0 ? 1 : 0;
      } else {
        count.codes += view.code(r, c) != expected ? 1 : 0;
      }
      ++count.compared;
    }
  }
  return count;
}

}  // namespace fourge::quant
