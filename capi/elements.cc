// Codes to values and back, names, sizes and layouts of quantised matrices.
#include <cstdint>
#include <cstring>

#include "capi/convert.h"
#include "fourge/formats.h"
#include "fourge/rounding.h"
#include "fourge/scale_layout.h"

namespace fourge::capi {
namespace {

static_assert(FOURGE_F32 == static_cast<int>(ElementFormat::f32));
static_assert(FOURGE_UE8M0 == static_cast<int>(ElementFormat::ue8m0));
static_assert(FOURGE_MXFP4_B16 == static_cast<int>(Format::mxfp4_b16));
static_assert(FOURGE_RP == static_cast<int>(Rounding::rp));
static_assert(FOURGE_TO_INFINITY == static_cast<int>(Overflow::infinity));
static_assert(FOURGE_SWIZZLED_8X4 == static_cast<int>(ScaleLayout::swizzled_8x4));
static_assert(FOURGE_ENCODE_MULTIPLIER == static_cast<int>(TensorScale::Direction::encode_multiplier));

// Bytes that one code takes where it stands alone.
std::size_t code_bytes(ElementFormat format) {
  const int bits = info(format).storage_bits;
  return bits <= 8 ? 1 : static_cast<std::size_t>(bits) / 8;
}

Status take_count(std::int64_t count, const void* codes, const void* values) {
  if (count < 0) return {Error::kBadShape, "expected a count of at least 0", std::to_string(count)};
  if (count > 0 && (codes == nullptr || values == nullptr))
    return {Error::kBadArgument, "null codes or values"};
  return {};
}

std::uint32_t encode_one(ElementFormat format, float value, Rounding rounding, Overflow overflow) {
  if (format == ElementFormat::ue8m0) return encode_ue8m0(value, rounding, overflow);
  return encode(format, value, rounding, overflow);
}

fourge_status decode_elements(fourge_element_format c_format, const void* codes, std::int64_t count,
                              float* values) {
  ElementFormat format{};
  if (const Status s = take_element_format(c_format, "element format", format); !s.ok()) return done(s);
  if (const Status s = take_count(count, codes, values); !s.ok()) return done(s);
  const std::size_t size = code_bytes(format);
  const auto* bytes = static_cast<const std::uint8_t*>(codes);
  for (std::int64_t i = 0; i < count; ++i) {
    std::uint32_t code = 0;
    std::memcpy(&code, bytes + static_cast<std::size_t>(i) * size, size);
    values[i] = decode_f32(format, code);
  }
  return FOURGE_OK;
}

fourge_status encode_elements(fourge_element_format c_format, const float* values, std::int64_t count,
                              fourge_rounding c_rounding, fourge_overflow c_overflow, void* codes) {
  ElementFormat format{};
  Rounding rounding{};
  Overflow overflow{};
  if (const Status s = take_element_format(c_format, "element format", format); !s.ok()) return done(s);
  if (const Status s = take(c_rounding, Rounding::rp, "rounding", rounding); !s.ok()) return done(s);
  if (const Status s = take(c_overflow, Overflow::infinity, "overflow", overflow); !s.ok()) return done(s);
  if (const Status s = take_count(count, codes, values); !s.ok()) return done(s);
  if (format == ElementFormat::ue8m0 && rounding == Rounding::rne)
    return fail(Error::kBadArgument, "ue8m0 rounds toward zero or up: rz or rp", "rounding rne");
  const std::size_t size = code_bytes(format);
  auto* bytes = static_cast<std::uint8_t*>(codes);
  for (std::int64_t i = 0; i < count; ++i) {
    const std::uint32_t code = encode_one(format, values[i], rounding, overflow);
    std::memcpy(bytes + static_cast<std::size_t>(i) * size, &code, size);
  }
  return FOURGE_OK;
}

// Extents whose products fit 63 bits.
Status take_extents(std::int64_t rows, std::int64_t columns) {
  constexpr std::int64_t kMost = std::int64_t{1} << 30;
  if (rows < 0 || columns < 0 || rows > kMost || columns > kMost) {
    return {Error::kBadShape, "expected extents from 0 to 2^30",
            std::to_string(rows) + " x " + std::to_string(columns)};
  }
  return {};
}

fourge_status matrix_bytes(fourge_format c_format, fourge_scale_layout c_layout, std::int64_t rows,
                           std::int64_t cols, std::int64_t* codes, std::int64_t* scales) {
  Format format{};
  ScaleLayout layout{};
  if (const Status s = take_format(c_format, format); !s.ok()) return done(s);
  if (const Status s = take_layout(c_layout, layout); !s.ok()) return done(s);
  if (const Status s = take_extents(rows, cols); !s.ok()) return done(s);
  if (cols % info(format).block != 0)
    return fail(Error::kBadShape, "cols must be a multiple of the scale block", name_of(format));
  if (codes != nullptr) *codes = rows * cols / 2;
  if (scales != nullptr) *scales = scale_bytes(layout, rows, cols / info(format).block);
  return FOURGE_OK;
}

fourge_status convert(fourge_scale_layout c_from, const std::uint8_t* from, fourge_scale_layout c_to,
                      std::uint8_t* to, std::int64_t rows, std::int64_t columns) {
  ScaleLayout from_layout{}, to_layout{};
  if (const Status s = take_layout(c_from, from_layout); !s.ok()) return done(s);
  if (const Status s = take_layout(c_to, to_layout); !s.ok()) return done(s);
  if (const Status s = take_extents(rows, columns); !s.ok()) return done(s);
  if (rows * columns > 0 && (from == nullptr || to == nullptr))
    return fail(Error::kBadArgument, "null scales", "from or to");
  convert_scales(from_layout, from, to_layout, to, rows, columns);
  return FOURGE_OK;
}

}  // namespace
}  // namespace fourge::capi

