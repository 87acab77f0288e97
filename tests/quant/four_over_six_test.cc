// Four Over Six against a second, slow transcription of its definition, on blocks where the order of the
// operations decides. Every wrong order is shown to disagree on the same blocks.
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>
#include <random>

#include "fourge/rounding.h"
#include "quant/quantize.h"

namespace fourge::quant {
namespace {

/// What may be got wrong.
struct Variant {
  bool descending = false;        // sum from the last column
  bool fused = false;             // err = fma(d, d, err)
  bool rows_in_sequence = false;  // 2-D: rows added one after the other, not as a tree
  bool four_from_amax = false;    // scale of four from block amax / 4, not from 1.5 times that of six
};

struct Square {
  std::array<std::array<float, 16>, 16> x{};
  int rows = 1;
};

float decode_e2m1(std::uint32_t code) { return decode_f32(ElementFormat::e2m1, code); }

/// The scale code that the definition chooses.
std::uint32_t choose(const Square& block, float amax, ScaleRule rule, const Variant& variant) {
  float bmax = 0.0f;
  for (const auto& row : block.x)
    for (const float x : row) bmax = std::fmax(bmax, std::fabs(x));
  const float encode_scale = std::fmin(1536.0f / amax, std::numeric_limits<float>::max());
  const float decode_scale = 1.0f / encode_scale;
  const float six = (bmax / 6.0f) * encode_scale;
  const float four = variant.four_from_amax ? (bmax / 4.0f) * encode_scale : six * 1.5f;
  std::array<std::uint32_t, 2> codes{};
  std::array<float, 2> errors{};
  for (std::size_t c = 0; c < 2; ++c) {
    codes[c] = encode(ElementFormat::ue4m3, c == 0 ? six : four);
    const float scale = decode_f32(ElementFormat::ue4m3, codes[c]);
    const float inverse = std::fmin(1.0f / (decode_scale * scale), std::numeric_limits<float>::max());
    std::array<float, 16> rows{};
    for (std::size_t r = 0; r < 16; ++r) {
      float sum = 0.0f;
      for (std::size_t i = 0; i < 16; ++i) {
        const float x = block.x[r][variant.descending ? 15 - i : i];
        const float q = scale == 0.0f ? 0.0f : decode_e2m1(encode(ElementFormat::e2m1, x * inverse));
        const float d = ((q * scale) * amax) / 1536.0f - x;
        if (rule == ScaleRule::mse_4_6) sum = variant.fused ? std::fma(d, d, sum) : sum + d * d;
        if (rule == ScaleRule::mae_4_6) sum = sum + std::fabs(d);
        if (rule == ScaleRule::abs_max_4_6) sum = std::fmax(sum, std::fabs(d));
      }
      rows[r] = sum;
    }
    if (rule == ScaleRule::abs_max_4_6) {
      for (const float e : rows) errors[c] = std::fmax(errors[c], e);
    } else if (variant.rows_in_sequence) {
      for (const float e : rows) errors[c] += e;
    } else {
      for (const std::size_t step : {8u, 4u, 2u, 1u}) {
        for (std::size_t r = 0; r < step; ++r) rows[r] = rows[r] + rows[r + step];
      }
      errors[c] = rows[0];
    }
  }
  return errors[1] < errors[0] ? codes[1] : codes[0];
}

/// Whole numbers up to 24: the grids of six (scale 4) and four (scale 6) are whole numbers too, and both err
/// alike now and then. Elements an ulp beside them let the rounding of the sums break the tie.
Square nearly_tied(std::mt19937& engine, int rows) {
  Square block;
  block.rows = rows;
  for (int r = 0; r < rows; ++r) {
    if (r > 0 && engine() % 2 != 0) continue;
    for (float& x : block.x[static_cast<std::size_t>(r)]) {
      x = static_cast<float>(engine() % 24);
      if (engine() % 4 == 0) x = std::nextafter(x, engine() % 2 != 0 ? 0.0f : 24.0f);
    }
  }
  block.x[0][engine() % 16] = 24.0f;
  return block;
}

/// The largest value puts the scale of four within an f32 ulp or two of a midpoint of e4m3.
Square near_a_scale_tie(std::mt19937& engine, float amax) {
  std::uniform_real_distribution<float> uniform(-1.0f, 1.0f);
  const auto code = static_cast<std::uint32_t>(0x40 + engine() % 0x30);
  const float midpoint =
      (decode_f32(ElementFormat::ue4m3, code) + decode_f32(ElementFormat::ue4m3, code + 1)) / 2;
  Square block;
  float top = midpoint * 4.0f / (1536.0f / amax);
  for (std::uint_fast32_t step = engine() % 3; step > 0; --step)
    top = std::nextafter(top, engine() % 2 != 0 ? 0.0f : amax);
  for (float& x : block.x[0]) x = top * uniform(engine);
  block.x[0][engine() % 16] = top;
  return block;
}

std::uint32_t choice_of_the_library(const Square& block, float amax, ScaleRule rule) {
  std::vector<float> values;
  for (int r = 0; r < block.rows; ++r) {
    const auto& row = block.x[static_cast<std::size_t>(r)];
    values.insert(values.end(), row.begin(), row.end());
  }
  const Result<QuantizedMatrix> ours =
      quantize_with_amax(values, block.rows, 16, {.rule = rule, .block_2d = block.rows > 1}, amax);
  return ours->scales[0];
}

/// Over the blocks: the library always chooses as the definition does; returns how often the variant would
/// not.
template <class Generate>
int check_and_count(ScaleRule rule, float amax, int blocks, const Variant& variant, Generate generate) {
  std::mt19937 engine(20'26);
  int disagreements = 0;
  for (int i = 0; i < blocks; ++i) {
    const Square block = generate(engine);
    const std::uint32_t expected = choose(block, amax, rule, {});
    EXPECT_EQ(choice_of_the_library(block, amax, rule), expected) << name_of(rule) << " block " << i;
    disagreements += choose(block, amax, rule, variant) != expected ? 1 : 0;
  }
  return disagreements;
}

TEST(FourOverSix, RowErrorsAreSummedInAscendingOrder) {
  const auto one_row = [](std::mt19937& engine) { return nearly_tied(engine, 1); };
  for (const ScaleRule rule : {ScaleRule::mse_4_6, ScaleRule::mae_4_6}) {
    EXPECT_GT(check_and_count(rule, 1536.0f, 20'000, {.descending = true}, one_row), 0) << name_of(rule);
  }
  EXPECT_GT(check_and_count(ScaleRule::mse_4_6, 1536.0f, 20'000, {.fused = true}, one_row), 0);
  EXPECT_EQ(check_and_count(ScaleRule::abs_max_4_6, 1536.0f, 5'000, {.descending = true}, one_row), 0);
}

TEST(FourOverSix, RowsOfASquareAreSummedAsATree) {
  const auto square = [](std::mt19937& engine) { return nearly_tied(engine, 16); };
  for (const ScaleRule rule : {ScaleRule::mse_4_6, ScaleRule::mae_4_6}) {
    EXPECT_GT(check_and_count(rule, 1536.0f, 10'000, {.rows_in_sequence = true}, square), 0) << name_of(rule);
  }
}

TEST(FourOverSix, ScaleOfFourIsOneAndAHalfTimesThatOfSix) {
  const float amax = 777.7f;
  EXPECT_GT(check_and_count(ScaleRule::mse_4_6, amax, 10'000, {.four_from_amax = true},
                            [&](std::mt19937& engine) { return near_a_scale_tie(engine, amax); }),
            0);
}

}  // namespace
}  // namespace fourge::quant
