// The smallest writer of the safetensors container: 8 bytes little-endian header length, a JSON header padded
// with spaces to a multiple of 8, then the tensors' bytes, one after the other. Nothing else is needed here.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace fourge::capture {

struct TensorView {
  std::string name;
  std::string dtype;  // "U8", "U16", "U32"
  std::vector<uint64_t> shape;
  const void* data;
  uint64_t bytes;
};

// Writes to `path`.part and renames when complete, so that an older file stays whole. Returns an empty
// string, or what went wrong.
std::string write_safetensors(const std::string& path,
                              const std::vector<std::pair<std::string, std::string>>& metadata,
                              const std::vector<TensorView>& tensors);

}  // namespace fourge::capture
