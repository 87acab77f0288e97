// libxsmm 1.17 in bf16 with f32 sums and output, as its authors use it for fully connected layers: weights in
// blocks of 64 columns by 64 of K, two rows of K interleaved, and one generated kernel that sums over all
// blocks of K. Static only in Debian, so it is linked where it is found when configuring.
#include "bench/support/peer_libxsmm.h"

#include <libxsmm.h>

#include <algorithm>
#include <limits>
#include <memory>

#include "fourge/rounding.h"

namespace fourge::bench {
namespace {

// libxsmm's matrices are column major: its m is this n (weights' rows), its n this m (tokens).
constexpr int kWeightRows = 64, kTokens = 64, kBlockK = 64;

std::uint16_t to_bf16(float value) { return static_cast<std::uint16_t>(encode(ElementFormat::bf16, value)); }

class LibxsmmPeer final : public Peer {
 public:
  LibxsmmPeer(const Values& x, const Values& w, int threads)
      : m_(static_cast<int>(x.rows)),
        n_(static_cast<int>(w.rows)),
        k_(static_cast<int>(x.cols)),
        threads_(threads) {
    x_.resize(x.data.size());
    std::transform(x.data.begin(), x.data.end(), x_.begin(), to_bf16);
    pack(w);
    d_.resize(static_cast<std::size_t>(x.rows * w.rows));
  }

  /// False where it generates no kernel for this processor.
  bool prepare() {
    for (const int rows : {kWeightRows, n_ % kWeightRows}) {
      for (const int tokens : {kTokens, m_ % kTokens}) {
        if (rows == 0 || tokens == 0 || rows > n_ || tokens > m_) continue;
        if ((kernel(rows, tokens) = dispatch(rows, tokens)) == nullptr) return false;
      }
    }
    return true;
  }

  bool run() override {
    const int row_blocks = (n_ + kWeightRows - 1) / kWeightRows, token_blocks = (m_ + kTokens - 1) / kTokens;
#pragma omp parallel for collapse(2) schedule(static) num_threads(threads_)
    for (int row_block = 0; row_block < row_blocks; ++row_block) {
      for (int token_block = 0; token_block < token_blocks; ++token_block) {
        const int row = row_block * kWeightRows, token = token_block * kTokens;
        const unsigned long long blocks = static_cast<unsigned>(k_ / kBlockK);
        kernel(std::min(kWeightRows, n_ - row), std::min(kTokens, m_ - token))(
            as_bf16(w_.data()) + at(row, k_), as_bf16(x_.data()) + at(token, k_),
            d_.data() + at(token, n_) + row, &blocks);
      }
    }
    return true;
  }

  std::string version() const override {
    return std::string("libxsmm ") + LIBXSMM_VERSION + ", " + libxsmm_get_target_arch() + ", bf16";
  }

 private:
  using Kernel = libxsmm_bsmmfunction_reducebatch_strd;

  static std::size_t at(int row, int columns) {
    return static_cast<std::size_t>(row) * static_cast<std::size_t>(columns);
  }
  static const libxsmm_bfloat16* as_bf16(const std::uint16_t* values) {
    static_assert(sizeof(libxsmm_bfloat16) == sizeof(std::uint16_t));
    return reinterpret_cast<const libxsmm_bfloat16*>(values);
  }
  Kernel& kernel(int rows, int tokens) {
    return kernels_[rows == kWeightRows ? 1 : 0][tokens == kTokens ? 1 : 0];
  }

  Kernel dispatch(int rows, int tokens) const {
    const float alpha = 1, beta = 0;
    const int flags = LIBXSMM_GEMM_FLAG_VNNI_A;
    const int prefetch = LIBXSMM_GEMM_PREFETCH_NONE;
    constexpr int kBytes = sizeof(std::uint16_t);
    return libxsmm_bsmmdispatch_reducebatch_strd(rows, tokens, kBlockK, rows * kBlockK * kBytes,
                                                 kBlockK * kBytes, &rows, &k_, &n_, &alpha, &beta, &flags,
                                                 &prefetch);
  }

  // [block of rows][block of K][pair of K][row][2]; the last block of rows may be narrower.
  void pack(const Values& w) {
    w_.resize(w.data.size());
    for (int row = 0; row < n_; ++row) {
      const int block = row / kWeightRows * kWeightRows, width = std::min(kWeightRows, n_ - block);
      for (int k = 0; k < k_; ++k) {
        const int place = k / 2 * 2 * width + (row - block) * 2 + k % 2;
        w_[at(block, k_) + static_cast<std::size_t>(place)] =
            to_bf16(w.data[at(row, k_) + static_cast<std::size_t>(k)]);
      }
    }
  }

  int m_, n_, k_, threads_;
  std::vector<std::uint16_t> x_, w_;
  Kernel kernels_[2][2] = {};
};

}  // namespace

PeerResult make_libxsmm_bf16(const Values& x, const Values& w, int threads) {
  if (std::max({x.rows, x.cols, w.rows}) > std::numeric_limits<int>::max() / kWeightRows ||
      x.cols % kBlockK != 0) {
    return {Error::kUnsupportedFormat, "K is no multiple of 64, or sizes are beyond its int", "libxsmm"};
  }
  auto peer = std::make_unique<LibxsmmPeer>(x, w, threads);
  if (!peer->prepare())
    return {Error::kUnsupportedFormat, "has no bf16 kernels for this processor", "libxsmm"};
  return PeerResult(std::move(peer));
}

}  // namespace fourge::bench
