#include "fourge/gemm.h"

#include <algorithm>
#include <cstdlib>
#include <limits>
#include <new>

#if defined(__linux__)
#include <sys/mman.h>
#endif
#if defined(_OPENMP)
#include <omp.h>
#endif

#include "jit/gemm/gemm_kernel.h"
#include "jit/registry.h"
#include "jit/select.h"
#include "jit/verbose.h"

namespace fourge {
namespace {

// Bytes of any buffer stay below 2^62: products of sizes are then safe to form.
constexpr std::int64_t kMaxSize = std::int64_t{1} << 30;

std::string shape(std::int64_t rows, std::int64_t cols) {
  return std::to_string(rows) + " x " + std::to_string(cols);
}

Status check_matrix(const QuantizedView& matrix, Format format, std::int64_t rows, std::int64_t cols,
                    const char* what) {
  if (matrix.format != format) {
    return {Error::kUnsupportedFormat, "the matrix is not in the spec's format",
            std::string(what) + ": " + name_of(matrix.format) + ", expected " + name_of(format)};
  }
  if (matrix.rows != rows || matrix.cols != cols) {
    return {Error::kBadShape, "the matrix does not have the spec's shape",
            std::string(what) + ": " + shape(matrix.rows, matrix.cols) + ", expected " + shape(rows, cols)};
  }
  if (matrix.codes == nullptr || matrix.scales == nullptr)
    return {Error::kBadArgument, "null codes or scales", what};
  return {};
}

std::string shape(const GemmSpec& spec) { return shape(spec.m, spec.n) + " x " + std::to_string(spec.k); }

std::string what_runs(const KernelCode& code, const GemmSpec& spec, int threads) {
  return code.name + ": " + shape(spec) + ", threads " + std::to_string(threads);
}

Status check_plain(const PlainView& a, const GemmSpec& spec) {
  if (spec.activations == Activations::same)
    return {Error::kUnsupportedFormat, "the spec's activations are quantised", name_of(spec.format)};
  if (a.rows != spec.m || a.cols != spec.k) {
    return {Error::kBadShape, "the matrix does not have the spec's shape",
            "activations: " + shape(a.rows, a.cols) + ", expected " + shape(spec.m, spec.k)};
  }
  if (a.data == nullptr) return {Error::kBadArgument, "null data", "activations"};
  if (a.stride != 0 && a.stride < a.cols)
    return {Error::kBadShape, "the row stride is below k", "activations: " + std::to_string(a.stride)};
  return {};
}

int thread_count(const RunOptions& options) {
#if defined(_OPENMP)
  return options.threads != 0 ? options.threads : omp_get_max_threads();
#else
  static_cast<void>(options);
  return 1;
#endif
}

void add(RunStats& total, const RunStats& part) {
  total.vectors += part.vectors;
  total.segment_vectors += part.segment_vectors;
  total.general_vectors += part.general_vectors;
}

// Large buffers come as pages that nobody has touched: each lands on the node of the thread that packs into
// it. Recycled heap memory would keep its old place.
std::shared_ptr<std::uint8_t[]> aligned_bytes(std::int64_t bytes) {
#if defined(__linux__)
  constexpr std::int64_t kHugePage = std::int64_t{2} << 20;
  if (bytes >= kHugePage) {
    const auto size = static_cast<std::size_t>(bytes);
    void* pages = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED) return nullptr;
    madvise(pages, size, MADV_HUGEPAGE);  // a hint: fewer TLB misses while weights stream by
    return {static_cast<std::uint8_t*>(pages), [size](std::uint8_t* p) { munmap(p, size); }};
  }
#endif
  const auto rounded = static_cast<std::size_t>(round_up(bytes, 64));
  auto* memory = static_cast<std::uint8_t*>(std::aligned_alloc(64, rounded));
  return {memory, [](std::uint8_t* p) { std::free(p); }};  // NOLINT(cppcoreguidelines-no-malloc)
}

}  // namespace

