// The converters of simd/ as registered kernels.
#include <memory>

#include "jit/layout/layout_kernel.h"

namespace fourge::jit {
namespace {

class LayoutSimd final : public LayoutKernel {
 public:
  LayoutSimd(const LayoutSpec& spec, simd::Target target, simd::LayoutFunction function)
      : spec_(spec), target_(target), function_(function) {}

  KernelCode code() const override {
    return {kernel_name(spec_) + "__" + kernel_variant_of(target_),
            level_name_of(target_),
            "bit_exact(layout)",
            {},
            {},
            "compiled from simd/layout.cc"};
  }
  void run(const LayoutArgs& args) const override { function_(spec_, args); }

 private:
  LayoutSpec spec_;
  simd::Target target_;
  simd::LayoutFunction function_;
};

}  // namespace

Result<std::shared_ptr<const LayoutKernel>> make_layout_simd(const LayoutSpec& spec, simd::Target target) {
  const simd::LayoutFunction function = simd::layout(target);
  if (function == nullptr)
    return {Error::kUnsupportedIsa, "simd/ was not compiled for this target", simd::name_of(target)};
  return std::shared_ptr<const LayoutKernel>(std::make_shared<LayoutSimd>(spec, target, function));
}

}  // namespace fourge::jit
