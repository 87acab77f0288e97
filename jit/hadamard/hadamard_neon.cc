#include <memory>
#include <utility>

#include "jit/aarch64/hadamard.h"
#include "jit/cache.h"
#include "jit/hadamard/hadamard_kernel.h"

namespace fourge::jit {
namespace {

class HadamardNeon final : public HadamardKernel {
 public:
  HadamardNeon(ExecutableCode code, KernelNotes notes) : code_(std::move(code)), notes_(std::move(notes)) {}
  KernelCode code() const override {
    return {code_.name(), "neon", "bit_exact(hadamard)", code_.bytes(), notes_.registers, notes_.budget};
  }
  void run(const HadamardArgs& args) const override { code_.entry<void (*)(const HadamardArgs*)>()(&args); }

 private:
  ExecutableCode code_;
  KernelNotes notes_;
};

Result<std::shared_ptr<const HadamardKernel>> generate(const HadamardSpec& spec) {
  AArch64HadamardGenerator generator(spec, false);
  Result<ExecutableCode> code = generator.assemble(kernel_name(spec) + "__neon");
  if (!code.ok()) return code.failure();
  if (const Status dumped = dump_if_asked(*code); !dumped.ok()) return dumped.failure();
  return std::shared_ptr<const HadamardKernel>(
      std::make_shared<HadamardNeon>(std::move(*code), generator.notes()));
}

}  // namespace

const char* hadamard_neon_refusal(const HadamardSpec& spec) { return aarch64_hadamard_refusal(spec); }

Result<std::shared_ptr<const HadamardKernel>> make_hadamard_neon(const HadamardSpec& spec) {
  static KernelCache<HadamardSpec, HadamardKernel> cache;
  return cache.get(spec, generate);
}

}  // namespace fourge::jit
