// A kernel's machine code for a person: the disassembly with what the generator knows of it.
#pragma once

#include <string>

#include "fourge/error.h"
#include "fourge/kernel.h"

namespace fourge::jit {

/// objdump's disassembly after a heading (name, level, exactness, registers, budget). Jump targets are
/// labels, every instruction names the roles of its registers ("destination <- sources"), the constants
/// behind the code are words. kNotFound without objdump; kBadArgument for a compiled kernel.
Result<std::string> annotated_listing(const KernelCode& code);

/// The same from a disassembly: lines "   1f:\tvpxord zmm0,zmm0,zmm0" of the code's bytes.
std::string annotate(const KernelCode& code, const std::string& disassembly);

}  // namespace fourge::jit
