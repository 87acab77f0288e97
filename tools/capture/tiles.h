// Many tiles of one instruction: built on the host, run on the GPU, written to a vector file.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "instruction.h"
#include "operands.h"

namespace fourge::capture {

// Row-major bytes with the tile as outermost index, as in a vector file (format tensor-core-vectors-1).
struct HostTiles {
  int tiles = 0;
  std::vector<uint8_t> a, b, c, d, a_scales, b_scales, mode;
  std::vector<uint8_t> a_rows,
      b_rows;  // a and b in the instruction's layout, where that differs from the file's
};

// Tile i has mode modes[i % size] and depends on the seed, the instruction and i only.
HostTiles draw_tiles(const Instruction& instruction, const std::vector<Mode>& modes, int tiles,
                     uint64_t seed);

// Fills tiles.d. Returns an empty string, or CUDA's error.
std::string run_on_gpu(const Instruction& instruction, HostTiles& tiles);

// Runs operands whose results are exact and compares them. Returns an empty string, or the first wrong
// output.
std::string self_check(const Instruction& instruction, uint64_t seed);

struct Provenance {
  std::string model, source, note;
};
std::string write_vectors(const std::string& path, const Instruction& instruction, const HostTiles& tiles,
                          const Provenance& provenance);

}  // namespace fourge::capture
