// What every layout kernel of the registry offers to the dispatcher.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "fourge/layout.h"
#include "jit/registry.h"
#include "simd/layout.h"

namespace fourge::jit {

using simd::is_scales;
using simd::kCodeBytes;
using simd::kUnitRows;
using simd::kUnitTiles;
using simd::LayoutArgs;
using simd::tile_bytes;

/// Row k of a unit's 16, beside linear: 128x4 tiles hold rows that are 32 apart side by side.
constexpr int unit_row(ByteLayout tiles, int k) {
  return tiles == ByteLayout::swizzled_128x4 ? k / 4 + k % 4 * 32 : k;
}

constexpr ScaleLayout scale_layout_of(ByteLayout layout) { return static_cast<ScaleLayout>(layout); }

class LayoutKernel {
 public:
  virtual ~LayoutKernel() = default;
  virtual KernelCode code() const = 0;
  virtual void run(const LayoutArgs& args) const = 0;
  // Whether a run between linear and 128x4 covers all 128 rows of its tiles, not one unit's.
  virtual bool takes_bands() const { return false; }
};

using LayoutKernelEntry = KernelEntry<LayoutSpec, LayoutKernel>;

/// Every layout kernel, best first.
std::span<const LayoutKernelEntry> layout_kernels();

Result<std::shared_ptr<const LayoutKernel>> make_layout_scalar(const LayoutSpec& spec);
const char* layout_scalar_refusal(const LayoutSpec& spec);
Result<std::shared_ptr<const LayoutKernel>> make_layout_simd(const LayoutSpec& spec, simd::Target target);
template <simd::Target kTarget>
Result<std::shared_ptr<const LayoutKernel>> make_layout_simd(const LayoutSpec& spec) {
  return make_layout_simd(spec, kTarget);
}
constexpr const char* layout_simd_refusal(const LayoutSpec&) { return nullptr; }
#if defined(__x86_64__)
Result<std::shared_ptr<const LayoutKernel>> make_layout_avx512(const LayoutSpec& spec);
const char* layout_avx512_refusal(const LayoutSpec& spec);
/// For tests: every vector register filled with ones first.
Result<std::shared_ptr<const LayoutKernel>> make_layout_avx512_poisoned(const LayoutSpec& spec);
#endif

}  // namespace fourge::jit
