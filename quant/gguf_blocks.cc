#include "quant/gguf_blocks.h"

#include <array>
#include <string>

#include "quant/dtype.h"
#include "quant/text.h"

namespace fourge::quant {

namespace {

/// Reserved in GGUF and in the format, with different meanings. ue4m3 ignores bit 7; ggml does not write it.
constexpr bool is_portable(Format format, std::uint8_t scale) {
  return format == Format::nvfp4 ? scale < 0x7f : scale != 0xff;
}

Status check_shape(Format format, std::int64_t rows, std::int64_t cols) {
  const std::array<std::int64_t, 2> shape = {rows, cols};
  if (format == Format::mxfp4_b16) {
    return {Error::kUnsupportedFormat, "GGUF has blocks of nvfp4 and mxfp4", name_of(format)};
  }
  if (!element_count(shape) || cols % gguf_block(format).values != 0) {
    return {Error::kBadShape,
            format == Format::nvfp4 ? "GGUF expects nvfp4 columns in multiples of 64"
                                    : "GGUF expects mxfp4 columns in multiples of 32",
            shape_text(shape)};
  }
  return {};
}

}  // namespace

void interleaved_to_halves(const std::uint8_t* from, std::uint8_t* to, std::int64_t values) {
  const std::int64_t half = values / 2;
  const auto code = [from](std::int64_t i) { return i % 2 == 0 ? from[i / 2] & 15 : from[i / 2] >> 4; };
  for (std::int64_t i = 0; i < half; ++i) to[i] = static_cast<std::uint8_t>(code(i) | code(i + half) << 4);
}

void halves_to_interleaved(const std::uint8_t* from, std::uint8_t* to, std::int64_t values) {
  const std::int64_t half = values / 2;
  const auto code = [from, half](std::int64_t i) { return i < half ? from[i] & 15 : from[i - half] >> 4; };
  for (std::int64_t i = 0; i < half; ++i) {
    to[i] = static_cast<std::uint8_t>(code(2 * i) | code(2 * i + 1) << 4);
  }
}

Result<std::vector<std::uint8_t>> to_gguf_blocks(const QuantizedView& matrix) {
  if (Status status = check_shape(matrix.format, matrix.rows, matrix.cols); !status) return status.failure();
  const GgufBlock layout = gguf_block(matrix.format);
  const std::int64_t blocks_per_row = matrix.cols / layout.values, scales = layout.values / layout.run;
  std::vector<std::uint8_t> out(static_cast<std::size_t>(matrix.rows * blocks_per_row * layout.bytes));
  std::uint8_t* block = out.data();
  for (std::int64_t row = 0; row < matrix.rows; ++row) {
    for (std::int64_t b = 0; b < blocks_per_row; ++b, block += layout.bytes) {
      for (std::int64_t s = 0; s < scales; ++s) {
        const std::uint8_t scale = matrix.scale(row, b * scales + s);
        if (!is_portable(matrix.format, scale)) {
          return {Error::kBadArgument, "this scale byte means something else in GGUF",
                  "scale [" + std::to_string(row) + ", " + std::to_string(b * scales + s) +
                      "]: " + std::to_string(scale)};
        }
        block[s] = scale;
        const std::int64_t first = row * matrix.cols + b * layout.values + s * layout.run;
        interleaved_to_halves(matrix.codes + first / 2, block + scales + s * layout.run / 2, layout.run);
      }
    }
  }
  return out;
}

Result<QuantizedMatrix> from_gguf_blocks(Format format, std::int64_t rows, std::int64_t cols,
                                         std::span<const std::uint8_t> blocks) {
  if (Status status = check_shape(format, rows, cols); !status) return status.failure();
  const GgufBlock layout = gguf_block(format);
  const std::int64_t count = rows * cols / layout.values, scales = layout.values / layout.run;
  if (blocks.size() % static_cast<std::uint64_t>(layout.bytes) != 0 ||
      blocks.size() / static_cast<std::uint64_t>(layout.bytes) != static_cast<std::uint64_t>(count)) {
    return {Error::kBadShape, "the bytes are not those of rows * cols values",
            std::to_string(blocks.size()) + " bytes for " + std::to_string(count) + " blocks of " +
                std::to_string(layout.bytes)};
  }
  QuantizedMatrix out;
  out.format = format;
  out.rows = rows;
  out.cols = cols;
  out.codes.resize(static_cast<std::size_t>(rows * cols / 2));
  out.scales.resize(static_cast<std::size_t>(count * scales));
  for (std::int64_t b = 0; b < count; ++b) {
    const std::uint8_t* block = blocks.data() + b * layout.bytes;
    for (std::int64_t s = 0; s < scales; ++s) {
      if (!is_portable(format, block[s])) {
        return {Error::kBadFile, "this scale byte means something else in the format",
                "block " + std::to_string(b) + ": " + std::to_string(block[s])};
      }
      out.scales[static_cast<std::size_t>(b * scales + s)] = block[s];
      const std::int64_t first = b * layout.values + s * layout.run;
      halves_to_interleaved(block + scales + s * layout.run / 2, out.codes.data() + first / 2, layout.run);
    }
  }
  return out;
}

}  // namespace fourge::quant
