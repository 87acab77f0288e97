// The quantisers of simd/ as registered kernels.
#include <memory>

#include "jit/quantize/quantize_kernel.h"
#include "jit/quantize/strips.h"

namespace fourge::jit {
namespace {

class QuantizeSimd final : public QuantizeKernel {
 public:
  QuantizeSimd(const QuantizerSpec& spec, simd::Target target, simd::QuantizeFunctions functions)
      : name_(kernel_name(spec) + "__" + kernel_variant_of(target)),
        inner_(inner_spec(spec)),
        target_(target),
        functions_(functions) {}

  KernelCode code() const override {
    return {name_, level_name_of(target_), "bit_exact(quantize)", {}, {}, "compiled from simd/quantize.cc"};
  }
  void strip(const StripArgs& args) const override { functions_.strip(inner_, args); }
  void amax(AmaxArgs& args) const override { functions_.amax(inner_, args); }

 private:
  std::string name_;
  QuantizerSpec inner_;  // of what happens inside a strip
  simd::Target target_;
  simd::QuantizeFunctions functions_;
};

}  // namespace

Result<std::shared_ptr<const QuantizeKernel>> make_quantize_simd(const QuantizerSpec& spec,
                                                                 simd::Target target) {
  const simd::QuantizeFunctions functions = simd::quantize(target);
  if (functions.strip == nullptr)
    return {Error::kUnsupportedIsa, "simd/ was not compiled for this target", simd::name_of(target)};
  return std::shared_ptr<const QuantizeKernel>(std::make_shared<QuantizeSimd>(spec, target, functions));
}

}  // namespace fourge::jit
