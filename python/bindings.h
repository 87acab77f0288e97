// The parts of the extension module, and what they share.
#pragma once

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "fourge/kernel.h"
#include "fourge/matrix.h"
#include "python/arrays.h"

namespace fourge::python {

void define_elements(py::module_& module);
void define_matrix(py::module_& module);
void define_gemm(py::module_& module);
void define_kernels(py::module_& module);
void define_mma(py::module_& module);
void define_gptq(py::module_& module);

/// A quantised matrix over arrays that it keeps alive.
class Matrix {
 public:
  Matrix(Format format, const py::object& codes, const py::object& scales, ScaleLayout layout,
         TensorScale tensor_scale, float amax);
  /// Takes the vectors over.
  explicit Matrix(QuantizedMatrix matrix);
  /// Uninitialised codes and scales, to be written through codes_data() and scales_data().
  Matrix(Format format, std::int64_t rows, std::int64_t cols, ScaleLayout layout);

  const QuantizedView& view() const { return view_; }
  void set_tensor_scale(TensorScale scale) { view_.tensor_scale = scale; }
  void set_amax(float amax) { amax_ = amax; }
  float amax() const { return amax_; }
  const py::object& codes() const { return codes_; }
  const py::object& scales() const { return scales_; }
  std::uint8_t* codes_data() { return const_cast<std::uint8_t*>(view_.codes); }
  std::uint8_t* scales_data() { return const_cast<std::uint8_t*>(view_.scales); }
  Matrix to_layout(ScaleLayout layout) const;

 private:
  QuantizedView view_;
  float amax_ = 0.0f;
  py::object codes_, scales_;
};

/// Kernel options that own their texts.
struct Choice {
  Choice(const std::optional<std::string>& kernel_name, const std::optional<std::string>& isa)
      : kernel(kernel_name.value_or("")), max_isa(isa.value_or("")) {}
  KernelOptions options() const {
    return {.kernel = kernel.empty() ? nullptr : kernel.c_str(),
            .max_isa = max_isa.empty() ? nullptr : max_isa.c_str()};
  }
  std::string kernel, max_isa;
};

/// One listing by objdump.
std::string disassemble(const KernelCode& code);

/// What every kernel object tells about its kernel.
template <class Class>
void define_code(Class& type) {
  using Operation = typename Class::type;
  type.def_property_readonly(
      "name", [](const Operation& o) { return o.code().name; },
      "The kernel's name: docs/names.md, \"Kernels\".");
  type.def_property_readonly(
      "isa", [](const Operation& o) { return o.code().isa; },
      "The level that the kernel needs: 'scalar', 'avx2', 'avx512', 'amx', ...");
  type.def_property_readonly(
      "exactness", [](const Operation& o) { return o.code().exactness; },
      "'bit_exact(MODEL)' or 'within(BOUND)'.");
  type.def_property_readonly(
      "code",
      [](const Operation& o) {
        const KernelCode code = o.code();
        return py::bytes(reinterpret_cast<const char*>(code.bytes.data()), code.bytes.size());
      },
      "The machine code; empty for a compiled kernel.");
  type.def_property_readonly(
      "registers", [](const Operation& o) { return o.code().registers; }, "[(registers, role), ...]");
  type.def_property_readonly(
      "decisions", [](const Operation& o) { return o.decisions(); },
      "A line for each registered kernel: chosen, or why it was not.");
  type.def(
      "budget", [](const Operation& o) { return o.code().budget; },
      "The execution ports that one inner step takes, as text.");
  type.def(
      "disassemble", [](const Operation& o) { return disassemble(o.code()); },
      "The listing that objdump makes of the machine code, as text.");
  type.def("__repr__", [](const Operation& o) { return "<fourge kernel " + o.code().name + ">"; });
}

}  // namespace fourge::python
