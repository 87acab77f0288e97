#include <cstdio>

#include "bench/scaling/scaling.h"
#include "jit/cpu.h"

namespace fourge::bench {
namespace {

template <class... Values>
std::string text(const char* format, Values... values) {
  char buffer[256];
  std::snprintf(buffer, sizeof buffer, format, values...);
  return buffer;
}

double mib(std::int64_t bytes) { return static_cast<double>(bytes) / (1 << 20); }

// Columns come in blocks of `nr`; a thread has whole ones.
std::string uneven_share(const ScalingPoint& point) {
  const std::int64_t nr = tile_of(point.kernel).nr;
  const std::int64_t blocks = (point.spec.n + nr - 1) / nr;
  if (blocks >= 4 * point.threads) return {};
  return text("%lld blocks of %lld columns for %d threads: shares are uneven", static_cast<long long>(blocks),
              static_cast<long long>(nr), point.threads);
}

// More time than its share of one thread's.
std::string explain_threads(const ScalingPoint& point) {
  if (point.best > 3 * point.model)
    return text(
        "%.0f times the share of one thread's time: the team waits for a core that is slower or shared",
        point.best / point.model);
  if (const std::string share = uneven_share(point); !share.empty()) return share;
  if (point.best < 200e-6)
    return text("%.0f us in all: starting and joining %d threads weighs", point.best * 1e6, point.threads);
  if (point.spec.m < 8)
    return text("memory is shared: %d threads read %.1f GB/s of weights together", point.threads,
                static_cast<double>(point.weight_bytes) / point.best / 1e9);
  return text("%d threads need %.0f %% more than shares of one's time: they share caches and clock",
              point.threads, 100 * (point.best / point.model - 1));
}

}  // namespace

// Slower than the model: something the model leaves out. Faster: one of its rates is an average.
std::string explain(const ScalingPoint& point, const ScalingFit& fit) {
  const bool slower = point.deviation() < 0;
  const jit::CacheSizes& caches = jit::host_caches();
  if (fit.points < 5) return text("%d points of one thread are too few for this model", fit.points);
  if (point.pace < kSteadyPace) {
    return slower ? text("a slower core then: a small product beside it ran at %.0f %% of its best pace",
                         100 * point.pace)
                  : text("the core changed its pace: a small product beside it ran at %.0f %% of its best",
                         100 * point.pace);
  }
  if (!slower && point.pace >= kSteadyPace && fit.steady_points < 5)
    return text("a faster core then: the model rests on others, whose pace was below %.0f %%",
                100 * kSteadyPace);
  if (point.pass_ratio > 1.2)
    return text("a busy machine: two passes differ by a factor of %.2f", point.pass_ratio);
  constexpr double kMoreOften = 0.05;
  const double more = point.slow_share() - fit.mean_slow_share;
  if (slower ? more > kMoreOften : more < -kMoreOften)
    return text("%.0f %% of the vectors take a slower path, %.0f %% on average", 100 * point.slow_share(),
                100 * fit.mean_slow_share);
  if (slower && point.median > 1.3 * point.best)
    return text("a busy machine: the median is %.2f times the best", point.median / point.best);
  if (slower && fit.median_pass_ratio > 1.3) {
    return point.threads > 1 ? text(
                                   "a team is as slow as its slowest core, and one thread's passes differ by "
                                   "a factor of %.1f",
                                   fit.median_pass_ratio)
                             : text("slow in both passes; those of other points differ by a factor of %.1f",
                                    fit.median_pass_ratio);
  }
  if (slower && point.threads > 1) return explain_threads(point);
  if (!slower && point.threads > 1) return "part of what the fit calls overhead is shared by the threads too";
  if (slower && point.spec.m < 32 && point.weight_bytes > caches.l2)
    return text("%.1f MiB of weights exceed L2: read more slowly than the average rate",
                mib(point.weight_bytes));
  if (!slower && point.weight_bytes <= caches.l2 / 2)
    return text("%.2f MiB of weights stay in L2, which is read faster than the average",
                mib(point.weight_bytes));
  if (point.spec.k < 512)
    return text("K = %lld: scaling and storing an output, done once, weighs more than on average",
                static_cast<long long>(point.spec.k));
  if (point.spec.m < 16)
    return text("M = %lld: decoding the weights, done once for all rows, is no term of the model",
                static_cast<long long>(point.spec.m));
  if (slower && point.spec.m * point.spec.k / 2 > caches.l2)
    return text("%.1f MiB of activations exceed L2: read again for every block of columns",
                mib(point.spec.m * point.spec.k / 2));
  return "not explained by cache sizes, tile sizes or noise";
}

}  // namespace fourge::bench
