#include "tests/support/abi_check.h"

#if defined(__x86_64__)

#include <array>

#include "jit/asm/x86_generator.h"

namespace fourge::tests {
namespace {

struct CallRecord {
  void (*function)(void*);
  void* argument;
  std::array<std::uint64_t, 7> after;  // rbx rbp r12 r13 r14 r15, then rsp's change
  std::uint32_t mxcsr_before, mxcsr_after;
  std::uint64_t flags;
};

constexpr std::uint64_t canary(int i) { return 0x0123'4567'89ab'cd00u + static_cast<unsigned>(i); }

class Trampoline final : public jit::X86Generator {
 public:
  jit::KernelNotes notes() const override { return {}; }

 private:
  void generate() override {
    const Xbyak::Reg64 saved[] = {rbx, rbp, r12, r13, r14, r15};
    for (const auto& reg : saved) push(reg);
    push(rdi);  // the record, kept on the stack across the call; rsp is now 16-byte aligned
    ldmxcsr(ptr[rdi + offsetof(CallRecord, mxcsr_before)]);
    mov(rax, ptr[rdi + offsetof(CallRecord, function)]);
    mov(rdi, ptr[rdi + offsetof(CallRecord, argument)]);
    for (int i = 0; i < 6; ++i) mov(saved[i], canary(i));
    call(rax);
    mov(rdi, ptr[rsp]);
    for (int i = 0; i < 6; ++i)
      mov(ptr[rdi + offsetof(CallRecord, after) + 8 * static_cast<std::size_t>(i)], saved[i]);
    stmxcsr(ptr[rdi + offsetof(CallRecord, mxcsr_after)]);
    pushfq();
    pop(rax);
    mov(ptr[rdi + offsetof(CallRecord, flags)], rax);
    mov(dword[rsp], 0x1f80);
    ldmxcsr(ptr[rsp]);
    pop(rdi);
    for (int i = 5; i >= 0; --i) pop(saved[i]);
    ret();
  }
};

}  // namespace

std::string abi_violations(void (*function)(void*), void* argument, std::uint32_t mxcsr) {
  static const Result<jit::ExecutableCode> trampoline = Trampoline().assemble("abi_trampoline");
  if (!trampoline.ok()) return trampoline.failure().message();
  CallRecord record{function, argument, {}, mxcsr, 0, 0};
  trampoline->entry<void (*)(CallRecord*)>()(&record);
  std::string broken;
  const char* names[] = {"rbx", "rbp", "r12", "r13", "r14", "r15"};
  for (int i = 0; i < 6; ++i) {
    if (record.after[static_cast<std::size_t>(i)] != canary(i)) broken += std::string(names[i]) + " ";
  }
  constexpr std::uint32_t kControlBits = 0xffc0;  // the low six are sticky flags
  if ((record.mxcsr_after & kControlBits) != (mxcsr & kControlBits)) broken += "mxcsr ";
  if ((record.flags >> 10 & 1) != 0) broken += "direction flag ";
  return broken;
}

}  // namespace fourge::tests

#endif
