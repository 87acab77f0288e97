#include "tests/support/abi_check.h"

#if defined(__aarch64__) && defined(FOURGE_HAVE_VIXL)

#include <array>
#include <cstddef>

#include "jit/asm/aarch64_generator.h"

namespace fourge::tests {
namespace {

struct CallRecord {
  void (*function)(void*);
  void* argument;
  std::uint64_t fpcr_before, fpcr_after;
  std::uint64_t sp_before, sp_after;
  std::array<std::uint64_t, 10> x_after;  // x19..x28
  std::array<std::uint64_t, 8> d_after;   // d8..d15
};

constexpr std::uint64_t canary(std::size_t i) { return 0x0123'4567'89ab'cd00u + i; }

class Trampoline final : public jit::AArch64Generator {
 public:
  jit::KernelNotes notes() const override { return {}; }

 private:
  void generate() override {
    using vixl::aarch64::FPCR;
    using vixl::aarch64::sp;
    const auto field = [](const Register& base, std::size_t offset) {
      return MemOperand(base, static_cast<std::int64_t>(offset));
    };
    prologue(16, kToNearest);
    Str(x(0), MemOperand(sp));
    Mov(x(9), sp);
    Str(x(9), field(x(0), offsetof(CallRecord, sp_before)));
    Ldr(x(9), field(x(0), offsetof(CallRecord, fpcr_before)));
    Msr(FPCR, x(9));
    for (std::size_t i = 0; i < 8; ++i) {
      Mov(x(9), canary(100 + i));
      Fmov(v(static_cast<int>(8 + i)).D(), x(9));
    }
    for (std::size_t i = 0; i < 10; ++i) Mov(x(static_cast<int>(19 + i)), canary(i));
    Ldr(x(9), field(x(0), offsetof(CallRecord, function)));
    Ldr(x(0), field(x(0), offsetof(CallRecord, argument)));
    Blr(x(9));
    Mov(x(10), sp);
    Ldr(x(9), MemOperand(sp));
    Str(x(10), field(x(9), offsetof(CallRecord, sp_after)));
    for (std::size_t i = 0; i < 10; ++i)
      Str(x(static_cast<int>(19 + i)), field(x(9), offsetof(CallRecord, x_after) + 8 * i));
    for (std::size_t i = 0; i < 8; ++i)
      Str(v(static_cast<int>(8 + i)).D(), field(x(9), offsetof(CallRecord, d_after) + 8 * i));
    Mrs(x(10), FPCR);
    Str(x(10), field(x(9), offsetof(CallRecord, fpcr_after)));
    epilogue();
  }
};

}  // namespace

std::string abi_violations(void (*function)(void*), void* argument, std::uint64_t fpcr) {
  static const Result<jit::ExecutableCode> trampoline = Trampoline().assemble("abi_trampoline");
  if (!trampoline.ok()) return trampoline.failure().message();
  CallRecord record{function, argument, fpcr, 0, 0, 0, {}, {}};
  trampoline->entry<void (*)(CallRecord*)>()(&record);
  std::string broken;
  for (std::size_t i = 0; i < record.x_after.size(); ++i) {
    if (record.x_after[i] != canary(i)) broken += "x" + std::to_string(19 + i) + " ";
  }
  for (std::size_t i = 0; i < record.d_after.size(); ++i) {
    if (record.d_after[i] != canary(100 + i)) broken += "d" + std::to_string(8 + i) + " ";
  }
  if (record.fpcr_after != fpcr) broken += "fpcr ";
  if (record.sp_after != record.sp_before) broken += "sp ";
  return broken;
}

}  // namespace fourge::tests

#endif
