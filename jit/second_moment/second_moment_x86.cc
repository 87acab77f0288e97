// Generated second moments: AVX-512 VNNI and AMX.
#include <memory>
#include <utility>

#include "jit/cache.h"
#include "jit/second_moment/second_moment_kernel.h"
#include "jit/x86/moment_block.h"
#include "jit/x86/moment_pack.h"

namespace fourge::jit {
namespace {

struct MomentKey {
  bool amx, poison;
  bool operator==(const MomentKey&) const = default;

  std::string name() const {
    return std::string("second_moment_f64_f32__") + (amx ? "amx_int8" : "avx512_vnni");
  }
};

struct MomentCode {
  ExecutableCode pack, block;
  KernelNotes notes;
};

Result<std::shared_ptr<const MomentCode>> generate_moment(const MomentKey& key) {
  MomentPackGenerator pack(key.amx, key.poison);
  MomentVnniGenerator vnni(key.poison);
  MomentAmxGenerator amx(key.poison);
  MomentBlockGenerator& block = key.amx ? static_cast<MomentBlockGenerator&>(amx) : vnni;
  MomentCode made;
  struct Part {
    X86Generator& generator;
    std::string name;
    ExecutableCode& code;
  };
  for (const Part& part : {Part{pack, key.amx ? "moment_pack_amx" : "moment_pack_avx512", made.pack},
                           Part{block, key.name(), made.block}}) {
    Result<ExecutableCode> code = part.generator.assemble(part.name);
    if (!code.ok()) return code.failure();
    if (const Status dumped = dump_if_asked(*code); !dumped.ok()) return dumped.failure();
    part.code = std::move(*code);
  }
  made.notes = block.notes();
  made.notes.budget += "\npack: " + pack.notes().budget;
  return std::shared_ptr<const MomentCode>(std::make_shared<MomentCode>(std::move(made)));
}

class SecondMomentX86 final : public SecondMomentKernel {
 public:
  SecondMomentX86(const MomentKey& key, std::shared_ptr<const MomentCode> code)
      : key_(key), code_(std::move(code)) {}

  KernelCode code() const override {
    return {key_.name(),
            key_.amx ? "amx" : "avx512",
            "bit_exact(second_moment)",
            code_->block.bytes(),
            code_->notes.registers,
            code_->notes.budget,
            {},
            code_->notes.ports};
  }
  std::int64_t panel_bytes(std::int64_t steps) const override {
    return MomentPackGenerator::kHeadBytes + steps * MomentPackGenerator::kStepBytes * (key_.amx ? 2 : 1);
  }
  void pack(const MomentPackArgs& args) const override {
    code_->pack.entry<void (*)(const MomentPackArgs*)>()(&args);
  }
  void block(const MomentBlockArgs& args) const override {
    code_->block.entry<void (*)(const MomentBlockArgs*)>()(&args);
  }

 private:
  MomentKey key_;
  std::shared_ptr<const MomentCode> code_;
};

Result<SecondMomentKernelPtr> make_moment(const MomentKey& key) {
  static KernelCache<MomentKey, MomentCode> cache;
  auto code = cache.get(key, generate_moment);
  if (!code.ok()) return code.failure();
  return SecondMomentKernelPtr(std::make_shared<SecondMomentX86>(key, std::move(*code)));
}

}  // namespace

Result<SecondMomentKernelPtr> make_second_moment_vnni(const SecondMomentSpec&) {
  return make_moment({false, false});
}
Result<SecondMomentKernelPtr> make_second_moment_amx(const SecondMomentSpec&) {
  return make_moment({true, false});
}
Result<SecondMomentKernelPtr> make_second_moment_poisoned(bool amx) { return make_moment({amx, true}); }

}  // namespace fourge::jit
