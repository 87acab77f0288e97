// Relative mean squared errors that the methods' own code gives on random values.
#pragma once

#include <span>

#include "tools/study/quantization_error.h"
#include "tools/study/samples.h"

namespace fourge::study {

struct Published {
  Distribution distribution;
  Recipe recipe;
  double relative_mse;
  const char* source;  // whose code
};

/// FP-Quant d2e3092 on 2048 x 1024 values, fouroversix dadfad6 on 1024 x 1024 values rounded to bf16; each
/// number is one draw.
std::span<const Published> published();

}  // namespace fourge::study
