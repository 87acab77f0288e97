// Integer sums of products of columns, for every vector instruction set. The arithmetic:
// fourge/second_moment.h.
//
// A panel holds kMomentPanel columns of one chunk of tokens: its head, then codes in the kernel's own order.
#pragma once

#include <bit>
#include <cstdint>
#include <limits>

#include "simd/target.h"

namespace fourge::simd {

inline constexpr int kMomentPanel = 16;
inline constexpr int kPackPanels = 4;            // that are packed at once
inline constexpr std::int64_t kMomentStep = 64;  // tokens; panels are padded with zeros to whole steps
inline constexpr std::int32_t kLargestMomentCode = 127 * 257;

/// What s = sum * scale_y * scale_x is rounded with: x + 1.5 * 2^(52 + g) - 1.5 * 2^(52 + g) is x rounded to
/// a multiple of 2^g, for |x| < 2^(51 + g). coarse += c = s to 2^4; fine += (s - c) to 2^-34.
inline constexpr double kMomentToCoarse = 0x1.8p56, kMomentToFine = 0x1.8p18;

struct MomentHead {
  double scale[kMomentPanel];          // 2^e; 0: columns of zeros; NaN: a value is not finite
  std::int32_t sums[2][kMomentPanel];  // of the high and of the low bytes, for kernels that need them
};
static_assert(sizeof(MomentHead) == 256);

struct MomentPackArgs {
  const float* x;
  std::int64_t stride;       // bytes from token to token
  std::int64_t tokens;       // >= 1
  std::int64_t columns;      // 1 to kPackPanels * kMomentPanel; what is missing in the last panel is zeros
  std::uint8_t* panel;       // the first, 64-byte aligned
  std::int64_t panel_bytes;  // from panel to panel
};

/// coarse and fine of one panel's rows by `panels` panels' columns += their sums over one chunk.
struct MomentBlockArgs {
  const std::uint8_t* y;
  const std::uint8_t* x;     // the first of `panels` panels
  std::int64_t panel_bytes;  // from panel to panel
  std::int64_t panels;       // >= 1
  std::int64_t steps;        // >= 1
  double* coarse;
  double* fine;
  std::int64_t stride;  // of both, bytes
};

/// The part of `args` that is panel `panel` alone.
constexpr MomentPackArgs one_panel(const MomentPackArgs& args, std::int64_t panel) {
  const std::int64_t first = panel * kMomentPanel, left = args.columns - first;
  return {args.x + first,
          args.stride,
          args.tokens,
          left < kMomentPanel ? left : kMomentPanel,
          args.panel + panel * args.panel_bytes,
          args.panel_bytes};
}

struct ColumnScale {
  float to_code;  // 2^-e; 0: all codes are 0
  double scale;   // 2^e
};

/// From the bits of a column's amax, which is found by comparing bits without sign: any value that is not
/// finite exceeds all that are.
constexpr ColumnScale column_scale(std::uint32_t amax_bits) {
  constexpr std::uint32_t kInfinity = 0x7f800000, kSmallest = (127 - 60) << 23;
  if (amax_bits >= kInfinity) return {0.0f, std::numeric_limits<double>::quiet_NaN()};
  if (amax_bits < kSmallest) return {0.0f, 0.0};
  const auto power = [](std::uint32_t biased) {
    return std::bit_cast<float>((127 + 127 + 14 - biased) << 23);
  };
  std::uint32_t biased = amax_bits >> 23;  // amax * power(biased) is from 2^14 to 2^15
  if (std::bit_cast<float>(amax_bits) * power(biased) > static_cast<float>(kLargestMomentCode)) ++biased;
  return {power(biased), std::bit_cast<double>(std::uint64_t{biased + 1023 - 127 - 14} << 52)};
}

struct SecondMomentFunctions {
  void (*pack)(const MomentPackArgs& args);
  void (*block)(const MomentBlockArgs& args);
};

/// Codes of the panels of simd/: int16 [tokens / 2][kMomentPanel][2].
constexpr std::int64_t pair_panel_bytes(std::int64_t steps) {
  return static_cast<std::int64_t>(sizeof(MomentHead)) + steps * kMomentStep * kMomentPanel * 2;
}

/// Null where simd/ was not compiled for `target`. They may be called only on a processor that has the
/// target.
SecondMomentFunctions second_moment(Target target);

}  // namespace fourge::simd
