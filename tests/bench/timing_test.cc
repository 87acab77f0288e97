// What the suite says of repeated runs.
#include "bench/peaks/timing.h"

#include <gtest/gtest.h>

#include "bench/peaks/peaks.h"

namespace fourge::tests {
namespace {

TEST(Times, QuantilesOfKnownTimes) {
  bench::Times times;
  for (const double seconds : {7.0, 1.0, 10.0, 3.0, 2.0, 9.0, 4.0, 6.0, 5.0, 8.0}) times.add(seconds);
  EXPECT_EQ(times.best(), 1.0);
  EXPECT_EQ(times.worst(), 10.0);
  EXPECT_EQ(times.median(), 6.0);
  EXPECT_EQ(times.quantile(0.0), 1.0);
  EXPECT_EQ(times.quantile(1.0), 10.0);
  EXPECT_EQ(times.spread(), (10.0 - 1.0) / 6.0);
  EXPECT_EQ(times.sorted().size(), 10u);
  EXPECT_EQ(bench::Times().spread(), 0.0);
}

TEST(Peaks, AreSteadyWithinThreePercent) {
  bench::Peaks peaks;
  EXPECT_TRUE(peaks.is_steady());  // no clock on this machine: nothing to say
  peaks.clock_before = 3.0;
  peaks.clock_after = 2.92;
  EXPECT_TRUE(peaks.is_steady());
  peaks.clock_after = 2.9;
  EXPECT_FALSE(peaks.is_steady());
}

}  // namespace
}  // namespace fourge::tests
