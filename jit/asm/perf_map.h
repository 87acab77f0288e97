// /tmp/perf-PID.map: one line "address bytes name" a kernel, in hexadecimal, read by `perf report`.
// Source: Linux, tools/perf/Documentation/jit-interface.txt.
#pragma once

#include "fourge/error.h"
#include "jit/asm/code_view.h"

namespace fourge::jit {

/// Appends: other JITs of the process write to the same file. kIo when it is not ours or cannot be written.
Status append_to_perf_map(const CodeView& code);

}  // namespace fourge::jit
