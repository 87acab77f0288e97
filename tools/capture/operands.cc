#include "operands.h"

#include <algorithm>

namespace fourge::capture {
namespace {

struct Window {
  int low, high;  // exponents, unbiased, both included; below the format's least exponent = subnormal or zero
};

Window clamp(const Format& format, Window window) {
  const int low = format.least_exponent() - 1, high = format.largest_exponent();
  return {std::clamp(window.low, low, high), std::clamp(window.high, low, high)};
}

uint32_t random_sign(const Format& format, Random& random) {
  return random.chance(1, 2) ? format.sign_mask() : 0;
}

uint32_t zero(const Format& format, Random& random) { return random_sign(format, random); }

// A finite code whose exponent lies in the window; exponent least - 1 gives field 0, a subnormal or zero.
uint32_t finite(const Format& format, Window window, Random& random) {
  const Window inside = clamp(format, window);
  const int field = random.between(inside.low, inside.high) + format.bias;
  const uint32_t fraction = uint32_t(random.bits()) & format.fraction_mask();
  uint32_t code = uint32_t(field) << format.fraction_bits | fraction;
  if (!is_finite(format, code)) --code;
  return code | random_sign(format, random);
}

// +-2^exponent, clamped to the largest binade; as a subnormal where it is one; zero below the least
// subnormal.
uint32_t power(const Format& format, int exponent, Random& random) {
  const int below_least = format.least_exponent() - exponent;
  const int field = std::min(exponent + format.bias, format.largest_finite_field());
  const uint32_t magnitude = below_least > 0 ? (1u << format.fraction_bits) >> std::min(below_least, 31)
                                             : uint32_t(field) << format.fraction_bits;
  return magnitude | random_sign(format, random);
}

uint32_t anything_finite(const Format& format, Random& random) {
  return finite(format, {format.least_exponent() - 1, format.largest_exponent()}, random);
}

// A format without Inf or NaN gives its largest magnitude instead.
uint32_t special(const Format& format, Random& random) {
  const uint32_t sign = random_sign(format, random);
  switch (format.specials) {
    case Specials::kNone:
      return sign | format.all_ones();
    case Specials::kNanOnly:
      return sign | (random.chance(1, 2) ? format.all_ones() : format.all_ones() - 1);
    case Specials::kInfAndNan:
      break;
  }
  const uint32_t infinity = uint32_t(format.largest_field()) << format.fraction_bits;
  if (random.chance(2, 3)) return sign | infinity;
  return sign | infinity | std::max(1u, uint32_t(random.bits()) & format.fraction_mask());
}

uint8_t scale_of_exponent(const Format& format, int exponent, Random& random) {
  if (&format == &kUe8m0) return uint8_t(std::clamp(exponent + kUe8m0.bias, 0, 254));
  return uint8_t(finite(format, {exponent, exponent}, random));
}

// Draws one tile. Every mode is a plan (windows for the exponents of A, B and the scales, so that the
// products land where the mode wants them) followed by a rule for C.
class TileDrawer {
 public:
  TileDrawer(const Instruction& instruction, Random& random)
      : op_(instruction), random_(random), rows_(size_t(instruction.m)), columns_(size_t(instruction.n)) {
    tile_.a.resize(size_t(op_.m * op_.k));
    tile_.b.resize(size_t(op_.n * op_.k));
    tile_.c.resize(size_t(op_.m * op_.n));
    tile_.a_scales.resize(size_t(op_.m * op_.scales_per_row()));
    tile_.b_scales.resize(size_t(op_.n * op_.scales_per_row()));
  }

  TileCodes draw(Mode mode) {
    switch (mode) {
      case Mode::kUniform:
        uniform();
        break;
      case Mode::kBand:
        band();
        near_c(30);
        break;
      case Mode::kZeros:
        band();
        zeros();
        break;
      case Mode::kSubnormal:
        subnormal();
        break;
      case Mode::kCancellation:
        cancellation();
        break;
      case Mode::kAccumulator:
        band();
        any_c();
        break;
      case Mode::kZeroTimesHuge:
        zero_times_huge();
        break;
      case Mode::kOverflow:
        overflow();
        break;
      case Mode::kSpecial:
        specials();
        break;
      case Mode::kPowers:
        powers();
        break;
    }
    return std::move(tile_);
  }

