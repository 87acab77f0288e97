#include "python/names.h"

#include <initializer_list>

namespace fourge::python {
namespace {

// The enumerator that name_of() gives `name` for.
template <class All, class NameOf>
auto parse(const std::string& name, const char* what, const All& all, const NameOf& name_of_enum) {
  std::string expected;
  for (const auto candidate : all) {
    if (name == name_of_enum(candidate)) return candidate;
    expected += std::string(expected.empty() ? "" : ", ") + name_of_enum(candidate);
  }
  throw Failed(Error::kBadArgument, "no such name",
               std::string(what) + " '" + name + "', expected " + expected);
}

template <class Enum>
Enum parse(const std::string& name, const char* what, std::initializer_list<Enum> all) {
  return parse(name, what, all, [](Enum candidate) { return name_of(candidate); });
}

struct Alias {
  const char* name;
  ElementFormat format;
};
constexpr Alias kAliases[] = {
    {"float4_e2m1fn", ElementFormat::e2m1},   {"float6_e2m3fn", ElementFormat::e2m3},
    {"float6_e3m2fn", ElementFormat::e3m2},   {"float8_e4m3fn", ElementFormat::e4m3},
    {"float8_e5m2", ElementFormat::e5m2},     {"float8_e8m0fnu", ElementFormat::ue8m0},
    {"float16", ElementFormat::f16},          {"bfloat16", ElementFormat::bf16},
    {"float32", ElementFormat::f32},          {"tfloat32", ElementFormat::tf32},
    {"float4_e2m1fn_x2", ElementFormat::e2m1}};

}  // namespace

void define_error(py::module_& module) {
  static PyObject* type = PyErr_NewExceptionWithDoc(
      "fourge.Error",
      "What fourge refuses, and why: the kind, where, and what was expected.\n\n"
      "kind: 'bad argument', 'bad shape', 'unsupported format', 'unsupported instruction set', ...",
      PyExc_ValueError, nullptr);
  module.attr("Error") = py::handle(type);
  py::register_exception_translator([](std::exception_ptr thrown) {
    try {
      if (thrown) std::rethrow_exception(thrown);
    } catch (const Failed& failed) {
      py::object error = py::handle(type)(failed.what());
      error.attr("kind") = fourge::name_of(failed.failure().error);
      PyErr_SetObject(type, error.ptr());
    }
  });
}

std::string dtype_name(const py::handle& object) {
  std::string name;
  if (py::isinstance<py::str>(object)) {
    name = object.cast<std::string>();
  } else if (py::hasattr(object, "name")) {
    name = py::str(object.attr("name"));
  } else if (py::hasattr(object, "__name__")) {
    name = py::str(object.attr("__name__"));
  } else {
    name = py::str(object);
  }
  constexpr std::string_view kTorch = "torch.";
  return name.starts_with(kTorch) ? name.substr(kTorch.size()) : name;
}

ElementFormat parse_element_format(const py::handle& object) {
  const std::string name = dtype_name(object);
  for (const Alias& alias : kAliases) {
    if (name == alias.name) return alias.format;
  }
  return parse(name, "element format", kElementFormats,
               [](ElementFormat format) { return fourge::name_of(format); });
}

const char* ml_dtypes_name(ElementFormat format) {
  for (const Alias& alias : kAliases) {
    if (alias.format == format) return format == ElementFormat::tf32 ? "" : alias.name;
  }
  return "";
}

Format parse_format(const std::string& name) {
  return parse(name, "format", kFormats, [](Format format) { return fourge::name_of(format); });
}
ScaleRule parse_rule(const std::string& name) {
  return parse(name, "scale rule",
               {ScaleRule::static_6, ScaleRule::static_4, ScaleRule::mse_4_6, ScaleRule::mae_4_6,
                ScaleRule::abs_max_4_6, ScaleRule::floor, ScaleRule::ceil, ScaleRule::even, ScaleRule::rceil,
                ScaleRule::shift, ScaleRule::search, ScaleRule::sweep, ScaleRule::quest});
}
ScaleLayout parse_layout(const std::string& name) {
  return parse(name, "scale layout",
               {ScaleLayout::linear, ScaleLayout::swizzled_128x4, ScaleLayout::swizzled_8x4});
}
Rounding parse_rounding(const std::string& name) {
  constexpr Rounding kAll[] = {Rounding::rne, Rounding::rz, Rounding::rp};
  return parse(name, "rounding", kAll, [](Rounding rounding) {
    return rounding == Rounding::rne ? "rne" : rounding == Rounding::rz ? "rz" : "rp";
  });
}
ElementRounding parse_element_rounding(const std::string& name) {
  constexpr ElementRounding kAll[] = {ElementRounding::nearest, ElementRounding::stochastic};
  return parse(name, "rounding", kAll, [](ElementRounding rounding) {
    return rounding == ElementRounding::nearest ? "nearest" : "stochastic";
  });
}
const char* name_of_direction(TensorScale::Direction direction) {
  return direction == TensorScale::Direction::decode_multiplier ? "decode_multiplier" : "encode_multiplier";
}
TensorScale::Direction parse_direction(const std::string& name) {
  constexpr TensorScale::Direction kAll[] = {TensorScale::Direction::decode_multiplier,
                                             TensorScale::Direction::encode_multiplier};
  return parse(name, "direction", kAll, name_of_direction);
}
Numerics parse_numerics(const std::string& name) {
  return parse(name, "numerics", {Numerics::blackwell, Numerics::fast});
}
Activations parse_activations(const std::string& name) {
  return parse(name, "activations", {Activations::same, Activations::bf16, Activations::f32});
}
OutputType parse_output(const py::handle& object) {
  switch (parse_element_format(object)) {
    case ElementFormat::f32:
      return OutputType::f32;
    case ElementFormat::bf16:
      return OutputType::bf16;
    case ElementFormat::f16:
      return OutputType::f16;
    default:
      throw Failed(Error::kUnsupportedFormat, "expected float32, bfloat16 or float16", dtype_name(object));
  }
}
ElementFormat element_format_of(OutputType output) {
  return output == OutputType::f32    ? ElementFormat::f32
         : output == OutputType::bf16 ? ElementFormat::bf16
                                      : ElementFormat::f16;
}
ColumnOrder parse_order(const std::string& name) {
  return parse(name, "order", {ColumnOrder::natural, ColumnOrder::activation, ColumnOrder::group});
}
ScaleTiming parse_timing(const std::string& name) {
  return parse(name, "timing", {ScaleTiming::before, ScaleTiming::within});
}
Importance parse_importance(const std::string& name) {
  return parse(name, "importance", {Importance::none, Importance::diagonal, Importance::conditional});
}
reference::ZeroRule parse_zero_rule(const std::string& name) {
  return parse(name, "zero rule", {reference::ZeroRule::hardware, reference::ZeroRule::mma_sim});
}
reference::NarrowSubnormals parse_narrow_subnormals(const std::string& name) {
  return parse(name, "narrow subnormals",
               {reference::NarrowSubnormals::own_exponent, reference::NarrowSubnormals::normalised});
}

}  // namespace fourge::python
