// VTune: names of kernels through its JIT agent, a library that the collector names in INTEL_JIT_PROFILER64.
// Source: github.com/intel/ittapi, include/jitprofiling.h and src/ittnotify/jitprofiling.c. Nothing is
// linked.
#pragma once

#include <cstdint>

#include "fourge/error.h"
#include "jit/asm/code_view.h"

namespace fourge::jit {

/// The agent's number of the code. kNotFound: no agent, with what the loader said.
Result<std::uint32_t> announce_to_vtune(const CodeView& code);
void withdraw_from_vtune(std::uint32_t id);

}  // namespace fourge::jit
