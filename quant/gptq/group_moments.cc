#include "quant/gptq/group_moments.h"

#include <Eigen/Core>
#include <algorithm>

#include "quant/gptq/factor.h"
#include "quant/gptq/gram.h"
#include "quant/hadamard.h"
#include "quant/quantize.h"

namespace fourge::quant {
namespace {

using RowMajor = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

Eigen::Map<const RowMajor> square(const std::vector<double>& values, std::int64_t cols) {
  return {values.data(), cols, cols};
}

RowMajor as_f64(std::span<const float> values, std::int64_t rows, std::int64_t cols) {
  RowMajor out(rows, cols);
  std::copy(values.begin(), values.end(), out.data());
  return out;
}

/// a * b, rows split over threads.
RowMajor product(const RowMajor& a, const Eigen::Map<const RowMajor>& b) {
  RowMajor out(a.rows(), b.cols());
  constexpr Eigen::Index kRows = 64;
#pragma omp parallel for schedule(dynamic)
  for (Eigen::Index first = 0; first < a.rows(); first += kRows) {
    const Eigen::Index count = std::min(kRows, a.rows() - first);
    out.middleRows(first, count).noalias() = a.middleRows(first, count) * b;
  }
  return out;
}

/// x after the rotation, without quantisation.
Result<std::vector<float>> rotated(const std::vector<float>& x, std::int64_t rotation) {
  std::vector<float> out = x;
  if (rotation > 1) {
    if (Status done = hadamard_blocks(out, rotation); !done) return done.failure();
  }
  return out;
}

/// What meets the weights, tensor scale included.
Result<std::vector<float>> transformed(const std::vector<float>& x, std::int64_t tokens,
                                       const InputTransform& transform) {
  const auto cols = static_cast<std::int64_t>(x.size()) / tokens;
  Result<GroupInput> input = GroupInput::of(x, tokens, cols, transform, true);
  if (!input) return input.failure();
  std::vector<float> values(input->values().begin(), input->values().end());
  if (input->output_scale() != 1.0f)
    for (float& v : values) v *= input->output_scale();
  return values;
}

}  // namespace

Result<float> rotated_amax(const GroupInputs& inputs, std::int64_t rotation) {
  float amax = 0.0f;
  Status status;
  for (const BlockState& state : inputs.own) {
    const Result<std::vector<float>> x = rotated(state.pending, rotation);
    if (!x) {
      status = x.failure();
      break;
    }
    amax = std::max(amax, tensor_amax(*x));
  }
  if (status = inputs.ranks->agree(status); !status) return status.failure();
  inputs.ranks->largest(std::span(&amax, 1));
  return amax;
}

namespace {

/// The sums of one group while sequences pass.
struct GroupGrams {
  Gram own, cross, difference, stream;

  Status add(const BlockState& state, const BlockState& reference, const InputTransform& seen, bool has_cross,
             bool measured) {
    const Result<std::vector<float>> xq = transformed(state.pending, state.tokens, seen);
    if (!xq) return xq.failure();
    if (Status added = own.add(*xq, state.tokens); !added) return added;
    if (stream.cols() > 0) {
      std::vector<float> s(state.x.size());
      for (std::size_t i = 0; i < s.size(); ++i) s[i] = reference.x[i] - state.x[i];
      if (Status added = stream.add_cross(s, *xq, state.tokens); !added) return added;
    }
    if (!has_cross) return {};
    Result<std::vector<float>> d = rotated(reference.pending, seen.rotation);
    if (!d) return d.failure();
    for (std::size_t i = 0; i < d->size(); ++i) (*d)[i] -= (*xq)[i];
    if (Status added = cross.add_cross(*d, *xq, state.tokens); !added || !measured) return added;
    return difference.add(*d, state.tokens);
  }

  /// The sums that are wanted, of all ranks, into `moments`.
  Status total(GroupMoments& moments, bool has_cross, bool measured, Ranks& ranks) {
    const auto take = [&](Gram& gram, bool wanted, std::vector<double>& to) -> Status {
      if (!wanted) return {};
      Result<std::vector<double>> sums = gram.sums(ranks);
      if (!sums) return sums.failure();
      to = std::move(*sums);
      return {};
    };
    if (Status done = take(own, true, moments.inputs); !done) return done;
    if (Status done = take(cross, has_cross, moments.cross); !done) return done;
    if (Status done = take(difference, measured, moments.difference); !done) return done;
    return take(stream, stream.cols() > 0, moments.stream);
  }
};

}  // namespace

Result<GroupMoments> measure(const GroupInputs& inputs, const InputTransform& transform, Target target,
                             std::int64_t stride, bool measured) {
  const bool has_cross = measured || moves_weights(target);
  const bool has_stream = target == Target::stream_output && inputs.adds_to_stream && !measured;
  GroupGrams grams{Gram(inputs.cols), Gram(has_cross ? inputs.cols : 0), Gram(measured ? inputs.cols : 0),
                   has_stream ? Gram(inputs.hidden, inputs.cols) : Gram(0)};
  InputTransform seen = transform;
  seen.quantized = transform.quantized && target != Target::own_input;
  const auto count = static_cast<std::int64_t>(inputs.own.size());
  Status status;
  for (std::int64_t s = 0; s < count && status.ok(); ++s) {
    if ((inputs.first_sequence + s) % stride != 0) continue;
    const auto i = static_cast<std::size_t>(s);
    status = grams.add(inputs.own[i], inputs.reference[i], seen, has_cross, measured);
  }
  Ranks& ranks = *inputs.ranks;
  if (status = ranks.agree(status); !status) return status.failure();
  GroupMoments moments{.cols = inputs.cols};
  if (status = grams.total(moments, has_cross, measured, ranks); !status) return status.failure();
  return moments;
}

Result<std::vector<float>> target_weights(std::span<const float> weights, std::int64_t rows,
                                          const GroupMoments& moments, double damping) {
  const RowMajor w = as_f64(weights, rows, moments.cols);
  RowMajor change = product(w, square(moments.cross, moments.cols));
  if (!moments.stream.empty())
    change += Eigen::Map<const RowMajor>(moments.stream.data(), rows, moments.cols);
  if (Status solved = solve_right(moments.inputs, moments.cols, {.first = damping, .retries = 4},
                                  std::span(change.data(), static_cast<std::size_t>(change.size())), rows);
      !solved)
    return solved.failure();
  std::vector<float> out(weights.size());
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = static_cast<float>(w.data()[i] + change.data()[i]);
  return out;
}

double output_error(std::span<const float> weights, std::span<const float> quantized, std::int64_t rows,
                    const GroupMoments& moments) {
  const std::int64_t cols = moments.cols;
  const RowMajor w = as_f64(weights, rows, cols);
  const RowMajor e = w - as_f64(quantized, rows, cols);
  const RowMajor eh = product(e, square(moments.inputs, cols));
  double error = eh.cwiseProduct(e).sum();
  if (!moments.cross.empty()) error += 2.0 * product(w, square(moments.cross, cols)).cwiseProduct(e).sum();
  if (!moments.difference.empty())
    error += product(w, square(moments.difference, cols)).cwiseProduct(w).sum();
  const double norm = product(w, square(moments.inputs, cols)).cwiseProduct(w).sum();
  return norm > 0.0 ? error / norm : 0.0;
}

}  // namespace fourge::quant
