#include <memory>
#include <utility>

#include "jit/aarch64/decode.h"
#include "jit/cache.h"
#include "jit/decode/decode_kernel.h"

namespace fourge::jit {
namespace {

class DecodeNeon final : public DecodeKernel {
 public:
  DecodeNeon(ExecutableCode code, KernelNotes notes) : code_(std::move(code)), notes_(std::move(notes)) {}
  KernelCode code() const override {
    return {code_.name(), "neon", "bit_exact(decode)", code_.bytes(), notes_.registers, notes_.budget};
  }
  void run(const DecodeArgs& args) const override { code_.entry<void (*)(const DecodeArgs*)>()(&args); }

 private:
  ExecutableCode code_;
  KernelNotes notes_;
};

Result<std::shared_ptr<const DecodeKernel>> generate(const DecodeSpec& spec) {
  AArch64DecodeGenerator generator(spec, false);
  Result<ExecutableCode> code = generator.assemble(kernel_name(spec) + "__neon");
  if (!code.ok()) return code.failure();
  if (const Status dumped = dump_if_asked(*code); !dumped.ok()) return dumped.failure();
  return std::shared_ptr<const DecodeKernel>(
      std::make_shared<DecodeNeon>(std::move(*code), generator.notes()));
}

}  // namespace

const char* decode_neon_refusal(const DecodeSpec&) { return nullptr; }

Result<std::shared_ptr<const DecodeKernel>> make_decode_neon(const DecodeSpec& spec) {
  static KernelCache<DecodeSpec, DecodeKernel> cache;
  return cache.get(spec, generate);
}

}  // namespace fourge::jit
