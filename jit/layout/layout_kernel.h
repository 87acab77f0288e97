// What every layout kernel of the registry offers to the dispatcher.
//
// Scales move four at a time, a word: a row of a tile. Kernels do whole units; the driver does the edges.
//   linear <-> tiles      16 rows x 16 column tiles: a transposition of words
//   128x4 <-> 8x4         128 rows x 1 column tile
//   codes                 64 bytes
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "fourge/layout.h"
#include "jit/registry.h"

namespace fourge::jit {

inline constexpr int kUnitRows = 16, kUnitTiles = 16, kCodeBytes = 64;

/// A run of units, from column tile to column tile or through codes: what the generated code reads.
struct LayoutArgs {
  const std::uint8_t* from;
  std::uint8_t* to;
  std::int64_t row_stride;       // linear side: bytes from row to row
  std::int64_t tile_row_stride;  // 8x4 side: bytes from one row of tiles to the next
  std::int64_t units;            // >= 1
};

/// Row k of a unit's 16, beside linear: 128x4 tiles hold rows that are 32 apart side by side.
constexpr int unit_row(ByteLayout tiles, int k) {
  return tiles == ByteLayout::swizzled_128x4 ? k / 4 + k % 4 * 32 : k;
}

constexpr bool is_scales(ByteLayout layout) { return layout <= ByteLayout::swizzled_8x4; }
constexpr ScaleLayout scale_layout_of(ByteLayout layout) { return static_cast<ScaleLayout>(layout); }
constexpr int tile_bytes(ByteLayout tiles) { return tiles == ByteLayout::swizzled_128x4 ? 512 : 32; }

class LayoutKernel {
 public:
  virtual ~LayoutKernel() = default;
  virtual KernelCode code() const = 0;
  virtual void run(const LayoutArgs& args) const = 0;
};

using LayoutKernelEntry = KernelEntry<LayoutSpec, LayoutKernel>;

/// Every layout kernel, best first.
std::span<const LayoutKernelEntry> layout_kernels();

Result<std::shared_ptr<const LayoutKernel>> make_layout_scalar(const LayoutSpec& spec);
const char* layout_scalar_refusal(const LayoutSpec& spec);
#if defined(__x86_64__)
Result<std::shared_ptr<const LayoutKernel>> make_layout_avx512(const LayoutSpec& spec);
const char* layout_avx512_refusal(const LayoutSpec& spec);
/// For tests: every vector register filled with ones first.
Result<std::shared_ptr<const LayoutKernel>> make_layout_avx512_poisoned(const LayoutSpec& spec);
#endif

}  // namespace fourge::jit
