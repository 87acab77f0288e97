// The rotations of simd/ as registered kernels.
#include <memory>

#include "jit/hadamard/hadamard_kernel.h"

namespace fourge::jit {
namespace {

const char* variant_of(simd::Target target) {
  return target == simd::Target::avx3 ? "avx512_highway" : simd::name_of(target);
}

class HadamardSimd final : public HadamardKernel {
 public:
  HadamardSimd(const HadamardSpec& spec, simd::Target target, simd::HadamardFunction function)
      : spec_(spec), target_(target), function_(function) {}

  KernelCode code() const override {
    const char* isa = target_ == simd::Target::avx3 ? "avx512" : simd::name_of(target_);
    return {kernel_name(spec_) + "__" + variant_of(target_),
            isa,
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
