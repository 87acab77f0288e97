// Blocks in portable C++: the kernel of machines that have no other, and what generated kernels leave over.
#pragma once

#include <cstdint>

#include "jit/quantize/quantize_kernel.h"

namespace fourge::jit {

/// Quantises the blocks of group `group` whose bit is set in `blocks`, again or for the first time.
void redo_blocks(const QuantizerSpec& spec, const StripArgs& args, std::int64_t group, unsigned blocks);

/// Blocks of a group.
constexpr int blocks_of_group(Format format) { return kGroup / info(format).block; }

}  // namespace fourge::jit
