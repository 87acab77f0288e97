// Block scales and 4-bit codes from one layout to another at the speed of a copy: spec and kernel.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "fourge/error.h"
#include "fourge/kernel.h"
#include "fourge/scale_layout.h"

namespace fourge {

enum class ByteLayout : std::uint8_t {
  // Scales: scale_layout.h
  linear,
  swizzled_128x4,
  swizzled_8x4,
  // Codes, two a byte, the low nibble first: elements 2i and 2i + 1, or element i of a block and the one half
  // a block further (GGUF; blocks of 16 for nvfp4, 32 for mxfp4)
  pairs,
  halves_16,
  halves_32,
};
const char* name_of(ByteLayout layout);

/// Between two scale layouts, or between pairs and one of the halves.
struct LayoutSpec {
  ByteLayout from = ByteLayout::linear;
  ByteLayout to = ByteLayout::swizzled_128x4;

  bool operator==(const LayoutSpec&) const = default;
};

/// Whether the layouts are of one kind and differ; the reason when not.
Status check(const LayoutSpec& spec);

/// layout_<to>_<from>, the name of its kernels up to the level: docs/names.md.
std::string kernel_name(const LayoutSpec& spec);

/// One call. Scales: rows x columns of them; `from` and `to` hold scale_bytes(layout, rows, columns) bytes
/// and must not overlap; padding of `to` becomes 0. Codes: rows x columns bytes without gaps, in whole
/// blocks; `to` may be `from`, else they must not overlap.
struct LayoutOperands {
  const std::uint8_t* from = nullptr;
  std::uint8_t* to = nullptr;
  std::int64_t rows = 0;
  std::int64_t columns = 0;
};

namespace jit {
class LayoutKernel;
}  // namespace jit

/// A converter for one spec: chosen, generated or fetched from the cache. Copies share the kernel.
class LayoutConverter {
 public:
  /// Errors: what check(spec) says; kUnsupportedIsa when no kernel can run (the reason lists every refusal).
  static Result<LayoutConverter> create(const LayoutSpec& spec, const KernelOptions& options = {});

  /// Safe to call from several threads at once. kBadShape, kBadArgument.
  Status run(const LayoutOperands& operands, const RunOptions& options = {}) const;

  const LayoutSpec& spec() const { return spec_; }
  KernelCode code() const;
  /// One line a registered kernel: chosen, or why it was not.
  const std::vector<std::string>& decisions() const { return decisions_; }

 private:
  LayoutSpec spec_;
  std::shared_ptr<const jit::LayoutKernel> kernel_;
  std::vector<std::string> decisions_;
};

}  // namespace fourge
