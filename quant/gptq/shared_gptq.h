// One layer's GPTQ with its rows shared out over ranks.
#pragma once

#include <cstdint>
#include <span>

#include "fourge/gptq.h"
#include "quant/gptq/ranks.h"

namespace fourge::quant {

/// gptq() with the rows split over ranks, each with the whole Hessian: the same result on all of them, and
/// the same codes and scales as gptq() in one process.
Result<GptqResult> shared_gptq(std::span<const float> weights, std::int64_t rows, std::int64_t cols,
                               std::span<const double> hessian, const GptqSpec& spec, Ranks& ranks);

}  // namespace fourge::quant
