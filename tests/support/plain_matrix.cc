#include "tests/support/plain_matrix.h"

#include <cmath>
#include <cstring>
#include <iomanip>
#include <limits>
#include <sstream>

#include "fourge/rounding.h"

namespace fourge::tests {
namespace {

std::size_t bytes_of(ElementFormat format) { return static_cast<std::size_t>(info(format).storage_bits / 8); }

std::uint32_t code_at(ElementFormat format, const std::vector<std::uint8_t>& bytes, std::size_t i) {
  std::uint32_t code = 0;
  std::memcpy(&code, bytes.data() + i * bytes_of(format), bytes_of(format));
  return code;
}

bool is_nan(ElementFormat format, std::uint32_t code) { return decode(format, code).kind == NumberKind::nan; }

float special(std::mt19937_64& rng) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const float list[] = {std::numeric_limits<float>::quiet_NaN(),
                        -std::numeric_limits<float>::quiet_NaN(),
                        std::bit_cast<float>(0x7f800001u),
                        kInfinity,
                        -kInfinity,
                        0.0f,
                        -0.0f};
  return list[rng() % std::size(list)];
}

float draw(PlainData data, std::int64_t i, std::mt19937_64& rng) {
  std::normal_distribution<float> normal;
  const float x = normal(rng);
  switch (data) {
    case PlainData::gaussian:
      return x;
    case PlainData::lognormal:
      return std::copysign(std::exp2(6 * normal(rng)), x);
    case PlainData::outliers:
      return rng() % 40 == 0 ? 1000 * x : x;
    case PlainData::coarse:
      return static_cast<float>(static_cast<int>(rng() % 49) - 24) / 4;
    case PlainData::zeros:
      return rng() % 2 == 0 ? 0.0f : -0.0f;
    case PlainData::zero_blocks:
      return i / 16 % 2 == 0 ? x : rng() % 16 == 0 ? -0.0f : 0.0f;
    case PlainData::subnormal:
      return x * 0x1p-126f;
    case PlainData::huge:
      return x * 0x1p125f;
    case PlainData::random_bits:
      return std::bit_cast<float>(static_cast<std::uint32_t>(rng()));
    case PlainData::specials:
      return rng() % 50 == 0 ? special(rng) : x;
  }
  return x;
}

// f16 has its own range.
float fit(ElementFormat format, PlainData data, float x) {
  if (format != ElementFormat::f16) return x;
  if (data == PlainData::subnormal) return x * 0x1p112f;
  if (data == PlainData::huge) return x * 0x1p-112f;
  return x;
}

}  // namespace

const char* name_of(PlainData data) {
  const char* names[] = {"gaussian",    "lognormal", "outliers", "coarse",      "zeros",
                         "zero_blocks", "subnormal", "huge",     "random_bits", "specials"};
  return names[static_cast<std::size_t>(data)];
}

bool is_finite(PlainData data) { return data != PlainData::random_bits && data != PlainData::specials; }

std::int64_t matrix_elements(std::int64_t rows, std::int64_t cols, std::int64_t stride) {
  return rows == 0 ? 0 : (rows - 1) * (stride != 0 ? stride : cols) + cols;
}

std::int64_t matrix_bytes(ElementFormat format, std::int64_t rows, std::int64_t cols, std::int64_t stride) {
  return matrix_elements(rows, cols, stride) * static_cast<std::int64_t>(bytes_of(format));
}

std::vector<std::uint8_t> plain_matrix(ElementFormat format, std::int64_t count, PlainData data,
                                       std::mt19937_64& rng) {
  if (data == PlainData::random_bits) {
    std::vector<std::uint8_t> bytes(static_cast<std::size_t>(count) * bytes_of(format));
    for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(rng());
    return bytes;
  }
  std::vector<float> values(static_cast<std::size_t>(count));
  for (std::int64_t i = 0; i < count; ++i)
    values[static_cast<std::size_t>(i)] = fit(format, data, draw(data, i, rng));
  std::vector<std::uint8_t> bytes = from_f32(format, values);
  if (!is_finite(data)) return bytes;
  const std::uint32_t largest = info(format).max_code();
  for (std::size_t i = 0; i < values.size(); ++i) {  // rounding may have reached infinity
    std::uint32_t code = code_at(format, bytes, i);
    const std::uint32_t sign = code & ~((std::uint32_t{1} << (info(format).code_bits() - 1)) - 1);
    if ((code ^ sign) > largest) code = sign | largest;
    std::memcpy(bytes.data() + i * bytes_of(format), &code, bytes_of(format));
  }
  return bytes;
}

std::vector<float> to_f32(ElementFormat format, const std::vector<std::uint8_t>& bytes) {
  std::vector<float> values(bytes.size() / bytes_of(format));
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::uint32_t code = code_at(format, bytes, i);
    values[i] = format == ElementFormat::f32 ? std::bit_cast<float>(code) : decode_f32(format, code);
  }
  return values;
}

std::vector<std::uint8_t> from_f32(ElementFormat format, const std::vector<float>& values) {
  std::vector<std::uint8_t> bytes(values.size() * bytes_of(format));
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::uint32_t code = format == ElementFormat::f32
                                   ? std::bit_cast<std::uint32_t>(values[i])
                                   : encode(format, values[i], Rounding::rne, Overflow::infinity);
    std::memcpy(bytes.data() + i * bytes_of(format), &code, bytes_of(format));
  }
  return bytes;
}

std::string first_difference(ElementFormat format, const std::vector<std::uint8_t>& want,
                             const std::vector<std::uint8_t>& got) {
  if (want.size() != got.size()) return "sizes differ";
  for (std::size_t i = 0; i < want.size() / bytes_of(format); ++i) {
    const std::uint32_t a = code_at(format, want, i), b = code_at(format, got, i);
    if (a == b || (is_nan(format, a) && is_nan(format, b))) continue;
    std::ostringstream text;
    text << "element " << i << ": want " << std::hex << a << ", got " << b;
    return text.str();
  }
  return "";
}

}  // namespace fourge::tests
