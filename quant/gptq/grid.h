// e2m1 in f64, for loops that the compiler turns into vector code.
#pragma once

#include <array>
#include <cmath>
#include <cstdint>

#include "fourge/formats.h"
#include "fourge/matrix.h"

namespace fourge::quant {

/// |v| to the e2m1 grid, to nearest even, at most 6. Adding 2^51 leaves multiples of 0.5, 2^52 of 1, 2^53
/// of 2.
inline double round_e2m1(double magnitude) {
  const double step = magnitude < 2.0 ? 0x1p51 : magnitude < 4.0 ? 0x1p52 : 0x1p53;
  const double rounded = (magnitude + step) - step;
  return rounded < 6.0 ? rounded : 6.0;
}

/// The code of a value on the grid; 0 for -0.
inline std::uint8_t e2m1_code(double value) {
  constexpr std::array<std::uint8_t, 13> kCodeOfTwice = {0, 1, 2, 3, 4, 0, 5, 0, 6, 0, 0, 0, 7};
  const auto twice = static_cast<std::size_t>(2.0 * std::fabs(value));
  return static_cast<std::uint8_t>(kCodeOfTwice[twice] | (value < 0.0 ? 8 : 0));
}

/// Values of all scale codes of a format under a tensor scale, in f64. The inverses of mxfp4 scales under an
/// encode multiplier of 3 are exact where the values, thirds, are not: bf16 weights do hit ties (x * 3 / 2^e
/// = 2.5), and x times the rounded inverse of a third would miss them.
struct ScaleTable {
  std::array<double, 256> value{};
  std::array<double, 256> inverse{};  // 0 where the value is 0

  static ScaleTable of(Format format, const TensorScale& tensor_scale) {
    ScaleTable table;
    const auto factor = static_cast<double>(tensor_scale.value);
    const bool decode_way = tensor_scale.direction == TensorScale::Direction::decode_multiplier;
    for (std::uint32_t code = 0; code < table.value.size(); ++code) {
      const auto scale = static_cast<double>(decode_f32(info(format).scale, code));
      table.value[code] = decode_way ? scale * factor : scale / factor;
      table.inverse[code] = scale == 0.0 ? 0.0 : decode_way ? 1.0 / (scale * factor) : factor / scale;
    }
    return table;
  }
};

}  // namespace fourge::quant
