// oneDNN 2.x through its C interface, found at run time.
#include <oneapi/dnnl/dnnl.h>

#include <memory>
#include <string>
#include <utility>

#include "bench/support/dynamic_library.h"
#include "bench/support/peer_onednn.h"
#include "fourge/rounding.h"

namespace fourge::bench {
namespace {

struct OneDnn {
#define FOURGE_DNNL_FUNCTIONS(X)   \
  X(version)                       \
  X(engine_create)                 \
  X(engine_destroy)                \
  X(stream_create)                 \
  X(stream_wait)                   \
  X(stream_destroy)                \
  X(memory_desc_init_by_tag)       \
  X(memory_create)                 \
  X(memory_destroy)                \
  X(matmul_desc_init)              \
  X(primitive_desc_create)         \
  X(primitive_desc_query)          \
  X(primitive_desc_query_md)       \
  X(primitive_desc_destroy)        \
  X(reorder_primitive_desc_create) \
  X(primitive_create)              \
  X(primitive_execute)             \
  X(primitive_destroy)
#define FOURGE_DECLARE(name) decltype(&dnnl_##name) name = nullptr;
  FOURGE_DNNL_FUNCTIONS(FOURGE_DECLARE)
#undef FOURGE_DECLARE

  static const OneDnn* load() {
    static const DynamicLibrary library("libdnnl.so.2");
    static OneDnn functions;
#define FOURGE_FIND(name) &&library.find("dnnl_" #name, functions.name)
    static const bool complete = library.is_loaded() FOURGE_DNNL_FUNCTIONS(FOURGE_FIND);
#undef FOURGE_FIND
    return complete ? &functions : nullptr;
  }
};

// oneDNN of Debian runs on GNU's OpenMP, whatever runtime this program was linked with. Sets its thread count
// and puts it back.
class GompThreads {
 public:
  explicit GompThreads(int threads) {
    static const DynamicLibrary library("libgomp.so.1");
    int (*get_max_threads)() = nullptr;
    if (!library.find("omp_get_max_threads", get_max_threads)) return;
    if (!library.find("omp_set_num_threads", set_)) return;
    before_ = get_max_threads();
    set_(threads);
  }
  GompThreads(const GompThreads&) = delete;
  GompThreads& operator=(const GompThreads&) = delete;
  ~GompThreads() {
    if (set_ != nullptr) set_(before_);
  }

 private:
  void (*set_)(int) = nullptr;
  int before_ = 1;
};

// A handle of the library with its destroy function.
template <class Handle>
struct Owned {
  using Destroy = dnnl_status_t (*)(Handle);
  Handle handle{};
  Destroy destroy;

  explicit Owned(Destroy function) : destroy(function) {}
  Owned(const Owned&) = delete;
  Owned& operator=(const Owned&) = delete;
  ~Owned() {
    if (handle != nullptr) destroy(handle);
  }
  Handle* operator&() { return &handle; }     // NOLINT(google-runtime-operator)
  operator Handle() const { return handle; }  // NOLINT(google-explicit-constructor)
};

std::vector<std::uint16_t> to_bf16(const Values& values) {
  std::vector<std::uint16_t> bf16(values.data.size());
#pragma omp parallel for schedule(static)
  for (std::size_t i = 0; i < bf16.size(); ++i) {
    bf16[i] = static_cast<std::uint16_t>(encode(ElementFormat::bf16, values.data[i]));
  }
  return bf16;
}

// The steps of one product. Each returns whether the library agreed; the first refusal ends it.
class Matmul final : public Peer {
 public:
  Matmul(const OneDnn& dnnl, const Values& x, const Values& w, int threads)
      : dnnl_(dnnl), x_(x), w_(w), threads_(threads) {}

  bool prepare() {
    const GompThreads guard(threads_);  // primitives divide their work when they are created
    const dnnl_dims_t x_dims = {x_.rows, x_.cols}, w_dims = {w_.cols, w_.rows}, d_dims = {x_.rows, w_.rows};
    dnnl_memory_desc_t any_w;
    const auto describe = [&](dnnl_memory_desc_t* desc, const dnnl_dims_t& dims, dnnl_data_type_t type,
                              dnnl_format_tag_t tag) {
      return dnnl_.memory_desc_init_by_tag(desc, 2, dims, type, tag) == dnnl_success;
    };
    dnnl_matmul_desc_t matmul;
    return dnnl_.engine_create(&engine_, dnnl_cpu, 0) == dnnl_success &&
           dnnl_.stream_create(&stream_, engine_, dnnl_stream_default_flags) == dnnl_success &&
           describe(&x_desc_, x_dims, dnnl_bf16, dnnl_ab) && describe(&w_desc_, w_dims, dnnl_bf16, dnnl_ba) &&
           describe(&any_w, w_dims, dnnl_bf16, dnnl_format_tag_any) &&
           describe(&d_desc_, d_dims, dnnl_f32, dnnl_ab) &&
           dnnl_.matmul_desc_init(&matmul, &x_desc_, &any_w, nullptr, &d_desc_) == dnnl_success &&
           dnnl_.primitive_desc_create(&primitive_desc_, &matmul, nullptr, engine_, nullptr) ==
               dnnl_success &&
           dnnl_.primitive_create(&primitive_, primitive_desc_) == dnnl_success && make_memory() &&
           reorder_weights();
  }

