// The scale rules that try scales, in portable C++: quant/lane_quantize.h defines them.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>

#include "fourge/rounding.h"

namespace fourge::jit {

/// x >= 0 on the e2m1 grid, to nearest even, at most 6; NaN gives 6.
inline float e2m1_rounded(float x) {
  const float step = x < 2.0f ? 0x1p22f : x < 4.0f ? 0x1p23f : 0x1p24f;
  const float rounded = (x + step) - step;
  return rounded < 6.0f ? rounded : 6.0f;
}

/// x^(1/5) by three steps of Newton's method from an estimate that divides the exponent by 5.
inline float fifth_root(float x) {
  const float fifth = static_cast<float>(std::bit_cast<std::int32_t>(x)) * 0.2f;
  auto r = std::bit_cast<float>(static_cast<std::int32_t>(fifth) + 852282573);
  for (int step = 0; step < 3; ++step) {
    const float r2 = r * r, r4 = r2 * r2;
    r = (r * 4.0f + x / r4) * 0.2f;
  }
  return r;
}

/// search: the scale, not yet rounded. amax: of the block, NaN not counted.
inline float searched_scale(std::span<const float> block, float amax) {
  float best = amax / 6.0f, best_error = std::numeric_limits<float>::max();
  const float largest = std::max(best, std::numeric_limits<float>::min());
  for (int i = 0; i < 100; ++i) {
    const float scale = largest * static_cast<float>(1.0 - i * 0.8 / 100.0), inverse = 1.0f / scale;
    float total = 0.0f;
    for (const float value : block) {
      const float x = std::fabs(value), error = e2m1_rounded(x * inverse) * scale - x, square = error * error;
      total += square * fifth_root(square);
    }
    if (!(total < best_error)) continue;
    best_error = total;
    best = scale;
  }
  return best;
}

/// The candidates of a sweep, numbered so that smaller numbers are smaller scales.
struct Ue4m3Scales {  // number: the code
  static constexpr int kLeast = 1;
  static int first(float scale) {
    const auto code = static_cast<int>(encode(ElementFormat::ue4m3, scale));
    return code < 16 ? code + 8 : code;  // half of a code below 16 may not be a code
  }
  static float value(int number) {
    return decode_f32(ElementFormat::ue4m3, static_cast<std::uint32_t>(number));
  }
  static float inverse(int number) { return 1.0f / value(number); }
};
struct PowerOfTwoScales {  // number: the exponent
  static constexpr int kLeast = -125;
  static int first(float scale) {
    return std::max(static_cast<int>(std::bit_cast<std::uint32_t>(scale) >> 23) - 127, kLeast);
  }
  static float value(int number) {
    return std::bit_cast<float>(static_cast<std::uint32_t>(number + 127) << 23);
  }
  static float inverse(int number) { return value(-number); }
};

/// Largest |x * encode|; NaN does not count.
inline float largest_encoded(std::span<const float> block, float encode) {
  float amax = 0.0f;
  for (const float value : block) amax = std::fabs(value * encode) > amax ? std::fabs(value * encode) : amax;
  return amax;
}

/// sweep: the number of the scale with the least squared error of x * encode, 0 where none has a finite one.
/// amax: largest_encoded(). Ends where the saturated largest value alone errs too much.
template <class Scales>
int swept_scale(std::span<const float> block, float encode, float amax) {
  int best = 0;
  float best_error = std::numeric_limits<float>::infinity();
  for (int number = Scales::first(amax * (1.0f / 3.5f)); number >= Scales::kLeast; --number) {
    const float scale = Scales::value(number), excess = std::max(amax - scale * 6.0f, 0.0f);
    if (!(excess * excess < best_error)) break;
    const float inverse = Scales::inverse(number);
    float total = 0.0f;
    for (const float value : block) {
      const float y = std::fabs(value * encode), error = e2m1_rounded(y * inverse) * scale - y;
      total += error * error;
    }
    if (!(total < best_error)) continue;
    best_error = total;
    best = number;
  }
  return best;
}

}  // namespace fourge::jit
