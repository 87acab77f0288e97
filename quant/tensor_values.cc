// Decoding of file elements to f32.
#include <array>
#include <bit>
#include <cstring>
#include <new>

#include "fourge/formats.h"
#include "quant/safetensors.h"
#include "quant/text.h"

namespace fourge::quant {

namespace {

/// f32 of every code of a format of at most 8 bits.
template <ElementFormat kFormat>
constexpr auto kDecoded = [] {
  std::array<float, std::size_t{1} << (info(kFormat).has_sign || kFormat == ElementFormat::ue8m0
                                           ? info(kFormat).code_bits()
                                           : 8)>
      table{};
  for (std::uint32_t code = 0; code < table.size(); ++code) table[code] = decode_f32(kFormat, code);
  return table;
}();

template <class Stored, class Decode>
void decode_each(std::span<const std::uint8_t> bytes, std::vector<float>& values, Decode decode_one) {
  for (std::size_t i = 0; i < values.size(); ++i) {
    Stored stored;
    std::memcpy(&stored, bytes.data() + i * sizeof(Stored), sizeof(Stored));  // any alignment
    values[i] = decode_one(stored);
  }
}

template <ElementFormat kFormat>
void decode_bytes(std::span<const std::uint8_t> bytes, std::vector<float>& values) {
  decode_each<std::uint8_t>(bytes, values, [](std::uint8_t code) { return kDecoded<kFormat>[code]; });
}

}  // namespace

Result<std::vector<float>> tensor_to_f32(const Tensor& tensor) {
  static_assert(std::endian::native == std::endian::little);
  if (packed_bytes(tensor.dtype, tensor.elements()) != static_cast<std::int64_t>(tensor.bytes.size())) {
    return {Error::kBadShape, "the bytes do not fit dtype and shape", "tensor " + in_quotes(tensor.name)};
  }
  std::vector<float> values;
  try {
    values.resize(static_cast<std::size_t>(tensor.elements()));
  } catch (const std::bad_alloc&) {
    return {Error::kOutOfMemory, "no memory for the values as f32", "tensor " + in_quotes(tensor.name)};
  }
  switch (tensor.dtype) {
    case DType::f64:
      decode_each<double>(tensor.bytes, values, [](double x) { return static_cast<float>(x); });
      return values;
    case DType::f32:
      decode_each<float>(tensor.bytes, values, [](float x) { return x; });
      return values;
    case DType::bf16:
      decode_each<std::uint16_t>(
          tensor.bytes, values, [](std::uint16_t x) { return std::bit_cast<float>(std::uint32_t{x} << 16); });
      return values;
    case DType::f16:
      decode_each<std::uint16_t>(tensor.bytes, values,
                                 [](std::uint16_t x) { return decode_f32(ElementFormat::f16, x); });
      return values;
    case DType::f8_e4m3:
      decode_bytes<ElementFormat::e4m3>(tensor.bytes, values);
      return values;
    case DType::f8_e5m2:
      decode_bytes<ElementFormat::e5m2>(tensor.bytes, values);
      return values;
    case DType::f8_e8m0:
      decode_bytes<ElementFormat::ue8m0>(tensor.bytes, values);
      return values;
    case DType::f4:
      for (std::size_t i = 0; i < values.size(); ++i) {
        const unsigned byte = tensor.bytes[i / 2];
        values[i] = kDecoded<ElementFormat::e2m1>[i % 2 == 0 ? byte & 15u : byte >> 4];
      }
      return values;
    default:
      return {Error::kUnsupportedFormat, "expected F64, F32, F16, BF16, F8_E4M3, F8_E5M2, F8_E8M0 or F4",
              "tensor " + in_quotes(tensor.name) + ": dtype " + std::string(name_of(tensor.dtype))};
  }
}

}  // namespace fourge::quant
