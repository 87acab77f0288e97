// GPTQ on 4-bit block formats, one layer: weights and the second moment of their inputs in, codes and scales
// out. With a Hadamard rotation of the inputs in blocks this is MR-GPTQ (arXiv 2509.23202).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "fourge/error.h"
#include "fourge/matrix.h"
#include "fourge/quantize.h"

namespace fourge {

/// The order in which GPTQ rounds the columns of a weight matrix.
enum class ColumnOrder : std::uint8_t {
  natural,
  activation,  // descending diagonal of the Hessian; every column keeps the scale of its own group
  group,       // whole groups, in descending sum of their diagonal
};
constexpr const char* name_of(ColumnOrder order) {
  switch (order) {
    case ColumnOrder::natural:
      return "natural";
    case ColumnOrder::activation:
      return "activation";
    case ColumnOrder::group:
      return "group";
  }
  return "";
}

/// When a group of weights gets its scale.
enum class ScaleTiming : std::uint8_t {
  before,  // from the unchanged weights, by the scale rule ("static groups")
  within,  // when its columns' turn comes, from the weights as GPTQ has moved them: the code with the least
           // loss of GPTQ itself, rounding and error feedback inside the group included. Needs an order that
           // keeps groups together
};
constexpr const char* name_of(ScaleTiming timing) {
  return timing == ScaleTiming::before ? "before" : "within";
}

/// What the sweep rule weights the squared errors of a group's columns with (ScaleTiming::before).
enum class Importance : std::uint8_t {
  none,
  diagonal,     // of the Hessian
  conditional,  // 1 / U_jj^2: what GPTQ will charge for an error in column j, U^T U = H^-1
};
constexpr const char* name_of(Importance importance) {
  return importance == Importance::none       ? "none"
         : importance == Importance::diagonal ? "diagonal"
                                              : "conditional";
}

struct GptqSpec {
  Format format = Format::nvfp4;
  ScaleRule rule =
      ScaleRule::search;  // static_6, mse, mae, abs_max, search, sweep; shift, search, sweep, ...
  ScaleTiming timing = ScaleTiming::before;
  ColumnOrder order = ColumnOrder::activation;
  Importance importance = Importance::none;
  double damping = 0.01;    // times the mean diagonal, added to the diagonal
  int damping_retries = 4;  // after a failed Cholesky, each with ten times the damping
  int descent_passes = 0;   // afterwards: passes of coordinate descent over every code and scale
  float amax = 0.0f;        // nvfp4: of the tensor, 0: its own. For layers that share one tensor scale
  float encode = 1.0f;      // mxfp4 with sweep: value = code * scale / encode

  bool operator==(const GptqSpec&) const = default;
};

/// Combinations that mean nothing, with the reason.
Status check(const GptqSpec& spec);

struct GptqReport {
  double damping = 0.0;         // that the Cholesky factorisation succeeded with
  int attempts = 0;             // factorisations, 1 when the first succeeded
  int dead_columns = 0;         // inputs that were always 0
  double error = 0.0;           // tr(E H E^T), E = W - Wq, H damped
  double weight = 0.0;          // tr(W H W^T)
  double relative_error = 0.0;  // their ratio
};

struct GptqResult {
  QuantizedMatrix matrix;  // linear scales; tensor scale as an encode multiplier
  GptqReport report;
};

/// Quantises a row-major rows x cols weight matrix. `hessian`: cols x cols, symmetric, row-major, the sum
/// over inputs of x x^T in any overall factor; inputs and weights both as they meet in the product (rotated,
/// if the layer rotates). kBadShape; kBadArgument (check(), values that are not finite, a Hessian that is not
/// positive definite even with the last damping: never a silent fallback). The same result for every number
/// of threads.
Result<GptqResult> gptq(std::span<const float> weights, std::int64_t rows, std::int64_t cols,
                        std::span<const double> hessian, const GptqSpec& spec);

/// The same without feedback: every weight rounded to the nearest value under its group's scale.
Result<GptqResult> round_to_nearest(std::span<const float> weights, std::int64_t rows, std::int64_t cols,
                                    const GptqSpec& spec);

/// Sum over tokens of x x^T, cols x cols, from tokens x cols inputs, by SecondMoment (second_moment.h). NaN
/// in the rows and columns of inputs that are not finite. Empty: no memory, or FOURGE_MAX_ISA names no level.
std::vector<double> second_moment(std::span<const float> inputs, std::int64_t tokens, std::int64_t cols);

/// Q^T H Q for Q = blocks of the normalised Hadamard matrix of this order: the second moment of rotated
/// inputs from that of the inputs. kBadArgument, kBadShape as hadamard_blocks().
Status rotate_hessian(std::span<double> hessian, std::int64_t cols, std::int64_t order);

}  // namespace fourge
