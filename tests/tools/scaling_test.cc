// bench/scaling: the cost model and what is said of it.
#include "bench/scaling/scaling.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

namespace fourge::bench {
namespace {

std::vector<CostSample> samples_of(const CostModel& model, double noise) {
  std::mt19937_64 random(7);
  std::uniform_real_distribution<double> factor(1 - noise, 1 + noise);
  std::vector<CostSample> samples;
  for (const double m : {1, 4, 16, 64, 256}) {
    for (const double n : {256, 1024, 4096}) {
      for (const double k : {256, 2048}) {
        const Work work{.operations = 2 * m * n * k, .bytes = n * k / 2 + 4 * m * n, .row_steps = m * k / 64};
        samples.push_back({work, model.seconds(work) * factor(random)});
      }
    }
  }
  return samples;
}

void expect_near(const CostModel& model, const CostModel& expected, double tolerance) {
  EXPECT_NEAR(model.overhead, expected.overhead, tolerance * expected.overhead);
  EXPECT_NEAR(model.seconds_per_operation, expected.seconds_per_operation,
              tolerance * expected.seconds_per_operation);
  EXPECT_NEAR(model.seconds_per_byte, expected.seconds_per_byte, tolerance * expected.seconds_per_byte);
  EXPECT_NEAR(model.seconds_per_row_step, expected.seconds_per_row_step,
              tolerance * expected.seconds_per_row_step);
}

TEST(CostModel, FindsTheCoefficientsOfItsOwnTimes) {
  const CostModel model{3e-6, 1 / 250e9, 1 / 20e9, 1e-7};
  expect_near(fit_cost_model(samples_of(model, 0)), model, 1e-6);
  expect_near(fit_cost_model(samples_of(model, 0.02)), model, 0.15);
}

TEST(CostModel, LeavesOutTermsThatWouldBeNegative) {
  const CostModel model{3e-6, 1 / 250e9, 0, 0};
  const CostModel fit = fit_cost_model(samples_of(model, 0.05));
  EXPECT_GE(fit.seconds_per_byte, 0);
  EXPECT_GE(fit.seconds_per_row_step, 0);
  EXPECT_NEAR(1e-9 / fit.seconds_per_operation, 250, 25);
}

TEST(CostModel, OneSampleIsExplainedByOneTerm) {
  const CostSample sample{{.operations = 1e9, .bytes = 1e6, .row_steps = 1e3}, 0.01};
  EXPECT_NEAR(fit_cost_model({&sample, 1}).seconds(sample.work), 0.01, 1e-9);
  EXPECT_EQ(fit_cost_model({}).seconds(sample.work), 0);
}

TEST(ScalingTile, ComesFromTheKernelsName) {
  const TileSize tile = tile_of("gemm_f32_e2m1_e2m1_ue4m3b16_32x48x256__amx_bf16_fast");
  EXPECT_EQ(tile.mr, 32);
  EXPECT_EQ(tile.nr, 48);
  EXPECT_EQ(tile_of("no_tile").mr, 1);
  EXPECT_EQ(tile_of("gemm_x__y").nr, 1);
}

ScalingPoint point_off_by(double factor) {
  ScalingPoint point;
  point.spec = {.m = 64, .n = 1024, .k = 1024};
  point.kernel = "gemm_f32_e2m1_e2m1_ue4m3b16_1x16x64__avx512_vnni";
  point.weight_bytes = std::int64_t{1} << 40;
  point.best = point.median = 1e-3;
  point.model = 1e-3 * factor;
  return point;
}

TEST(ScalingExplanation, NamesTheCauseThatTheNumbersShow) {
  const ScalingFit fit{.points = 20};
  ScalingPoint point = point_off_by(0.5);
  EXPECT_EQ(explain(point, fit), "not explained by cache sizes, tile sizes or noise");
  point.stats = {.vectors = 200, .segment_vectors = 150, .general_vectors = 10};
  EXPECT_EQ(explain(point, fit), "25 % of the vectors take a slower path, 0 % on average");
  point.stats.segment_vectors = 195;
  point.pace = 0.45;
  EXPECT_EQ(explain(point, fit),
            "a slower core then: a small product beside it ran at 45 % of its best pace");
  ScalingPoint faster = point_off_by(2);
  faster.pace = 0.6;
  EXPECT_EQ(explain(faster, fit),
            "the core changed its pace: a small product beside it ran at 60 % of its best");
  point.pace = 1;
  EXPECT_EQ(explain(point, fit), "not explained by cache sizes, tile sizes or noise");
  point.pass_ratio = 1.6;
  EXPECT_EQ(explain(point, fit), "a busy machine: two passes differ by a factor of 1.60");
  point.pass_ratio = 1;
  point.threads = 2;
  point.model = point.best / 10;
  EXPECT_NE(explain(point, fit).find("a core that is slower or shared"), std::string::npos);
  EXPECT_NE(explain(point, {.points = 3}).find("too few"), std::string::npos);
}

TEST(Scaling, SmokeSweepsCoverEverySizeAndHaveModels) {
  ScalingOptions options{.formats = {Format::nvfp4},
                         .numerics = {Numerics::blackwell},
                         .threads = {1, 2},
                         .seconds = 0,
                         .extent = ScalingExtent::smoke};
  int calls = 0, total = 0;
  options.progress = [&](int all) {
    ++calls;
    total = all;
  };
  const Result<Scaling> scaling = measure_scaling(options);
  ASSERT_TRUE(scaling.ok()) << scaling.failure().message();
  EXPECT_EQ(scaling->wrong, "");
  EXPECT_EQ(calls, total);
  EXPECT_EQ(2 * scaling->points.size(), static_cast<std::size_t>(total));
  int sweeps[4] = {};
  for (const ScalingPoint& point : scaling->points) {
    ++sweeps[static_cast<int>(point.sweep)];
    EXPECT_GT(point.best, 0);
    EXPECT_GT(point.model, 0);
    EXPECT_EQ(std::fabs(point.deviation()) > kTolerance, !point.explanation.empty());
  }
  for (const int count : sweeps) EXPECT_GE(count, 4);
  ASSERT_FALSE(scaling->fits.empty());
}

}  // namespace
}  // namespace fourge::bench
