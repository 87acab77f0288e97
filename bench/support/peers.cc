#include "bench/support/peers.h"

#include <algorithm>
#include <cstdlib>
#include <limits>

#include "bench/support/dynamic_library.h"
#include "bench/support/peer_ggml.h"
#include "bench/support/peer_libxsmm.h"
#include "bench/support/peer_onednn.h"
#include "jit/cpu.h"

namespace fourge::bench {
namespace {

// cblas.h of OpenBLAS 0.3.
constexpr int kRowMajor = 101, kNoTranspose = 111, kTranspose = 112;

// OpenBLAS 0.3.21 takes processors newer than itself for a Prescott (SSE3). It reads this variable when it is
// loaded; one that is set already is left alone.
bool tell_core_type() {
  const jit::CpuFeatures& features = jit::host_features();
  const bool avx512 = features.missing_for(jit::Isa::avx512) == nullptr;
  const bool avx2 = features.missing_for(jit::Isa::avx2) == nullptr;
  return avx2 && setenv("OPENBLAS_CORETYPE", avx512 ? "SkylakeX" : "Haswell", 0) == 0;
}

struct OpenBlas {
  void (*sgemm)(int order, int transpose_a, int transpose_b, int m, int n, int k, float alpha, const float* a,
                int lda, const float* b, int ldb, float beta, float* c, int ldc) = nullptr;
  void (*set_num_threads)(int) = nullptr;
  char* (*get_config)() = nullptr;
  char* (*get_corename)() = nullptr;

  static const OpenBlas* load() {
    static const bool told = tell_core_type();
    static_cast<void>(told);
    static const DynamicLibrary library("libopenblas.so.0");
    static OpenBlas functions;
    static const bool complete = library.find("cblas_sgemm", functions.sgemm) &&
                                 library.find("openblas_set_num_threads", functions.set_num_threads) &&
                                 library.find("openblas_get_config", functions.get_config) &&
                                 library.find("openblas_get_corename", functions.get_corename);
    return complete ? &functions : nullptr;
  }
};

class OpenBlasPeer final : public Peer {
 public:
  OpenBlasPeer(const OpenBlas& blas, const Values& x, const Values& w, int threads)
      : blas_(blas), x_(x), w_(w), threads_(threads) {
    d_.resize(static_cast<std::size_t>(x.rows * w.rows));
  }

  bool run() override {
    const int m = static_cast<int>(x_.rows), n = static_cast<int>(w_.rows), k = static_cast<int>(x_.cols);
    blas_.set_num_threads(threads_);
    blas_.sgemm(kRowMajor, kNoTranspose, kTranspose, m, n, k, 1.0f, x_.data.data(), k, w_.data.data(), k,
                0.0f, d_.data(), n);
    return true;
  }

  std::string version() const override {
    std::string config = blas_.get_config();  // "OpenBLAS 0.3.21 NO_LAPACKE ... MAX_THREADS=64"
    config = config.substr(0, config.find(' ', config.find(' ') + 1));
    std::string version = config + ", " + blas_.get_corename();
    if (const char* core = std::getenv("OPENBLAS_CORETYPE")) version += std::string(" (told ") + core + ")";
    return version;
  }

 private:
  const OpenBlas& blas_;
  const Values& x_;
  const Values& w_;
  int threads_;
};

PeerResult make_openblas(const Values& x, const Values& w, int threads) {
  const OpenBlas* blas = OpenBlas::load();
  if (blas == nullptr) {
    return {Error::kNotFound, "install Debian package libopenblas-dev", "libopenblas.so.0"};
  }
  if (std::max({x.rows, x.cols, w.rows}) > std::numeric_limits<int>::max()) {
    return {Error::kUnsupportedFormat, "sizes beyond its int", "libopenblas.so.0"};
  }
  return PeerResult(std::make_unique<OpenBlasPeer>(*blas, x, w, threads));
}

}  // namespace

#if !defined(FOURGE_HAVE_ONEDNN)
PeerResult make_onednn_bf16(const Values&, const Values&, int) {
  return {Error::kNotFound, "built without its headers (Debian package libdnnl-dev)", "oneDNN"};
}
#endif

#if !defined(FOURGE_HAVE_LIBXSMM)
PeerResult make_libxsmm_bf16(const Values&, const Values&, int) {
  return {Error::kNotFound,
          "built without it (Debian package libxsmm-dev, or configure with -DFOURGE_LIBXSMM=PREFIX)",
          "libxsmm"};
}
#endif

const std::vector<PeerEntry>& peers() {
  static const std::vector<PeerEntry> all = {{"onednn_bf16", make_onednn_bf16},
                                             {"openblas_f32", make_openblas},
                                             {"ggml_mxfp4", make_ggml_mxfp4},
                                             {"libxsmm_bf16", make_libxsmm_bf16}};
  return all;
}

}  // namespace fourge::bench
