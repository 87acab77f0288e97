// Transposition of plain matrices.
#pragma once

#include <cstdint>

namespace fourge::jit {

/// to[j][i] <- from[i][j] for i < rows, j < cols. from_stride: bytes from row to row; `to` has no gaps.
/// element_bytes: 2 or 4.
void transpose_elements(const std::uint8_t* from, std::int64_t rows, std::int64_t cols,
                        std::int64_t from_stride, std::int64_t element_bytes, std::uint8_t* to);

}  // namespace fourge::jit
