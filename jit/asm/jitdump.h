// jit-PID.dump: names, code and unwind tables of kernels for `perf inject --jit`, which makes an ELF file of
// each, so that `perf annotate` shows their instructions. Source: Linux,
// tools/perf/Documentation/jitdump-specification.txt (version 1).
#pragma once

#include "fourge/error.h"
#include "jit/asm/code_view.h"

namespace fourge::jit {

/// Appends to jit-PID.dump in the folder JITDUMPDIR, or else TMPDIR or /tmp. The first call creates the file
/// and maps its first page executable: that is how `perf record` learns of it. kIo with the path.
Status append_to_jitdump(const CodeView& code);

}  // namespace fourge::jit
