#include "jit/quantize/transpose.h"

#include <algorithm>
#include <cstring>

namespace fourge::jit {
namespace {

// Tiles of 16 x 16: a cache line of each side.
template <class T>
void transpose_tiles(const std::uint8_t* from, std::int64_t rows, std::int64_t cols, std::int64_t from_stride,
                     std::uint8_t* to) {
  constexpr std::int64_t kTile = 16, kBytes = sizeof(T);
  for (std::int64_t row = 0; row < rows; row += kTile) {
    const std::int64_t height = std::min(kTile, rows - row);
    for (std::int64_t col = 0; col < cols; col += kTile) {
      const std::int64_t width = std::min(kTile, cols - col);
      T tile[kTile][kTile];
      for (std::int64_t i = 0; i < height; ++i) {
        T line[kTile];
        std::memcpy(line, from + (row + i) * from_stride + col * kBytes,
                    static_cast<std::size_t>(width * kBytes));
        for (std::int64_t j = 0; j < width; ++j) tile[j][i] = line[j];
      }
      for (std::int64_t j = 0; j < width; ++j)
        std::memcpy(to + ((col + j) * rows + row) * kBytes, tile[j],
                    static_cast<std::size_t>(height * kBytes));
    }
  }
}

}  // namespace

void transpose_elements(const std::uint8_t* from, std::int64_t rows, std::int64_t cols,
                        std::int64_t from_stride, std::int64_t element_bytes, std::uint8_t* to) {
  if (element_bytes == 4) {
    transpose_tiles<std::uint32_t>(from, rows, cols, from_stride, to);
  } else {
    transpose_tiles<std::uint16_t>(from, rows, cols, from_stride, to);
  }
}

}  // namespace fourge::jit
