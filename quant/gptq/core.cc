#include "quant/gptq/core.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "quant/gptq/clones.h"
#include "quant/gptq/descent.h"

namespace fourge::quant {
namespace {

using Lane = std::array<double, kChunkRows>;  // one value for each row of the chunk

/// q = x on the grid of scale s, err = (x - q) / pivot.
FOURGE_CLONES void round_column(const double* x, const double* scale, const double* inverse, double pivot,
                                double* q, double* err) {
  for (std::int64_t r = 0; r < kChunkRows; ++r) {
    const double rounded = round_e2m1(std::fabs(x[r] * inverse[r]));
    q[r] = std::copysign(rounded, x[r]);
    err[r] = (x[r] - q[r] * scale[r]) / pivot;
  }
}

/// Rounds a group one column after the other with its own feedback and returns the loss of each row.
/// x: width columns; u: width x width part of U, row-major.
FOURGE_CLONES void group_loss(const double* x, const double* u, int width, const double* scale,
                              const double* inverse, double* loss) {
  double y[kWidestGroup][kChunkRows];
  for (std::int64_t r = 0; r < kChunkRows; ++r) loss[r] = 0.0;
  for (int i = 0; i < width; ++i)
    for (std::int64_t r = 0; r < kChunkRows; ++r) y[i][r] = x[i * kChunkRows + r];
  for (int i = 0; i < width; ++i) {
    double err[kChunkRows];
    const double pivot = u[i * width + i];
    for (std::int64_t r = 0; r < kChunkRows; ++r) {
      const double rounded = round_e2m1(std::fabs(y[i][r] * inverse[r]));
      err[r] = (y[i][r] - std::copysign(rounded, y[i][r]) * scale[r]) / pivot;
      loss[r] += err[r] * err[r];
    }
    for (int j = i + 1; j < width; ++j)
      for (std::int64_t r = 0; r < kChunkRows; ++r) y[j][r] -= err[r] * u[i * width + j];
  }
}

/// The codes worth trying for a group whose largest magnitude is `amax`: amax / scale from 3.5 (below that
/// half the scale is as good, quant/lane_quantize.h) to 9, where the clipped value alone costs more than all
/// rounding.
struct CodeRange {
  int first, last;  // first > last: descending
};
CodeRange codes_to_try(const ScaleTable& table, int least, int most, double amax) {
  const auto below = [&](double bound) {  // the largest code whose value is at most `bound`
    const auto begin = table.value.begin() + least, end = table.value.begin() + most + 1;
    return static_cast<int>(std::upper_bound(begin, end, bound) - table.value.begin()) - 1;
  };
  const int first = std::clamp(below(amax / 3.5), least, most);
  return {first, std::clamp(below(amax / 9.0) + 1, least, first)};
}

class Chunk {
 public:
  Chunk(const GptqProblem& problem, std::int64_t first, std::int64_t count)
      : p_(problem),
        first_(first),
        count_(count),
        group_(info(problem.spec->format).block),
        x_(static_cast<std::size_t>(problem.cols * kChunkRows)),
        q_(x_.size()),
        err_(x_.size()),
        scale_codes_(static_cast<std::size_t>(problem.cols / group_ * kChunkRows)) {
    load_weights();
    if (p_.spec->timing == ScaleTiming::before) load_scales();
  }

  GptqLoss run() {
    GptqLoss loss;
    loss.weight = weight_norm();
    for (std::int64_t v = 0; v < p_.cols; v += group_) round_group(v);
    for (std::int64_t v = 0; v < p_.cols; ++v)
      for (std::int64_t r = 0; r < count_; ++r) loss.error += square(err_[at(v, r)]);
    if (p_.spec->descent_passes > 0) loss.error = descend();
    store();
    return loss;
  }

 private:
  static double square(double x) { return x * x; }
  std::size_t at(std::int64_t v, std::int64_t r) const {
    return static_cast<std::size_t>(v * kChunkRows + r);
  }
  std::int64_t group_at(std::int64_t v) const { return p_.visit[static_cast<std::size_t>(v)] / group_; }

  void load_weights() {
    for (std::int64_t v = 0; v < p_.cols; ++v) {
      const std::int64_t column = p_.visit[static_cast<std::size_t>(v)];
      for (std::int64_t r = 0; r < count_; ++r)
        x_[at(v, r)] = static_cast<double>(p_.weights[(first_ + r) * p_.cols + column]);
    }
  }

  void load_scales() {
    const std::int64_t groups = p_.cols / group_;
    for (std::int64_t g = 0; g < groups; ++g)
      for (std::int64_t r = 0; r < count_; ++r)
        scale_codes_[at(g, r)] = p_.result->scales[static_cast<std::size_t>((first_ + r) * groups + g)];
  }

  /// Entry of a scale table for each row of a group.
  Lane look_up(const std::array<double, 256>& table, std::int64_t group) const {
    Lane values;
    for (std::int64_t r = 0; r < kChunkRows; ++r)
      values[static_cast<std::size_t>(r)] = table[scale_codes_[at(group, r)]];
    return values;
  }

  /// tr(W H W^T); called before any feedback has moved x.
  double weight_norm() const {
    ChunkColumns product(x_.size(), 0.0);
    for (std::int64_t v = 0; v < p_.cols; v += group_) {
      subtract_products(p_.hessian.data() + v * p_.cols, p_.cols, p_.cols, x_.data(), group_,
                        product.data() + v * kChunkRows);
    }
    double total = 0.0;
    for (std::int64_t v = 0; v < p_.cols; ++v)
      for (std::int64_t r = 0; r < count_; ++r) total -= x_[at(v, r)] * product[at(v, r)];
    return total;
  }

