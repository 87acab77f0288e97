// AArch64 code in VIXL's simulator, on hosts that are not an Arm.
#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace fourge::tests {

/// What a simulated call did.
struct SimulatedCall {
  std::string violations;  // promises of AAPCS64 that were broken: registers, stack, FPCR; empty is well
  std::int64_t instructions = 0;  // executed
};

/// Calls code(argument), code at its first byte, with canaries in x19..x28 and d8..d15, garbage in every
/// other vector register, and `fpcr` as the caller's mode. The processor has Advanced SIMD and dot products,
/// nothing newer: another instruction ends the program.
///
/// VIXL computes floating point with the host's instructions and knows no rounding mode but its host's: the
/// host's mode follows FPCR from instruction to instruction. Narrowing conversions are always to nearest.
SimulatedCall simulate(std::span<const std::uint8_t> code, void* argument, std::uint64_t fpcr = 0);

}  // namespace fourge::tests