  TileCodes draw_exact() {
    static constexpr double kScales[] = {0.5, 1, 2};
    const auto integer = [&](const Format& format) {
      return encode_toward_zero(format, random_.between(-3, 3));
    };
    const auto scale = [&] {
      const double value = kScales[random_.below(3)];
      return op_.scale == &kUe8m0 ? uint8_t(kUe8m0.bias + std::ilogb(value))
                                  : uint8_t(encode_toward_zero(*op_.scale, value));
    };
    for (uint32_t& code : tile_.a) code = integer(*op_.a);
    for (uint32_t& code : tile_.b) code = integer(*op_.b);
    for (uint32_t& code : tile_.c) code = encode_toward_zero(*op_.d, random_.between(-50, 50));
    for (uint8_t& code : tile_.a_scales) code = scale();
    for (uint8_t& code : tile_.b_scales) code = scale();
    return std::move(tile_);
  }

 private:
  // ---- plans for A, B and the scales ----

  void uniform() {
    for (uint32_t& code : tile_.a) code = uint32_t(random_.bits()) & op_.a->code_mask();
    for (uint32_t& code : tile_.b) code = uint32_t(random_.bits()) & op_.b->code_mask();
    for (uint32_t& code : tile_.c)
      code = uint32_t(random_.bits()) & uint32_t((uint64_t{1} << op_.d->stored_bits) - 1);
    for (uint8_t& code : tile_.a_scales) code = uint8_t(random_.bits());
    for (uint8_t& code : tile_.b_scales) code = uint8_t(random_.bits());
  }

  // Every row of A and every column of B has a random window of 1..20 binades; the scales lie in windows of
  // their own.
  void band() {
    for (Window& window : rows_) window = random_window(*op_.a);
    for (Window& window : columns_) window = random_window(*op_.b);
    fill();
    if (!op_.scale) return;
    const int reach = op_.scale == &kUe8m0 ? 40 : 6;
    fill_scales(random_.between(-reach, reach), random_.between(0, 16));
  }

  // Products whose exponents lie within some binades of `target`, as far as the formats reach (scales make up
  // the rest).
  void around(int target, int spread) {
    const Window reach_a = {op_.a->least_exponent() - 1, op_.a->largest_exponent()};
    const Window reach_b = {op_.b->least_exponent() - 1, op_.b->largest_exponent()};
    if (op_.scale) {
      const int middle = (reach_a.low + reach_a.high + reach_b.low + reach_b.high) / 2;
      fill_scales((target - middle) / 2, spread);
    }
    const int rest = target - scale_exponent_;
    const int low = std::max(reach_a.low, rest - reach_b.high),
              high = std::min(reach_a.high, rest - reach_b.low);
    const int a = low <= high ? random_.between(low, high) : rest < 0 ? reach_a.low : reach_a.high;
    const auto around_exponent = [&](int exponent) {
      const int center = exponent + random_.between(-4, 4);
      return Window{center - spread, center + spread};
    };
    for (Window& window : rows_) window = around_exponent(a);
    for (Window& window : columns_) window = around_exponent(rest - a);
    fill();
  }

  void zeros() {
    static constexpr int kTwentieths[] = {5, 10, 18};
    for (int row = 0; row < op_.m; ++row) {
      const int twentieths = kTwentieths[random_.below(3)];
      for (int i = 0; i < op_.k; ++i)
        if (random_.chance(twentieths, 20)) a(row, i) = zero(*op_.a, random_);
    }
    for (int column = 0; column < op_.n; ++column) {
      const int twentieths = kTwentieths[random_.below(3)];
      for (int i = 0; i < op_.k; ++i)
        if (random_.chance(twentieths, 20)) b(column, i) = zero(*op_.b, random_);
    }
    if (op_.scale == &kUe4m3) {
      for (uint8_t& code : tile_.a_scales)
        if (random_.chance(1, 8)) code = 0;
    }
    near_c(30);
    for (uint32_t& code : tile_.c)
      if (random_.chance(1, 2)) code = zero(*op_.d, random_);
  }

