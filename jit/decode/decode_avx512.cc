#include <memory>
#include <utility>

#include "jit/cache.h"
#include "jit/decode/decode_kernel.h"
#include "jit/x86/decode.h"

namespace fourge::jit {
namespace {

struct DecodeCode {
  ExecutableCode code;
  KernelNotes notes;
};

struct CacheKey {
  DecodeSpec spec;
  bool poison;
  bool operator==(const CacheKey&) const = default;
};

class DecodeAvx512 final : public DecodeKernel {
 public:
  explicit DecodeAvx512(std::shared_ptr<const DecodeCode> code) : code_(std::move(code)) {}
  KernelCode code() const override {
    return {code_->code.name(),  "avx512", "bit_exact(decode)", code_->code.bytes(), code_->notes.registers,
            code_->notes.budget, {},       code_->notes.ports};
  }
  void run(const DecodeArgs& args) const override {
    run_rows({.first = args,
              .rows = 1,
              .code_step = 0,
              .y_step = 0,
              .scale_step = 4,
              .scale_row_step = 0,
              .scratch = nullptr});
  }
  void run_rows(const DecodeRows& rows) const override {
    code_->code.entry<void (*)(const DecodeRows*)>()(&rows);
  }

 private:
  std::shared_ptr<const DecodeCode> code_;
};

Result<std::shared_ptr<const DecodeCode>> generate_code(const CacheKey& key) {
  DecodeGenerator generator(key.spec, key.poison);
  Result<ExecutableCode> code = generator.assemble(kernel_name(key.spec) + "__avx512");
  if (!code.ok()) return code.failure();
  if (const Status dumped = dump_if_asked(*code); !dumped.ok()) return dumped.failure();
  return std::shared_ptr<const DecodeCode>(
      std::make_shared<DecodeCode>(DecodeCode{std::move(*code), generator.notes()}));
}

Result<std::shared_ptr<const DecodeKernel>> make_cached(const DecodeSpec& spec, bool poison) {
  static KernelCache<CacheKey, DecodeCode> cache;
  auto code = cache.get({spec, poison}, generate_code);
  if (!code.ok()) return code.failure();
  return std::shared_ptr<const DecodeKernel>(std::make_shared<DecodeAvx512>(std::move(*code)));
}

}  // namespace

const char* decode_avx512_refusal(const DecodeSpec&) { return nullptr; }

Result<std::shared_ptr<const DecodeKernel>> make_decode_avx512(const DecodeSpec& spec) {
  return make_cached(spec, false);
}

Result<std::shared_ptr<const DecodeKernel>> make_decode_avx512_poisoned(const DecodeSpec& spec) {
  return make_cached(spec, true);
}

}  // namespace fourge::jit
