// f32, bf16 and f16 elements in memory, for the portable kernels.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>

#include "fourge/formats.h"
#include "fourge/rounding.h"

namespace fourge::jit {

/// The formats that matrices of plain numbers come in.
constexpr bool is_plain(ElementFormat format) {
  return format == ElementFormat::f32 || format == ElementFormat::bf16 || format == ElementFormat::f16;
}
constexpr std::int64_t plain_bytes(ElementFormat format) { return format == ElementFormat::f32 ? 4 : 2; }

/// RNE, beyond the largest value to infinity; NaN stays NaN, canonical.
constexpr std::uint16_t bf16_bits(float x) {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  if ((bits & 0x7fff'ffffu) > 0x7f80'0000u) return 0x7fff;
  return static_cast<std::uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

template <ElementFormat kFormat>
float load_element(const std::uint8_t* address) {
  if constexpr (kFormat == ElementFormat::f32) {
    float x;
    std::memcpy(&x, address, 4);
    return x;
  } else {
    std::uint16_t code;
    std::memcpy(&code, address, 2);
    if constexpr (kFormat == ElementFormat::bf16) return std::bit_cast<float>(std::uint32_t{code} << 16);
    return decode_f32(kFormat, code);
  }
}

template <ElementFormat kFormat>
void store_element(std::uint8_t* address, float x) {
  if constexpr (kFormat == ElementFormat::f32) {
    std::memcpy(address, &x, 4);
  } else {
    const auto code = kFormat == ElementFormat::bf16
                          ? bf16_bits(x)
                          : static_cast<std::uint16_t>(encode(kFormat, x, Rounding::rne, Overflow::infinity));
    std::memcpy(address, &code, 2);
  }
}

/// values[i] <- element i.
inline void load_elements(ElementFormat format, const void* from, std::int64_t count, float* values) {
  const auto* bytes = static_cast<const std::uint8_t*>(from);
  const auto load = [&]<ElementFormat kFormat>() {
    for (std::int64_t i = 0; i < count; ++i)
      values[i] = load_element<kFormat>(bytes + i * plain_bytes(kFormat));
  };
  if (format == ElementFormat::f32) {
    std::memcpy(values, from, static_cast<std::size_t>(count) * 4);
  } else if (format == ElementFormat::bf16) {
    load.template operator()<ElementFormat::bf16>();
  } else {
    load.template operator()<ElementFormat::f16>();
  }
}

/// element i <- values[i].
inline void store_elements(ElementFormat format, const float* values, std::int64_t count, void* to) {
  auto* bytes = static_cast<std::uint8_t*>(to);
  const auto store = [&]<ElementFormat kFormat>() {
    for (std::int64_t i = 0; i < count; ++i)
      store_element<kFormat>(bytes + i * plain_bytes(kFormat), values[i]);
  };
  if (format == ElementFormat::f32) {
    std::memcpy(to, values, static_cast<std::size_t>(count) * 4);
  } else if (format == ElementFormat::bf16) {
    store.template operator()<ElementFormat::bf16>();
  } else {
    store.template operator()<ElementFormat::f16>();
  }
}

}  // namespace fourge::jit
