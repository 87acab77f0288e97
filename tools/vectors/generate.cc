#include "tools/vectors/generate.h"

#include <algorithm>

namespace fourge::vectors {
namespace {

// splitmix64: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}

  std::uint32_t bits() {
    state_ += 0x9e37'79b9'7f4a'7c15u;
    std::uint64_t z = state_;
    z = (z ^ z >> 30) * 0xbf58'476d'1ce4'e5b9u;
    z = (z ^ z >> 27) * 0x94d0'49bb'1331'11ebu;
    return static_cast<std::uint32_t>((z ^ z >> 31) >> 16);
  }
  /// least..most, both included; the bias of the modulo is irrelevant here.
  int between(int least, int most) {
    return least + static_cast<int>(bits() % static_cast<std::uint32_t>(most - least + 1));
  }
  bool chance(int percent) { return between(0, 99) < percent; }

 private:
  std::uint64_t state_;
};

// Biased exponents, both included.
struct Band {
  int low = 0;
  int high = 0;
};

class TileGenerator {
 public:
  TileGenerator(const VectorSet& set, Mode mode, Random& random)
      : set_(set),
        mode_(mode),
        random_(random),
        a_band_(band(set.shape.a_format)),
        b_band_(band(set.shape.b_format)) {
    scale_low_ = random.between(0, 254);
    scale_high_ = std::min(254, scale_low_ + random.between(0, mode == Mode::bands ? 12 : 60));
    has_specials_ = random.chance(25);
  }

  std::uint32_t a_code() { return element(set_.shape.a_format, a_band_); }
  std::uint32_t b_code() { return element(set_.shape.b_format, b_band_); }
  std::uint8_t scale();
  std::uint32_t c_word();
  /// One row of B is the previous one with every second product opposite: pairs (2i, 2i + 1) cancel.
  bool cancels() const { return mode_ == Mode::cancel; }

 private:
  Band band(ElementFormat format);
  std::uint32_t element(ElementFormat format, Band band);
  std::uint32_t edge(ElementFormat format);
  std::uint32_t in_band(ElementFormat format, Band band);
  std::uint32_t sign(ElementFormat format) {
    const FormatInfo f = info(format);
    return place(f, random_.chance(50), 0);
  }
  std::uint32_t in_place(ElementFormat format, std::uint32_t magnitude) {
    return place(info(format), false, magnitude) | sign(format);
  }

