// Timing on machines that are shared and noisy: many short bursts, of which the best shows the hardware and
// the median shows what a user gets.
#pragma once

#include <algorithm>
#include <chrono>
#include <functional>
#include <vector>

namespace fourge::bench {

inline double now_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// Seconds of repeated runs of the same work.
class Times {
 public:
  void add(double seconds) { seconds_.push_back(seconds); }
  int count() const { return static_cast<int>(seconds_.size()); }
  double best() const { return seconds_.empty() ? 0.0 : *std::min_element(seconds_.begin(), seconds_.end()); }
  double worst() const {
    return seconds_.empty() ? 0.0 : *std::max_element(seconds_.begin(), seconds_.end());
  }
  double median() const {
    if (seconds_.empty()) return 0.0;
    std::vector<double> sorted = seconds_;
    const auto middle = sorted.begin() + static_cast<std::ptrdiff_t>(sorted.size() / 2);
    std::nth_element(sorted.begin(), middle, sorted.end());
    return *middle;
  }

 private:
  std::vector<double> seconds_;
};

struct RepeatOptions {
  double seconds =
      0.2;         // of work, counted as the best run's time; up to five times more when most are slower
  int least = 10;  // runs
  int most = 10000;
};

/// Times `work` again and again, after one run that is not counted.
Times repeat(const RepeatOptions& options, const std::function<void()>& work);

/// The same for work that `threads` threads do side by side: work(thread). They start together; one time is
/// from the first start to the last end.
Times repeat_parallel(const RepeatOptions& options, int threads, const std::function<void(int)>& work);

/// Runs a second, the threads' rates added: for work that shares nothing but the clock.
double best_rate_parallel(const RepeatOptions& options, int threads, const std::function<void(int)>& work);

}  // namespace fourge::bench
