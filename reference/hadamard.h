// The rotation that kernels are held against: include/fourge/hadamard.h, read line by line.
#pragma once

#include <cstdint>
#include <span>

#include "fourge/hadamard.h"

namespace fourge::reference {

/// Step 2: one run, in place. Its length is a power of two.
void sylvester_butterflies(std::span<float> run);

/// Step 3: x = `paley` runs of `power` elements, in place.
void paley_combine(std::span<float> x, std::int64_t paley, std::int64_t power);

/// Steps 1 to 4 on one block of `order` elements, in place. signs and scale as in HadamardOperands; signs may
/// be null. `order` must be one that check() accepts.
void hadamard_block(std::span<float> block, const std::uint8_t* signs, const float* scale);

/// All of it, on one thread. The checks of Hadamard::run.
Status hadamard(const HadamardSpec& spec, const HadamardOperands& operands);

}  // namespace fourge::reference
