#include "quant/gptq/descent.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "quant/gptq/clones.h"
#include "quant/gptq/core.h"

namespace fourge::quant {
namespace {

constexpr double kLeastGain = 1e-12;  // of the row's weight: steps below it are rounding noise

FOURGE_CLONES void subtract_scaled(double* g, const double* h, double factor, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) g[i] -= factor * h[i];
}

/// Columns of one group, as visits.
std::vector<std::vector<std::int64_t>> members_of_groups(const DescentProblem& p, std::int64_t group) {
  std::vector<std::vector<std::int64_t>> members(static_cast<std::size_t>(p.cols / group));
  for (std::int64_t v = 0; v < p.cols; ++v)
    members[static_cast<std::size_t>(p.visit[static_cast<std::size_t>(v)] / group)].push_back(v);
  return members;
}

class Row {
 public:
  Row(const DescentProblem& p, std::int64_t r, std::vector<double> gradient)
      : p_(p), r_(r), group_(info(p.format).block), g_(std::move(gradient)) {
    double weight = 0.0;
    for (std::int64_t v = 0; v < p_.cols; ++v) weight += h(v, v) * p_.target[at(v)] * p_.target[at(v)];
    least_gain_ = kLeastGain * weight;
  }

  /// Whether anything changed.
  bool pass(const std::vector<std::vector<std::int64_t>>& members) {
    bool changed = false;
    for (std::int64_t v = 0; v < p_.cols; ++v) changed |= improve_code(v);
    for (std::size_t g = 0; g < members.size(); ++g) changed |= improve_scale(g, members[g]);
    return changed;
  }

  double loss() const {
    double total = 0.0;
    for (std::int64_t v = 0; v < p_.cols; ++v) total += (p_.target[at(v)] - value(v)) * g_[index(v)];
    return total;
  }

 private:
  static std::size_t index(std::int64_t v) { return static_cast<std::size_t>(v); }
  std::size_t at(std::int64_t v) const { return static_cast<std::size_t>(v * kChunkRows + r_); }
  double h(std::int64_t i, std::int64_t j) const {
    return p_.hessian[static_cast<std::size_t>(i * p_.cols + j)];
  }
  std::uint8_t& scale_code(std::int64_t v) const { return p_.scale_codes[at(p_.visit[index(v)] / group_)]; }
  double value(std::int64_t v) const { return p_.q[at(v)] * p_.table->value[scale_code(v)]; }

  static double on_grid(double x, double inverse) {
    return std::copysign(round_e2m1(std::fabs(x * inverse)), x);
  }

  bool improve_code(std::int64_t v) {
    const std::uint8_t code = scale_code(v);
    const double scale = p_.table->value[code], old = p_.q[at(v)] * scale;
    const double q = on_grid(old + g_[index(v)] / h(v, v), p_.table->inverse[code]);
    const double step = q * scale - old;
    if (step == 0.0 || 2.0 * step * g_[index(v)] - step * step * h(v, v) <= least_gain_) return false;
    p_.q[at(v)] = q;
    subtract_scaled(g_.data(), p_.hessian.data() + v * p_.cols, step, p_.cols);
    return true;
  }

  struct Trial {
    double gain = 0.0;
    std::array<double, kWidestGroup> q{}, step{};
  };

  /// The group under another scale: its codes one after the other, each knowing those before.
  Trial try_scale(const std::vector<std::int64_t>& members, std::uint8_t code) const {
    Trial trial;
    const double scale = p_.table->value[code], inverse = p_.table->inverse[code];
    std::array<double, kWidestGroup> g;
    for (std::size_t i = 0; i < members.size(); ++i) g[i] = g_[index(members[i])];
    for (std::size_t i = 0; i < members.size(); ++i) {
      const std::int64_t v = members[i];
      const double old = value(v);
      trial.q[i] = on_grid(old + g[i] / h(v, v), inverse);
      trial.step[i] = trial.q[i] * scale - old;
      trial.gain += 2.0 * trial.step[i] * g[i] - trial.step[i] * trial.step[i] * h(v, v);
      for (std::size_t j = 0; j < members.size(); ++j) g[j] -= trial.step[i] * h(v, members[j]);
    }
    return trial;
  }

  bool improve_scale(std::size_t group, const std::vector<std::int64_t>& members) {
    std::uint8_t& code = p_.scale_codes[at(static_cast<std::int64_t>(group))];
    const bool ue4m3 = p_.format == Format::nvfp4;
    const int reach = ue4m3 ? 2 : 1, least = ue4m3 ? 1 : 2, most = ue4m3 ? 126 : 252;
    Trial best;
    int best_code = code;
    for (int c = std::max(code - reach, least); c <= std::min(code + reach, most); ++c) {
      if (c == code) continue;
      const Trial trial = try_scale(members, static_cast<std::uint8_t>(c));
      if (trial.gain <= std::max(best.gain, least_gain_)) continue;
      best = trial;
      best_code = c;
    }
    if (best_code == code) return false;
    code = static_cast<std::uint8_t>(best_code);
    for (std::size_t i = 0; i < members.size(); ++i) {
      p_.q[at(members[i])] = best.q[i];
      if (best.step[i] != 0.0)
        subtract_scaled(g_.data(), p_.hessian.data() + members[i] * p_.cols, best.step[i], p_.cols);
    }
    return true;
  }

  const DescentProblem& p_;
  std::int64_t r_, group_;
  std::vector<double> g_;  // H e
  double least_gain_ = 0.0;
};

/// (H e)(v, r), e = target - q * scale.
ChunkColumns gradients(const DescentProblem& p) {
  const std::int64_t group = info(p.format).block;
  ChunkColumns minus_error(p.target.size()), gradient(p.target.size(), 0.0);
  for (std::int64_t v = 0; v < p.cols; ++v) {
    for (std::int64_t r = 0; r < kChunkRows; ++r) {
      const auto i = static_cast<std::size_t>(v * kChunkRows + r);
      const std::int64_t g = p.visit[static_cast<std::size_t>(v)] / group;
      const std::uint8_t code = p.scale_codes[static_cast<std::size_t>(g * kChunkRows + r)];
      minus_error[i] = p.q[i] * p.table->value[code] - p.target[i];
    }
  }
  subtract_products(p.hessian.data(), p.cols, p.cols, minus_error.data(), p.cols, gradient.data());
  return gradient;
}

}  // namespace

double coordinate_descent(const DescentProblem& p) {
  const std::vector<std::vector<std::int64_t>> members = members_of_groups(p, info(p.format).block);
  const ChunkColumns gradient = gradients(p);
  double loss = 0.0;
  for (std::int64_t r = 0; r < p.rows; ++r) {
    std::vector<double> g(static_cast<std::size_t>(p.cols));
    for (std::int64_t v = 0; v < p.cols; ++v)
      g[static_cast<std::size_t>(v)] = gradient[static_cast<std::size_t>(v * kChunkRows + r)];
    Row row(p, r, std::move(g));
    for (int pass = 0; pass < p.passes && row.pass(members); ++pass) {
    }
    loss += row.loss();
  }
  return loss;
}

}  // namespace fourge::quant
