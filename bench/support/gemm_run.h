// One product measured: checked first, then timed, then placed under its bound.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "bench/peaks/timing.h"
#include "bench/support/gemm_check.h"
#include "bench/support/gemm_data.h"
#include "bench/support/roofline.h"
#include "fourge/gemm.h"

namespace fourge::bench {

/// What OpenMP would use.
int default_threads();
/// From now on, for code that takes no number of threads.
void set_default_threads(int threads);

/// A kernel and how long it took to have it: generated, or found in the cache.
struct TimedGemm {
  Gemm gemm;
  double seconds = 0;
};
Result<TimedGemm> create_gemm(const GemmSpec& spec, const GemmOptions& options = {});

/// x as bf16 or f32, as the spec's plain activations are.
std::vector<std::uint8_t> plain_values(const Values& x, const GemmSpec& spec);

struct GemmRunOptions {
  int threads = 1;
  CheckExtent check = CheckExtent::all;
  RepeatOptions repeat;
  bool relative_error = true;
  std::function<void(std::int64_t)> progress = {};  // as CheckOptions::progress
};

/// What is known of a product once it has run.
struct GemmReport {
  GemmSpec spec;
  KernelCode code;
  std::vector<std::string> decisions;
  int threads = 1;
  std::int64_t packed_bytes = 0;
  double create_seconds = 0;
  double pack_seconds = 0;
  Times times;
  RunStats stats;
  CheckResult check;
  CheckExtent check_extent = CheckExtent::none;
  std::optional<RelativeError> error;
  std::optional<Bound> bound;

  double operations() const {
    return 2.0 * static_cast<double>(spec.m) * static_cast<double>(spec.n) * static_cast<double>(spec.k);
  }
  double gflops() const { return operations() / times.best() / 1e9; }
  double weight_gbps() const { return static_cast<double>(packed_bytes) / times.best() / 1e9; }
  std::optional<double> bound_fraction() const {
    if (!bound) return std::nullopt;
    return bound->seconds / times.best();
  }
};

/// Packs data.b, runs once and checks, then times. Errors: what Gemm says.
Result<GemmReport> run_gemm(const TimedGemm& kernel, const GemmData& data, const GemmRunOptions& options,
                            MachinePeaks& peaks);

/// A peer measured on the same product.
struct PeerReport {
  std::string name;
  std::string version;
  std::string absent;  // why it did not run; empty when it did
  Times times;
  double relative_error = 0;

  bool ran() const { return absent.empty(); }
};

/// Every peer, in the order of peers().
std::vector<PeerReport> run_peers(const Values& x, const Values& w, int threads, const RepeatOptions& repeat);

}  // namespace fourge::bench
