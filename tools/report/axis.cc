#include "tools/report/axis.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace fourge::report {
namespace {

// The largest of 1, 2, 5 times a power of ten that is not above `value`.
double round_step(double value) {
  const double power = std::pow(10.0, std::floor(std::log10(value)));
  for (const double factor : {5.0, 2.0}) {
    if (factor * power <= value * (1 + 1e-12)) return factor * power;
  }
  return power;
}

// The smallest of 1, 2, 5 times a power of ten that is not below `value`.
double round_step_up(double value) {
  const double below = round_step(value);
  if (below >= value * (1 - 1e-12)) return below;
  const double power = std::pow(10.0, std::floor(std::log10(below) + 1e-9));
  const double factor = below / power;
  return factor < 1.5 ? 2 * power : factor < 3 ? 5 * power : 10 * power;
}

}  // namespace

Axis::Axis(const AxisSpec& spec, double least, double most, double from, double to, int tick_count)
    : log_(spec.log),
      least_(spec.least.value_or(least)),
      most_(spec.most.value_or(most)),
      from_(from),
      to_(to) {
  if (log_) {
    choose_log(spec, tick_count);
  } else {
    choose_linear(spec, tick_count);
  }
}

// The ticks that were asked for, those outside the axis left out.
bool Axis::take_ticks(const AxisSpec& spec) {
  for (std::size_t i = 0; i < spec.ticks.size(); ++i) {
    if (spec.ticks[i] < least_ || spec.ticks[i] > most_) continue;
    ticks_.push_back(spec.ticks[i]);
    if (i < spec.labels.size()) labels_.push_back(spec.labels[i]);
  }
  return !ticks_.empty();
}

void Axis::choose_linear(const AxisSpec& spec, int tick_count) {
  if (!spec.least && least_ > 0) least_ = 0;
  if (most_ <= least_) most_ = least_ + 1;
  const double step = round_step_up((most_ - least_) / tick_count);
  if (!spec.most) most_ = step * std::ceil(most_ / step - 1e-9);
  if (take_ticks(spec)) return;
  for (double tick = step * std::ceil(least_ / step - 1e-9); tick <= most_ * (1 + 1e-9); tick += step)
    ticks_.push_back(std::fabs(tick) < step * 1e-9 ? 0 : tick);
}

void Axis::choose_log(const AxisSpec& spec, int tick_count) {
  if (!spec.least) least_ = round_step(least_);
  if (!spec.most) most_ = round_step_up(most_);
  if (most_ <= least_) most_ = least_ * 10;
  if (take_ticks(spec)) return;
  const double decades = std::log10(most_ / least_);
  const bool fine = decades * 3 <= tick_count + 2, coarse = decades > tick_count;
  const double stride = coarse ? std::ceil(decades / tick_count) : 1;
  for (double power = std::pow(10.0, std::floor(std::log10(least_) + 1e-9)); power <= most_ * (1 + 1e-9);
       power *= std::pow(10.0, stride)) {
    for (const double factor : {1.0, 2.0, 5.0}) {
      const double tick = factor * power;
      const bool inside = tick >= least_ * (1 - 1e-9) && tick <= most_ * (1 + 1e-9);
      if (inside && (factor == 1.0 || fine)) ticks_.push_back(tick);
    }
  }
}

double Axis::at(double value) const {
  const double part =
      log_ ? std::log(value / least_) / std::log(most_ / least_) : (value - least_) / (most_ - least_);
  return from_ + part * (to_ - from_);
}

std::string Axis::description() const {
  return fmt::format("{},{:.17g},{:.17g},{:.17g},{:.17g}", log_ ? "log" : "linear", least_, most_, from_,
                     to_);
}

std::string Axis::label(double value) {
  const double magnitude = std::fabs(value);
  if (magnitude >= 1e6) return fmt::format("{:.4g}M", value / 1e6);
  if (magnitude >= 1e4) return fmt::format("{:.4g}k", value / 1e3);
  if (magnitude > 0 && magnitude < 1e-3) return fmt::format("{:.0e}", value);
  return fmt::format("{:.4g}", value);
}

}  // namespace fourge::report
