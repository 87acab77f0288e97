// What every quantise kernel of the registry offers to the dispatcher.
//
// Kernels work on groups of 256 elements of a row: 16 blocks of 16 or 8 blocks of 32. The driver fills a
// row's last group with zeros.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>

#include "fourge/quantizer.h"
#include "jit/registry.h"
#include "simd/quantize.h"

namespace fourge::jit {

using simd::AmaxArgs;
using simd::kGroup;
using simd::kPhiloxRounds;
using simd::sign_word_index;
using simd::StripArgs;

/// Rotations done inside a group; other orders are rotated beforehand.
constexpr bool rotates_in_group(std::int64_t order) {
  return order >= 16 && order <= kGroup && (order & (order - 1)) == 0;
}

class QuantizeKernel {
 public:
  virtual ~QuantizeKernel() = default;
  virtual KernelCode code() const = 0;
  virtual void strip(const StripArgs& args) const = 0;
  virtual void amax(AmaxArgs& args) const = 0;
};

using QuantizeKernelEntry = KernelEntry<QuantizerSpec, QuantizeKernel>;

/// Every quantise kernel, best first.
std::span<const QuantizeKernelEntry> quantize_kernels();

/// What Quantizer::run does with operands that it has checked.
Result<QuantizeOutcome> quantize_with(const QuantizeKernel& kernel, const QuantizerSpec& spec,
                                      const QuantizeOperands& operands, int threads);

Result<std::shared_ptr<const QuantizeKernel>> make_quantize_scalar(const QuantizerSpec& spec);
const char* quantize_scalar_refusal(const QuantizerSpec& spec);
Result<std::shared_ptr<const QuantizeKernel>> make_quantize_simd(const QuantizerSpec& spec,
                                                                 simd::Target target);
template <simd::Target kTarget>
Result<std::shared_ptr<const QuantizeKernel>> make_quantize_simd(const QuantizerSpec& spec) {
  return make_quantize_simd(spec, kTarget);
}
constexpr const char* quantize_simd_refusal(const QuantizerSpec&) { return nullptr; }
#if defined(__aarch64__)
Result<std::shared_ptr<const QuantizeKernel>> make_quantize_neon(const QuantizerSpec& spec);
const char* quantize_neon_refusal(const QuantizerSpec& spec);
#endif
#if defined(__x86_64__)
Result<std::shared_ptr<const QuantizeKernel>> make_quantize_avx512(const QuantizerSpec& spec);
const char* quantize_avx512_refusal(const QuantizerSpec& spec);
/// For tests: every vector register filled with ones first.
Result<std::shared_ptr<const QuantizeKernel>> make_quantize_avx512_poisoned(const QuantizerSpec& spec);
#endif

}  // namespace fourge::jit
