#include "bench/peaks/timing.h"

#include <atomic>
#include <limits>
#include <thread>

#if defined(_OPENMP)
#include <omp.h>
#endif

namespace fourge::bench {
namespace {

// On a busy machine most runs are cut into slices: measuring may take so many times longer.
constexpr double kNoise = 5;

template <class Run>
Times repeat_runs(const RepeatOptions& options, Run&& run) {
  run();
  Times times;
  double total = 0, best = std::numeric_limits<double>::infinity();
  const auto enough = [&] {
    return times.count() >= options.least &&
           (times.count() * best >= options.seconds || total >= kNoise * options.seconds);
  };
  while (times.count() < options.most && !enough()) {
    const double seconds = run();
    times.add(seconds);
    total += seconds;
    best = std::min(best, seconds);
  }
  return times;
}

#if defined(_OPENMP)
int team_size() { return omp_get_num_threads(); }
int team_index() { return omp_get_thread_num(); }
#else
int team_size() { return 1; }
int team_index() { return 0; }
#endif

// Spins, so that every thread is on a core when the first starts; yields when others need the cores.
void wait_for_all(std::atomic<int>& arrived, int team) {
  ++arrived;
  for (int spins = 0; arrived.load() < team; ++spins) {
    if (spins > 100'000) std::this_thread::yield();
  }
}

}  // namespace

Times repeat(const RepeatOptions& options, const std::function<void()>& work) {
  return repeat_runs(options, [&] {
    const double start = now_seconds();
    work();
    return now_seconds() - start;
  });
}

Times repeat_parallel(const RepeatOptions& options, int threads, const std::function<void(int)>& work) {
  return repeat_runs(options, [&] {
    std::vector<double> starts(static_cast<std::size_t>(threads)), ends(starts.size());
    std::atomic<int> arrived = 0;
#pragma omp parallel num_threads(threads)
    {
      const int team = team_size();
      wait_for_all(arrived, team);
      for (int thread = team_index(); thread < threads; thread += team) {
        const auto i = static_cast<std::size_t>(thread);
        starts[i] = now_seconds();
        work(thread);
        ends[i] = now_seconds();
      }
    }
    return *std::max_element(ends.begin(), ends.end()) - *std::min_element(starts.begin(), starts.end());
  });
}

double best_rate_parallel(const RepeatOptions& options, int threads, const std::function<void(int)>& work) {
  double rate = 0;
#pragma omp parallel for num_threads(threads) schedule(static) reduction(+ : rate)
  for (int thread = 0; thread < threads; ++thread) {
    rate += 1 / repeat(options, [&] { work(thread); }).best();
  }
  return rate;
}

}  // namespace fourge::bench
