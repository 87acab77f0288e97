#include "fourge/gptq.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>

#include "quant/gptq/core.h"
#include "quant/gptq/gram.h"
#include "quant/hadamard.h"
#include "quant/quantize.h"
#include "quant/text.h"

namespace fourge {
namespace {

using quant::GptqLoss;
using quant::GptqProblem;
using quant::InverseFactor;
using quant::ScaleTable;

Status check_problem(std::span<const float> weights, std::int64_t rows, std::int64_t cols,
                     std::size_t hessian, const GptqSpec& spec) {
  if (Status valid = check(spec); !valid) return valid;
  const std::string shape = quant::shape_text(std::array{rows, cols});
  if (rows < 1 || cols < 1 || weights.size() != static_cast<std::uint64_t>(rows * cols))
    return {Error::kBadShape, "expected rows * cols weights", shape};
  if (cols % info(spec.format).block != 0)
    return {Error::kBadShape, "expected columns in multiples of the scale block", shape};
  if (hessian != static_cast<std::uint64_t>(cols * cols))
    return {Error::kBadShape, "expected a cols x cols Hessian",
            shape + ", " + std::to_string(hessian) + " values"};
  for (const float w : weights)
    if (!std::isfinite(w)) return {Error::kBadArgument, "expected finite weights", shape};
  return {};
}

/// The order of visits from the undamped diagonal. Equal entries keep their natural order.
std::vector<std::int64_t> visiting_order(std::span<const double> hessian, std::int64_t cols,
                                         const GptqSpec& spec) {
  std::vector<std::int64_t> visit(static_cast<std::size_t>(cols));
  std::iota(visit.begin(), visit.end(), 0);
  if (spec.order == ColumnOrder::natural) return visit;
  const std::int64_t unit = spec.order == ColumnOrder::group ? info(spec.format).block : 1;
  std::vector<double> energy(static_cast<std::size_t>(cols / unit));
  for (std::int64_t c = 0; c < cols; ++c)
    energy[static_cast<std::size_t>(c / unit)] += hessian[static_cast<std::size_t>(c * cols + c)];
  std::stable_sort(visit.begin(), visit.end(), [&](std::int64_t a, std::int64_t b) {
    return energy[static_cast<std::size_t>(a / unit)] > energy[static_cast<std::size_t>(b / unit)];
  });
  return visit;
}

std::vector<double> permuted(std::span<const double> hessian, std::span<const std::int64_t> visit) {
  const auto cols = static_cast<std::int64_t>(visit.size());
  std::vector<double> out(hessian.size());
#pragma omp parallel for
  for (std::int64_t i = 0; i < cols; ++i) {
    const double* row = hessian.data() + visit[static_cast<std::size_t>(i)] * cols;
    for (std::int64_t j = 0; j < cols; ++j)
      out[static_cast<std::size_t>(i * cols + j)] = row[visit[static_cast<std::size_t>(j)]];
  }
  return out;
}

/// One importance a column, their mean 1.
std::vector<float> importance_of(const GptqSpec& spec, std::span<const double> hessian,
                                 const InverseFactor& factor, std::span<const std::int64_t> visit) {
  if (spec.importance == Importance::none) return {};
  const auto cols = static_cast<std::int64_t>(visit.size());
  std::vector<double> raw(visit.size());
  double sum = 0.0;
  for (std::int64_t v = 0; v < cols; ++v) {
    const std::int64_t column = visit[static_cast<std::size_t>(v)];
    const double pivot = factor.at(v, v);
    const double w = spec.importance == Importance::diagonal ? hessian[static_cast<std::size_t>(v * cols + v)]
                                                             : 1.0 / (pivot * pivot);
    raw[static_cast<std::size_t>(column)] = w;
    sum += w;
  }
  std::vector<float> importance(raw.size());
  for (std::size_t i = 0; i < raw.size(); ++i)
    importance[i] = static_cast<float>(raw[i] * static_cast<double>(cols) / sum);
  return importance;
}

/// The matrix rounded to nearest: its scales serve ScaleTiming::before, its tensor scale both timings.
Result<QuantizedMatrix> rounded_to_nearest(std::span<const float> weights, std::int64_t rows,
                                           std::int64_t cols, const GptqSpec& spec,
                                           std::span<const float> importance) {
  const float amax = spec.amax > 0.0f ? spec.amax : quant::tensor_amax(weights);
  const quant::LaneScaling scaling{
      .format = spec.format, .rule = spec.rule, .amax = amax, .encode = spec.encode};
  Result<QuantizedMatrix> matrix = quant::quantize_with_scaling(weights, rows, cols, scaling, importance);
  if (!matrix) return matrix;
  if (spec.format == Format::nvfp4 && amax > 0.0f) {
    // FP-Quant's and compressed-tensors' global scale: 2688 / amax, or 1536 / amax, rounded once.
    matrix->tensor_scale =
        TensorScale::encode_multiplier(std::round(amax / matrix->tensor_scale.value) / amax);
  }
  return matrix;
}

GptqLoss quantize_all_rows(const GptqProblem& problem, std::int64_t rows) {
  const std::int64_t chunks = (rows + quant::kChunkRows - 1) / quant::kChunkRows;
  std::vector<GptqLoss> losses(static_cast<std::size_t>(chunks));
#pragma omp parallel for schedule(dynamic)
  for (std::int64_t chunk = 0; chunk < chunks; ++chunk) {
    const std::int64_t first = chunk * quant::kChunkRows;
    losses[static_cast<std::size_t>(chunk)] =
        quant::quantize_chunk(problem, first, std::min(quant::kChunkRows, rows - first));
  }
  GptqLoss total;
  for (const GptqLoss& loss : losses) {
    total.error += loss.error;
    total.weight += loss.weight;
  }
  return total;
}

}  // namespace

Status check(const GptqSpec& spec) {
  if (Status valid = check(QuantizeSpec{.format = spec.format, .rule = spec.rule}); !valid) return valid;
  if (spec.timing == ScaleTiming::within && spec.order == ColumnOrder::activation) {
    return {Error::kBadArgument, "scales chosen within GPTQ need an order that keeps groups together",
            "scale timing within with column order activation; expected natural or group"};
  }
  if (spec.importance != Importance::none && spec.rule != ScaleRule::sweep) {
    return {Error::kBadArgument, "only the scale rule sweep weighs errors by importance",
            std::string("importance ") + name_of(spec.importance) + " with scale rule " + name_of(spec.rule)};
  }
  if (spec.encode != 1.0f && (spec.format == Format::nvfp4 || spec.rule != ScaleRule::sweep)) {
    return {Error::kBadArgument, "an encode multiplier belongs to mxfp4 with the scale rule sweep",
            std::string(name_of(spec.format)) + " with scale rule " + name_of(spec.rule)};
  }
  if (!(spec.damping > 0.0) || !std::isfinite(spec.damping) || spec.damping_retries < 0)
    return {Error::kBadArgument, "expected a positive damping and no negative number of retries"};
  if (spec.descent_passes < 0) return {Error::kBadArgument, "expected no negative number of passes"};
  if (!(spec.amax >= 0.0f) || !std::isfinite(spec.amax) || !(spec.encode > 0.0f) ||
      !std::isfinite(spec.encode))
    return {Error::kBadArgument, "expected a finite amax and a positive encode multiplier"};
  return {};
}

Result<GptqResult> gptq(std::span<const float> weights, std::int64_t rows, std::int64_t cols,
                        std::span<const double> hessian, const GptqSpec& spec) {
  if (Status valid = check_problem(weights, rows, cols, hessian.size(), spec); !valid) return valid.failure();
  const std::vector<std::int64_t> visit = visiting_order(hessian, cols, spec);
  std::vector<double> damped = permuted(hessian, visit);
  const Result<InverseFactor> factor =
      quant::factor_inverse(damped, cols, {spec.damping, spec.damping_retries});
  if (!factor) return factor.failure();
  Result<QuantizedMatrix> matrix =
      rounded_to_nearest(weights, rows, cols, spec, importance_of(spec, damped, *factor, visit));
  if (!matrix) return matrix.failure();

  GptqResult result{
      std::move(*matrix),
      {.damping = factor->damping, .attempts = factor->attempts, .dead_columns = factor->dead_columns}};
  const ScaleTable scales = ScaleTable::of(spec.format, result.matrix.tensor_scale);
  const GptqProblem problem{.weights = weights.data(),
                            .cols = cols,
                            .spec = &spec,
                            .factor = &*factor,
                            .visit = visit,
                            .hessian = damped,
                            .scales = &scales,
                            .result = &result.matrix};
  const GptqLoss loss = quantize_all_rows(problem, rows);
  result.report.error = loss.error;
  result.report.weight = loss.weight;
  result.report.relative_error = loss.weight > 0.0 ? loss.error / loss.weight : 0.0;
  return result;
}

Result<GptqResult> round_to_nearest(std::span<const float> weights, std::int64_t rows, std::int64_t cols,
                                    const GptqSpec& spec) {
  if (spec.importance != Importance::none || spec.timing != ScaleTiming::before || spec.descent_passes != 0)
    return {Error::kBadArgument, "importance, scales within GPTQ and descent need a Hessian: use gptq"};
  Result<QuantizedMatrix> matrix = rounded_to_nearest(weights, rows, cols, spec, {});
  if (!matrix) return matrix.failure();
  return GptqResult{std::move(*matrix), {}};
}

std::vector<double> second_moment(std::span<const float> inputs, std::int64_t tokens, std::int64_t cols) {
  quant::Gram gram(cols);
  if (const Status added = gram.add(inputs, tokens); !added) return {};
  Result<std::vector<double>> sums = gram.sums();
  return sums ? std::move(*sums) : std::vector<double>();
}

Status rotate_hessian(std::span<double> hessian, std::int64_t cols, std::int64_t order) {
  if (cols < 1 || hessian.size() != static_cast<std::uint64_t>(cols * cols))
    return {Error::kBadShape, "expected a cols x cols Hessian", std::to_string(cols) + " columns"};
  return quant::rotate_both_sides(hessian, cols, order);
}

}  // namespace fourge
