// fourge.gptq and what it is fed with.
#include "fourge/gptq.h"

#include <span>

#include "python/bindings.h"

namespace fourge::python {
namespace {

std::span<const float> float_matrix(const PlainMatrix& x, const char* what) {
  if (x.format != ElementFormat::f32 || x.stride != x.cols)
    throw Failed(Error::kUnsupportedFormat, "expected a C-contiguous float32 array", what);
  return {static_cast<const float*>(x.data), static_cast<std::size_t>(x.rows * x.cols)};
}

using Doubles = py::array_t<double, py::array::c_style | py::array::forcecast>;

std::span<const double> square(const Doubles& h, std::int64_t cols) {
  if (h.ndim() != 2 || h.shape(0) != cols || h.shape(1) != cols) {
    throw Failed(Error::kBadShape, "expected a square matrix, one row for each column of the weights",
                 "hessian, " + std::to_string(cols) + " columns");
  }
  return {h.data(), static_cast<std::size_t>(cols * cols)};
}

py::tuple run_gptq(const py::object& weights, const std::optional<Doubles>& hessian,
                   const std::string& format, const std::string& rule, const std::string& timing,
                   const std::string& order, const std::string& importance, double damping,
                   int descent_passes, float amax, float encode) {
  const GptqSpec spec{.format = parse_format(format),
                      .rule = parse_rule(rule),
                      .timing = parse_timing(timing),
                      .order = parse_order(order),
                      .importance = parse_importance(importance),
                      .damping = damping,
                      .descent_passes = descent_passes,
                      .amax = amax,
                      .encode = encode};
  const PlainMatrix w = plain_matrix(weights, "weights");
  const std::span<const float> values = float_matrix(w, "weights");
  Result<GptqResult> result = [&]() -> Result<GptqResult> {
    if (!hessian.has_value()) {
      const py::gil_scoped_release release;
      return round_to_nearest(values, w.rows, w.cols, spec);
    }
    const std::span<const double> h = square(*hessian, w.cols);
    const py::gil_scoped_release release;
    return gptq(values, w.rows, w.cols, h, spec);
  }();
  GptqResult done = value_of(std::move(result));
  py::dict report;
  report["damping"] = done.report.damping;
  report["attempts"] = done.report.attempts;
  report["dead_columns"] = done.report.dead_columns;
  report["relative_error"] = done.report.relative_error;
  return py::make_tuple(Matrix(std::move(done.matrix)), report);
}

py::array_t<double> moment(const py::object& inputs) {
  const PlainMatrix x = plain_matrix(inputs, "inputs");
  const std::span<const float> values = float_matrix(x, "inputs");
  std::vector<double> sum;
  {
    const py::gil_scoped_release release;
    sum = second_moment(values, x.rows, x.cols);
  }
  if (sum.empty() && x.cols > 0)
    throw std::runtime_error("second_moment: no memory for the sums, or FOURGE_MAX_ISA names no level");
  py::array_t<double> out({x.cols, x.cols});
  std::copy(sum.begin(), sum.end(), out.mutable_data());
  return out;
}

py::array_t<double> rotated(const Doubles& hessian, std::int64_t order) {
  const std::int64_t cols = hessian.ndim() == 2 ? hessian.shape(0) : 0;
  const std::span<const double> h = square(hessian, cols);
  py::array_t<double> out({cols, cols});
  std::copy(h.begin(), h.end(), out.mutable_data());
  const std::span<double> values(out.mutable_data(), h.size());
  Status status;
  {
    const py::gil_scoped_release release;
    status = rotate_hessian(values, cols, order);
  }
  ensure(status);
  return out;
}

}  // namespace

void define_gptq(py::module_& module) {
  module.def(
      "gptq", &run_gptq, py::arg("weights"), py::arg("hessian"), py::arg("format") = "nvfp4", py::kw_only(),
      py::arg("rule") = "search", py::arg("timing") = "before", py::arg("order") = "activation",
      py::arg("importance") = "none", py::arg("damping") = 0.01, py::arg("descent_passes") = 0,
      py::arg("amax") = 0.0f, py::arg("encode") = 1.0f,
      "GPTQ of one layer: (QuantizedMatrix, report).\n\n"
      "weights: float32 [rows, cols]. hessian: [cols, cols], the sum of x x^T over inputs in any overall\n"
      "factor (fourge.second_moment), rotated like the weights if they are (fourge.rotate_hessian); None\n"
      "rounds every weight to the nearest value instead.\n"
      "rule: how a block gets its scale. timing: 'before' or 'within'. order: 'natural', 'activation',\n"
      "'group'. damping: times the mean diagonal. descent_passes: of coordinate descent afterwards.\n"
      "report: damping, attempts, dead_columns, relative_error = tr(E H E^T) / tr(W H W^T).");
  module.def("second_moment", &moment, py::arg("inputs"),
             "float64 [cols, cols]: the sum of x x^T over the rows of float32 [tokens, cols].");
  module.def("rotate_hessian", &rotated, py::arg("hessian"), py::arg("order"),
             "Q^T H Q for Q = blocks of the normalised Hadamard matrix of that order: float64 [cols, cols].");
}

}  // namespace fourge::python
