// What a rotation, a format and a scale rule do to a matrix, through the library's own kernels.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "fourge/error.h"
#include "fourge/matrix.h"
#include "fourge/quantize.h"

namespace fourge::study {

struct Recipe {
  Format format = Format::nvfp4;
  ScaleRule rule = ScaleRule::static_6;
  std::int64_t rotation = 0;  // order of the Hadamard rotation along the rows; 0: none

  bool operator==(const Recipe&) const = default;
};

/// "nvfp4 static_6", "mxfp4 shift H128".
std::string name_of(const Recipe& recipe);

struct QuantizationError {
  double relative_mse = 0;             // sum (x - y)^2 / sum x^2
  double relative_mse_of_largest = 0;  // the same over the largest |x| of every 128 along a row
  std::string quantizer;               // the kernel that quantised
};

/// y = rotation back of decode of quantise of rotation of x (Hadamard, Quantizer, Decoder; rules that no
/// kernel takes by quantize()). values: rows x cols, cols a multiple of 128 and of the rotation; sums in f64.
/// Errors: what those say; kBadShape.
Result<QuantizationError> quantization_error(std::span<const float> values, std::int64_t rows,
                                             std::int64_t cols, const Recipe& recipe);

}  // namespace fourge::study
