// D = alpha * A B^T + bias on 4-bit operands: spec, kernel, packed weights.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "fourge/error.h"
#include "fourge/kernel.h"
#include "fourge/matrix.h"

namespace fourge {

/// What the sum over k means.
enum class Numerics : std::uint8_t {
  blackwell,  // bit-exact: the chain of K = 64 block-scaled tensor-core instructions in ascending k, each
              // rounded to f32 toward zero; then fma(alpha, acc, bias) in f32 RNE, then the output's RNE
  fast,       // f32 accumulation in an order of the kernel's choice, the same for every run and thread count
};

enum class Activations : std::uint8_t {
  same,  // quantised, in the weights' format (W4A4)
  bf16,  // W4A16, Numerics::fast only
  f32,   // W4A16 with f32 input, Numerics::fast only
};

// W4A16, bit for bit the same for every kernel, thread count and m (a row's result does not depend on the
// rows beside it). All operations in f32, to nearest even, with subnormals:
//   acc = C, or +0
//   for every scale block of B, in ascending k:
//     dot = a[0] * e[0];  dot = fma(a[i], e[i], dot) for i = 1, 2, ... of the block      e: e2m1 elements
//     acc = fma(dot, scale, acc)
//   D = round(bias ? fma(alpha, acc, bias) : alpha * acc)                     NaN is canonical: 0x7fffffff
//
// Error. With b = elements of a block, G = k / b, n = b + G, gamma_n = n u / (1 - n u), u = 2^-24, as long as
// no |a| exceeds 2^119 and acc stays finite (docs/gemm.md):
//   |acc - exact| <= gamma_n (|C| + sum |a e scale|) + (1 + gamma_n) 2^-150 (b * sum of the G scales + G)

enum class OutputType : std::uint8_t { f32, bf16, f16 };

constexpr const char* name_of(Numerics n) { return n == Numerics::blackwell ? "blackwell" : "fast"; }
constexpr const char* name_of(Activations a) {
  return a == Activations::same ? "same" : a == Activations::bf16 ? "bf16" : "f32";
}
constexpr const char* name_of(OutputType t) {
  return t == OutputType::f32 ? "f32" : t == OutputType::bf16 ? "bf16" : "f16";
}
constexpr std::int64_t bytes_of(OutputType t) { return t == OutputType::f32 ? 4 : 2; }

/// Cache blocks; 0 leaves the choice to the kernel, which derives it from the sizes of the caches and the
/// shape. Kernels round them to what their tiles allow; the one in use is in KernelCode::plan.
struct Blocking {
  std::int64_t mc = 0;  // rows of A whose operands stay in the second-level cache while all of B passes
  std::int64_t kc = 0;  // their elements along k

  bool operator==(const Blocking&) const = default;
};

/// One GEMM. A is m x k activations, B is n x k weights (row j of B = column j of the product), D is m x n.
/// k must be a multiple of the scale block; a last partial K = 64 step counts as filled up with zero codes
/// and zero scale bytes, which changes no bit (docs/numerics.md, "tails").
struct GemmSpec {
  std::int64_t m = 1;
  std::int64_t n = 1;
  std::int64_t k = 64;
  Format format = Format::nvfp4;
  Numerics numerics = Numerics::blackwell;
  Activations activations = Activations::same;
  OutputType output = OutputType::f32;
  bool bias = false;        // f32 [n], added by the epilogue
  bool accumulate = false;  // the chain starts from a given C, f32 m x n, instead of +0
  Blocking blocking{};      // speed only: no bit depends on it

  bool operator==(const GemmSpec&) const = default;
};

/// Sizes and combinations; the reason when they cannot be.
Status check(const GemmSpec& spec);

/// Operands of one call that are not the two matrices. Strides count elements.
struct GemmOperands {
  const float* c = nullptr;     // accumulate only: m x n, row stride c_stride
  std::int64_t c_stride = 0;    // 0 means n
  const float* bias = nullptr;  // bias only: [n]
  float alpha = 1.0f;           // the tensor scales, multiplied in by the caller (gemm_alpha)
  void* d = nullptr;            // m x n of the output type
  std::int64_t d_stride = 0;    // 0 means n
};

/// alpha of a W4A4 product: both tensor scales as decode multipliers, multiplied in f32.
inline float gemm_alpha(const TensorScale& a, const TensorScale& b) {
  return a.as_decode_multiplier() * b.as_decode_multiplier();
}

/// Activations of W4A16: plain numbers, row-major, bf16 or f32 as the spec says.
struct PlainView {
  const void* data = nullptr;
  std::int64_t rows = 0;
  std::int64_t cols = 0;
  std::int64_t stride = 0;  // elements from row to row; 0 means cols
};

/// What a run did. A vector is 16 outputs of one row over one K = 64 step.
struct RunStats {
  std::int64_t vectors = 0;
  std::int64_t segment_vectors = 0;  // certified over a whole segment of steps: nothing is rounded inside
  std::int64_t general_vectors = 0;  // not certified: through the general path
  // The rest is certified step by step: the exact sum, rounded once toward zero.

