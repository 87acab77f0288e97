// Arrays of other libraries without a copy: numpy, ml_dtypes, anything with DLPack (torch, jax) or a buffer.
#pragma once

#include <pybind11/numpy.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "python/names.h"

namespace fourge::python {

/// Memory of somebody else, kept alive by `owner`. Strides and shape count elements.
struct ArrayView {
  void* data = nullptr;
  bool writable = false;
  std::int64_t item_bytes = 0;
  std::optional<ElementFormat> format;  // f32, bf16, f16, f64 has none; one-byte types: their format if known
  bool plain_bytes = false;             // uint8 or int8
  bool booleans = false;
  std::string dtype_name;  // where it was needed to tell; dtype() else
  std::vector<std::int64_t> shape, strides;
  py::object owner;

  std::int64_t size() const;
  bool contiguous() const;
  std::string dtype() const;  // for messages: numpy takes microseconds to make it
};

/// In order: numpy arrays, __dlpack__ (CPU only), the buffer protocol. TypeError for anything else; `what`
/// names the argument.
ArrayView view_of(const py::handle& object, const char* what);

/// rows x cols of f32, bf16 or f16 with unit stride along rows; one dimension counts as one row.
struct PlainMatrix {
  void* data = nullptr;
  ElementFormat format = ElementFormat::f32;
  std::int64_t rows = 0, cols = 0, stride = 0;
  std::vector<std::int64_t> shape;
  py::object owner;
};
PlainMatrix plain_matrix(const py::handle& object, const char* what);

/// Contiguous one-byte elements (uint8, fp8 dtypes, ...): `count` of them. kBadShape.
const std::uint8_t* bytes_of(const ArrayView& view, std::int64_t count, const char* what);
/// The bits of contiguous elements, any type: `bytes` bytes.
const std::uint8_t* bits_of(const ArrayView& view, std::int64_t bytes, const char* what);
/// Contiguous f32: `count` of them.
const float* floats_of(const ArrayView& view, std::int64_t count, const char* what);

/// numpy's dtype of a format: float32, float16; bfloat16 and the narrow ones from ml_dtypes where it can be
/// imported, else unsigned integers that hold the bits.
py::dtype dtype_of(ElementFormat format);

/// A new C-contiguous array.
py::array new_array(ElementFormat format, std::vector<std::int64_t> shape);
/// `out` if given (writable, of that shape and format, unit stride along rows), else a new array.
py::array output_array(const py::object& out, ElementFormat format, const std::vector<std::int64_t>& shape,
                       std::int64_t* row_stride);

}  // namespace fourge::python
