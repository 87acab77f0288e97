// The JSON header of a safetensors file, its structure checked but not yet its offsets against the file.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "fourge/error.h"
#include "quant/dtype.h"

namespace fourge::quant {

struct HeaderEntry {
  std::string name;
  DType dtype = DType::f32;
  std::vector<std::int64_t> shape;
  std::uint64_t begin = 0;  // data_offsets, relative to the end of the header
  std::uint64_t end = 0;
};

struct Header {
  std::vector<HeaderEntry> entries;
  std::map<std::string, std::string> metadata;
};

/// Strict: one object; each entry exactly dtype, shape, data_offsets; no key twice; UTF-8; integers in
/// [0, 2^62]; nothing after it but spaces. `file` and `offset` (of the header in the file) go into messages.
Result<Header> parse_header(std::string_view json, const std::string& file, std::uint64_t offset);

}  // namespace fourge::quant
