// Walsh-Hadamard rotations for every vector instruction set. The arithmetic: fourge/hadamard.h.
#pragma once

#include <cstdint>

#include "fourge/hadamard.h"
#include "simd/target.h"

namespace fourge::simd {

enum class Footprint : std::uint8_t { in_l2, in_l3, in_memory };

/// A run of blocks at a fixed distance: what compiled (simd/) and generated (jit/) code reads.
struct HadamardArgs {
  const void* x;
  void* y;
  float* work;                      // `order` floats of scratch, 64-byte aligned
  const std::uint32_t* sign_words;  // 0 or 0x80000000 for each element; orders below 16 repeat up to 16 words
  std::int64_t count;               // blocks; >= 1
  std::int64_t x_step, y_step;      // bytes from block to block; orders below 16: blocks lie without gaps
  float scale;
  Footprint footprint = Footprint::in_l2;  // of the whole call: where x and y come from and go to
};

/// Null when simd/ takes the spec; else the reason.
const char* hadamard_refusal(const HadamardSpec& spec);

using HadamardFunction = void (*)(const HadamardSpec& spec, const HadamardArgs& args);

/// Null where simd/ was not compiled for `target`. It may be called only on a processor that has the target,
/// and only with a spec that is not refused.
HadamardFunction hadamard(Target target);

}  // namespace fourge::simd