Status check(const GemmSpec& spec) {
  const std::string where =
      "m " + std::to_string(spec.m) + ", n " + std::to_string(spec.n) + ", k " + std::to_string(spec.k);
  if (spec.m < 1 || spec.n < 1 || spec.k < 1)
    return {Error::kBadShape, "m, n and k must be at least 1", where};
  if (spec.m > kMaxSize || spec.n > kMaxSize || spec.k > kMaxSize)
    return {Error::kBadShape, "a size is beyond 2^30", where};
  if (spec.blocking.mc < 0 || spec.blocking.kc < 0)
    return {Error::kBadArgument, "a cache block must not be negative", where};
  if (spec.k % info(spec.format).block != 0) {
    return {Error::kBadShape,
            spec.format == Format::mxfp4 ? "k must be a multiple of the scale block, 32"
                                         : "k must be a multiple of the scale block, 16",
            where};
  }
  if (spec.numerics == Numerics::blackwell && spec.activations != Activations::same) {
    return {Error::kBadArgument, "numerics blackwell needs both operands quantised; use numerics fast",
            where};
  }
  return {};
}

Result<Gemm> Gemm::create(const GemmSpec& spec, const GemmOptions& options) {
  if (const Status valid = check(spec); !valid.ok()) return valid.failure();
  const Result<jit::Isa> cap = jit::level_cap(options);
  if (!cap.ok()) return cap.failure();
  jit::Selection selection = jit::select(spec, jit::host_features(), *cap, options.kernel);
  jit::say_decisions("gemm " + shape(spec), selection.decisions);
  if (selection.entry == nullptr) {
    return {Error::kUnsupportedIsa, "no kernel can run this GEMM here", jit::join(selection.decisions)};
  }
  auto kernel = selection.entry->make(spec);
  if (!kernel.ok()) return kernel.failure();
  Gemm gemm;
  gemm.spec_ = spec;
  gemm.kernel_ = std::move(*kernel);
  gemm.decisions_ = std::move(selection.decisions);
  return gemm;
}

Result<PackedWeights> Gemm::pack(const QuantizedView& weights) const {
  if (const Status valid = check_matrix(weights, spec_.format, spec_.n, spec_.k, "weights"); !valid.ok())
    return valid.failure();
  PackedWeights packed;
  packed.n_ = spec_.n;
  packed.k_ = spec_.k;
  packed.format_ = spec_.format;
  packed.tensor_scale_ = weights.tensor_scale;
  packed.layout_ = kernel_->layout();
  packed.bytes_ = kernel_->packed_bytes(spec_.n, spec_.k);
  packed.data_ = aligned_bytes(packed.bytes_);
  if (packed.data_ == nullptr)
    return {Error::kOutOfMemory, "no memory for the packed weights", shape(spec_.n, spec_.k)};
  kernel_->pack(weights, packed.data_.get());
  return packed;
}

Status Gemm::check_call(const GemmSpec& spec, const PackedWeights& weights, const GemmOperands& operands,
                        const RunOptions& options) const {
  if (weights.n_ != spec.n || weights.k_ != spec.k || weights.format_ != spec.format) {
    return {Error::kBadShape, "the packed weights are of another spec", shape(weights.n_, weights.k_)};
  }
  if (std::string_view(weights.layout_) != kernel_->layout()) {
    return {Error::kBadArgument, "the weights were packed for another kernel", weights.layout_};
  }
  if (operands.d == nullptr) return {Error::kBadArgument, "null output"};
  if (spec.bias != (operands.bias != nullptr))
    return {Error::kBadArgument, "bias must be given exactly when the spec has one"};
  if (spec.accumulate != (operands.c != nullptr))
    return {Error::kBadArgument, "c must be given exactly when the spec accumulates"};
  if (operands.d_stride != 0 && operands.d_stride < spec.n) return {Error::kBadShape, "d_stride is below n"};
  if (operands.c_stride != 0 && operands.c_stride < spec.n) return {Error::kBadShape, "c_stride is below n"};
  if (options.threads < 0) return {Error::kBadArgument, "threads must not be negative"};
  return {};
}

Status Gemm::run(const QuantizedView& a, const PackedWeights& weights, const GemmOperands& operands,
                 const RunOptions& options, RunStats* stats) const {
  if (spec_.activations != Activations::same)
    return {Error::kUnsupportedFormat, "the spec's activations are plain numbers",
            name_of(spec_.activations)};
  if (const Status valid = check_matrix(a, spec_.format, spec_.m, spec_.k, "activations"); !valid.ok())
    return valid;
  if (const Status valid = check_call(spec_, weights, operands, options); !valid.ok()) return valid;
  const int threads = thread_count(options);
  const jit::ExecTimer timer([&] { return what_runs(code(), spec_, threads); });
  RunStats local;
  return kernel_->run(spec_, a, weights.data(), operands, threads, stats != nullptr ? *stats : local);
}

