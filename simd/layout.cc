#include "simd/layout.h"

#include <type_traits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "simd/layout.cc"
#include "simd/foreach_target.h"  // after HWY_TARGET_INCLUDE

#if FOURGE_SIMD_TARGET
HWY_BEFORE_NAMESPACE();
namespace fourge::simd::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// --- Scales: every conversion is made of transpositions of 4 x 4 words ---
//
// Four lines hold 4 words each, which lie 4 to a run on the other side: word j of line i is word i of run j.
//   side      lines                                    runs
//   linear    rows, 4 column tiles wide                4 rows of a tile, tile after tile
//   128x4     its lines of 16 bytes (rows 32 apart)    of 8x4: 4 rows of a tile, every 4th row of tiles
// A vector has a line or a run in each of its blocks of 16 bytes; runs of neighbouring blocks are contiguous.

#if HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX2
constexpr int kBlocks = 2;
#else
constexpr int kBlocks = 1;
#endif
constexpr int kRunWords = 4 * kBlocks;
using Words = hn::CappedTag<std::uint32_t, kRunWords>;
using WordVector = hn::Vec<Words>;

template <class Byte>
struct Lines {
  Byte* first;
  std::int64_t stride;        // bytes from line to line
  std::int64_t block_stride;  // bytes from block to block
};
template <class Byte>
struct Runs {
  Byte* first;
  std::int64_t stride;  // bytes from run to run
};

template <class Byte>
HWY_INLINE auto* words_at(Byte* bytes) {
  using Word = std::conditional_t<std::is_const_v<Byte>, const std::uint32_t, std::uint32_t>;
  return reinterpret_cast<Word*>(bytes);
}

HWY_INLINE WordVector load(const Lines<const std::uint8_t>& lines, int i) {
  const std::uint8_t* line = lines.first + i * lines.stride;
#if HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX2
  const hn::Half<Words> half;
  return hn::Combine(Words(), hn::LoadU(half, words_at(line + lines.block_stride)),
                     hn::LoadU(half, words_at(line)));
#else
  return hn::LoadU(Words(), words_at(line));
#endif
}
HWY_INLINE WordVector load(const Runs<const std::uint8_t>& runs, int j) {
  return hn::LoadU(Words(), words_at(runs.first + j * runs.stride));
}
HWY_INLINE void store(WordVector words, const Lines<std::uint8_t>& lines, int i) {
  std::uint8_t* line = lines.first + i * lines.stride;
#if HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX2
  const hn::Half<Words> half;
  hn::StoreU(hn::LowerHalf(half, words), half, words_at(line));
  hn::StoreU(hn::UpperHalf(half, words), half, words_at(line + lines.block_stride));
#else
  hn::StoreU(words, Words(), words_at(line));
#endif
}
HWY_INLINE void store(WordVector words, const Runs<std::uint8_t>& runs, int j) {
  hn::StoreU(words, Words(), words_at(runs.first + j * runs.stride));
}

// In every block: 8 shuffles.
template <class From, class To>
HWY_INLINE void transpose(const From& from, const To& to) {
  const Words d;
  const hn::Repartition<std::uint64_t, Words> pairs;
  const auto v0 = load(from, 0), v1 = load(from, 1), v2 = load(from, 2), v3 = load(from, 3);
  const auto low01 = hn::BitCast(pairs, hn::InterleaveLower(d, v0, v1));
  const auto low23 = hn::BitCast(pairs, hn::InterleaveLower(d, v2, v3));
  const auto high01 = hn::BitCast(pairs, hn::InterleaveUpper(d, v0, v1));
  const auto high23 = hn::BitCast(pairs, hn::InterleaveUpper(d, v2, v3));
  store(hn::BitCast(d, hn::InterleaveLower(pairs, low01, low23)), to, 0);
  store(hn::BitCast(d, hn::InterleaveUpper(pairs, low01, low23)), to, 1);
  store(hn::BitCast(d, hn::InterleaveLower(pairs, high01, high23)), to, 2);
  store(hn::BitCast(d, hn::InterleaveUpper(pairs, high01, high23)), to, 3);
}

// One side is `from`, the other `to`; which of them has the lines is the caller's knowledge.
template <bool kFromLines>
struct Sides {
  using LineByte = std::conditional_t<kFromLines, const std::uint8_t, std::uint8_t>;
  using RunByte = std::conditional_t<kFromLines, std::uint8_t, const std::uint8_t>;
  LineByte* lines;
  RunByte* runs;

  explicit Sides(const LayoutArgs& args) {
    if constexpr (kFromLines) {
      lines = args.from;
      runs = args.to;
    } else {
      lines = args.to;
      runs = args.from;
    }
  }
  HWY_INLINE void move(const Lines<LineByte>& line_side, const Runs<RunByte>& run_side) const {
    if constexpr (kFromLines) {
      transpose(line_side, run_side);
    } else {
      transpose(run_side, line_side);
    }
  }
};

