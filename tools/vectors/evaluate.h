// What the models say about a set of vectors.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "tools/vectors/vector_set.h"

namespace fourge::vectors {

/// D of every tile by reference/, on `threads` threads (0: as many as the machine has). `advance` is called
/// with the number of tiles done, from the calling thread only.
std::vector<std::uint32_t> evaluate(const VectorSet& set, const reference::MmaPolicy& policy, int threads = 0,
                                    const std::function<void(std::int64_t)>& advance = nullptr);

/// How one output comes about.
reference::MmaTrace trace_output(const VectorSet& set, std::int64_t tile, int i, int j,
                                 const reference::MmaPolicy& policy);

struct OutputIndex {
  std::int64_t tile = 0;
  int row = 0;
  int column = 0;
};

struct Comparison {
  std::int64_t mismatches = 0;
  std::optional<OutputIndex> first;
};

/// `d` against the set's own D, word by word.
Comparison compare(const VectorSet& set, const std::vector<std::uint32_t>& d);

}  // namespace fourge::vectors