  void subnormal() {
    const int least = op_.d->least_exponent();
    around(random_.between(least - 34, least + 4), random_.between(0, 3));
    for (uint32_t& code : tile_.c) {
      switch (random_.below(3)) {
        case 0:
          code = zero(*op_.d, random_);
          break;
        case 1:
          code = finite(*op_.d, {least - 1, least - 1}, random_);
          break;
        default:
          code = finite(*op_.d, {least - 1, least + 6}, random_);
          break;
      }
    }
    shorten_c();
    for (int row = 0; row < op_.m; ++row) {
      if (!random_.chance(1, 8)) continue;  // a row of zeros: the subnormal C alone
      for (int i = 0; i < op_.k; ++i) a(row, i) = zero(*op_.a, random_);
    }
  }

  // Products 2i and 2i + 1 are equal and opposite, or nearly: one last place of B apart.
  void cancellation() {
    band();
    for (int row = 0; row < op_.m; ++row)
      for (int i = 0; i < op_.k; i += 2) a(row, i + 1) = a(row, i);
    for (int column = 0; column < op_.n; ++column) {
      for (int i = 0; i < op_.k; i += 2) {
        uint32_t opposite = b(column, i) ^ op_.b->sign_mask();
        if (random_.chance(1, 3)) opposite ^= 1;
        b(column, i + 1) = is_finite(*op_.b, opposite) ? opposite : opposite - 1;
      }
    }
    std::fill(tile_.c.begin(), tile_.c.end(), 0u);
    for (int row = 0; row < op_.m; ++row)
      for (int column = 0; column < op_.n; ++column) c(row, column) = cancelling_c(row, column);
  }

  // k positions where A is zero and B largest, or the reverse; the other products and C small. Block-scaled:
  // whole blocks of zeros below the largest scales, as the scales are what may count there.
  void zero_times_huge() {
    const int largest =
        std::min(op_.d->largest_exponent(), op_.a->largest_exponent() + op_.b->largest_exponent());
    const int least = op_.d->least_exponent();
    around(random_.between(std::max(least, -60), std::min(largest, 10)), random_.between(0, 6));
    const int run = op_.scale ? op_.block : 1;
    for (int start = 0; start < op_.k; start += run) {
      const int kind = random_.below(4);
      if (kind == 3) continue;
      for (int i = start; i < start + run; ++i) zero_position(i, kind);
      if (op_.scale) huge_scales(start / op_.block, kind);
    }
    near_c(50);
    for (uint32_t& code : tile_.c)
      if (random_.chance(1, 4)) code = finite(*op_.d, {-40, 0}, random_);
  }

  void zero_position(int i, int kind) {
    const Window top_a = {op_.a->largest_exponent() - 1, op_.a->largest_exponent()};
    const Window top_b = {op_.b->largest_exponent() - 1, op_.b->largest_exponent()};
    for (int row = 0; row < op_.m; ++row)
      a(row, i) = kind != 1 ? zero(*op_.a, random_) : finite(*op_.a, top_a, random_);
    for (int column = 0; column < op_.n; ++column)
      b(column, i) = kind != 0 ? zero(*op_.b, random_) : finite(*op_.b, top_b, random_);
  }

  void huge_scales(int block, int kind) {
    const int top = op_.scale->largest_exponent();
    for (int row = 0; row < op_.m; ++row)
      tile_.a_scales[size_t(row * op_.scales_per_row() + block)] =
          scale_of_exponent(*op_.scale, kind == 0 ? top - random_.below(4) : random_.between(-8, 8), random_);
    for (int column = 0; column < op_.n; ++column)
      tile_.b_scales[size_t(column * op_.scales_per_row() + block)] =
          scale_of_exponent(*op_.scale, kind == 1 ? top - random_.below(4) : random_.between(-8, 8), random_);
  }

  void overflow() {
    // Sums of few-bit products without scales end far below the largest f32; there, the top of what they
    // reach.
    const int reach =
        op_.scale ? op_.d->largest_exponent() : op_.a->largest_exponent() + op_.b->largest_exponent() + 3;
    const int top = std::min(op_.d->largest_exponent(), reach);
    around(top - random_.between(-3, 6), random_.between(0, 2));
    for (uint32_t& code : tile_.c) code = finite(*op_.d, {top - random_.below(6), top}, random_);
    shorten_c();
  }

