// What every Hadamard kernel of the registry offers to the dispatcher.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "fourge/hadamard.h"
#include "jit/registry.h"
#include "simd/hadamard.h"

namespace fourge::jit {

using simd::Footprint;
using simd::HadamardArgs;

class HadamardKernel {
 public:
  virtual ~HadamardKernel() = default;
  virtual KernelCode code() const = 0;
  virtual void run(const HadamardArgs& args) const = 0;
};

using HadamardKernelEntry = KernelEntry<HadamardSpec, HadamardKernel>;

/// Every Hadamard kernel, best first.
std::span<const HadamardKernelEntry> hadamard_kernels();

Result<std::shared_ptr<const HadamardKernel>> make_hadamard_scalar(const HadamardSpec& spec);
const char* hadamard_scalar_refusal(const HadamardSpec& spec);
Result<std::shared_ptr<const HadamardKernel>> make_hadamard_simd(const HadamardSpec& spec,
                                                                 simd::Target target);
template <simd::Target kTarget>
Result<std::shared_ptr<const HadamardKernel>> make_hadamard_simd(const HadamardSpec& spec) {
  return make_hadamard_simd(spec, kTarget);
}
#if defined(__aarch64__)
Result<std::shared_ptr<const HadamardKernel>> make_hadamard_neon(const HadamardSpec& spec);
const char* hadamard_neon_refusal(const HadamardSpec& spec);
#endif
#if defined(__x86_64__)
Result<std::shared_ptr<const HadamardKernel>> make_hadamard_avx512(const HadamardSpec& spec);
const char* hadamard_avx512_refusal(const HadamardSpec& spec);
/// For tests: every vector register filled with ones first.
Result<std::shared_ptr<const HadamardKernel>> make_hadamard_avx512_poisoned(const HadamardSpec& spec);
#endif

}  // namespace fourge::jit
