// A cost model of four terms, fitted to measured times.
#pragma once

#include <span>

namespace fourge::bench {

/// What a call has to do.
struct Work {
  double operations = 0;
  double bytes = 0;
  double row_steps = 0;  // rows of A times steps of K = 64: preparing activations

  bool operator==(const Work&) const = default;
};

/// seconds = overhead + operations * seconds_per_operation + bytes * seconds_per_byte
///           + row_steps * seconds_per_row_step, no coefficient negative.
struct CostModel {
  double overhead = 0;
  double seconds_per_operation = 0;
  double seconds_per_byte = 0;
  double seconds_per_row_step = 0;

  double seconds(const Work& work) const {
    return overhead + work.operations * seconds_per_operation + work.bytes * seconds_per_byte +
           work.row_steps * seconds_per_row_step;
  }
};

struct CostSample {
  Work work;
  double seconds = 0;  // > 0
};

/// The model with the least sum of ((model - measured) / measured)^2: least squares over every subset of the
/// terms, of which the best with no negative coefficient is kept. All zero for no samples.
CostModel fit_cost_model(std::span<const CostSample> samples);

}  // namespace fourge::bench
