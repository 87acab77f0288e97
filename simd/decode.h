// Decoding of 4-bit blocks for every vector instruction set.
#pragma once

#include <cstdint>

#include "fourge/decode.h"
#include "simd/target.h"

namespace fourge::simd {

/// A run of blocks: what compiled (simd/) and generated (jit/) code reads.
struct DecodeArgs {
  const std::uint8_t* codes;
  const std::uint8_t* scales;  // one a block, without gaps
  std::uint8_t* y;
  const std::uint8_t* table;  // a row of 16 outputs for every scale: jit/decode/decode_kernel.h
  std::int64_t blocks;        // >= 1
};

using DecodeFunction = void (*)(const DecodeSpec& spec, const DecodeArgs& args);

/// Null where simd/ was not compiled for `target`. It may be called only on a processor that has the target.
DecodeFunction decode(Target target);

}  // namespace fourge::simd
