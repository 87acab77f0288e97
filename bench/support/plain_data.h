// Activations as plain numbers of any format, as much of them as a benchmark wants.
#pragma once

#include <cstdint>

#include "fourge/formats.h"

namespace fourge::bench {

/// `count` elements of f32, bf16 or f16: random_activations(), repeated where that would take long.
void fill_activations(ElementFormat format, std::int64_t count, std::uint8_t* to);

}  // namespace fourge::bench
