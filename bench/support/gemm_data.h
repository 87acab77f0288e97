// Matrices to multiply: weights and activations that look like those of language models.
#pragma once

#include <cstdint>
#include <vector>

#include "fourge/gemm.h"
#include "fourge/quantize.h"

namespace fourge::bench {

/// rows x cols values, row-major. Row r depends on (seed, r) alone: the same for every thread count.
struct Values {
  std::int64_t rows = 0;
  std::int64_t cols = 0;
  std::vector<float> data;

  const float* row(std::int64_t r) const { return data.data() + r * cols; }
};

/// Normal, standard deviation 1 / sqrt(cols).
Values random_weights(std::int64_t rows, std::int64_t cols, std::uint64_t seed);

/// Student-t with 5 degrees of freedom, columns (channels) scaled by a log-normal of sigma 0.7: a few
/// channels and a few single values are far larger than the rest.
Values random_activations(std::int64_t rows, std::int64_t cols, std::uint64_t seed);

/// D = X W^T before and after quantisation.
struct GemmData {
  Values x;           // m x k
  Values w;           // n x k
  QuantizedMatrix a;  // of x
  QuantizedMatrix b;  // of w

  float alpha() const { return gemm_alpha(a.tensor_scale, b.tensor_scale); }
};

/// The rule that `format` gets where none is asked for: static_6 (NVFP4), rceil (MX formats: no value
/// saturates).
ScaleRule default_rule(Format format);

/// Quantises both. kBadShape and kBadArgument as quantize() says.
Result<GemmData> quantize_both(Values x, Values w, const QuantizeSpec& spec);

}  // namespace fourge::bench