  void specials() {
    band();
    near_c(30);
    for (uint32_t& code : tile_.a)
      if (random_.chance(1, 4 * op_.k)) code = special(*op_.a, random_);
    for (uint32_t& code : tile_.b)
      if (random_.chance(1, 4 * op_.k))
        code = random_.chance(1, 3) ? zero(*op_.b, random_) : special(*op_.b, random_);
    for (uint32_t& code : tile_.c)
      if (random_.chance(1, 12)) code = special(*op_.d, random_);
    for (uint8_t& code : tile_.a_scales)
      if (random_.chance(1, 24)) code = uint8_t(op_.scale->all_ones());
    for (uint8_t& code : tile_.b_scales)
      if (random_.chance(1, 24)) code = uint8_t(op_.scale->all_ones());
  }

  // Most of A is zero, so that a sum has about k / 4 terms: +-2^e, e around a target that is often near the
  // least exponent of D. One row in two has its terms within a few binades of C, the other up to 30 apart.
  void powers() {
    const int least = op_.d->least_exponent();
    const bool low = random_.chance(1, 2);
    around(low ? random_.between(least - 24, least + 2) : random_.between(std::max(least, -60), 12), 0);
    for (int row = 0; row < op_.m; ++row) {
      const int spread = random_.chance(1, 2) ? 3 : 15, center = rows_[size_t(row)].low;
      for (int i = 0; i < op_.k; ++i)
        a(row, i) = random_.chance(3, 4) ? zero(*op_.a, random_)
                                         : power(*op_.a, center + random_.between(-spread, spread), random_);
    }
    for (int column = 0; column < op_.n; ++column)
      for (int i = 0; i < op_.k; ++i)
        b(column, i) = power(*op_.b, columns_[size_t(column)].low + random_.between(-3, 3), random_);
    for (int row = 0; row < op_.m; ++row) {
      for (int column = 0; column < op_.n; ++column) {
        const int center = rows_[size_t(row)].low + columns_[size_t(column)].low + scale_exponent_;
        c(row, column) = random_.chance(1, 3) ? zero(*op_.d, random_)
                                              : power(*op_.d, center + random_.between(-20, 20), random_);
      }
    }
    if (!op_.scale) tie_rows();
  }

  // One row in four has two products only: half the last place of a subnormal D (a tie for a result that is
  // rounded to nearest) or the whole place, and one up to 30 binades smaller that decides if it is kept.
  void tie_rows() {
    const int lowest_a = op_.a->least_exponent() - op_.a->fraction_bits;
    const int lowest_b = op_.b->least_exponent() - op_.b->fraction_bits;
    const int half_place = op_.d->least_exponent() - op_.d->fraction_bits - 1;
    const int low = std::max(lowest_b, half_place - op_.a->largest_exponent());
    const int high = std::min(op_.b->largest_exponent(), half_place - lowest_a);
    if (low > high) return;  // the products do not reach so far down
    const int first = random_.below(op_.k), second = (first + 1 + random_.below(op_.k - 1)) % op_.k;
    // Where the least product of all comes near, it is what half of these tiles and rows get.
    const bool least_is_near = lowest_a + lowest_b > half_place - 30;
    const int b_first = random_.between(low, high);
    const int b_second =
        least_is_near && random_.chance(1, 2) ? lowest_b : random_.between(lowest_b, op_.b->least_exponent());
    for (int column = 0; column < op_.n; ++column) {
      b(column, first) = power(*op_.b, b_first, random_);
      b(column, second) = power(*op_.b, b_second, random_);
    }
    for (int row = 0; row < op_.m; ++row) {
      if (!random_.chance(1, 4)) continue;
      for (int i = 0; i < op_.k; ++i) a(row, i) = zero(*op_.a, random_);
      a(row, first) = power(*op_.a, half_place - b_first + random_.below(2), random_);
      const int a_second =
          least_is_near && random_.chance(1, 2) ? lowest_a : half_place - random_.between(1, 30) - b_second;
      a(row, second) = power(*op_.a, a_second, random_);
      for (int column = 0; column < op_.n; ++column)
        c(row, column) = random_.chance(1, 2) ? zero(*op_.d, random_)
                                              : random_sign(*op_.d, random_) | uint32_t(random_.below(4));
    }
  }

  // ---- rules for C ----

