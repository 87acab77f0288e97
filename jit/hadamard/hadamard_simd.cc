// The rotations of simd/ as registered kernels.
#include <memory>

#include "jit/hadamard/hadamard_kernel.h"

namespace fourge::jit {
namespace {

class HadamardSimd final : public HadamardKernel {
 public:
  HadamardSimd(const HadamardSpec& spec, simd::Target target, simd::HadamardFunction function)
      : spec_(spec), target_(target), function_(function) {}

  KernelCode code() const override {
    return {kernel_name(spec_) + "__" + kernel_variant_of(target_),
            level_name_of(target_),
            "bit_exact(hadamard)",
            {},
            {},
            "compiled from simd/hadamard.cc"};
  }
  void run(const HadamardArgs& args) const override { function_(spec_, args); }

 private:
  HadamardSpec spec_;
  simd::Target target_;
  simd::HadamardFunction function_;
};

}  // namespace

Result<std::shared_ptr<const HadamardKernel>> make_hadamard_simd(const HadamardSpec& spec,
                                                                 simd::Target target) {
  const simd::HadamardFunction function = simd::hadamard(target);
  if (function == nullptr)
    return {Error::kUnsupportedIsa, "simd/ was not compiled for this target", simd::name_of(target)};
  return std::shared_ptr<const HadamardKernel>(std::make_shared<HadamardSimd>(spec, target, function));
}

}  // namespace fourge::jit
