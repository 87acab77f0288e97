// Scratch memory of a thread, kept between calls.
#pragma once

#include <cstdint>

namespace fourge::jit {

enum class Workspace : std::uint8_t {
  kActivations,
  kAccumulators,
  kTiles,
  kBounds,
  kPanels,
  kRows,
  kRotation,
  kSigns,
  kTransposed,
  kRotated,
  kScales,
  kCount
};

/// At least `bytes` bytes, 64-byte aligned, owned by the calling thread and valid until its next request for
/// the same purpose. Grows, never shrinks; freed when the thread ends. Null when there is no memory.
void* workspace(Workspace purpose, std::int64_t bytes);

}  // namespace fourge::jit
