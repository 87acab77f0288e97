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
  double median() const { return quantile(0.5); }
  /// The time that a share of the runs was faster than.
  double quantile(double share) const {
    if (seconds_.empty()) return 0.0;
    const std::vector<double> in_order = sorted();
    const auto at = static_cast<std::size_t>(share * static_cast<double>(in_order.size()));
    return in_order[std::min(at, in_order.size() - 1)];
  }
  /// Nine tenths of the runs lie within this share of the median above the best.
  double spread() const { return seconds_.empty() ? 0.0 : (quantile(0.9) - best()) / median(); }
  std::vector<double> sorted() const {
    std::vector<double> in_order = seconds_;
    std::sort(in_order.begin(), in_order.end());
    return in_order;
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
