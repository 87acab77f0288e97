// Block formats and a matrix quantised to one.
#pragma once

#include <cstdint>
#include <vector>

#include "fourge/formats.h"
#include "fourge/scale_layout.h"

namespace fourge {

/// Block formats of 4-bit elements. Elements are e2m1, two a byte, element 2i in the low nibble.
enum class Format : std::uint8_t {
  nvfp4,      // ue4m3 scale per 16, one f32 per tensor        (kind::mxf4nvf4, scale_vec 4X, ue4m3)
  mxfp4,      // ue8m0 scale per 32                            (kind::mxf4, scale_vec 2X)
  mxfp4_b16,  // ue8m0 scale per 16                            (kind::mxf4nvf4, scale_vec 4X, ue8m0)
};
inline constexpr Format kFormats[] = {Format::nvfp4, Format::mxfp4, Format::mxfp4_b16};

struct BlockInfo {
  const char* name;
  ElementFormat element;
  ElementFormat scale;
  int block;  // elements along a row that share one scale
};

constexpr BlockInfo info(Format format) {
  switch (format) {
    case Format::nvfp4:
      return {"nvfp4", ElementFormat::e2m1, ElementFormat::ue4m3, 16};
    case Format::mxfp4:
      return {"mxfp4", ElementFormat::e2m1, ElementFormat::ue8m0, 32};
    case Format::mxfp4_b16:
      return {"mxfp4_b16", ElementFormat::e2m1, ElementFormat::ue8m0, 16};
  }
  return {};
}
constexpr const char* name_of(Format format) { return info(format).name; }

/// The tensor-core instruction that consumes the format, by its name in vector files and in reference/.
constexpr const char* tensor_core_model(Format format) {
  switch (format) {
    case Format::nvfp4:
      return "blackwell.mxf4nvf4.ue4m3.block16";
    case Format::mxfp4:
      return "blackwell.mxf4.ue8m0.block32";
    case Format::mxfp4_b16:
      return "blackwell.mxf4nvf4.ue8m0.block16";
  }
  return "";
}

/// The second, per-tensor scale of NVFP4 and which way it points. Files store either; mixing them up is
/// silent and wrong by a square.
struct TensorScale {
  enum class Direction : std::uint8_t {
    decode_multiplier,  // value = element * block scale * x   (ModelOpt weight_scale_2 = amax / 2688)
    encode_multiplier,  // value = element * block scale / x   (compressed-tensors weight_global_scale = 2688
                        // / amax)
  };
  float value = 1.0f;
  Direction direction = Direction::decode_multiplier;

  static constexpr TensorScale decode_multiplier(float x) { return {x, Direction::decode_multiplier}; }
  static constexpr TensorScale encode_multiplier(float x) { return {x, Direction::encode_multiplier}; }
  /// What a GEMM's alpha takes: one rounding when the direction has to be turned round.
  constexpr float as_decode_multiplier() const {
    return direction == Direction::decode_multiplier ? value : 1.0f / value;
  }
  constexpr float as_encode_multiplier() const {
    return direction == Direction::encode_multiplier ? value : 1.0f / value;
  }
  bool operator==(const TensorScale&) const = default;
};

/// A view of a quantised matrix, row-major: rows x cols elements.
struct QuantizedView {
  Format format = Format::nvfp4;
  std::int64_t rows = 0;
  std::int64_t cols = 0;                 // elements; a multiple of the block
  const std::uint8_t* codes = nullptr;   // rows * cols / 2 bytes
  const std::uint8_t* scales = nullptr;  // scale_bytes(layout, rows, cols / block) bytes
  ScaleLayout layout = ScaleLayout::linear;
  TensorScale tensor_scale;

  constexpr std::int64_t scale_cols() const { return cols / info(format).block; }
  constexpr unsigned code(std::int64_t row, std::int64_t col) const {
    const unsigned byte = codes[(row * cols + col) / 2];
    return col % 2 == 0 ? byte & 15u : byte >> 4;
  }
  constexpr std::uint8_t scale(std::int64_t row, std::int64_t scale_col) const {
    return scales[scale_offset(layout, row, scale_col, scale_cols())];
  }
};

/// A quantised matrix that owns its bytes. Layout as in QuantizedView.
struct QuantizedMatrix {
  Format format = Format::nvfp4;
  std::int64_t rows = 0;
  std::int64_t cols = 0;
  std::vector<std::uint8_t> codes;
  std::vector<std::uint8_t> scales;
  ScaleLayout layout = ScaleLayout::linear;
  TensorScale tensor_scale;
  float amax = 0.0f;  // largest |value| of the source, 0 when unknown

  QuantizedView view() const {
    return {format, rows, cols, codes.data(), scales.data(), layout, tensor_scale};
  }
  std::int64_t scale_cols() const { return cols / info(format).block; }
};

}  // namespace fourge
