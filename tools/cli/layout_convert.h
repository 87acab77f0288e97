// The scales of a file, moved from one layout to another.
#pragma once

#include <cstdint>
#include <string>

#include "fourge/error.h"
#include "fourge/scale_layout.h"
#include "tools/cli/options.h"

namespace fourge::cli {

struct LayoutConversion {
  TensorPath input;  // U8, F8_E4M3 or F8_E8M0; scale_bytes(from, rows, columns) bytes
  std::string output;
  ScaleLayout from = ScaleLayout::linear;
  ScaleLayout to = ScaleLayout::linear;
  std::int64_t rows = 0;     // unpadded; 0: the tensor's first dimension
  std::int64_t columns = 0;  // unpadded; 0: the tensor's second dimension
};

/// Writes one tensor of the same name and type, [padded rows, padded columns], padding 0. Returns the
/// conversion with rows and columns filled in.
Result<LayoutConversion> convert_layout(const LayoutConversion& conversion);

}  // namespace fourge::cli
