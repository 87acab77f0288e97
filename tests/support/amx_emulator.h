// AMX in software, for machines without it: illegal-instruction traps are decoded and carried out.
//
// Covers what the generators emit: LDTILECFG, TILERELEASE, TILEZERO, TILELOADD(T1), TILESTORED, TDPBSSD,
// TDPBF16PS, as the Intel SDM defines them (TDPBF16PS: even and odd products summed apart by FMA from zero,
// in k order, both sums added, then added to the destination; round to nearest, denormals are zero, results
// flushed to zero).
#pragma once

namespace fourge::tests {

/// Installs the emulator for the whole process when the processor lacks AMX. False where it cannot work (not
/// x86-64 Linux). Slow: about a microsecond an instruction.
bool enable_amx_or_emulate();

}  // namespace fourge::tests
