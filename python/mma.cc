// fourge.mma: tensor-core instructions by the normative model.
#include "python/bindings.h"
#include "reference/mma/tiles.h"

namespace fourge::python {
namespace {

using reference::MmaTile;

// The only format that a model takes, where none is given.
ElementFormat format_for(const reference::MmaModel& model, const py::object& name, const char* what) {
  if (!name.is_none()) return parse_element_format(name);
  std::optional<ElementFormat> only;
  for (const ElementFormat format : kElementFormats) {
    if (!model.formats.contains(format)) continue;
    if (only) throw Failed(Error::kBadArgument, "the model takes several formats: name one", what);
    only = format;
  }
  return *only;
}

// Rows of one operand: [m, row] or [tiles, m, row].
struct Rows {
  ArrayView view;
  std::int64_t tiles = 1, rows = 0, row_bytes = 0;
};

Rows rows_of(const py::object& object, const char* what) {
  Rows rows{.view = view_of(object, what)};
  const std::vector<std::int64_t>& shape = rows.view.shape;
  if (shape.size() != 2 && shape.size() != 3)
    throw Failed(Error::kBadShape, "expected [m, k] or [tiles, m, k]", what);
  if (shape.size() == 3) rows.tiles = shape[0];
  rows.rows = shape[shape.size() - 2];
  rows.row_bytes = shape.back() * rows.view.item_bytes;
  return rows;
}

const std::uint8_t* scales_of(const py::object& object, ArrayView& view, std::int64_t rows, int per_row,
                              const char* what) {
  if (object.is_none()) return nullptr;
  view = view_of(object, what);
  return bytes_of(view, rows * per_row, what);
}

py::array mma(const std::string& model_name, const py::object& a_object, const py::object& b_object,
              const py::object& c_object, const py::object& a_scales, const py::object& b_scales,
              const py::object& a_format, const py::object& b_format, std::optional<int> k,
              const std::string& zero_rule, const std::string& narrow_subnormals) {
  MmaTile tile;
  tile.model = value_of(reference::find_model(model_name));
  tile.policy.zeros = parse_zero_rule(zero_rule);
  tile.policy.narrow_subnormals = parse_narrow_subnormals(narrow_subnormals);
  tile.shape.a_format = format_for(tile.model, a_format, "a_format");
  tile.shape.b_format = b_format.is_none() ? tile.shape.a_format : parse_element_format(b_format);
  const Rows a = rows_of(a_object, "a"), b = rows_of(b_object, "b");
  if (a.rows > reference::kMostExtent || b.rows > reference::kMostExtent ||
      a.row_bytes > 4 * reference::kMostDepth)
    throw Failed(Error::kBadShape, "expected m, n and k of at most 65536", "a or b");
  tile.shape.m = static_cast<int>(a.rows);
  tile.shape.n = static_cast<int>(b.rows);
  tile.shape.k = k.value_or(static_cast<int>(a.row_bytes * 8 / info(tile.shape.a_format).storage_bits));
  ensure(check(tile));
  if (a.tiles != b.tiles) throw Failed(Error::kBadShape, "expected as many tiles of a as of b", "a, b");

  reference::MmaArrays arrays;
  ArrayView a_scale_view, b_scale_view, c_view;
  arrays.a = bits_of(a.view, a.tiles * a.rows * tile.a_row_bytes(), "a");
  arrays.b = bits_of(b.view, b.tiles * b.rows * tile.b_row_bytes(), "b");
  arrays.a_scales = scales_of(a_scales, a_scale_view, a.tiles * a.rows, tile.scales(), "a_scales");
  arrays.b_scales = scales_of(b_scales, b_scale_view, b.tiles * b.rows, tile.scales(), "b_scales");
  if (!c_object.is_none()) {
    c_view = view_of(c_object, "c");
    arrays.c = bits_of(c_view, a.tiles * a.rows * b.rows * tile.c_bytes(), "c");
  }
  std::vector<std::int64_t> shape = {a.rows, b.rows};
  if (a.view.shape.size() == 3) shape.insert(shape.begin(), a.tiles);
  py::array d = new_array(tile.model.c_format(), shape);
  arrays.d = d.mutable_data();
  Status status;
  {
    const py::gil_scoped_release release;
    status = reference::mma_tiles(tile, a.tiles, arrays);
  }
  ensure(status);
  return d;
}

py::dict describe(const reference::MmaModel& model) {
  py::list formats, depths;
  for (const ElementFormat format : kElementFormats) {
    if (model.formats.contains(format)) formats.append(name_of(format));
  }
  for (const int depth : model.depths) {
    if (depth != 0) depths.append(depth);
  }
  py::dict row;
  row["formats"] = formats;
  row["k"] = depths;
  row["fraction_bits"] = model.rules.fraction_bits;
  row["products_per_sum"] = model.rules.products_per_sum;
  row["output"] = model.rules.output.name;
  row["rounding"] = model.rules.rounding == Rounding::rz ? "rz" : "rne";
  row["scale_block"] = model.scale_block;
  row["evidence"] = name_of(model.evidence);
  row["source"] = py::str(model.source.data(), model.source.size());
  return row;
}

}  // namespace

void define_mma(py::module_& module) {
  module.def(
      "mma", &mma, py::arg("model"), py::arg("a"), py::arg("b"), py::arg("c") = py::none(),
      py::arg("a_scales") = py::none(), py::arg("b_scales") = py::none(), py::kw_only(),
      py::arg("a_format") = py::none(), py::arg("b_format") = py::none(), py::arg("k") = py::none(),
      py::arg("zero_rule") = "hardware", py::arg("narrow_subnormals") = "own-exponent",
      "D = A B^T + C by one tensor-core instruction, bit for bit: [m, n] or [tiles, m, n].\n\n"
      "model: a key of fourge.mma_models(), or 'custom:fraction_bits=F,products=P,output=f32,rounding=rz'.\n"
      "a: [m, k] or [tiles, m, k] as bits: float16, bfloat16, float32 (tf32: low 13 bits ignored), one-byte\n"
      "   codes of fp8 and fp6, or e2m1 two a byte [..., k / 2]. b: [n, k], likewise.\n"
      "c: float32, or float16 where that is the output, [m, n]; +0 unless given.\n"
      "a_scales: one-byte scales [m, k / block], b_scales: [n, k / block], for block-scaled models.\n"
      "a_format, b_format: where the model takes several. k: unless the bytes of a row say it.");
  module.def(
      "mma_models",
      [] {
        py::dict models;
        for (const reference::MmaModel& model : reference::kMmaModels)
          models[py::str(model.name.data(), model.name.size())] = describe(model);
        return models;
      },
      "{name: what is known about the instruction, and what that rests on}.");
}

}  // namespace fourge::python
