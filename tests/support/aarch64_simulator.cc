#include "tests/support/aarch64_simulator.h"

#include <memory>
#include <vector>

#include "jit/asm/aarch64_generator.h"
#include "simd/rounding_mode.h"

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wpedantic"
#pragma GCC diagnostic ignored "-Wunused-parameter"
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
#if defined(__clang__)
#pragma GCC diagnostic ignored "-Wdeprecated-anon-enum-enum-conversion"
#else
#pragma GCC diagnostic ignored "-Wdeprecated-enum-enum-conversion"
#endif
#include <aarch64/simulator-aarch64.h>
#pragma GCC diagnostic pop

namespace fourge::tests {
namespace {

using vixl::CPUFeatures;
using vixl::aarch64::Decoder;
using vixl::aarch64::Instruction;
using vixl::aarch64::Simulator;

constexpr std::uint64_t canary(int i) { return 0x0123'4567'89ab'cd00u + static_cast<unsigned>(i); }

class Machine {
 public:
  Machine() : simulator_(&decoder_) {
    simulator_.SetColouredTrace(false);
    simulator_.SetCPUFeatures(CPUFeatures(CPUFeatures::kFP, CPUFeatures::kNEON, CPUFeatures::kDotProduct));
  }

  SimulatedCall call(std::span<const std::uint8_t> code, void* argument, std::uint64_t fpcr) {
    simulator_.ResetState();
    for (unsigned i = 19; i <= 28; ++i)
      simulator_.WriteXRegister(i, static_cast<std::int64_t>(canary(static_cast<int>(i))));
    for (unsigned i = 0; i < 32; ++i) {
      Simulator::qreg_t lanes;
      for (auto& byte : lanes.val) byte = 0xff;
      simulator_.WriteQRegister(i, lanes);
    }
    for (unsigned i = 8; i < 16; ++i) simulator_.WriteDRegisterBits(i, canary(static_cast<int>(100 + i)));
    simulator_.ReadFpcr().SetRawValue(static_cast<std::uint32_t>(fpcr));
    simulator_.WriteXRegister(0, reinterpret_cast<std::int64_t>(argument));
    const std::int64_t stack = simulator_.ReadXRegister(31, vixl::aarch64::Reg31IsStackPointer);

    SimulatedCall result;
    result.instructions = run(reinterpret_cast<const Instruction*>(code.data()));
    for (unsigned i = 19; i <= 28; ++i) {
      if (static_cast<std::uint64_t>(simulator_.ReadXRegister(i)) != canary(static_cast<int>(i)))
        result.violations += "x" + std::to_string(i) + " ";
    }
    for (unsigned i = 8; i < 16; ++i) {
      if (simulator_.ReadDRegisterBits(i) != canary(static_cast<int>(100 + i)))
        result.violations += "d" + std::to_string(i) + " ";
    }
    if (simulator_.ReadXRegister(31, vixl::aarch64::Reg31IsStackPointer) != stack) result.violations += "sp ";
    if (simulator_.ReadFpcr().GetRawValue() != fpcr) result.violations += "fpcr ";
    return result;
  }

 private:
  std::int64_t run(const Instruction* first) {
    using simd::RoundingMode;
    const RoundingMode host(RoundingMode::to_nearest);
    bool toward_zero = false;
    std::int64_t count = 0;
    simulator_.WritePc(first, Simulator::NoBranchLog);
    host.set(mode());
    for (; simulator_.ReadPc() != Simulator::kEndOfSimAddress; ++count) {
      const bool wanted = mode() == RoundingMode::toward_zero;
      if (wanted != toward_zero) host.set(mode());
      toward_zero = wanted;
      simulator_.ExecuteInstruction();
    }
    return count;
  }

  simd::RoundingMode::Mode mode() {
    return simulator_.ReadFpcr().GetRMode() == vixl::FPZero ? simd::RoundingMode::toward_zero
                                                            : simd::RoundingMode::to_nearest;
  }

  Decoder decoder_;
  Simulator simulator_;
};

}  // namespace

SimulatedCall simulate(std::span<const std::uint8_t> code, void* argument, std::uint64_t fpcr) {
  thread_local const auto machine = std::make_unique<Machine>();
  return machine->call(code, argument, fpcr);
}

}  // namespace fourge::tests
