// What every GEMM kernel of the registry offers to the dispatcher.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "fourge/gemm.h"
#include "jit/cpu.h"

namespace fourge::jit {

class GemmKernel {
 public:
  virtual ~GemmKernel() = default;

  virtual KernelCode code() const = 0;
  /// Identifies the packed layout: weights packed by one kernel run only with kernels of the same layout.
  virtual const char* layout() const = 0;
  virtual std::int64_t packed_bytes(std::int64_t n, std::int64_t k) const = 0;
  virtual void pack(const QuantizedView& weights, std::uint8_t* packed) const = 0;
  virtual Status run(const GemmSpec& spec, const QuantizedView& a, const std::uint8_t* packed,
                     const GemmOperands& operands, int threads, RunStats& stats) const = 0;
  /// Kernels of W4A16 only; the others are never asked.
  virtual Status run_plain(const GemmSpec&, const PlainView&, const std::uint8_t*, const GemmOperands&,
                           int) const {
    return {Error::kUnsupportedFormat, "the kernel takes quantised activations"};
  }
};

/// The layout that all kernels share: streams of 16-column panels (simd/exact_operands.h).
inline constexpr const char* kPanelLayout = "exact_panels_16";

/// gemm_<d>_<a>_<b>_<scale>b<block>_<mr>x<nr>x<kr>__<isa>_<variant>: docs/names.md.
std::string gemm_kernel_name(const GemmSpec& spec, const char* tile, const char* isa_variant);

/// One line of jit/kernels.inc.
struct GemmKernelEntry {
  const char* tile;         // mr x nr x kr
  const char* isa_variant;  // the name's last part
  Isa isa;
  Numerics numerics;        // blackwell: bit_exact(the tensor core's model); fast: with plain activations
                            // bit_exact(w4a16)
  std::int64_t smallest_m;  // fewer rows: dispatch prefers the next kernel
  const char* (*refusal)(const GemmSpec& spec);  // null: takes the spec; else the reason
  Result<std::shared_ptr<const GemmKernel>> (*make)(const GemmSpec& spec);

  std::string name(const GemmSpec& spec) const { return gemm_kernel_name(spec, tile, isa_variant); }
};

}  // namespace fourge::jit
