#include "bench/support/peers.h"

#include <cstdlib>
#include <limits>

#include "bench/support/dynamic_library.h"
#include "bench/support/gemm_check.h"
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

std::string openblas_version(const OpenBlas& blas) {
  std::string config = blas.get_config();  // "OpenBLAS 0.3.21 NO_LAPACKE ... MAX_THREADS=64"
  config = config.substr(0, config.find(' ', config.find(' ') + 1));
  std::string version = config + ", " + blas.get_corename();
  if (const char* core = std::getenv("OPENBLAS_CORETYPE")) version += std::string(" (told ") + core + ")";
  return version;
}

}  // namespace

PeerRun run_openblas_sgemm(const Values& x, const Values& w, const PeerOptions& options) {
  PeerRun run{.name = "openblas_f32"};
  const OpenBlas* blas = OpenBlas::load();
  if (blas == nullptr) {
    run.absent = "libopenblas.so.0 is not installed (Debian package libopenblas-dev)";
    return run;
  }
  if (x.rows > std::numeric_limits<int>::max() || w.rows > std::numeric_limits<int>::max()) {
    run.absent = "sizes beyond its int";
    return run;
  }
  blas->set_num_threads(options.threads);
  run.version = openblas_version(*blas);
  const int m = static_cast<int>(x.rows), n = static_cast<int>(w.rows), k = static_cast<int>(x.cols);
  std::vector<float> d(static_cast<std::size_t>(x.rows * w.rows));
  run.times = repeat(options.repeat, [&] {
    blas->sgemm(kRowMajor, kNoTranspose, kTranspose, m, n, k, 1.0f, x.data.data(), k, w.data.data(), k, 0.0f,
                d.data(), n);
  });
  run.relative_error =
      relative_error({.m = x.rows, .n = w.rows, .k = x.cols}, x, w, d.data(), std::int64_t{1} << 24).value;
  return run;
}

#if !defined(FOURGE_HAVE_ONEDNN)
PeerRun run_onednn_bf16(const Values&, const Values&, const PeerOptions&) {
  return {.name = "onednn_bf16", .absent = "built without oneDNN's headers (Debian package libdnnl-dev)"};
}
#endif

std::vector<PeerRun> run_peers(const Values& x, const Values& w, const PeerOptions& options) {
  return {run_onednn_bf16(x, w, options), run_openblas_sgemm(x, w, options)};
}

}  // namespace fourge::bench
