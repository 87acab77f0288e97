#include <memory>
#include <utility>

#include "jit/cache.h"
#include "jit/hadamard/hadamard_kernel.h"
#include "jit/x86/hadamard.h"

namespace fourge::jit {
namespace {

struct HadamardCode {
  ExecutableCode code;
  KernelNotes notes;
};

struct CacheKey {
  HadamardSpec spec;
  bool poison;
  bool operator==(const CacheKey&) const = default;
};

class HadamardAvx512 final : public HadamardKernel {
 public:
  explicit HadamardAvx512(std::shared_ptr<const HadamardCode> code) : code_(std::move(code)) {}
  KernelCode code() const override {
    return {code_->code.name(),     "avx512",           "bit_exact(hadamard)", code_->code.bytes(),
            code_->notes.registers, code_->notes.budget};
  }
  void run(const HadamardArgs& args) const override {
    code_->code.entry<void (*)(const HadamardArgs*)>()(&args);
  }

 private:
  std::shared_ptr<const HadamardCode> code_;
};

Result<std::shared_ptr<const HadamardCode>> generate_code(const CacheKey& key) {
  HadamardGenerator generator(key.spec, key.poison);
  Result<ExecutableCode> code = generator.assemble(kernel_name(key.spec) + "__avx512");
  if (!code.ok()) return code.failure();
  if (const Status dumped = dump_if_asked(*code); !dumped.ok()) return dumped.failure();
  return std::shared_ptr<const HadamardCode>(
      std::make_shared<HadamardCode>(HadamardCode{std::move(*code), generator.notes()}));
}

Result<std::shared_ptr<const HadamardKernel>> make_cached(const HadamardSpec& spec, bool poison) {
  static KernelCache<CacheKey, HadamardCode> cache;
  auto code = cache.get({spec, poison}, generate_code);
  if (!code.ok()) return code.failure();
  return std::shared_ptr<const HadamardKernel>(std::make_shared<HadamardAvx512>(std::move(*code)));
}

}  // namespace

const char* hadamard_avx512_refusal(const HadamardSpec& spec) {
  const HadamardFactors factors = hadamard_factors(spec.order);
  if (factors.paley > 1 && factors.power < 16) return "runs of a Paley order shorter than a vector of 16";
  return nullptr;
}

Result<std::shared_ptr<const HadamardKernel>> make_hadamard_avx512(const HadamardSpec& spec) {
  return make_cached(spec, false);
}

Result<std::shared_ptr<const HadamardKernel>> make_hadamard_avx512_poisoned(const HadamardSpec& spec) {
  return make_cached(spec, true);
}

}  // namespace fourge::jit
