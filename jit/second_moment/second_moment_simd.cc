// The second moments of simd/ as registered kernels.
#include "jit/second_moment/second_moment_kernel.h"

namespace fourge::jit {
namespace {

class SecondMomentSimd final : public SecondMomentKernel {
 public:
  SecondMomentSimd(simd::Target target, simd::SecondMomentFunctions functions)
      : target_(target), functions_(functions) {}

  KernelCode code() const override {
    return {std::string("second_moment_f64_f32__") + kernel_variant_of(target_),
            level_name_of(target_),
            "bit_exact(second_moment)",
            {},
            {},
            "compiled from simd/second_moment.cc"};
  }
  std::int64_t panel_bytes(std::int64_t steps) const override { return simd::pair_panel_bytes(steps); }
  void pack(const MomentPackArgs& args) const override { functions_.pack(args); }
  void block(const MomentBlockArgs& args) const override { functions_.block(args); }

 private:
  simd::Target target_;
  simd::SecondMomentFunctions functions_;
};

}  // namespace

Result<SecondMomentKernelPtr> make_second_moment_simd(const SecondMomentSpec&, simd::Target target) {
  const simd::SecondMomentFunctions functions = simd::second_moment(target);
  if (functions.block == nullptr)
    return {Error::kUnsupportedIsa, "simd/ was not compiled for this target", simd::name_of(target)};
  return SecondMomentKernelPtr(std::make_shared<SecondMomentSimd>(target, functions));
}

}  // namespace fourge::jit