  bool run() override {
    const GompThreads guard(threads_);
    const dnnl_exec_arg_t arguments[] = {
        {DNNL_ARG_SRC, x_memory_}, {DNNL_ARG_WEIGHTS, packed_}, {DNNL_ARG_DST, d_memory_}};
    return dnnl_.primitive_execute(primitive_, stream_, 3, arguments) == dnnl_success &&
           dnnl_.stream_wait(stream_) == dnnl_success;
  }

  std::string version() const override {
    const char* text = nullptr;
    dnnl_.primitive_desc_query(primitive_desc_, dnnl_query_impl_info_str, 0, &text);
    const dnnl_version_t* version = dnnl_.version();
    return "oneDNN " + std::to_string(version->major) + "." + std::to_string(version->minor) + "." +
           std::to_string(version->patch) + ", " + (text != nullptr ? text : "unknown implementation");
  }

 private:
  bool make_memory() {
    x_bf16_ = to_bf16(x_);
    w_bf16_ = to_bf16(w_);
    d_.resize(static_cast<std::size_t>(x_.rows * w_.rows));
    const dnnl_memory_desc_t* packed =
        dnnl_.primitive_desc_query_md(primitive_desc_, dnnl_query_weights_md, 0);
    return dnnl_.memory_create(&x_memory_, &x_desc_, engine_, x_bf16_.data()) == dnnl_success &&
           dnnl_.memory_create(&w_memory_, &w_desc_, engine_, w_bf16_.data()) == dnnl_success &&
           dnnl_.memory_create(&d_memory_, &d_desc_, engine_, d_.data()) == dnnl_success &&
           dnnl_.memory_create(&packed_, packed, engine_, DNNL_MEMORY_ALLOCATE) == dnnl_success;
  }

  bool reorder_weights() {
    const dnnl_memory_desc_t* packed =
        dnnl_.primitive_desc_query_md(primitive_desc_, dnnl_query_weights_md, 0);
    Owned<dnnl_primitive_desc_t> desc(dnnl_.primitive_desc_destroy);
    Owned<dnnl_primitive_t> reorder(dnnl_.primitive_destroy);
    const dnnl_exec_arg_t arguments[] = {{DNNL_ARG_FROM, w_memory_}, {DNNL_ARG_TO, packed_}};
    return dnnl_.reorder_primitive_desc_create(&desc, &w_desc_, engine_, packed, engine_, nullptr) ==
               dnnl_success &&
           dnnl_.primitive_create(&reorder, desc) == dnnl_success &&
           dnnl_.primitive_execute(reorder, stream_, 2, arguments) == dnnl_success &&
           dnnl_.stream_wait(stream_) == dnnl_success;
  }

  const OneDnn& dnnl_;
  const Values& x_;
  const Values& w_;
  int threads_;
  std::vector<std::uint16_t> x_bf16_, w_bf16_;
  dnnl_memory_desc_t x_desc_, w_desc_, d_desc_;
  Owned<dnnl_engine_t> engine_{dnnl_.engine_destroy};
  Owned<dnnl_stream_t> stream_{dnnl_.stream_destroy};
  Owned<dnnl_primitive_desc_t> primitive_desc_{dnnl_.primitive_desc_destroy};
  Owned<dnnl_primitive_t> primitive_{dnnl_.primitive_destroy};
  Owned<dnnl_memory_t> x_memory_{dnnl_.memory_destroy}, w_memory_{dnnl_.memory_destroy};
  Owned<dnnl_memory_t> d_memory_{dnnl_.memory_destroy}, packed_{dnnl_.memory_destroy};
};

}  // namespace

PeerResult make_onednn_bf16(const Values& x, const Values& w, int threads) {
  const OneDnn* dnnl = OneDnn::load();
  if (dnnl == nullptr) return {Error::kNotFound, "install Debian package libdnnl-dev", "libdnnl.so.2"};
  auto matmul = std::make_unique<Matmul>(*dnnl, x, w, threads);
  if (!matmul->prepare()) return {Error::kUnsupportedFormat, "refuses this product in bf16", "oneDNN"};
  return PeerResult(std::move(matmul));
}

}  // namespace fourge::bench
