// Decoding 4-bit matrices to plain numbers: spec and kernel.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "fourge/error.h"
#include "fourge/kernel.h"
#include "fourge/matrix.h"

namespace fourge {

/// y = (element * block scale) * tensor scale in f32, the tensor scale as a decode multiplier; then rounded
/// to the output's format, to nearest even, beyond the largest value to infinity. A NaN scale gives NaN.
struct DecodeSpec {
  Format format = Format::nvfp4;
  ElementFormat output = ElementFormat::f32;  // f32, bf16 or f16

  bool operator==(const DecodeSpec&) const = default;
};

/// The output's format; the reason when it cannot be.
Status check(const DecodeSpec& spec);

/// decode_<output>_<format>, the name of its kernels up to the level: docs/names.md.
std::string kernel_name(const DecodeSpec& spec);

namespace jit {
class DecodeKernel;
}  // namespace jit

/// A decoder for one spec: chosen, generated or fetched from the cache. Copies share the kernel.
class Decoder {
 public:
  /// Errors: what check(spec) says; kUnsupportedIsa when no kernel can run (the reason lists every refusal).
  static Result<Decoder> create(const DecodeSpec& spec, const KernelOptions& options = {});

  /// y: rows x cols of the output's format, y_stride elements from row to row (0: cols). The matrix may have
  /// any scale layout. Safe to call from several threads at once. kUnsupportedFormat, kBadShape,
  /// kBadArgument.
  Status run(const QuantizedView& matrix, void* y, std::int64_t y_stride = 0,
             const RunOptions& options = {}) const;

  const DecodeSpec& spec() const { return spec_; }
  KernelCode code() const;
  /// One line a registered kernel: chosen, or why it was not.
  const std::vector<std::string>& decisions() const { return decisions_; }

 private:
  DecodeSpec spec_;
  std::shared_ptr<const jit::DecodeKernel> kernel_;
  std::vector<std::string> decisions_;
};

}  // namespace fourge
