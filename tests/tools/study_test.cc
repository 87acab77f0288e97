// tools/study against published values, on fewer samples.
#include "tools/study/study.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>

namespace fourge::study {
namespace {

constexpr StudySpec kReduced{.rows = 128, .cols = 1024, .draws = 4, .seed = 20261122};

const std::vector<StudyCell>& cells() {
  static const std::vector<StudyCell> cells = [] {
    Result<std::vector<StudyCell>> result = run_study(kReduced);
    EXPECT_TRUE(result.ok()) << (result.ok() ? "" : result.failure().message());
    return result.ok() ? std::move(*result) : std::vector<StudyCell>();
  }();
  return cells;
}

const StudyCell& cell(Distribution distribution, const Recipe& recipe) {
  for (const StudyCell& c : cells()) {
    if (c.distribution == distribution && c.recipe == recipe) return c;
  }
  ADD_FAILURE() << name_of(distribution) << " " << name_of(recipe) << " is missing";
  static const StudyCell none{};
  return none;
}

// The mean of n draws lies within 5 standard errors of what it estimates with a probability of 0.985 for
// n = 4 (Student's t with 3 degrees), so the bound also has the 0.5 % that large samples leave.
TEST(Study, PublishedValuesLieWithinSamplingError) {
  int compared = 0;
  for (const StudyCell& c : cells()) {
    if (c.distribution == Distribution::student_t3) continue;
    for (const Comparison& comparison : c.published) {
      const Published& p = comparison.published;
      const double standard_error = c.draw_deviation / std::sqrt(kReduced.draws);
      const double bound = 5 * standard_error + 0.005 * p.relative_mse;
      EXPECT_NEAR(c.relative_mse, p.relative_mse, bound)
          << name_of(c.distribution) << " " << name_of(c.recipe);
      EXPECT_LT(bound, 0.04 * p.relative_mse) << "the bound proves little";
      ++compared;
    }
  }
  EXPECT_EQ(compared, 57);
}

// Errors of one draw are divided by the same mean square: their ratios do not scatter with it.
TEST(Study, HeavyTailsAgreeBesideStatic6) {
  int compared = 0;
  for (const StudyCell& c : cells()) {
    if (c.distribution != Distribution::student_t3) continue;
    for (const Comparison& comparison : c.published) {
      EXPECT_NEAR(comparison.relative_ratio, 1, 0.05) << name_of(c.recipe);
      ++compared;
    }
  }
  EXPECT_EQ(compared, 6);
}

TEST(Study, OrderOfRulesIsThePublishedOne) {
  const auto error = [](Distribution d, Format format, ScaleRule rule, std::int64_t rotation) {
    return cell(d, {format, rule, rotation}).relative_mse;
  };
  for (const Distribution d : kDistributions) {
    const double sweep = error(d, Format::nvfp4, ScaleRule::sweep, 0);
    const double four_over_six = error(d, Format::nvfp4, ScaleRule::mse_4_6, 0);
    EXPECT_LT(sweep, four_over_six) << name_of(d);
    EXPECT_LT(four_over_six, error(d, Format::nvfp4, ScaleRule::static_6, 0)) << name_of(d);
    EXPECT_LT(error(d, Format::mxfp4, ScaleRule::sweep, 0), error(d, Format::mxfp4, ScaleRule::shift, 0));
  }
  // Rotation harms NVFP4 and helps MXFP4 where tails are heavier than a Gaussian's.
  constexpr Distribution kHeavy = Distribution::laplace;
  EXPECT_GT(error(kHeavy, Format::nvfp4, ScaleRule::static_6, 16),
            error(kHeavy, Format::nvfp4, ScaleRule::static_6, 0));
  EXPECT_LT(error(kHeavy, Format::mxfp4, ScaleRule::shift, 32),
            error(kHeavy, Format::mxfp4, ScaleRule::shift, 0));
}

TEST(Study, ValuesAreProducedByKernels) {
  for (const StudyCell& c : cells()) {
    const bool searched = c.recipe.rule == ScaleRule::search || c.recipe.rule == ScaleRule::sweep;
    EXPECT_EQ(c.quantizer == "quantize()", searched) << c.quantizer;
  }
}

// A wrong scale rule must not pass: static_4 is 6 % or more from static_6.
TEST(Study, ComparisonRefusesAnotherRule) {
  for (const Distribution distribution : {Distribution::normal, Distribution::student_t3}) {
    const StudyCell& right = cell(distribution, {Format::nvfp4, ScaleRule::static_6});
    const StudyCell& wrong = cell(distribution, {Format::nvfp4, ScaleRule::static_4});
    const Published published{distribution, right.recipe, right.relative_mse, "fouroversix"};
    EXPECT_TRUE(right.published.back().agrees || distribution == Distribution::student_t3);
    EXPECT_FALSE(compare(wrong, published, right.relative_mse).agrees) << name_of(distribution);
  }
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
