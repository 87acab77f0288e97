#include "fourge/gemm.h"

#include <cstdlib>
#include <limits>
#include <new>

#if defined(_OPENMP)
#include <omp.h>
#endif

#include "jit/gemm/gemm_kernel.h"
#include "jit/large_memory.h"
#include "jit/registry.h"
#include "jit/select.h"

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

std::shared_ptr<std::uint8_t[]> aligned_bytes(std::int64_t bytes) {
  auto* memory = static_cast<std::uint8_t*>(jit::allocate_large(bytes));
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

Status Gemm::run(const QuantizedView& a, const PackedWeights& weights, const GemmOperands& operands,
                 const RunOptions& options, RunStats* stats) const {
  if (const Status valid = check_matrix(a, spec_.format, spec_.m, spec_.k, "activations"); !valid.ok())
    return valid;
  if (weights.n_ != spec_.n || weights.k_ != spec_.k || weights.format_ != spec_.format) {
    return {Error::kBadShape, "the packed weights are of another spec", shape(weights.n_, weights.k_)};
  }
  if (std::string_view(weights.layout_) != kernel_->layout()) {
    return {Error::kBadArgument, "the weights were packed for another kernel", weights.layout_};
  }
  if (operands.d == nullptr) return {Error::kBadArgument, "null output"};
  if (spec_.bias != (operands.bias != nullptr))
    return {Error::kBadArgument, "bias must be given exactly when the spec has one"};
  if (spec_.accumulate != (operands.c != nullptr))
    return {Error::kBadArgument, "c must be given exactly when the spec accumulates"};
  if (operands.d_stride != 0 && operands.d_stride < spec_.n) return {Error::kBadShape, "d_stride is below n"};
  if (operands.c_stride != 0 && operands.c_stride < spec_.n) return {Error::kBadShape, "c_stride is below n"};
  if (options.threads < 0) return {Error::kBadArgument, "threads must not be negative"};
  int threads = options.threads;
#if defined(_OPENMP)
  if (threads == 0) threads = omp_get_max_threads();
#else
  threads = 1;
#endif
  RunStats local;
  return kernel_->run(spec_, a, weights.data(), operands, threads, stats != nullptr ? *stats : local);
}

KernelCode Gemm::code() const { return kernel_->code(); }

namespace jit {

std::string gemm_kernel_name(const GemmSpec& spec, const char* tile, const char* isa_variant) {
  const BlockInfo block = info(spec.format);
  std::string name = std::string("gemm_") + name_of(spec.output) + "_e2m1_e2m1_" + name_of(block.scale) +
                     "b" + std::to_string(block.block);
  if (spec.bias) name += "_bias";
  return name + "_" + tile + "__" + isa_variant;
}

}  // namespace jit
}  // namespace fourge
