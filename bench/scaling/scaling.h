// The time of a product against M, N, K and threads, beside a cost model fitted to it.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "bench/scaling/cost_model.h"
#include "bench/support/roofline.h"
#include "fourge/gemm.h"

namespace fourge::bench {

/// How much is measured: a smoke run (does it work), fewer points on smaller shapes, or all.
enum class ScalingExtent : std::uint8_t { smoke, quick, full };

struct ScalingOptions {
  std::vector<Format> formats = {Format::nvfp4, Format::mxfp4};
  std::vector<Numerics> numerics = {Numerics::blackwell, Numerics::fast};
  std::vector<int> threads = {};  // of the sweep over threads; empty: 1, 2, 4, ... and all
  double seconds = 0.05;          // of timing for each point and pass
  ScalingExtent extent = ScalingExtent::full;
  std::function<void(int total)> progress = {};  // called after each of `total` measurements
};

/// Which size was varied.
enum class Sweep : std::uint8_t { m, n, k, threads };
constexpr const char* name_of(Sweep sweep) {
  constexpr const char* kNames[] = {"M", "N", "K", "threads"};
  return kNames[static_cast<int>(sweep)];
}

struct ScalingPoint {
  Sweep sweep = Sweep::m;
  GemmSpec spec;
  int threads = 1;
  std::string kernel, isa;
  std::int64_t weight_bytes = 0;  // packed
  double best = 0, median = 0;    // seconds; of the better pass
  double pass_ratio = 1;          // best of the worse pass / best of the better one, some minutes apart
  Work work;  // operations of whole tiles: M and N rounded up to them, K to 64; bytes of the packed weights,
              // of A's codes and scales and of D, each once
  RunStats stats;    // how its vectors were proved exact
  double probe = 0;  // seconds of a small product by the same kernel just before or after, whichever took
                     // longer; 0: the small product is another kernel's
  double pace = 1;   // the least probe of all points by this kernel / probe
  double model = 0;  // seconds by the model of its group
  std::string explanation;  // where the model is off by more than kTolerance

  double deviation() const { return model / best - 1; }
  /// Share of the vectors that take a slower path than the kernel's shortest.
  double slow_share() const {
    if (stats.vectors == 0) return 0;
    const std::int64_t slow =
        stats.segment_vectors > 0 ? stats.vectors - stats.segment_vectors : stats.general_vectors;
    return static_cast<double>(slow) / static_cast<double>(stats.vectors);
  }
};
inline constexpr double kTolerance = 0.2;
/// Below this pace the core was slower than it can be, whatever was measured on it.
inline constexpr double kSteadyPace = 0.85;

/// One model: a kernel under one thread count of the sweeps over sizes. Points of the sweep over threads get
/// the prediction of one thread's model, divided by the threads, with the overhead whole.
struct ScalingFit {
  std::string kernel = {};
  Format format = Format::nvfp4;
  Numerics numerics = Numerics::blackwell;
  CostModel model = {};
  int points = 0;
  double mean_deviation = 0;  // of |model / measured - 1|
  double worst_deviation = 0;
  double mean_slow_share = 0;
  int steady_points = 0;  // of at least kSteadyPace; where they are five or more, the model is fitted to them
  double median_pass_ratio = 1;  // of its points: above 1, the machine changes its pace
};

struct Scaling {
  std::vector<ScalingFit> fits;
  std::vector<ScalingPoint> points;
  std::string wrong;  // empty, or the first output that was not the reference's
};

/// All points twice, one pass after the other: a machine's pace changes. Every point is compared with the
/// reference (a sample of outputs, where the kernel claims its bits) before it is timed. Errors: what Gemm
/// says.
Result<Scaling> measure_scaling(const ScalingOptions& options);

/// Why the model misses this point, from what is known of it; "not explained by ..." where nothing is.
std::string explain(const ScalingPoint& point, const ScalingFit& fit);

/// mr and nr of a kernel's name: "gemm_f32_..._32x32x256__amx_bf16" has 32 and 32.
struct TileSize {
  std::int64_t mr = 1, nr = 1;
};
TileSize tile_of(const std::string& kernel);

}  // namespace fourge::bench
