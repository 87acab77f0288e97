// Two tensors, element by element: the bits, the distance in units of the last place, and the noise.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "fourge/error.h"
#include "tools/cli/tensor_file.h"

namespace fourge::cli {

/// One element of both.
struct ElementPair {
  std::int64_t position = 0;  // row-major
  std::uint64_t a_bits = 0, b_bits = 0;
  int a_width = 0, b_width = 0;  // bits of an element
  double a = 0, b = 0;
};

/// Elements whose distance is from `least` to `most` ULP; 0 but other bits: +0 and -0, or a NaN on each side.
struct UlpBin {
  std::uint64_t least = 0, most = 0;
  std::int64_t count = 0;
};

struct Difference {
  std::int64_t elements = 0;
  std::int64_t differing = 0;     // with other bits
  std::uint64_t largest_ulp = 0;  // kNanDistance when a NaN meets a number
  std::vector<UlpBin> ulps;       // of the differing ones: 0, 1, 2, 3-4, 5-8, ...
  std::optional<double>
      sqnr_db;  // 10 log10(sum a^2 / sum (a - b)^2) over finite pairs; none when nothing differs
  std::optional<ElementPair> first;  // that differs
};

/// Distance that no two numbers have: one of them is not a number.
inline constexpr std::uint64_t kNanDistance = ~std::uint64_t{0};

/// Elements of one type are compared by their bits, and their distance is how many values of the type lie
/// between them. Elements of different types, and blocks, are compared as f32. kBadShape when the shapes
/// differ.
Result<Difference> difference_of(const FileTensor& a, const FileTensor& b);

}  // namespace fourge::cli