Status Gemm::run(const PlainView& a, const PackedWeights& weights, const GemmOperands& operands,
                 const RunOptions& options, RunStats*) const {
  if (const Status valid = check_plain(a, spec_); !valid.ok()) return valid;
  if (const Status valid = check_call(spec_, weights, operands, options); !valid.ok()) return valid;
  const int threads = thread_count(options);
  const jit::ExecTimer timer([&] { return what_runs(code(), spec_, threads); });
  return kernel_->run_plain(spec_, a, weights.data(), operands, threads);
}

// Items that are a large part of the batch run one after another, each on all threads. The others are spread,
// one thread each, largest first: the last one to finish is then at most a quarter of a thread's share.
Status Gemm::run_batch(std::span<const GemmBatchItem> items, const RunOptions& options,
                       RunStats* stats) const {
  std::vector<const GemmBatchItem*> order;
  std::int64_t rows = 0;
  for (const GemmBatchItem& item : items) {
    if (item.m == 0) continue;
    if (const Status valid = check_item(item, options); !valid.ok()) {
      return {valid.failure().error, valid.failure().reason,
              "item " + std::to_string(&item - items.data()) +
                  (valid.failure().where.empty() ? "" : ": " + valid.failure().where)};
    }
    order.push_back(&item);
    rows += item.m;
  }
  std::stable_sort(order.begin(), order.end(), [](const auto* x, const auto* y) { return x->m > y->m; });
  const int threads = thread_count(options);
  RunStats total;
  std::size_t next = 0;
  for (; next < order.size() && (threads == 1 || order[next]->m > rows / (4 * threads)); ++next) {
    if (const Status ran = run_item(*order[next], threads, total); !ran.ok()) return ran;
  }
  Status failed;
  const auto count = static_cast<std::int64_t>(order.size());
#pragma omp parallel num_threads(threads) if (count > static_cast <std::int64_t>(next))
  {
    RunStats local;
#pragma omp for schedule(dynamic)
    for (std::int64_t i = static_cast<std::int64_t>(next); i < count; ++i) {
      const Status ran = run_item(*order[static_cast<std::size_t>(i)], 1, local);
#pragma omp critical(fourge_batch)
      if (!ran.ok()) failed = ran;
    }
#pragma omp critical(fourge_batch)
    add(total, local);
  }
  if (stats != nullptr) add(*stats, total);
  return failed;
}

Status Gemm::check_item(const GemmBatchItem& item, const RunOptions& options) const {
  GemmSpec spec = spec_;
  spec.m = item.m;
  if (const Status valid = check(spec); !valid.ok()) return valid;
  if (item.weights == nullptr) return {Error::kBadArgument, "null weights"};
  const Status matrix = spec.activations == Activations::same
                            ? check_matrix(item.a, spec.format, spec.m, spec.k, "activations")
                            : check_plain(item.plain, spec);
  return matrix.ok() ? check_call(spec, *item.weights, item.operands, options) : matrix;
}

Status Gemm::run_item(const GemmBatchItem& item, int threads, RunStats& stats) const {
  GemmSpec spec = spec_;
  spec.m = item.m;
  const jit::ExecTimer timer([&] { return what_runs(code(), spec, threads); });
  if (spec.activations != Activations::same)
    return kernel_->run_plain(spec, item.plain, item.weights->data(), item.operands, threads);
  return kernel_->run(spec, item.a, item.weights->data(), item.operands, threads, stats);
}

KernelCode Gemm::code() const { return kernel_->code(); }

namespace jit {

std::string gemm_kernel_name(const GemmSpec& spec, const char* tile, const char* isa_variant) {
  const BlockInfo block = info(spec.format);
  std::string name = std::string("gemm_") + name_of(spec.output) + "_" +
                     (spec.activations == Activations::same ? "e2m1" : name_of(spec.activations)) + "_e2m1_" +
                     name_of(block.scale) + "b" + std::to_string(block.block);
  if (spec.bias) name += "_bias";
  return name + "_" + tile + "__" + isa_variant;
}

}  // namespace jit
}  // namespace fourge
