#include "quant/gptq/shared_gptq.h"

#include <algorithm>
#include <array>
#include <vector>

#include "quant/gptq/core.h"
#include "quant/quantize.h"

namespace fourge::quant {
namespace {

/// Where each rank's rows begin, whole chunks each; the last entry is the number of rows.
std::vector<std::int64_t> first_rows(std::int64_t rows, const Ranks& ranks) {
  const std::int64_t chunks = (rows + kChunkRows - 1) / kChunkRows;
  std::vector<std::int64_t> first;
  for (int r = 0; r <= ranks.size(); ++r)
    first.push_back(std::min(rows, ranks.begin_of(r, chunks) * kChunkRows));
  return first;
}

void gather_rows(std::vector<std::uint8_t>& own, std::int64_t row_bytes, std::vector<std::int64_t> first,
                 Ranks& ranks) {
  for (std::int64_t& f : first) f *= row_bytes;
  std::vector<std::uint8_t> all(static_cast<std::size_t>(first.back()));
  std::copy(own.begin(), own.end(), all.begin() + first[static_cast<std::size_t>(ranks.rank())]);
  ranks.gather(all, first);
  own = std::move(all);
}

}  // namespace

Result<GptqResult> shared_gptq(std::span<const float> weights, std::int64_t rows, std::int64_t cols,
                               std::span<const double> hessian, const GptqSpec& spec, Ranks& ranks) {
  const std::vector<std::int64_t> first = first_rows(rows, ranks);
  if (ranks.size() == 1 || rows < ranks.size() * kChunkRows) return gptq(weights, rows, cols, hessian, spec);

  const auto self = static_cast<std::size_t>(ranks.rank());
  const std::int64_t count = first[self + 1] - first[self];
  GptqSpec whole = spec;
  if (whole.amax <= 0.0f) whole.amax = tensor_amax(weights);
  Result<GptqResult> part = gptq(
      weights.subspan(static_cast<std::size_t>(first[self] * cols), static_cast<std::size_t>(count * cols)),
      count, cols, hessian, whole);
  const Status agreed = ranks.agree(part.ok() ? Status{} : Status(part.failure()));
  if (!agreed) return agreed.failure();

  gather_rows(part->matrix.codes, cols / 2, first, ranks);
  gather_rows(part->matrix.scales, part->matrix.scale_cols(), first, ranks);
  part->matrix.rows = rows;
  std::array<double, 2> loss = {part->report.error, part->report.weight};
  ranks.sum(loss);
  part->report.error = loss[0];
  part->report.weight = loss[1];
  part->report.relative_error = loss[1] > 0.0 ? loss[0] / loss[1] : 0.0;
  return part;
}

}  // namespace fourge::quant