  const VectorSet& set_;
  Mode mode_;
  Random& random_;
  Band a_band_, b_band_;
  int scale_low_ = 0, scale_high_ = 0;
  bool has_specials_ = false;
};

int highest_biased_exponent(ElementFormat format) {
  const FormatInfo f = info(format);
  return f.max_exponent() + f.bias;
}

Band TileGenerator::band(ElementFormat format) {
  const int top = highest_biased_exponent(format);
  if (mode_ == Mode::subnormal) return {0, std::min(top, 2)};
  const int low = random_.between(0, top);
  return {low, std::min(top, low + random_.between(0, mode_ == Mode::cancel ? 3 : 20))};
}

std::uint32_t TileGenerator::in_band(ElementFormat format, Band band) {
  const FormatInfo f = info(format);
  const auto exponent = static_cast<std::uint32_t>(random_.between(band.low, band.high));
  const std::uint32_t fraction = random_.bits() & ((1u << f.fraction_bits) - 1);
  return in_place(format, std::min(exponent << f.fraction_bits | fraction, f.max_code()));
}

std::uint32_t TileGenerator::edge(ElementFormat format) {
  const FormatInfo f = info(format);
  const std::uint32_t normal = 1u << f.fraction_bits;
  const std::uint32_t one = static_cast<std::uint32_t>(f.bias) << f.fraction_bits;
  const std::uint32_t finite[] = {0,       0,   1,       normal - 1,       normal,
                                  one - 1, one, one + 1, f.max_code() - 1, f.max_code()};
  if (has_specials_ && f.specials != Specials::none && random_.chance(2)) {
    const std::uint32_t first = f.max_code() + 1, last = (1u << (f.exponent_bits + f.fraction_bits)) - 1;
    return in_place(format, random_.chance(70) ? first : last);
  }
  return in_place(format, finite[random_.between(0, 9)]);
}

std::uint32_t TileGenerator::element(ElementFormat format, Band band) {
  switch (mode_) {
    case Mode::random:
      return random_.bits();
    case Mode::edge:
      return edge(format);
    case Mode::zeros:
      return random_.chance(80) ? sign(format) : random_.chance(50) ? edge(format) : in_band(format, band);
    default:
      return in_band(format, band);
  }
}

std::uint8_t TileGenerator::scale() {
  const bool ue8m0 = set_.model.scale_format == ElementFormat::ue8m0;
  const auto byte = [](int value) { return static_cast<std::uint8_t>(value); };
  switch (mode_) {
    case Mode::random:
      return byte(static_cast<int>(random_.bits() & 0xff));
    case Mode::edge: {
      constexpr int kUe8m0[] = {0, 1, 2, 126, 127, 128, 253, 254};
      constexpr int kUe4m3[] = {0, 1, 7, 8, 0x38, 0x39, 0x7d, 0x7e};
      if (has_specials_ && random_.chance(3)) return byte(ue8m0 ? 0xff : 0x7f);
      return byte((ue8m0 ? kUe8m0 : kUe4m3)[random_.between(0, 7)]);
    }
    case Mode::zeros:
      if (!ue8m0) return byte(random_.chance(30) ? 0 : random_.chance(50) ? 0x7e : random_.between(0, 0x7e));
      return byte(random_.between(scale_low_, scale_high_));
    case Mode::subnormal:
      return byte(random_.between(0, ue8m0 ? 12 : 8));
    default:
      if (!ue8m0) return byte(random_.between(scale_low_ / 2, std::min(scale_high_ / 2, 0x7e)));
      return byte(random_.between(scale_low_, scale_high_));
  }
}

std::uint32_t TileGenerator::c_word() {
  const ElementFormat format = set_.model.c_format();
  const std::uint32_t word_mask = info(format).storage_bits == 16 ? 0xffffu : 0xffff'ffffu;
  if (mode_ == Mode::random || (mode_ == Mode::zeros && random_.chance(30)))
    return random_.bits() & word_mask;
  if (mode_ == Mode::edge || (mode_ == Mode::zeros && random_.chance(50))) return edge(format);
  // Around the products' exponent: their bands, the scales', and up to 40 binades below or 10 above.
  const FormatInfo f = info(format), a = info(set_.shape.a_format), b = info(set_.shape.b_format);
  int exponent = (a_band_.low + a_band_.high) / 2 - a.bias + (b_band_.low + b_band_.high) / 2 - b.bias;
  if (set_.model.scale_block != 0) {
    const bool ue8m0 = set_.model.scale_format == ElementFormat::ue8m0;
    exponent += ue8m0 ? scale_low_ + scale_high_ - 254 : (scale_low_ + scale_high_) / 16 - 14;
  }
  exponent += random_.between(mode_ == Mode::subnormal ? -10 : -40, 10);
  const int biased = std::clamp(exponent + f.bias, 0, highest_biased_exponent(format));
  return in_band(format, {biased, biased});
}

// Stores the code of element i.
void put(std::uint8_t* row, ElementFormat format, bool byte_each, int i, std::uint32_t code) {
  const int bits = info(format).storage_bits;
  if (bits == 4 && !byte_each) {
    row[i / 2] = static_cast<std::uint8_t>(row[i / 2] | (code & 15u) << i % 2 * 4);
    return;
  }
  if (bits == 4) code = (code & 15u) << 2;
  if (info(format).code_bits() == 6) code &= 63u;
  const int bytes = std::max(1, bits / 8);
  for (int byte = 0; byte < bytes; ++byte)
    row[i * bytes + byte] = static_cast<std::uint8_t>(code >> 8 * byte);
}

void generate_tile(VectorSet& set, std::int64_t tile, TileGenerator& generator) {
  const reference::MmaShape& s = set.shape;
  std::vector<std::uint32_t> codes(static_cast<std::size_t>(s.k));
  // In opposite pairs, row after row: b[2i + 1] = b[2i] with the other sign where a[2i + 1] = a[2i].
  const auto fill = [&](std::vector<std::uint8_t>& bytes, int row_bytes, int rows, ElementFormat format,
                        bool is_b) {
    for (int row = 0; row < rows; ++row) {
      for (int i = 0; i < s.k; ++i) {
        const auto at = static_cast<std::size_t>(i);
        codes[at] = is_b ? generator.b_code() : generator.a_code();
        if (generator.cancels() && i % 2 == 1)
          codes[at] = codes[at - 1] ^ (is_b ? place(info(format), true, 0) : 0);
      }
      // A little that does not cancel.
      if (generator.cancels() && s.k > 2)
        codes[static_cast<std::size_t>(s.k) - 1] ^= place(info(format), false, 1);
      std::uint8_t* out = &bytes[static_cast<std::size_t>((tile * rows + row) * row_bytes)];
      for (int i = 0; i < s.k; ++i) put(out, format, row_bytes == s.k, i, codes[static_cast<std::size_t>(i)]);
    }
  };
  fill(set.a, set.a_row_bytes, s.m, s.a_format, false);
  fill(set.b, set.b_row_bytes, s.n, s.b_format, true);
  const int scales = set.scales_per_row();
  for (int i = 0; i < s.m * scales; ++i) {
    set.a_scales[static_cast<std::size_t>(tile * s.m * scales + i)] = generator.scale();
  }
  for (int i = 0; i < s.n * scales; ++i) {
    set.b_scales[static_cast<std::size_t>(tile * s.n * scales + i)] = generator.scale();
  }
  for (int i = 0; i < s.m; ++i) {
    for (int j = 0; j < s.n; ++j) set.c[set.output(tile, i, j)] = generator.c_word();
  }
}

}  // namespace

void generate_operands(VectorSet& set, std::int64_t tiles, Mode mode, std::uint64_t seed) {
  constexpr int kModeCount = static_cast<int>(Mode::all);
  const auto size = [&](std::int64_t per_tile) { return static_cast<std::size_t>(tiles * per_tile); };
  set.tiles = tiles;
  set.a.assign(size(std::int64_t{set.shape.m} * set.a_row_bytes), 0);
  set.b.assign(size(std::int64_t{set.shape.n} * set.b_row_bytes), 0);
  set.a_scales.assign(size(std::int64_t{set.shape.m} * set.scales_per_row()), 0);
  set.b_scales.assign(size(std::int64_t{set.shape.n} * set.scales_per_row()), 0);
  set.c.assign(size(set.outputs_per_tile()), 0);
  set.d.clear();
  set.mode.assign(size(1), 0);
  Random random(seed);
  for (std::int64_t tile = 0; tile < tiles; ++tile) {
    const Mode drawn = mode == Mode::all ? static_cast<Mode>(tile % kModeCount) : mode;
    set.mode[static_cast<std::size_t>(tile)] = static_cast<std::uint8_t>(drawn);
    TileGenerator generator(set, drawn, random);
    generate_tile(set, tile, generator);
  }
}

}  // namespace fourge::vectors
