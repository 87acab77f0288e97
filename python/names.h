// Errors as exceptions, and names as the enumerators that they mean.
#pragma once

#include <pybind11/pybind11.h>

#include <exception>
#include <string>
#include <utility>

#include "fourge/decode.h"
#include "fourge/error.h"
#include "fourge/gemm.h"
#include "fourge/gptq.h"
#include "fourge/quantizer.h"
#include "reference/mma/model.h"

namespace fourge::python {

namespace py = pybind11;

/// A Failure on its way to fourge.Error, whose text is Failure::message().
class Failed : public std::exception {
 public:
  explicit Failed(Failure failure) : failure_(std::move(failure)), message_(failure_.message()) {}
  Failed(Error error, const char* reason, std::string where = {})
      : Failed(Failure{error, reason, std::move(where)}) {}

  const char* what() const noexcept override { return message_.c_str(); }
  const Failure& failure() const { return failure_; }

 private:
  Failure failure_;
  std::string message_;
};

/// Defines fourge.Error.
void define_error(py::module_& module);

inline void ensure(const Status& status) {
  if (!status.ok()) throw Failed(status.failure());
}
template <class T>
T value_of(Result<T> result) {
  if (!result.ok()) throw Failed(result.failure());
  return std::move(*result);
}

/// A str; or the name of a dtype of numpy, ml_dtypes or torch, whatever object stands for it.
std::string dtype_name(const py::handle& object);

/// fourge's names (e4m3), and ml_dtypes' and torch's (float8_e4m3fn).
ElementFormat parse_element_format(const py::handle& object);
/// "float8_e4m3fn"; "" where ml_dtypes has none.
const char* ml_dtypes_name(ElementFormat format);

Format parse_format(const std::string& name);
ScaleRule parse_rule(const std::string& name);
ScaleLayout parse_layout(const std::string& name);
Rounding parse_rounding(const std::string& name);
ElementRounding parse_element_rounding(const std::string& name);
TensorScale::Direction parse_direction(const std::string& name);
const char* name_of_direction(TensorScale::Direction direction);
Numerics parse_numerics(const std::string& name);
Activations parse_activations(const std::string& name);
OutputType parse_output(const py::handle& object);
ElementFormat element_format_of(OutputType output);
ColumnOrder parse_order(const std::string& name);
ScaleTiming parse_timing(const std::string& name);
Importance parse_importance(const std::string& name);
reference::ZeroRule parse_zero_rule(const std::string& name);
reference::NarrowSubnormals parse_narrow_subnormals(const std::string& name);

}  // namespace fourge::python
