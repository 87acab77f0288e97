#include <cstdint>
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
  HadamardTraffic traffic = {};
  bool operator==(const CacheKey&) const = default;
};

Result<std::shared_ptr<const HadamardCode>> get_cached(const CacheKey& key);

HadamardTraffic traffic_of(const HadamardSpec& spec, const HadamardArgs& args) {
  const bool aligned = (reinterpret_cast<std::uintptr_t>(args.y) | static_cast<std::uintptr_t>(args.y_step)) %
                           static_cast<std::uintptr_t>(64) ==
                       0;
  return {.beyond_l2 = args.footprint != Footprint::in_l2 && spec.order >= 16,
          .past_caches = args.footprint == Footprint::in_memory && args.x != args.y && aligned &&
                         spec.output == ElementFormat::f32 && spec.order >= 16};
}

class HadamardAvx512 final : public HadamardKernel {
 public:
  HadamardAvx512(const CacheKey& key, std::shared_ptr<const HadamardCode> code)
      : key_(key), code_(std::move(code)) {}
  KernelCode code() const override {
    return {code_->code.name(),  "avx512", "bit_exact(hadamard)", code_->code.bytes(), code_->notes.registers,
            code_->notes.budget, {},       code_->notes.ports};
  }
  void run(const HadamardArgs& args) const override {
    CacheKey key = key_;
    key.traffic = traffic_of(key.spec, args);
    if (key.traffic != HadamardTraffic{}) {
      if (const auto code = get_cached(key); code.ok()) return run_code(**code, args);
    }
    run_code(*code_, args);
  }

 private:
  static void run_code(const HadamardCode& code, const HadamardArgs& args) {
    code.code.entry<void (*)(const HadamardArgs*)>()(&args);
  }

  CacheKey key_;
  std::shared_ptr<const HadamardCode> code_;
};

Result<std::shared_ptr<const HadamardCode>> generate_code(const CacheKey& key) {
  HadamardGenerator generator(key.spec, key.poison, key.traffic);
  const char* traffic = key.traffic.past_caches ? "_past_caches" : key.traffic.beyond_l2 ? "_prefetch" : "";
  Result<ExecutableCode> code = generator.assemble(kernel_name(key.spec) + "__avx512" + traffic);
  if (!code.ok()) return code.failure();
  if (const Status dumped = dump_if_asked(*code); !dumped.ok()) return dumped.failure();
  return std::shared_ptr<const HadamardCode>(
      std::make_shared<HadamardCode>(HadamardCode{std::move(*code), generator.notes()}));
}

Result<std::shared_ptr<const HadamardCode>> get_cached(const CacheKey& key) {
  static KernelCache<CacheKey, HadamardCode> cache;
  return cache.get(key, generate_code);
}

Result<std::shared_ptr<const HadamardKernel>> make_cached(const HadamardSpec& spec, bool poison) {
  const CacheKey key{spec, poison};
  auto code = get_cached(key);
  if (!code.ok()) return code.failure();
  return std::shared_ptr<const HadamardKernel>(std::make_shared<HadamardAvx512>(key, std::move(*code)));
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
