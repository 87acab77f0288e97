// What every second-moment kernel of the registry offers to the dispatcher.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "fourge/second_moment.h"
#include "jit/registry.h"
#include "simd/second_moment.h"

namespace fourge::jit {

using simd::kMomentPanel;
using simd::kMomentStep;
using simd::MomentBlockArgs;
using simd::MomentHead;
using simd::MomentPackArgs;

class SecondMomentKernel {
 public:
  virtual ~SecondMomentKernel() = default;
  virtual KernelCode code() const = 0;
  /// A multiple of 64.
  virtual std::int64_t panel_bytes(std::int64_t steps) const = 0;
  virtual void pack(const MomentPackArgs& args) const = 0;
  virtual void block(const MomentBlockArgs& args) const = 0;
};

using SecondMomentKernelEntry = KernelEntry<SecondMomentSpec, SecondMomentKernel>;
using SecondMomentKernelPtr = std::shared_ptr<const SecondMomentKernel>;

/// Every second-moment kernel, best first.
std::span<const SecondMomentKernelEntry> second_moment_kernels();

const char* second_moment_refusal(const SecondMomentSpec& spec);  // none
Result<SecondMomentKernelPtr> make_second_moment_scalar(const SecondMomentSpec& spec);
Result<SecondMomentKernelPtr> make_second_moment_simd(const SecondMomentSpec& spec, simd::Target target);
template <simd::Target kTarget>
Result<SecondMomentKernelPtr> make_second_moment_simd(const SecondMomentSpec& spec) {
  return make_second_moment_simd(spec, kTarget);
}
#if defined(__x86_64__)
Result<SecondMomentKernelPtr> make_second_moment_vnni(const SecondMomentSpec& spec);
Result<SecondMomentKernelPtr> make_second_moment_amx(const SecondMomentSpec& spec);
/// For tests: every vector register filled with ones first.
Result<SecondMomentKernelPtr> make_second_moment_poisoned(bool amx);
#endif

}  // namespace fourge::jit
