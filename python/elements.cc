// Codes and values, packing, scale layouts.
#include <cstring>

#include "fourge/rounding.h"
#include "python/bindings.h"

namespace fourge::python {
namespace {

std::size_t code_bytes(ElementFormat format) {
  const int bits = info(format).storage_bits;
  return bits <= 8 ? 1 : static_cast<std::size_t>(bits) / 8;
}

std::string shape_error(const ArrayView& view) { return "codes of " + view.dtype(); }

py::array decode_elements(const py::object& codes, const py::object& format_name) {
  const ElementFormat format = parse_element_format(format_name);
  const ArrayView view = view_of(codes, "codes");
  const std::size_t size = code_bytes(format);
  if (view.item_bytes != static_cast<std::int64_t>(size))
    throw Failed(Error::kUnsupportedFormat, "the elements' size is not that of the format",
                 shape_error(view));
  const std::uint8_t* bits = bits_of(view, view.size() * view.item_bytes, "codes");
  py::array out = new_array(ElementFormat::f32, view.shape);
  auto* values = static_cast<float*>(out.mutable_data());
  const std::int64_t count = view.size();
  const py::gil_scoped_release release;
  for (std::int64_t i = 0; i < count; ++i) {
    std::uint32_t code = 0;
    std::memcpy(&code, bits + static_cast<std::size_t>(i) * size, size);
    values[i] = decode_f32(format, code);
  }
  return out;
}

py::array encode_elements(const py::object& values, const py::object& format_name,
                          const std::string& rounding_name, bool saturate) {
  const ElementFormat format = parse_element_format(format_name);
  const Rounding rounding = parse_rounding(rounding_name);
  const Overflow overflow = saturate ? Overflow::satfinite : Overflow::infinity;
  if (format == ElementFormat::ue8m0 && rounding == Rounding::rne)
    throw Failed(Error::kBadArgument, "ue8m0 rounds toward zero or up: 'rz' or 'rp'", "rounding 'rne'");
  const ArrayView view = view_of(values, "values");
  const float* x = floats_of(view, view.size(), "values");
  py::array out = new_array(format, view.shape);
  auto* codes = static_cast<std::uint8_t*>(out.mutable_data());
  const std::size_t size = code_bytes(format);
  const std::int64_t count = view.size();
  const py::gil_scoped_release release;
  for (std::int64_t i = 0; i < count; ++i) {
    const std::uint32_t code = format == ElementFormat::ue8m0 ? encode_ue8m0(x[i], rounding, overflow)
                                                              : encode(format, x[i], rounding, overflow);
    std::memcpy(codes + static_cast<std::size_t>(i) * size, &code, size);
  }
  return out;
}

// One code a byte (low nibble; ml_dtypes' float4_e2m1fn) to two a byte, the even element low.
py::array pack_codes(const py::object& codes) {
  const ArrayView view = view_of(codes, "codes");
  const std::uint8_t* in = bytes_of(view, view.size(), "codes");
  std::vector<std::int64_t> shape = view.shape;
  if (shape.empty() || shape.back() % 2 != 0)
    throw Failed(Error::kBadShape, "expected an even last dimension: two codes share a byte", "codes");
  shape.back() /= 2;
  py::array out(py::dtype::of<std::uint8_t>(), py::array::ShapeContainer(shape.begin(), shape.end()));
  auto* packed = static_cast<std::uint8_t*>(out.mutable_data());
  for (std::int64_t i = 0; i < view.size() / 2; ++i)
    packed[i] = static_cast<std::uint8_t>((in[2 * i] & 15) | in[2 * i + 1] << 4);
  return out;
}

py::array unpack_codes(const py::object& codes) {
  const ArrayView view = view_of(codes, "codes");
  const std::uint8_t* in = bytes_of(view, view.size(), "codes");
  std::vector<std::int64_t> shape = view.shape;
  if (shape.empty()) throw Failed(Error::kBadShape, "expected at least one dimension", "codes");
  shape.back() *= 2;
  py::array out(py::dtype::of<std::uint8_t>(), py::array::ShapeContainer(shape.begin(), shape.end()));
  auto* unpacked = static_cast<std::uint8_t*>(out.mutable_data());
  for (std::int64_t i = 0; i < view.size(); ++i) {
    unpacked[2 * i] = in[i] & 15;
    unpacked[2 * i + 1] = in[i] >> 4;
  }
  return out;
}

void check_extents(std::int64_t rows, std::int64_t columns) {
  constexpr std::int64_t kMost = std::int64_t{1} << 30;
  if (rows < 0 || columns < 0 || rows > kMost || columns > kMost) {
    throw Failed(Error::kBadShape, "expected extents from 0 to 2^30",
                 std::to_string(rows) + " x " + std::to_string(columns));
  }
}

py::array convert_scale_layout(const py::object& scales, std::int64_t rows, std::int64_t columns,
                               const std::string& from_name, const std::string& to_name) {
  check_extents(rows, columns);
  const ScaleLayout from = parse_layout(from_name), to = parse_layout(to_name);
  const ArrayView view = view_of(scales, "scales");
  const std::uint8_t* in = bytes_of(view, scale_bytes(from, rows, columns), "scales");
  py::array out(py::dtype::of<std::uint8_t>(),
                py::array::ShapeContainer{padded_scale_rows(to, rows), padded_scale_columns(to, columns)});
  auto* converted = static_cast<std::uint8_t*>(out.mutable_data());
  const py::gil_scoped_release release;
  convert_scales(from, in, to, converted, rows, columns);
  return out;
}

py::array_t<std::int64_t> scale_offsets(std::int64_t rows, std::int64_t columns,
                                        const std::string& layout_name) {
  check_extents(rows, columns);
  const ScaleLayout layout = parse_layout(layout_name);
  py::array_t<std::int64_t> out({rows, columns});
  std::int64_t* offset = out.mutable_data();
  for (std::int64_t r = 0; r < rows; ++r)
    for (std::int64_t c = 0; c < columns; ++c) *offset++ = scale_offset(layout, r, c, columns);
  return out;
}

}  // namespace

void define_elements(py::module_& module) {
  module.def(
      "decode", &decode_elements, py::arg("codes"), py::arg("format"),
      "Values of codes, f32, in the shape of `codes`.\n\n"
      "codes: C-contiguous, one code an element: one byte for formats of 8 bits or less (the code in the\n"
      "       low bits), two for float16 and bfloat16, four for float32 and tfloat32.\n"
      "format: 'e2m1', 'float8_e4m3fn', ml_dtypes.float8_e4m3fn, torch.float8_e5m2, ...");
  module.def(
      "encode", &encode_elements, py::arg("values"), py::arg("format"), py::kw_only(),
      py::arg("rounding") = "rne", py::arg("saturate") = true,
      "Codes of f32 values, in the shape of `values`: an ml_dtypes array where that can be imported, else\n"
      "unsigned integers.\n\n"
      "rounding: 'rne' (to nearest, ties to even), 'rz' (toward zero), 'rp' (up).\n"
      "saturate: what is too large becomes the largest finite value; else infinity, or NaN without one.");
  module.def("pack", &pack_codes, py::arg("codes"),
             "4-bit codes, one a byte, [..., k], to two a byte, uint8 [..., k / 2], the even one low.");
  module.def("unpack", &unpack_codes, py::arg("codes"),
             "4-bit codes, two a byte, [..., k / 2], to one a byte, uint8 [..., k].");
  module.def("convert_scales", &convert_scale_layout, py::arg("scales"), py::arg("rows"), py::arg("columns"),
             py::arg("from_layout"), py::arg("to_layout"),
             "Block scales of `rows` rows by `columns` blocks from one layout to another: uint8, padded.\n\n"
             "layouts: 'linear', 'swizzled_128x4' (cuBLAS, CUTLASS), 'swizzled_8x4' (TensorRT-LLM).");
  module.def("scale_offsets", &scale_offsets, py::arg("rows"), py::arg("columns"), py::arg("layout"),
             "int64 [rows, columns]: where the scale of each row and block lies in that layout.");
  module.def(
      "element_format", [](const py::object& name) { return name_of(parse_element_format(name)); },
      py::arg("dtype"), "fourge's name of an element format: 'float8_e4m3fn' -> 'e4m3'.");
  module.def(
      "dtype", [](const py::object& name) { return dtype_of(parse_element_format(name)); }, py::arg("format"),
      "The numpy dtype that holds a format: ml_dtypes' where it can be imported, else unsigned integers.");
  py::dict names;
  for (const ElementFormat format : kElementFormats) {
    if (*ml_dtypes_name(format) != '\0') names[name_of(format)] = ml_dtypes_name(format);
  }
  module.attr("ml_dtypes_names") = names;
}

}  // namespace fourge::python
