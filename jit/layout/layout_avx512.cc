#include <memory>
#include <utility>

#include "jit/cache.h"
#include "jit/layout/layout_kernel.h"
#include "jit/x86/layout.h"

namespace fourge::jit {
namespace {

struct LayoutCode {
  ExecutableCode code;
  KernelNotes notes;
};

struct CacheKey {
  LayoutSpec spec;
  bool poison;
  bool operator==(const CacheKey&) const = default;
};

class LayoutAvx512 final : public LayoutKernel {
 public:
  explicit LayoutAvx512(std::shared_ptr<const LayoutCode> code) : code_(std::move(code)) {}
  KernelCode code() const override {
    return {code_->code.name(),  "avx512", "bit_exact(layout)", code_->code.bytes(), code_->notes.registers,
            code_->notes.budget, {},       code_->notes.ports};
  }
  void run(const LayoutArgs& args) const override { code_->code.entry<void (*)(const LayoutArgs*)>()(&args); }
  bool takes_bands() const override { return true; }

 private:
  std::shared_ptr<const LayoutCode> code_;
};

Result<std::shared_ptr<const LayoutCode>> generate_code(const CacheKey& key) {
  LayoutGenerator generator(key.spec, key.poison);
  Result<ExecutableCode> code = generator.assemble(kernel_name(key.spec) + "__avx512");
  if (!code.ok()) return code.failure();
  if (const Status dumped = dump_if_asked(*code); !dumped.ok()) return dumped.failure();
  return std::shared_ptr<const LayoutCode>(
      std::make_shared<LayoutCode>(LayoutCode{std::move(*code), generator.notes()}));
}

Result<std::shared_ptr<const LayoutKernel>> make_cached(const LayoutSpec& spec, bool poison) {
  static KernelCache<CacheKey, LayoutCode> cache;
  auto code = cache.get({spec, poison}, generate_code);
  if (!code.ok()) return code.failure();
  return std::shared_ptr<const LayoutKernel>(std::make_shared<LayoutAvx512>(std::move(*code)));
}

}  // namespace

const char* layout_avx512_refusal(const LayoutSpec&) { return nullptr; }

Result<std::shared_ptr<const LayoutKernel>> make_layout_avx512(const LayoutSpec& spec) {
  return make_cached(spec, false);
}

Result<std::shared_ptr<const LayoutKernel>> make_layout_avx512_poisoned(const LayoutSpec& spec) {
  return make_cached(spec, true);
}

}  // namespace fourge::jit
