#include "reference/mma/tiles.h"

#include <cstring>
#include <vector>

namespace fourge::reference {
namespace {

std::size_t offset(std::int64_t index, std::int64_t bytes) { return static_cast<std::size_t>(index * bytes); }

std::vector<MmaRow> decode_rows(const MmaTile& tile, ElementFormat format, int rows,
                                const std::uint8_t* codes, const std::uint8_t* scales) {
  const auto bytes = static_cast<std::size_t>(row_bytes(format, tile.shape.k));
  const auto scale_count = static_cast<std::size_t>(tile.scales());
  std::vector<MmaRow> decoded;
  decoded.reserve(static_cast<std::size_t>(rows));
  for (std::size_t i = 0; i < static_cast<std::size_t>(rows); ++i) {
    const std::span<const std::uint8_t> row_scales =
        scale_count == 0 ? std::span<const std::uint8_t>{} : std::span(scales + i * scale_count, scale_count);
    decoded.push_back(
        decode_row(tile.model, format, tile.shape.k, {codes + i * bytes, bytes}, row_scales, tile.policy));
  }
  return decoded;
}

void one_tile(const MmaTile& tile, const MmaArrays& t) {
  const auto [m, n, k, a_format, b_format] = tile.shape;
  const std::vector<MmaRow> a = decode_rows(tile, a_format, m, t.a, t.a_scales);
  const std::vector<MmaRow> b = decode_rows(tile, b_format, n, t.b, t.b_scales);
  const auto word = static_cast<std::size_t>(tile.c_bytes());
  const auto* c_bytes = static_cast<const std::uint8_t*>(t.c);
  auto* d_bytes = static_cast<std::uint8_t*>(t.d);
  std::size_t output = 0;
  for (const MmaRow& row : a) {
    for (const MmaRow& column : b) {
      std::uint32_t c = 0;
      if (c_bytes != nullptr) std::memcpy(&c, c_bytes + output, word);
      const std::uint32_t d = mma(tile.model, row, column, c, tile.policy);
      std::memcpy(d_bytes + output, &d, word);
      output += word;
    }
  }
}

}  // namespace

Status check(const MmaTile& tile) {
  if (const Status valid = check(tile.model, tile.shape); !valid.ok()) return valid;
  const auto [m, n, k, a_format, b_format] = tile.shape;
  if (m > kMostExtent || n > kMostExtent || k > kMostDepth) {
    return {Error::kBadShape, "expected m, n and k of at most 65536",
            "m " + std::to_string(m) + ", n " + std::to_string(n) + ", k " + std::to_string(k)};
  }
  return {};
}

Status mma_tiles(const MmaTile& tile, std::int64_t tiles, const MmaArrays& arrays) {
  if (tiles < 0) return {Error::kBadShape, "expected tiles of at least 0", std::to_string(tiles)};
  if (tiles == 0) return {};
  if (arrays.a == nullptr || arrays.b == nullptr || arrays.d == nullptr)
    return {Error::kBadArgument, "null pointer", "a, b or d"};
  const bool scaled = tile.scales() != 0;
  if (scaled != (arrays.a_scales != nullptr) || scaled != (arrays.b_scales != nullptr)) {
    return {Error::kBadArgument, "scales must be given exactly when the model has them",
            std::string(tile.model.name)};
  }
  const auto [m, n, k, a_format, b_format] = tile.shape;
  const std::int64_t c_bytes = std::int64_t{m} * n * tile.c_bytes();
  MmaArrays one = arrays;
  for (std::int64_t t = 0; t < tiles; ++t) {
    one.a = arrays.a + offset(t, std::int64_t{m} * tile.a_row_bytes());
    one.b = arrays.b + offset(t, std::int64_t{n} * tile.b_row_bytes());
    if (scaled) {
      one.a_scales = arrays.a_scales + offset(t, std::int64_t{m} * tile.scales());
      one.b_scales = arrays.b_scales + offset(t, std::int64_t{n} * tile.scales());
    }
    if (arrays.c != nullptr) one.c = static_cast<const std::uint8_t*>(arrays.c) + offset(t, c_bytes);
    one.d = static_cast<std::uint8_t*>(arrays.d) + offset(t, c_bytes);
    one_tile(tile, one);
  }
  return {};
}

}  // namespace fourge::reference