  double certified_fraction() const {
    return vectors == 0 ? 1.0 : 1.0 - static_cast<double>(general_vectors) / static_cast<double>(vectors);
  }
};

namespace jit {
class GemmKernel;
enum class Isa : std::uint8_t;
}  // namespace jit

/// Weights in a kernel's own layout, made once by Gemm::pack. Movable; safe to share between threads.
class PackedWeights {
 public:
  std::int64_t n() const { return n_; }
  std::int64_t k() const { return k_; }
  Format format() const { return format_; }
  const TensorScale& tensor_scale() const { return tensor_scale_; }
  std::int64_t bytes() const { return bytes_; }
  double bits_per_weight() const {
    return 8.0 * static_cast<double>(bytes_) / (static_cast<double>(n_) * static_cast<double>(k_));
  }
  const std::uint8_t* data() const { return data_.get(); }

 private:
  friend class Gemm;
  std::int64_t n_ = 0, k_ = 0, bytes_ = 0;
  Format format_ = Format::nvfp4;
  TensorScale tensor_scale_;
  const char* layout_ = "";
  std::shared_ptr<std::uint8_t[]> data_;  // 64-byte aligned
};

using GemmOptions = KernelOptions;

/// One product of a batch: an expert with its rows, an attention head.
struct GemmBatchItem {
  std::int64_t m = 0;                      // rows; 0: nothing to do, and nothing else is looked at
  QuantizedView a = {};                    // Activations::same
  PlainView plain = {};                    // Activations::bf16 and f32
  const PackedWeights* weights = nullptr;  // packed by this Gemm or one of the same spec but m
  GemmOperands operands = {};
};

/// A GEMM for one spec: chosen, generated or fetched from the cache. Copies share the kernel.
class Gemm {
 public:
  /// Errors: what check(spec) says; kUnsupportedIsa when no kernel can run (the reason lists every refusal).
  static Result<Gemm> create(const GemmSpec& spec, const GemmOptions& options = {});

  /// Repacks an n x k matrix of the spec's format, in any scale layout. kBadShape, kUnsupportedFormat.
  Result<PackedWeights> pack(const QuantizedView& weights) const;

  /// D = alpha * A B^T (+ bias). a: m x k in the spec's format. Safe to call from several threads at once.
  Status run(const QuantizedView& a, const PackedWeights& weights, const GemmOperands& operands,
             const RunOptions& options = {}, RunStats* stats = nullptr) const;
  /// The same with plain activations (W4A16). alpha: the weights' tensor scale as a decode multiplier.
  Status run(const PlainView& a, const PackedWeights& weights, const GemmOperands& operands,
             const RunOptions& options = {}, RunStats* stats = nullptr) const;

  /// Products that differ in m, weights and operands, spread over the threads; the bits are those of single
  /// runs of a Gemm whose spec has the item's m and this kernel. The spec's m served to choose the kernel;
  /// items may have more rows or fewer. Outputs must not overlap. Every item is checked before the first one
  /// runs; the failure says which.
  Status run_batch(std::span<const GemmBatchItem> items, const RunOptions& options = {},
                   RunStats* stats = nullptr) const;

  const GemmSpec& spec() const { return spec_; }
  KernelCode code() const;
  /// One line a registered kernel: chosen, or why it was not.
  const std::vector<std::string>& decisions() const { return decisions_; }

 private:
  Status check_call(const GemmSpec& spec, const PackedWeights& weights, const GemmOperands& operands,
                    const RunOptions& options) const;
  Status check_item(const GemmBatchItem& item, const RunOptions& options) const;
  Status run_item(const GemmBatchItem& item, int threads, RunStats& stats) const;

  GemmSpec spec_;
  std::shared_ptr<const jit::GemmKernel> kernel_;
  std::vector<std::string> decisions_;
};

}  // namespace fourge
