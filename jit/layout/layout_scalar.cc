// Layouts in portable C++: the kernel of machines that have no other.
#include <cstring>
#include <memory>

#include "jit/layout/layout_kernel.h"

namespace fourge::jit {
namespace {

void copy_word(const std::uint8_t* from, std::uint8_t* to) { std::memcpy(to, from, 4); }

// Word `row` of column tile `tile` of a unit beside linear.
std::int64_t in_tiles(ByteLayout tiles, const LayoutArgs& args, int row, std::int64_t tile) {
  const std::int64_t first = tile * tile_bytes(tiles);
  if (tiles == ByteLayout::swizzled_128x4) return first + row * 4;
  return first + row / 8 * args.tile_row_stride + row % 8 * 4;
}

// Nibbles 1 and 2 of bytes (a, b) change places.
void swap_middle(std::uint8_t a, std::uint8_t b, std::uint8_t& first, std::uint8_t& second) {
  first = static_cast<std::uint8_t>((a & 15) | (b & 15) << 4);
  second = static_cast<std::uint8_t>(a >> 4 | (b & 0xf0));
}

class LayoutScalar final : public LayoutKernel {
 public:
  explicit LayoutScalar(const LayoutSpec& spec) : spec_(spec) {}

  KernelCode code() const override {
    return {kernel_name(spec_) + "__scalar", "scalar", "bit_exact(layout)", {}, {}, "compiled C++"};
  }

  void run(const LayoutArgs& args) const override {
    if (!is_scales(spec_.from)) return move_codes(args);
    if (spec_.from != ByteLayout::linear && spec_.to != ByteLayout::linear) return move_tiles(args);
    const bool to_tiles = spec_.from == ByteLayout::linear;
    const ByteLayout tiles = to_tiles ? spec_.to : spec_.from;
    for (std::int64_t tile = 0; tile < args.units * kUnitTiles; ++tile) {
      for (int k = 0; k < kUnitRows; ++k) {
        const std::int64_t linear = unit_row(tiles, k) * args.row_stride + 4 * tile,
                           tiled = in_tiles(tiles, args, k, tile);
        copy_word(args.from + (to_tiles ? linear : tiled), args.to + (to_tiles ? tiled : linear));
      }
    }
  }

 private:
  void move_tiles(const LayoutArgs& args) const {
    const bool to_8x4 = spec_.to == ByteLayout::swizzled_8x4;
    for (std::int64_t tile = 0; tile < args.units; ++tile) {
      for (int r = 0; r < 128; ++r) {
        const std::int64_t tall = tile * 512 + r % 32 * 16 + r / 32 * 4,
                           small = tile * 32 + r / 8 * args.tile_row_stride + r % 8 * 4;
        copy_word(args.from + (to_8x4 ? tall : small), args.to + (to_8x4 ? small : tall));
      }
    }
  }

  void move_codes(const LayoutArgs& args) const {
    const bool to_halves = spec_.from == ByteLayout::pairs;
    const ByteLayout halves = to_halves ? spec_.to : spec_.from;
    const int half = halves == ByteLayout::halves_32 ? 8 : 4;  // bytes
    for (std::int64_t block = 0; block < args.units * kCodeBytes; block += 2 * half) {
      std::uint8_t in[16], out[16];
      std::memcpy(in, args.from + block, static_cast<std::size_t>(2 * half));
      for (int m = 0; m < half; ++m) {
        if (to_halves) {
          swap_middle(in[m], in[half + m], out[2 * m], out[2 * m + 1]);
        } else {
          swap_middle(in[2 * m], in[2 * m + 1], out[m], out[half + m]);
        }
      }
      std::memcpy(args.to + block, out, static_cast<std::size_t>(2 * half));
    }
  }

  LayoutSpec spec_;
};

}  // namespace

const char* layout_scalar_refusal(const LayoutSpec&) { return nullptr; }

Result<std::shared_ptr<const LayoutKernel>> make_layout_scalar(const LayoutSpec& spec) {
  return std::shared_ptr<const LayoutKernel>(std::make_shared<LayoutScalar>(spec));
}

}  // namespace fourge::jit
