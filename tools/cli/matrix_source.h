// Where the matrices of a command come from: tensors in files, or random numbers.
#pragma once

#include <cstdint>
#include <string>

#include "bench/support/gemm_data.h"
#include "fourge/error.h"
#include "quant/safetensors.h"

namespace fourge::cli {

/// A tensor of two dimensions as f32. Errors name file, tensor, dtype and shape; values that are not finite
/// are refused.
Result<bench::Values> matrix_of(const quant::Safetensors& file, const std::string& tensor);

/// "N,K" or "N,K,SEED".
struct RandomMatrix {
  std::int64_t rows = 0;
  std::int64_t cols = 0;
  std::uint64_t seed = 1;
};
Result<RandomMatrix> parse_random_matrix(const std::string& text);

/// kOutOfMemory when a product of this size, with its data in f32 and its check, does not fit this machine.
Status check_memory(std::int64_t m, std::int64_t n, std::int64_t k);

}  // namespace fourge::cli