  /// Visits [v, v + group): what earlier columns owe them, their scale if it is due now, their rounding.
  void round_group(std::int64_t v) {
    double* x = x_.data() + v * kChunkRows;
    subtract_products(p_.factor->lower.data() + v * p_.cols, p_.cols, v, err_.data(), group_, x);
    if (p_.spec->timing == ScaleTiming::within) choose_scales(v);
    for (std::int64_t i = v; i < v + group_; ++i) {
      if (i > v) {
        subtract_products(p_.factor->lower.data() + i * p_.cols + v, p_.cols, i - v,
                          err_.data() + v * kChunkRows, 1, x_.data() + i * kChunkRows);
      }
      const Lane scale = look_up(p_.scales->value, group_at(i)),
                 inverse = look_up(p_.scales->inverse, group_at(i));
      round_column(x_.data() + i * kChunkRows, scale.data(), inverse.data(), p_.factor->at(i, i),
                   q_.data() + i * kChunkRows, err_.data() + i * kChunkRows);
    }
  }

  void choose_scales(std::int64_t v) {
    const int width = static_cast<int>(group_);
    std::vector<double> u(static_cast<std::size_t>(width * width));
    for (int i = 0; i < width; ++i)
      for (int j = i; j < width; ++j)
        u[static_cast<std::size_t>(i * width + j)] = p_.factor->at(v + i, v + j);
    std::array<CodeRange, kChunkRows> range{};
    int tries = 0;
    for (std::int64_t r = 0; r < kChunkRows; ++r) {
      double amax = 0.0;
      for (int i = 0; i < width; ++i) amax = std::max(amax, std::fabs(x_[at(v + i, r)]));
      const bool ue4m3 = p_.spec->format == Format::nvfp4;
      auto& own = range[static_cast<std::size_t>(r)];
      own = codes_to_try(*p_.scales, ue4m3 ? 1 : 2, ue4m3 ? 126 : 252, amax);
      tries = std::max(tries, own.first - own.last + 1);
    }
    Lane best;
    best.fill(std::numeric_limits<double>::infinity());
    const std::int64_t group = group_at(v);
    for (int t = 0; t < tries; ++t) {
      Lane scale, inverse, loss;
      for (std::size_t r = 0; r < scale.size(); ++r) {
        const auto code = static_cast<std::size_t>(std::max(range[r].first - t, range[r].last));
        scale[r] = p_.scales->value[code];
        inverse[r] = p_.scales->inverse[code];
      }
      group_loss(x_.data() + v * kChunkRows, u.data(), width, scale.data(), inverse.data(), loss.data());
      for (std::int64_t r = 0; r < kChunkRows; ++r) {
        const auto i = static_cast<std::size_t>(r);
        if (loss[i] >= best[i]) continue;
        best[i] = loss[i];
        scale_codes_[at(group, r)] = static_cast<std::uint8_t>(std::max(range[i].first - t, range[i].last));
      }
    }
  }

  double descend() {
    for (std::int64_t v = 0; v < p_.cols; ++v) {
      const std::int64_t column = p_.visit[static_cast<std::size_t>(v)];
      for (std::int64_t r = 0; r < count_; ++r)
        x_[at(v, r)] = static_cast<double>(p_.weights[(first_ + r) * p_.cols + column]);
    }
    return coordinate_descent({.hessian = p_.hessian,
                               .visit = p_.visit,
                               .table = p_.scales,
                               .format = p_.spec->format,
                               .cols = p_.cols,
                               .rows = count_,
                               .passes = p_.spec->descent_passes,
                               .target = x_,
                               .q = q_,
                               .scale_codes = scale_codes_});
  }

  void store() {
    QuantizedMatrix& out = *p_.result;
    const std::int64_t groups = p_.cols / group_;
    for (std::int64_t r = 0; r < count_; ++r) {
      std::uint8_t* codes = out.codes.data() + (first_ + r) * p_.cols / 2;
      for (std::int64_t v = 0; v < p_.cols; ++v) {
        const std::int64_t column = p_.visit[static_cast<std::size_t>(v)];
        const unsigned code = e2m1_code(q_[at(v, r)]);
        std::uint8_t& byte = codes[column / 2];
        byte =
            static_cast<std::uint8_t>(column % 2 == 0 ? (byte & 0xf0u) | code : (byte & 0x0fu) | code << 4);
      }
      for (std::int64_t g = 0; g < groups; ++g)
        out.scales[static_cast<std::size_t>((first_ + r) * groups + g)] = scale_codes_[at(g, r)];
    }
  }

  const GptqProblem& p_;
  std::int64_t first_, count_, group_;
  ChunkColumns x_, q_, err_;               // values as moved, their grid values (without scale), errors
  std::vector<std::uint8_t> scale_codes_;  // (group, row)
};

}  // namespace

FOURGE_CLONES void subtract_products(const double* factors, std::int64_t stride, std::int64_t depth,
                                     const double* left, std::int64_t count, double* columns) {
  for (std::int64_t j = 0; j < count; ++j) {
    double sum[kChunkRows];
    for (std::int64_t r = 0; r < kChunkRows; ++r) sum[r] = columns[j * kChunkRows + r];
    for (std::int64_t i = 0; i < depth; ++i) {
      const double factor = factors[j * stride + i];
      for (std::int64_t r = 0; r < kChunkRows; ++r) sum[r] -= factor * left[i * kChunkRows + r];
    }
    for (std::int64_t r = 0; r < kChunkRows; ++r) columns[j * kChunkRows + r] = sum[r];
  }
}

GptqLoss quantize_chunk(const GptqProblem& problem, std::int64_t first, std::int64_t count) {
  return Chunk(problem, first, count).run();
}

}  // namespace fourge::quant
