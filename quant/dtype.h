// Element types of files, under the names that safetensors gives them.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace fourge::quant {

enum class DType : std::uint8_t {
  boolean,
  f4,  // e2m1, two a byte, element 2i in the low nibble; shapes count elements
  f6_e2m3,
  f6_e3m2,
  u8,
  i8,
  f8_e5m2,
  f8_e4m3,
  f8_e8m0,
  i16,
  u16,
  f16,
  bf16,
  i32,
  u32,
  f32,
  i64,
  u64,
  f64,
  c64,
};

struct DTypeInfo {
  DType dtype;
  std::string_view name;  // in a safetensors header
  int bits;
};

/// Source: safetensors 0.6, tensor.rs, enum Dtype.
inline constexpr DTypeInfo kDTypes[] = {
    {DType::boolean, "BOOL", 8},    {DType::f4, "F4", 4},           {DType::f6_e2m3, "F6_E2M3", 6},
    {DType::f6_e3m2, "F6_E3M2", 6}, {DType::u8, "U8", 8},           {DType::i8, "I8", 8},
    {DType::f8_e5m2, "F8_E5M2", 8}, {DType::f8_e4m3, "F8_E4M3", 8}, {DType::f8_e8m0, "F8_E8M0", 8},
    {DType::i16, "I16", 16},        {DType::u16, "U16", 16},        {DType::f16, "F16", 16},
    {DType::bf16, "BF16", 16},      {DType::i32, "I32", 32},        {DType::u32, "U32", 32},
    {DType::f32, "F32", 32},        {DType::i64, "I64", 64},        {DType::u64, "U64", 64},
    {DType::f64, "F64", 64},        {DType::c64, "C64", 64},
};

constexpr const DTypeInfo& info(DType dtype) { return kDTypes[static_cast<int>(dtype)]; }
constexpr std::string_view name_of(DType dtype) { return info(dtype).name; }

static_assert([] {
  for (const DTypeInfo& row : kDTypes)
    if (&info(row.dtype) != &row) return false;
  return true;
}());

constexpr std::optional<DType> dtype_of_name(std::string_view name) {
  for (const DTypeInfo& row : kDTypes)
    if (row.name == name) return row.dtype;
  return std::nullopt;
}

/// Elements of a shape; none when the product does not fit 62 bits (a zero further on does not save it).
template <class Shape>
constexpr std::optional<std::int64_t> element_count(const Shape& shape) {
  constexpr std::int64_t kMax = std::int64_t{1} << 62;
  std::int64_t count = 1;
  for (const std::int64_t extent : shape) {
    if (extent < 0 || (extent > 0 && count > kMax / extent)) return std::nullopt;
    count *= extent == 0 ? 1 : extent;
  }
  for (const std::int64_t extent : shape)
    if (extent == 0) return 0;
  return count;
}

/// Bytes of `count` packed elements; none when they do not end on a byte or do not fit 62 bits.
constexpr std::optional<std::int64_t> packed_bytes(DType dtype, std::int64_t count) {
  const std::int64_t bits = info(dtype).bits;
  if (count < 0 || count > (std::int64_t{1} << 62) / bits || count * bits % 8 != 0) return std::nullopt;
  return count * bits / 8;
}

}  // namespace fourge::quant
