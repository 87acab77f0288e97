// Code that breaks one promise of AAPCS64: what the checks of promises are tried on.
#pragma once

#include <string>

#include "jit/asm/aarch64_generator.h"

namespace fourge::tests {

class AArch64Offender final : public jit::AArch64Generator {
 public:
  enum class Promise : std::uint8_t { general_register, vector_register, fpcr };
  AArch64Offender(Promise broken, int number) : broken_(broken), number_(number) {}
  jit::KernelNotes notes() const override { return {}; }

  /// What a check is to say: "x19", "d8", "fpcr".
  std::string name() const {
    if (broken_ == Promise::fpcr) return "fpcr";
    return (broken_ == Promise::general_register ? "x" : "d") + std::to_string(number_);
  }

 private:
  void generate() override {
    switch (broken_) {
      case Promise::general_register:
        Mov(x(number_), 7);
        break;
      case Promise::vector_register:
        Movi(v(number_).V2D(), 7);
        break;
      case Promise::fpcr:
        set_fpcr(0x0100'0000);  // flushes subnormals to zero
    }
    Ret();
  }

  Promise broken_;
  int number_;
};

/// Calls f(offender) for everything that a callee has to restore: x19..x28, d8..d15, FPCR.
template <class F>
void for_each_offender(const F& f) {
  using enum AArch64Offender::Promise;
  const auto offend = [&f](AArch64Offender::Promise promise, int number) {
    AArch64Offender offender(promise, number);  // an assembler: neither copied nor moved
    f(offender);
  };
  for (int i = 19; i <= 28; ++i) offend(general_register, i);
  for (int i = 8; i <= 15; ++i) offend(vector_register, i);
  offend(fpcr, 0);
}

}  // namespace fourge::tests