  // Within `reach` binades of the products, and now and then zero.
  void near_c(int reach) {
    for (int row = 0; row < op_.m; ++row) {
      for (int column = 0; column < op_.n; ++column) {
        const Window r = rows_[size_t(row)], s = columns_[size_t(column)];
        const Window near = {r.low + s.low + scale_exponent_ - reach,
                             r.high + s.high + scale_exponent_ + reach};
        c(row, column) = random_.chance(1, 16) ? zero(*op_.d, random_) : finite(*op_.d, near, random_);
      }
    }
    shorten_c();
  }

  void any_c() {
    for (uint32_t& code : tile_.c) code = anything_finite(*op_.d, random_);
    shorten_c();
  }

  // A third of C gets only a few significant bits, as the results of other instructions often have.
  void shorten_c() {
    for (uint32_t& code : tile_.c)
      if (random_.chance(1, 3)) code &= ~uint32_t(0) << random_.below(op_.d->fraction_bits + 1);
  }

  uint32_t cancelling_c(int row, int column) {
    if (random_.chance(1, 4)) return zero(*op_.d, random_);
    const uint32_t opposite = encode_toward_zero(*op_.d, -dot(op_, tile_, row, column));
    const uint32_t nudged = opposite ^ (uint32_t(random_.bits()) & ((1u << random_.below(6)) - 1));
    return is_finite(*op_.d, nudged) ? nudged : opposite;
  }

  // ---- helpers ----

  uint32_t& a(int row, int i) { return tile_.a[size_t(row * op_.k + i)]; }
  uint32_t& b(int column, int i) { return tile_.b[size_t(column * op_.k + i)]; }
  uint32_t& c(int row, int column) { return tile_.c[size_t(row * op_.n + column)]; }

  Window random_window(const Format& format) {
    const int least = format.least_exponent(), largest = format.largest_exponent();
    const int width = random_.between(0, std::min(19, largest - least));
    // Half of the windows of the wide formats lie near 1, where the products of two formats meet C.
    const bool central = largest > 30 && random_.chance(1, 2);
    const int low = central ? random_.between(-20, 20 - width) : random_.between(least, largest - width);
    return {low, low + width};
  }

  void fill() {
    for (int row = 0; row < op_.m; ++row)
      for (int i = 0; i < op_.k; ++i) a(row, i) = finite(*op_.a, rows_[size_t(row)], random_);
    for (int column = 0; column < op_.n; ++column)
      for (int i = 0; i < op_.k; ++i) b(column, i) = finite(*op_.b, columns_[size_t(column)], random_);
  }

  // Scales of A and B within `spread` binades of 2^center.
  void fill_scales(int center, int spread) {
    const auto draw = [&] {
      return scale_of_exponent(*op_.scale, center + random_.between(-spread, spread), random_);
    };
    for (uint8_t& code : tile_.a_scales) code = draw();
    for (uint8_t& code : tile_.b_scales) code = draw();
    scale_exponent_ = 2 * std::clamp(center, op_.scale->least_exponent(), op_.scale->largest_exponent());
  }

  const Instruction& op_;
  Random& random_;
  TileCodes tile_;
  std::vector<Window> rows_, columns_;  // exponents of the elements of each row of A, of each column of B
  int scale_exponent_ = 0;              // what the scales add to the exponent of a product, roughly
};

}  // namespace

uint64_t Random::bits() {
  uint64_t z = state_ += 0x9e3779b97f4a7c15;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

TileCodes draw_tile(const Instruction& instruction, Mode mode, Random& random) {
  return TileDrawer(instruction, random).draw(mode);
}

TileCodes draw_exact_tile(const Instruction& instruction, Random& random) {
  return TileDrawer(instruction, random).draw_exact();
}

double dot(const Instruction& op, const TileCodes& tile, int row, int column) {
  double sum = decode(*op.d, tile.c[size_t(row * op.n + column)]);
  for (int i = 0; i < op.k; ++i) {
    double product =
        decode(*op.a, tile.a[size_t(row * op.k + i)]) * decode(*op.b, tile.b[size_t(column * op.k + i)]);
    if (op.scale) {
      const int block = i / op.block, per_row = op.scales_per_row();
      product *= decode(*op.scale, tile.a_scales[size_t(row * per_row + block)]) *
                 decode(*op.scale, tile.b_scales[size_t(column * per_row + block)]);
    }
    sum += product;
  }
  return sum;
}

}  // namespace fourge::capture
