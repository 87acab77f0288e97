// The same product by other people's libraries, in the same process and minute: oneDNN and libxsmm in
// bf16, OpenBLAS in f32, ggml on the same 4-bit weights. Each may be absent.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "bench/support/gemm_data.h"
#include "fourge/error.h"

namespace fourge::bench {

/// D = X W^T, prepared: weights are in the layout that the library prefers. X and W must outlive it.
class Peer {
 public:
  virtual ~Peer() = default;

  /// One product. False when the library refuses, which it then does every time.
  virtual bool run() = 0;
  /// "oneDNN 2.6.3, brgemm:avx512_core_bf16"
  virtual std::string version() const = 0;
  /// D of the last run, m x n.
  const std::vector<float>& result() const { return d_; }

 protected:
  std::vector<float> d_;
};

/// Errors: kNotFound says what is not installed, kUnsupportedFormat that the library refused.
using PeerResult = Result<std::unique_ptr<Peer>>;

struct PeerEntry {
  const char* name;  // "onednn_bf16"
  PeerResult (*make)(const Values& x, const Values& w, int threads);
};

/// oneDNN in bf16 with f32 sums and output; cblas_sgemm of OpenBLAS; ggml's mul_mat on MXFP4 weights;
/// libxsmm's batch-reduce kernels in bf16 with f32 sums and output.
const std::vector<PeerEntry>& peers();

}  // namespace fourge::bench
