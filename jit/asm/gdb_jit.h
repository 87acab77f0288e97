// GDB's JIT interface: a debugger that is attached, or attaches later, knows a kernel's name and how to
// unwind through it. Source: GDB manual, chapter 30 (JIT Compilation Interface). LLDB reads the same.
#pragma once

#include "jit/asm/code_view.h"

namespace fourge::jit {

struct GdbEntry;  // one registered object

/// Registers an ELF image of the code. Never null. A few microseconds without a debugger; thread-safe.
GdbEntry* register_with_gdb(const CodeView& code);
void unregister_from_gdb(GdbEntry* entry);

}  // namespace fourge::jit
