#include <algorithm>
#include <memory>
#include <utility>

#include "jit/cache.h"
#include "jit/quantize/quantize_kernel.h"
#include "jit/quantize/strips.h"
#include "jit/x86/quantize.h"

namespace fourge::jit {
namespace {

struct QuantizeCode {
  ExecutableCode strip, amax;
  KernelNotes notes;
};

struct CacheKey {
  QuantizerSpec spec;
  bool poison;
  bool operator==(const CacheKey&) const = default;
};

class QuantizeAvx512 final : public QuantizeKernel {
 public:
  explicit QuantizeAvx512(std::shared_ptr<const QuantizeCode> code) : code_(std::move(code)) {}
  KernelCode code() const override {
    return {
        code_->strip.name(), "avx512", "bit_exact(quantize)", code_->strip.bytes(), code_->notes.registers,
        code_->notes.budget, {},       code_->notes.ports};
  }
  void strip(const StripArgs& args) const override {
    code_->strip.entry<void (*)(const StripArgs*)>()(&args);
  }
  void amax(AmaxArgs& args) const override {
    code_->amax.entry<void (*)(AmaxArgs*)>()(&args);
    args.amax = *std::max_element(std::begin(args.lanes), std::end(args.lanes));
  }

 private:
  std::shared_ptr<const QuantizeCode> code_;
};

Result<std::shared_ptr<const QuantizeCode>> generate_code(const CacheKey& key) {
  const QuantizerSpec inner = inner_spec(key.spec);
  QuantizeGenerator generator(inner, key.poison);
  Result<ExecutableCode> strip = generator.assemble(kernel_name(key.spec) + "__avx512");
  if (!strip.ok()) return strip.failure();
  Result<ExecutableCode> amax =
      AmaxGenerator(inner, key.poison).assemble("amax_of_" + kernel_name(key.spec) + "__avx512");
  if (!amax.ok()) return amax.failure();
  for (const ExecutableCode* code : {&*strip, &*amax}) {
    if (const Status dumped = dump_if_asked(*code); !dumped.ok()) return dumped.failure();
  }
  return std::shared_ptr<const QuantizeCode>(
      std::make_shared<QuantizeCode>(QuantizeCode{std::move(*strip), std::move(*amax), generator.notes()}));
}

Result<std::shared_ptr<const QuantizeKernel>> make_cached(const QuantizerSpec& spec, bool poison) {
  static KernelCache<CacheKey, QuantizeCode> cache;
  auto code = cache.get({spec, poison}, generate_code);
  if (!code.ok()) return code.failure();
  return std::shared_ptr<const QuantizeKernel>(std::make_shared<QuantizeAvx512>(std::move(*code)));
}

}  // namespace

const char* quantize_avx512_refusal(const QuantizerSpec& spec) {
  return tries_scales(spec.quantize.rule) ? "has no rule that tries scales" : nullptr;
}

Result<std::shared_ptr<const QuantizeKernel>> make_quantize_avx512(const QuantizerSpec& spec) {
  return make_cached(spec, false);
}

Result<std::shared_ptr<const QuantizeKernel>> make_quantize_avx512_poisoned(const QuantizerSpec& spec) {
  return make_cached(spec, true);
}

}  // namespace fourge::jit
