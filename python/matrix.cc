// fourge.QuantizedMatrix.
#include "python/bindings.h"

namespace fourge::python {
namespace {

py::array bytes_array(std::int64_t rows, std::int64_t cols) {
  return py::array(py::dtype::of<std::uint8_t>(), py::array::ShapeContainer{rows, cols});
}

// A vector's bytes as an array that owns the vector.
py::array adopt(std::vector<std::uint8_t> bytes, std::int64_t rows, std::int64_t cols) {
  auto* kept = new std::vector<std::uint8_t>(std::move(bytes));
  const py::capsule owner(kept, [](void* p) { delete static_cast<std::vector<std::uint8_t>*>(p); });
  return py::array(py::dtype::of<std::uint8_t>(), py::array::ShapeContainer{rows, cols}, kept->data(), owner);
}

Matrix make(const std::string& format, const py::object& codes, const py::object& scales, float tensor_scale,
            const std::string& direction, const std::string& layout, float amax) {
  return {parse_format(format),
          codes,
          scales,
          parse_layout(layout),
          {tensor_scale, parse_direction(direction)},
          amax};
}

std::string repr(const Matrix& m) {
  const QuantizedView& v = m.view();
  return std::string("<fourge.QuantizedMatrix ") + name_of(v.format) + " " + std::to_string(v.rows) + " x " +
         std::to_string(v.cols) + ", scales " + name_of(v.layout) + ">";
}

}  // namespace

Matrix::Matrix(Format format, const py::object& codes, const py::object& scales, ScaleLayout layout,
               TensorScale tensor_scale, float amax)
    : amax_(amax) {
  const ArrayView code_view = view_of(codes, "codes"), scale_view = view_of(scales, "scales");
  if (code_view.shape.size() != 2)
    throw Failed(Error::kBadShape, "expected two dimensions: rows x cols / 2 bytes", "codes");
  view_.format = format;
  view_.rows = code_view.shape[0];
  view_.cols = code_view.shape[1] * 2;
  const int block = info(format).block;
  if (view_.cols % block != 0) {
    throw Failed(Error::kBadShape, "expected cols, two a byte of codes, in multiples of the scale block",
                 std::string(name_of(format)) + ", " + std::to_string(view_.cols) + " columns");
  }
  view_.layout = layout;
  view_.tensor_scale = tensor_scale;
  view_.codes = bytes_of(code_view, view_.rows * view_.cols / 2, "codes");
  view_.scales = bytes_of(scale_view, scale_bytes(layout, view_.rows, view_.cols / block), "scales");
  codes_ = py::isinstance<py::array>(codes) ? codes : code_view.owner;
  scales_ = py::isinstance<py::array>(scales) ? scales : scale_view.owner;
  const auto as_array = [](py::object& kept, const ArrayView& view) {
    if (py::isinstance<py::array>(kept)) return;
    kept = py::array(py::dtype::of<std::uint8_t>(),
                     py::array::ShapeContainer(view.shape.begin(), view.shape.end()), view.data, kept);
  };
  as_array(codes_, code_view);
  as_array(scales_, scale_view);
}

Matrix::Matrix(QuantizedMatrix matrix) : amax_(matrix.amax) {
  view_ = matrix.view();
  codes_ = adopt(std::move(matrix.codes), view_.rows, view_.cols / 2);
  scales_ = adopt(std::move(matrix.scales), padded_scale_rows(view_.layout, view_.rows),
                  padded_scale_columns(view_.layout, view_.scale_cols()));
  view_.codes = static_cast<const std::uint8_t*>(py::array(codes_).data());
  view_.scales = static_cast<const std::uint8_t*>(py::array(scales_).data());
}

Matrix::Matrix(Format format, std::int64_t rows, std::int64_t cols, ScaleLayout layout) {
  view_.format = format;
  view_.rows = rows;
  view_.cols = cols;
  view_.layout = layout;
  codes_ = bytes_array(rows, cols / 2);
  scales_ = bytes_array(padded_scale_rows(layout, rows), padded_scale_columns(layout, view_.scale_cols()));
  view_.codes = static_cast<const std::uint8_t*>(py::array(codes_).data());
  view_.scales = static_cast<const std::uint8_t*>(py::array(scales_).data());
}

Matrix Matrix::to_layout(ScaleLayout layout) const {
  if (layout == view_.layout) return *this;
  Matrix out = *this;
  out.view_.layout = layout;
  out.scales_ =
      bytes_array(padded_scale_rows(layout, view_.rows), padded_scale_columns(layout, view_.scale_cols()));
  out.view_.scales = static_cast<const std::uint8_t*>(py::array(out.scales_).data());
  convert_scales(view_.layout, view_.scales, layout, out.scales_data(), view_.rows, view_.scale_cols());
  return out;
}

void define_matrix(py::module_& module) {
  py::class_<Matrix>(module, "QuantizedMatrix",
                     "A matrix of rows x cols 4-bit elements over arrays that it shares, not copies.\n\n"
                     "format: 'nvfp4', 'mxfp4' or 'mxfp4_b16'.\n"
                     "codes: one-byte elements [rows, cols / 2], two codes a byte, the even column low.\n"
                     "scales: one-byte elements (ue4m3 or ue8m0), one for each block of 16 or 32 columns:\n"
                     "        [rows, cols / block], or the bytes of a swizzled layout.\n"
                     "tensor_scale, direction: nvfp4's second scale x, applied as element * scale * x\n"
                     "        ('decode_multiplier', ModelOpt) or element * scale / x ('encode_multiplier',\n"
                     "        compressed-tensors).")
      .def(py::init(&make), py::arg("format"), py::arg("codes"), py::arg("scales"), py::kw_only(),
           py::arg("tensor_scale") = 1.0f, py::arg("direction") = "decode_multiplier",
           py::arg("layout") = "linear", py::arg("amax") = 0.0f)
      .def_property_readonly("format", [](const Matrix& m) { return name_of(m.view().format); })
      .def_property_readonly(
          "shape", [](const Matrix& m) { return std::pair(m.view().rows, m.view().cols); },
          "(rows, cols) in elements.")
      .def_property_readonly(
          "block", [](const Matrix& m) { return info(m.view().format).block; },
          "Elements along a row that share a scale.")
      .def_property_readonly("codes", &Matrix::codes, "[rows, cols / 2], two codes a byte. No copy.")
      .def_property_readonly("scales", &Matrix::scales, "Block scales in the layout. No copy.")
      .def_property_readonly("layout", [](const Matrix& m) { return name_of(m.view().layout); })
      .def_property_readonly("tensor_scale", [](const Matrix& m) { return m.view().tensor_scale.value; })
      .def_property_readonly(
          "direction", [](const Matrix& m) { return name_of_direction(m.view().tensor_scale.direction); })
      .def_property_readonly(
          "decode_multiplier", [](const Matrix& m) { return m.view().tensor_scale.as_decode_multiplier(); },
          "The tensor scale as a factor of values.")
      .def_property_readonly(
          "encode_multiplier", [](const Matrix& m) { return m.view().tensor_scale.as_encode_multiplier(); },
          "The tensor scale as a divisor of values.")
      .def_property_readonly("amax", &Matrix::amax, "Largest magnitude of the source; 0 when unknown.")
      .def(
          "to_layout",
          [](const Matrix& m, const std::string& layout) { return m.to_layout(parse_layout(layout)); },
          py::arg("layout"), "The same matrix with its scales in another layout; the codes are shared.")
      .def(
          "with_direction",
          [](Matrix m, const std::string& name) {
            const TensorScale& scale = m.view().tensor_scale;
            const TensorScale::Direction direction = parse_direction(name);
            m.set_tensor_scale({direction == TensorScale::Direction::decode_multiplier
                                    ? scale.as_decode_multiplier()
                                    : scale.as_encode_multiplier(),
                                direction});
            return m;
          },
          py::arg("direction"), "The same matrix with its tensor scale in that direction.")
      .def("__repr__", &repr);
}

}  // namespace fourge::python
