// tools/study against published values, on fewer samples.
#include "tools/study/study.h"

#include <gtest/gtest.h>

#include <cmath>
#include <utility>

namespace fourge::study {
namespace {

constexpr std::int64_t kRows = 64;
constexpr int kDraws = 4;
constexpr Recipe kStatic6 = {Format::nvfp4, ScaleRule::static_6, 0};

std::vector<StudyCell> reduced(std::vector<Recipe> recipes, std::vector<Distribution> distributions = {}) {
  Result<std::vector<StudyCell>> cells = run_study({.rows = kRows,
                                                    .draws = kDraws,
                                                    .seed = 20261122,
                                                    .recipes = std::move(recipes),
                                                    .distributions = std::move(distributions)});
  EXPECT_TRUE(cells.ok()) << (cells.ok() ? "" : cells.failure().message());
  return cells.ok() ? std::move(*cells) : std::vector<StudyCell>();
}

double error_of(const std::vector<StudyCell>& cells, Distribution distribution, const Recipe& recipe) {
  for (const StudyCell& c : cells) {
    if (c.distribution == distribution && c.recipe == recipe) return c.relative_mse;
  }
  ADD_FAILURE() << name_of(distribution) << " " << name_of(recipe) << " is missing";
  return 0;
}

// The mean of n draws lies within 5 standard errors of what it estimates with a probability of 0.985 for
// n = 4 (Student's t with 3 degrees); the published draw itself is within 0.7 % of large samples' mean.
TEST(Study, PublishedValuesLieWithinSamplingError) {
  std::vector<Recipe> recipes;
  for (const Recipe& recipe : study_recipes()) {
    const bool slow = recipe.rule == ScaleRule::search || recipe.rule == ScaleRule::sweep;
    if (!slow || recipe == Recipe{recipe.format, ScaleRule::search, 0}) recipes.push_back(recipe);
  }
  int compared = 0;
  for (const StudyCell& c :
       reduced(recipes, {Distribution::normal, Distribution::laplace, Distribution::student_t5})) {
    for (const Comparison& comparison : c.published) {
      const double published = comparison.published.relative_mse;
      const double bound = 5 * c.draw_deviation / std::sqrt(kDraws) + 0.007 * published;
      EXPECT_NEAR(c.relative_mse, published, bound) << name_of(c.distribution) << " " << name_of(c.recipe);
      EXPECT_LT(bound, 0.06 * published) << "the bound proves little";
      ++compared;
    }
  }
  EXPECT_GE(compared, 38);
}

// Errors of one draw are divided by the same mean square: their ratios do not scatter with it.
TEST(Study, HeavyTailsAgreeBesideStatic6) {
  int compared = 0;
  for (const StudyCell& c : reduced({kStatic6,
                                     {Format::nvfp4, ScaleRule::static_4},
                                     {Format::nvfp4, ScaleRule::mse_4_6},
                                     {Format::nvfp4, ScaleRule::mae_4_6},
                                     {Format::nvfp4, ScaleRule::abs_max_4_6},
                                     {Format::mxfp4, ScaleRule::static_6}},
                                    {Distribution::student_t3})) {
    for (const Comparison& comparison : c.published) {
      EXPECT_NEAR(comparison.relative_ratio, 1, 0.06) << name_of(c.recipe);
      ++compared;
    }
  }
  EXPECT_EQ(compared, 6);
}

TEST(Study, OrderOfRulesIsThePublishedOne) {
  const Recipe four_over_six{Format::nvfp4, ScaleRule::mse_4_6}, sweep{Format::nvfp4, ScaleRule::sweep};
  const Recipe rotated{Format::nvfp4, ScaleRule::static_6, 16}, shift{Format::mxfp4, ScaleRule::shift};
  const Recipe mx_sweep{Format::mxfp4, ScaleRule::sweep}, mx_rotated{Format::mxfp4, ScaleRule::shift, 32};
  const std::vector<StudyCell> cells = reduced(
      {kStatic6, four_over_six, sweep, rotated, shift, mx_sweep, mx_rotated}, {Distribution::laplace});
  const auto error = [&](const Recipe& recipe) { return error_of(cells, Distribution::laplace, recipe); };
  EXPECT_LT(error(sweep), error(four_over_six));
  EXPECT_LT(error(four_over_six), error(kStatic6));
  EXPECT_LT(error(mx_sweep), error(shift));
  EXPECT_GT(error(rotated), error(kStatic6)) << "rotation harms NVFP4 where tails are heavy";
  EXPECT_LT(error(mx_rotated), error(shift)) << "and helps MXFP4";
  for (const StudyCell& c : cells)
    EXPECT_EQ(c.quantizer.find("quantize_" + std::string(name_of(c.recipe.format))), 0u) << c.quantizer;
}

// A wrong scale rule must not pass: static_4 is 6 % or more from static_6.
TEST(Study, ComparisonRefusesAnotherRule) {
  const Recipe static_4{Format::nvfp4, ScaleRule::static_4};
  const std::vector<StudyCell> cells =
      reduced({kStatic6, static_4}, {Distribution::normal, Distribution::student_t3});
  ASSERT_EQ(cells.size(), 4u);
  for (std::size_t i = 0; i < cells.size(); i += 2) {
    const Published published{cells[i].distribution, kStatic6, cells[i].relative_mse, "fouroversix"};
    EXPECT_FALSE(compare(cells[i + 1], published, cells[i].relative_mse).agrees)
        << name_of(cells[i].distribution);
  }
  EXPECT_TRUE(cells[0].published.back().agrees);
}

// Moments of the distributions: E|x| and E x^2 over 2^20 values.
TEST(StudySamples, MomentsMatchTheDensities) {
  struct Moments {
    Distribution distribution;
    double magnitude, square, tolerance;
  };
  const Moments expected[] = {{Distribution::normal, std::sqrt(2 / M_PI), 1, 0.01},
                              {Distribution::laplace, 1, 2, 0.02},
                              {Distribution::student_t5, 0.9490, 5.0 / 3, 0.03},
                              {Distribution::student_t3, 1.1027, 3, 0.15}};
  for (const Moments& m : expected) {
    double magnitude = 0, square = 0;
    const std::vector<float> values = draw(m.distribution, 1024, 1024, 3);
    for (const float x : values) {
      magnitude += std::fabs(static_cast<double>(x));
      square += static_cast<double>(x) * static_cast<double>(x);
    }
    const auto count = static_cast<double>(values.size());
    EXPECT_NEAR(magnitude / count, m.magnitude, 0.005) << name_of(m.distribution);
    EXPECT_NEAR(square / count, m.square, m.square * m.tolerance) << name_of(m.distribution);
  }
}

TEST(StudyQuantizationError, RefusesShapesThatItsGroupsDoNotDivide) {
  const std::vector<float> values(64, 1.0f);
  const Result<QuantizationError> error = quantization_error(values, 1, 64, {});
  ASSERT_FALSE(error.ok());
  EXPECT_EQ(error.error(), Error::kBadShape);
}

}  // namespace
}  // namespace fourge::study
