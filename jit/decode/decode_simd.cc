// The decoders of simd/ as registered kernels.
#include <memory>

#include "jit/decode/decode_kernel.h"

namespace fourge::jit {
namespace {

class DecodeSimd final : public DecodeKernel {
 public:
  DecodeSimd(const DecodeSpec& spec, simd::Target target, simd::DecodeFunction function)
      : spec_(spec), target_(target), function_(function) {}

  KernelCode code() const override {
    return {kernel_name(spec_) + "__" + kernel_variant_of(target_),
            level_name_of(target_),
            "bit_exact(decode)",
            {},
            {},
            "compiled from simd/decode.cc"};
  }
  void run(const DecodeArgs& args) const override { function_(spec_, args); }

 private:
  DecodeSpec spec_;
  simd::Target target_;
  simd::DecodeFunction function_;
};

}  // namespace

Result<std::shared_ptr<const DecodeKernel>> make_decode_simd(const DecodeSpec& spec, simd::Target target) {
  const simd::DecodeFunction function = simd::decode(target);
  if (function == nullptr)
    return {Error::kUnsupportedIsa, "simd/ was not compiled for this target", simd::name_of(target)};
  return std::shared_ptr<const DecodeKernel>(std::make_shared<DecodeSimd>(spec, target, function));
}

}  // namespace fourge::jit
