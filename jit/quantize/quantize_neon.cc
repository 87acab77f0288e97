#include <memory>
#include <utility>

#include "jit/aarch64/quantize.h"
#include "jit/cache.h"
#include "jit/quantize/quantize_kernel.h"
#include "jit/quantize/strips.h"

namespace fourge::jit {
namespace {

class QuantizeNeon final : public QuantizeKernel {
 public:
  QuantizeNeon(ExecutableCode strip, ExecutableCode amax, KernelNotes notes)
      : strip_(std::move(strip)), amax_(std::move(amax)), notes_(std::move(notes)) {}
  KernelCode code() const override {
    return {strip_.name(), "neon", "bit_exact(quantize)", strip_.bytes(), notes_.registers, notes_.budget};
  }
  void strip(const StripArgs& args) const override { strip_.entry<void (*)(const StripArgs*)>()(&args); }
  void amax(AmaxArgs& args) const override { amax_.entry<void (*)(AmaxArgs*)>()(&args); }

 private:
  ExecutableCode strip_, amax_;
  KernelNotes notes_;
};

Result<std::shared_ptr<const QuantizeKernel>> generate(const QuantizerSpec& spec) {
  const QuantizerSpec inner = inner_spec(spec);
  AArch64QuantizeGenerator generator(inner, false);
  Result<ExecutableCode> strip = generator.assemble(kernel_name(spec) + "__neon");
  if (!strip.ok()) return strip.failure();
  Result<ExecutableCode> amax =
      AArch64AmaxGenerator(inner, false).assemble("amax_of_" + kernel_name(spec) + "__neon");
  if (!amax.ok()) return amax.failure();
  for (const ExecutableCode* code : {&*strip, &*amax}) {
    if (const Status dumped = dump_if_asked(*code); !dumped.ok()) return dumped.failure();
  }
  return std::shared_ptr<const QuantizeKernel>(
      std::make_shared<QuantizeNeon>(std::move(*strip), std::move(*amax), generator.notes()));
}

}  // namespace

const char* quantize_neon_refusal(const QuantizerSpec& spec) { return aarch64_quantize_refusal(spec); }

Result<std::shared_ptr<const QuantizeKernel>> make_quantize_neon(const QuantizerSpec& spec) {
  static KernelCache<QuantizerSpec, QuantizeKernel> cache;
  return cache.get(spec, generate);
}

}  // namespace fourge::jit
