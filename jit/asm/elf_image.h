// An ELF file in memory that gives code which is already in place a name and unwind tables.
// Source: System V ABI, chapter 4 (object files); 64-bit little-endian.
#pragma once

#include <cstdint>
#include <vector>

#include "jit/asm/code_view.h"
#include "jit/asm/frame.h"

namespace fourge::jit {

/// Sections .text (address and size only: the bytes are in memory), .eh_frame when the code has one, .symtab
/// with one global function, .strtab, .shstrtab.
std::vector<std::uint8_t> elf_image(const CodeView& code, Machine machine = kHostMachine);

}  // namespace fourge::jit
