// Architectures without generated loops: the arithmetic peaks are absent, reading is C++.
#include "bench/peaks/loops.h"

namespace fourge::bench {

namespace {
constexpr const char* kReason = "no generated loop for this architecture";
}

const char* missing_unit(Unit, const jit::CpuFeatures&) { return kReason; }
Result<UnitLoop> make_unit_loop(Unit) { return {Error::kUnsupportedIsa, kReason}; }
Result<ClockLoop> make_clock_loop() { return {Error::kUnsupportedIsa, kReason}; }
Result<jit::ExecutableCode> make_memory_loop(const MemoryLoopSpec&) {
  return {Error::kUnsupportedIsa, kReason};
}

}  // namespace fourge::bench
