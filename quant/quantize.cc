#include "quant/quantize.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <new>
#include <string>

#include "quant/block.h"
#include "quant/dtype.h"
#include "quant/mxfp4.h"
#include "quant/nvfp4.h"
#include "quant/text.h"

namespace fourge {

namespace {

using quant::ScaleBlock;

[[maybe_unused]] constexpr std::int64_t kParallelElements =
    1 << 16;  // below it a team of threads costs more than it saves

Status check_matrix(std::int64_t rows, std::int64_t cols, std::size_t values, Format format) {
  const std::optional<std::int64_t> count = quant::element_count(std::array{rows, cols});
  const std::string shape = quant::shape_text(std::array{rows, cols});
  if (!count) return {Error::kBadShape, "expected non-negative extents and at most 2^62 elements", shape};
  if (cols % info(format).block != 0) {
    return {Error::kBadShape,
            info(format).block == 16 ? "expected columns in multiples of 16, the scale block"
                                     : "expected columns in multiples of 32, the scale block",
            std::string(name_of(format)) + " " + shape};
  }
  if (static_cast<std::uint64_t>(*count) != values) {
    return {Error::kBadShape, "the number of values is not rows * cols",
            shape + ", " + std::to_string(values) + " values"};
  }
  return {};
}

/// Quantises the blocks of rows [first_row, first_row + block_rows).
void quantize_rows(const float* values, std::int64_t first_row, int block_rows, QuantizedMatrix& out,
                   const QuantizeSpec& spec, std::uint64_t seed, const quant::Nvfp4Scaling& scaling) {
  const int width = info(spec.format).block;
  const std::int64_t packed_stride = out.cols / 2;
  for (std::int64_t b = 0; b < out.scale_cols(); ++b) {
    const ScaleBlock block{values + first_row * out.cols + b * width, out.cols, block_rows, width};
    const quant::ElementRounder rounder{spec.rounding, seed, first_row * out.cols + b * width, out.cols};
    std::uint8_t* packed = out.codes.data() + first_row * packed_stride + b * width / 2;
    const std::uint8_t scale =
        spec.format == Format::nvfp4
            ? quant::quantize_nvfp4_block(scaling, block, rounder, packed, packed_stride)
            : quant::quantize_mx_block(spec.rule, block, rounder, packed, packed_stride);
    for (int r = 0; r < block_rows; ++r) {
      out.scales[static_cast<std::size_t>(scale_offset(out.layout, first_row + r, b, out.scale_cols()))] =
          scale;
    }
  }
}

}  // namespace

Result<QuantizedMatrix> quantize(std::span<const float> values, std::int64_t rows, std::int64_t cols,
                                 const QuantizeSpec& spec, std::uint64_t seed) {
  const float amax = quant::tensor_amax(values);
  if (!std::isfinite(amax)) return {Error::kBadArgument, "expected finite values", "an element is infinite"};
  return quant::quantize_with_amax(values, rows, cols, spec, amax, seed);
}

namespace quant {

float tensor_amax(std::span<const float> values) {
  const auto count = static_cast<std::int64_t>(values.size());
  constexpr std::int64_t kChunk = 1 << 14;
  std::uint32_t bits = 0;
#pragma omp parallel for reduction(max : bits) if (count >= kParallelElements)
  for (std::int64_t first = 0; first < count; first += kChunk) {
    bits = amax_bits(values.data() + first, std::min(kChunk, count - first), bits);
  }
  return std::bit_cast<float>(bits);
}

namespace {

Result<QuantizedMatrix> empty_matrix(const LaneScaling& scaling, std::int64_t rows, std::int64_t cols,
                                     ScaleLayout layout) {
  QuantizedMatrix out;
  out.format = scaling.format;
  out.rows = rows;
  out.cols = cols;
  out.layout = layout;
  out.amax = scaling.amax;
  out.tensor_scale = scaling.tensor_scale();
  try {
    out.codes.resize(static_cast<std::size_t>(rows * cols / 2));
    out.scales.resize(static_cast<std::size_t>(scale_bytes(layout, rows, out.scale_cols())));
  } catch (const std::bad_alloc&) {
    return {Error::kOutOfMemory, "no memory for the quantised matrix", shape_text(std::array{rows, cols})};
  }
  return out;
}

/// The linear scales of `out` in another layout.
void lay_out_scales(QuantizedMatrix& out, ScaleLayout layout) {
  if (layout == ScaleLayout::linear) return;
  std::vector<std::uint8_t> scales(static_cast<std::size_t>(scale_bytes(layout, out.rows, out.scale_cols())));
  convert_scales(ScaleLayout::linear, out.scales.data(), layout, scales.data(), out.rows, out.scale_cols());
  out.scales = std::move(scales);
  out.layout = layout;
}

}  // namespace

Result<QuantizedMatrix> quantize_with_scaling(std::span<const float> values, std::int64_t rows,
                                              std::int64_t cols, const LaneScaling& scaling,
                                              std::span<const float> importance) {
  if (Status status = check({.format = scaling.format, .rule = scaling.rule}); !status)
    return status.failure();
  if (Status status = check_matrix(rows, cols, values.size(), scaling.format); !status)
    return status.failure();
  if (!importance.empty() && importance.size() != static_cast<std::uint64_t>(cols)) {
    return {Error::kBadShape, "expected one importance for each column",
            std::to_string(importance.size()) + " for " + std::to_string(cols) + " columns"};
  }
  if (!(scaling.amax >= 0.0f && std::isfinite(scaling.amax))) {
    return {Error::kBadArgument, "expected a finite amax, not negative", std::to_string(scaling.amax)};
  }
  if (!(scaling.encode > 0.0f && std::isfinite(scaling.encode))) {
    return {Error::kBadArgument, "expected a positive encode multiplier", std::to_string(scaling.encode)};
  }
  Result<QuantizedMatrix> out = empty_matrix(scaling, rows, cols, ScaleLayout::linear);
  if (!out) return out;
  const std::int64_t row_blocks = out->scale_cols();
#pragma omp parallel for if (rows * cols >= kParallelElements)
  for (std::int64_t row = 0; row < rows; ++row) {
    quantize_lanes(scaling, values.data() + row * cols, row_blocks,
                   importance.empty() ? nullptr : importance.data(), cols, out->codes.data() + row * cols / 2,
                   out->scales.data() + row * row_blocks);
  }
  return out;
}

Result<QuantizedMatrix> quantize_with_amax(std::span<const float> values, std::int64_t rows,
                                           std::int64_t cols, const QuantizeSpec& spec, float amax,
                                           std::uint64_t seed) {
  if (Status status = check(spec); !status) return status.failure();
  const LaneScaling shared{.format = spec.format, .rule = spec.rule, .amax = amax};
  const bool in_lanes = !spec.block_2d && spec.scale_max == 0 && spec.rounding == ElementRounding::nearest;
  if (in_lanes) {
    Result<QuantizedMatrix> out = quantize_with_scaling(values, rows, cols, shared);
    if (out) lay_out_scales(*out, spec.layout);
    return out;
  }
  if (Status status = check_matrix(rows, cols, values.size(), spec.format); !status) return status.failure();
  if (!(amax >= 0.0f && std::isfinite(amax))) {
    return {Error::kBadArgument, "expected a finite amax, not negative", std::to_string(amax)};
  }
  Result<QuantizedMatrix> out = empty_matrix(shared, rows, cols, spec.layout);
  if (!out) return out;
  if (spec.format == Format::nvfp4) {
    out->tensor_scale = TensorScale::decode_multiplier(nvfp4_tensor_scale(spec, amax));
  }

  const Nvfp4Scaling scaling = Nvfp4Scaling::of(spec, amax);  // not read by the other formats
  const int step = spec.block_2d ? info(spec.format).block : 1;
#pragma omp parallel for if (rows * cols >= kParallelElements)
  for (std::int64_t row = 0; row < rows; row += step) {
    quantize_rows(values.data(), row, static_cast<int>(std::min<std::int64_t>(step, rows - row)), *out, spec,
                  seed, scaling);
  }
  return out;
}

std::vector<float> transposed(std::span<const float> values, std::int64_t rows, std::int64_t cols) {
  std::vector<float> out(values.size());
  constexpr std::int64_t kTile = 16;  // one cache line of the destination
  for (std::int64_t row = 0; row < rows; row += kTile) {
    for (std::int64_t c = 0; c < cols; ++c) {
      for (std::int64_t r = row; r < std::min(row + kTile, rows); ++r) {
        out[static_cast<std::size_t>(c * rows + r)] = values[static_cast<std::size_t>(r * cols + c)];
      }
    }
  }
  return out;
}

Result<ScaleRule> scale_rule_of_name(Format format, std::string_view name) {
  for (const ScaleRule rule : scale_rules_of(format))
    if (name == name_of(rule)) return rule;
  return {Error::kBadArgument, scale_rule_names_of(format), "scale rule " + in_quotes(name)};
}

}  // namespace quant
}  // namespace fourge