// Words k .. k + 3 of a 128x4 tile are of rows 32 apart; of an 8x4 tile, of rows in sequence.
template <bool kFromLines>
HWY_NOINLINE void beside_linear(ByteLayout tiles, const LayoutArgs& args) {
  const Sides<kFromLines> sides(args);
  const bool tall = tiles == ByteLayout::swizzled_128x4;
  const std::int64_t row = args.row_stride, tile_size = tile_bytes(tiles);
  for (std::int64_t tile = 0; tile < args.units * kUnitTiles; tile += 4) {
    for (int k = 0; k < kUnitRows; k += kRunWords) {
      auto* const lines = sides.lines + (tall ? k / 4 : k) * row + 4 * tile;
      auto* const runs =
          sides.runs + tile * tile_size + (tall ? 4 * k : k / 8 * args.tile_row_stride + k % 8 * 4);
      sides.move({lines, tall ? 32 * row : row, tall ? row : 4 * row}, {runs, tile_size});
    }
  }
}

template <bool kFromTall>
HWY_NOINLINE void tall_beside_small(const LayoutArgs& args) {
  const Sides<kFromTall> sides(args);
  for (std::int64_t tile = 0; tile < args.units; ++tile) {
    for (int row = 0; row < 32; row += kRunWords) {
      auto* const runs = sides.runs + tile * 32 + row / 8 * args.tile_row_stride + row % 8 * 4;
      sides.move({sides.lines + tile * 512 + row * 16, 16, 64}, {runs, 4 * args.tile_row_stride});
    }
  }
}

// --- Codes ---

// Output byte i of 16 has a nibble of byte first[i] below one of byte second[i]: both the low ones, or, where
// high[i] is set, both the high ones.
struct NibbleMoves {
  alignas(16) std::uint8_t first[16], second[16], high[16];
};
constexpr NibbleMoves moves_of(bool to_halves, int half) {
  NibbleMoves moves{};
  for (int i = 0; i < 16; ++i) {
    const int block = i / (2 * half) * 2 * half, m = to_halves ? i % (2 * half) / 2 : i % half;
    moves.first[i] = static_cast<std::uint8_t>(block + (to_halves ? m : 2 * m));
    moves.second[i] = static_cast<std::uint8_t>(block + (to_halves ? half + m : 2 * m + 1));
    moves.high[i] = (to_halves ? i % 2 == 1 : i % (2 * half) >= half) ? 0xff : 0;
  }
  return moves;
}
template <bool kToHalves, int kHalf>  // kHalf: bytes of half a block
constexpr NibbleMoves kMoves = moves_of(kToHalves, kHalf);

HWY_NOINLINE void codes(const NibbleMoves& moves, const LayoutArgs& args) {
  const hn::CappedTag<std::uint8_t, kCodeBytes> d;
  const auto first = hn::LoadDup128(d, moves.first), second = hn::LoadDup128(d, moves.second);
  const auto is_high = hn::MaskFromVec(hn::LoadDup128(d, moves.high));
  const auto low_nibble = hn::Set(d, std::uint8_t{0x0f}), high_nibble = hn::Set(d, std::uint8_t{0xf0});
  const auto step = static_cast<std::int64_t>(hn::Lanes(d));
  for (std::int64_t i = 0; i < args.units * kCodeBytes; i += step) {
    const auto bytes = hn::LoadU(d, args.from + i);
    const auto a = hn::TableLookupBytes(bytes, first), b = hn::TableLookupBytes(bytes, second);
    const auto low = hn::Or(hn::And(a, low_nibble), hn::ShiftLeft<4>(b));
    const auto high = hn::Or(hn::ShiftRight<4>(a), hn::And(b, high_nibble));
    hn::StoreU(hn::IfThenElse(is_high, high, low), d, args.to + i);
  }
}

void layout_of_target(const LayoutSpec& spec, const LayoutArgs& args) {
  using enum ByteLayout;
  if (spec.from == linear) {
    beside_linear<true>(spec.to, args);
  } else if (spec.to == linear) {
    beside_linear<false>(spec.from, args);
  } else if (is_scales(spec.from)) {
    spec.from == swizzled_128x4 ? tall_beside_small<true>(args) : tall_beside_small<false>(args);
  } else if (spec.from == pairs) {
    codes(spec.to == halves_32 ? kMoves<true, 8> : kMoves<true, 4>, args);
  } else {
    codes(spec.from == halves_32 ? kMoves<false, 8> : kMoves<false, 4>, args);
  }
}

}  // namespace fourge::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif

#if HWY_ONCE
namespace fourge::simd {

LayoutFunction layout(Target target) {
  switch (target) {
#define FOURGE_TARGET(name, space) \
  case Target::name:               \
    return space::layout_of_target;
#include "simd/targets.inc"
    default:
      return nullptr;
  }
}

}  // namespace fourge::simd
#endif