extern "C" {

const char* fourge_element_format_name(fourge_element_format format) {
  return format < 0 || format > FOURGE_F32 ? "" : fourge::name_of(static_cast<fourge::ElementFormat>(format));
}

const char* fourge_format_name(fourge_format format) {
  return format < 0 || format > FOURGE_MXFP4_B16 ? "" : fourge::name_of(static_cast<fourge::Format>(format));
}

fourge_status fourge_decode_elements(fourge_element_format format, const void* codes, int64_t count,
                                     float* values) {
  return fourge::capi::guarded([&] { return fourge::capi::decode_elements(format, codes, count, values); });
}

fourge_status fourge_encode_elements(fourge_element_format format, const float* values, int64_t count,
                                     fourge_rounding rounding, fourge_overflow overflow, void* codes) {
  return fourge::capi::guarded(
      [&] { return fourge::capi::encode_elements(format, values, count, rounding, overflow, codes); });
}

fourge_status fourge_matrix_bytes(fourge_format format, fourge_scale_layout layout, int64_t rows,
                                  int64_t cols, int64_t* code_bytes, int64_t* scale_bytes) {
  return fourge::capi::guarded(
      [&] { return fourge::capi::matrix_bytes(format, layout, rows, cols, code_bytes, scale_bytes); });
}

fourge_status fourge_scale_offset(fourge_scale_layout layout, int64_t row, int64_t column, int64_t columns,
                                  int64_t* offset) {
  using namespace fourge;
  return capi::guarded([&]() -> fourge_status {
    ScaleLayout known{};
    if (const Status s = capi::take_layout(layout, known); !s.ok()) return capi::done(s);
    if (row < 0 || column < 0 || column >= columns || offset == nullptr)
      return capi::fail(Error::kBadArgument,
                        "expected row >= 0, 0 <= column < columns, a place for the offset",
                        "row, column or offset");
    *offset = scale_offset(known, row, column, columns);
    return FOURGE_OK;
  });
}

fourge_status fourge_convert_scales(fourge_scale_layout from_layout, const uint8_t* from,
                                    fourge_scale_layout to_layout, uint8_t* to, int64_t rows,
                                    int64_t columns) {
  return fourge::capi::guarded(
      [&] { return fourge::capi::convert(from_layout, from, to_layout, to, rows, columns); });
}

}  // extern "C"
