// ggml's mul_mat on MXFP4 weights (type 39) and f32 activations, which it rounds to 8 bits. The libraries are
// found when configuring (FOURGE_GGML) and loaded when asked for. Functions: ggml.h, ggml-cpu.h and
// ggml-backend-impl.h of ggml 0.9 and later.
#include "bench/support/peer_ggml.h"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <memory>

#include "bench/support/dynamic_library.h"
#include "quant/gguf_blocks.h"

namespace fourge::bench {

#if defined(FOURGE_GGML_FOLDER)
namespace {

constexpr int kF32 = 0, kMxfp4 = 39;

struct InitParams {
  std::size_t bytes;
  void* buffer;
  bool no_alloc;
};
// What a plan begins with; later fields are ggml's own affair.
struct Plan {
  std::size_t work_bytes;
  std::uint8_t* work;
  std::uint8_t more[240];
};

struct Ggml {
  void* (*init)(InitParams) = nullptr;
  void (*free)(void* context) = nullptr;
  void* (*new_tensor_2d)(void* context, int type, std::int64_t columns, std::int64_t rows) = nullptr;
  void* (*mul_mat)(void* context, void* a, void* b) = nullptr;
  void* (*data)(const void* tensor) = nullptr;
  void* (*new_graph)(void* context) = nullptr;
  void (*build)(void* graph, void* tensor) = nullptr;
  Plan (*plan)(const void* graph, int threads, void* pool) = nullptr;
  int (*compute)(void* graph, Plan* plan) = nullptr;
  void (*cpu_init)() = nullptr;
  const char* (*version)() = nullptr;
  std::string library;  // the variant for this processor

  static const Ggml* load();
};

// The variant that thinks most of this processor.
std::filesystem::path best_variant(const std::filesystem::path& folder) {
  std::filesystem::path best;
  int best_score = 0;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with("libggml-cpu") || name.find(".so") == std::string::npos) continue;
    const DynamicLibrary library(entry.path().c_str());
    int (*score)() = nullptr;
    const int points = library.find("ggml_backend_score", score) ? score() : library.is_loaded() ? 1 : 0;
    if (points > best_score) best_score = points, best = entry.path();
  }
  return best;
}

const Ggml* Ggml::load() {
  static Ggml ggml;
  static const bool complete = [] {
    const std::filesystem::path folder = FOURGE_GGML_FOLDER;
    static const DynamicLibrary base((folder / "libggml-base.so").c_str());
    if (!base.is_loaded()) return false;
    const std::filesystem::path variant = best_variant(folder);
    if (variant.empty()) return false;
    static const DynamicLibrary cpu(variant.c_str());
    ggml.library = variant.stem().string();
    base.find("ggml_version", ggml.version);
    return base.find("ggml_init", ggml.init) && base.find("ggml_free", ggml.free) &&
           base.find("ggml_new_tensor_2d", ggml.new_tensor_2d) && base.find("ggml_mul_mat", ggml.mul_mat) &&
           base.find("ggml_get_data", ggml.data) && base.find("ggml_new_graph", ggml.new_graph) &&
           base.find("ggml_build_forward_expand", ggml.build) && cpu.find("ggml_graph_plan", ggml.plan) &&
           cpu.find("ggml_graph_compute", ggml.compute) && cpu.find("ggml_cpu_init", ggml.cpu_init);
  }();
  if (!complete) return nullptr;
  static const bool started = (ggml.cpu_init(), true);
  static_cast<void>(started);
  return &ggml;
}

class GgmlPeer final : public Peer {
 public:
  GgmlPeer(const Ggml& ggml, const Values& x, const std::vector<std::uint8_t>& blocks, std::int64_t n,
           int threads)
      : ggml_(ggml) {
    const auto floats = static_cast<std::size_t>(x.rows * (x.cols + n)) * sizeof(float);
    constexpr std::size_t kOverhead = std::size_t{1} << 20;
    context_ = ggml.init({blocks.size() + floats + kOverhead, nullptr, false});
    if (context_ == nullptr) return;
    void* const w = ggml.new_tensor_2d(context_, kMxfp4, x.cols, n);
    void* const a = ggml.new_tensor_2d(context_, kF32, x.cols, x.rows);
    std::memcpy(ggml.data(w), blocks.data(), blocks.size());
    std::memcpy(ggml.data(a), x.data.data(), x.data.size() * sizeof(float));
    product_ = ggml.mul_mat(context_, w, a);
    graph_ = ggml.new_graph(context_);
    ggml.build(graph_, product_);
    plan_ = ggml.plan(graph_, threads, nullptr);
    work_.resize(plan_.work_bytes);
    plan_.work = work_.data();
    d_.resize(static_cast<std::size_t>(x.rows * n));
  }
  ~GgmlPeer() override {
    if (context_ != nullptr) ggml_.free(context_);
  }
  GgmlPeer(const GgmlPeer&) = delete;
  GgmlPeer& operator=(const GgmlPeer&) = delete;

  bool run() override {
    if (context_ == nullptr || ggml_.compute(graph_, &plan_) != 0) return false;
    std::memcpy(d_.data(), ggml_.data(product_), d_.size() * sizeof(float));
    return true;
  }
  std::string version() const override {
    return std::string("ggml ") + (ggml_.version != nullptr ? ggml_.version() : "without a version") + ", " +
           ggml_.library + ", MXFP4 weights, activations rounded to 8 bits";
  }

 private:
  const Ggml& ggml_;
  void* context_ = nullptr;
  void* product_ = nullptr;
  void* graph_ = nullptr;
  Plan plan_ = {};
  std::vector<std::uint8_t> work_;
};

}  // namespace

PeerResult make_ggml_mxfp4(const Values& x, const Values& w, int threads) {
  const Ggml* ggml = Ggml::load();
  if (ggml == nullptr) return {Error::kNotFound, "no complete ggml there", FOURGE_GGML_FOLDER};
  const Result<QuantizedMatrix> matrix =
      quantize(w.data, w.rows, w.cols, {.format = Format::mxfp4, .rule = default_rule(Format::mxfp4)});
  if (!matrix.ok()) return matrix.failure();
  const Result<std::vector<std::uint8_t>> blocks = quant::to_gguf_blocks(matrix->view());
  if (!blocks.ok()) return blocks.failure();
  return PeerResult(std::make_unique<GgmlPeer>(*ggml, x, *blocks, w.rows, threads));
}
#else
PeerResult make_ggml_mxfp4(const Values&, const Values&, int) {
  return {Error::kNotFound, "configure with -DFOURGE_GGML=FOLDER of libggml-base.so and libggml-cpu*.so",
          "ggml"};
}
#endif

}  // namespace fourge::bench
