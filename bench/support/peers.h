// The same product by other people's libraries, in the same process and minute: oneDNN in bf16, OpenBLAS in
// f32. Both are loaded when first asked for (libdnnl.so.2, libopenblas.so.0) and may be absent.
#pragma once

#include <string>
#include <vector>

#include "bench/peaks/timing.h"
#include "bench/support/gemm_data.h"

namespace fourge::bench {

struct PeerRun {
  std::string name;          // "onednn_bf16"
  std::string version = {};  // "oneDNN 2.6.3, brgemm:avx512_core_bf16"
  std::string absent = {};   // why there is no time; empty when there is
  Times times = {};          // of the product alone: weights were reordered before
  double relative_error = 0;

  bool ran() const { return absent.empty(); }
};

struct PeerOptions {
  int threads = 1;
  RepeatOptions repeat;
};

/// D = X W^T in bf16 with f32 sums and output; weights in the layout that oneDNN prefers.
PeerRun run_onednn_bf16(const Values& x, const Values& w, const PeerOptions& options);

/// D = X W^T by cblas_sgemm.
PeerRun run_openblas_sgemm(const Values& x, const Values& w, const PeerOptions& options);

/// Every peer.
std::vector<PeerRun> run_peers(const Values& x, const Values& w, const PeerOptions& options);

}  // namespace fourge::bench
