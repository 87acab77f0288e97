#include "python/arrays.h"

#include <array>

namespace fourge::python {
namespace {

// DLPack 0.x, https://dmlc.github.io/dlpack: what a "dltensor" capsule points to.
struct DlDevice {
  std::int32_t type, id;
};
struct DlDataType {
  std::uint8_t code, bits;
  std::uint16_t lanes;
};
struct DlTensor {
  void* data;
  DlDevice device;
  std::int32_t dimensions;
  DlDataType dtype;
  std::int64_t* shape;
  std::int64_t* strides;  // null: C order
  std::uint64_t byte_offset;
};
struct DlManagedTensor {
  DlTensor tensor;
  void* context;
  void (*deleter)(DlManagedTensor*);
};
constexpr std::int32_t kDlCpu = 1;
constexpr std::uint8_t kDlInt = 0, kDlUint = 1, kDlFloat = 2, kDlBfloat = 4;

std::optional<ElementFormat> format_of_dlpack(const DlDataType& type) {
  if (type.lanes != 1) return std::nullopt;
  if (type.code == kDlFloat && type.bits == 32) return ElementFormat::f32;
  if (type.code == kDlFloat && type.bits == 16) return ElementFormat::f16;
  if (type.code == kDlBfloat && type.bits == 16) return ElementFormat::bf16;
  return std::nullopt;
}

// Takes the tensor over: the capsule is spent, the owner calls the producer's deleter.
py::object take_over(const py::capsule& capsule, DlManagedTensor* managed) {
  PyCapsule_SetName(capsule.ptr(), "used_dltensor");
  return py::capsule(managed, [](void* tensor) {
    auto* taken = static_cast<DlManagedTensor*>(tensor);
    if (taken->deleter != nullptr) taken->deleter(taken);
  });
}

ArrayView view_of_dlpack(const py::handle& object, const char* what) {
  const auto device = object.attr("__dlpack_device__")().cast<std::pair<int, int>>();
  if (device.first != kDlCpu)
    throw Failed(Error::kBadArgument, "expected an array in the processor's memory; move it there first",
                 what);
  const py::object produced = object.attr("__dlpack__")();
  if (PyCapsule_IsValid(produced.ptr(), "dltensor") == 0)
    throw Failed(Error::kBadArgument, "expected a DLPack capsule named dltensor", what);
  const auto capsule = py::reinterpret_borrow<py::capsule>(produced);
  auto* managed = static_cast<DlManagedTensor*>(PyCapsule_GetPointer(capsule.ptr(), "dltensor"));
  const DlTensor& tensor = managed->tensor;
  ArrayView view;
  view.data = static_cast<std::uint8_t*>(tensor.data) + tensor.byte_offset;
  view.writable = true;
  view.format = format_of_dlpack(tensor.dtype);
  view.item_bytes = tensor.dtype.bits * tensor.dtype.lanes / 8;
  view.plain_bytes = view.item_bytes == 1 && (tensor.dtype.code == kDlInt || tensor.dtype.code == kDlUint);
  view.dtype_name =
      "DLPack code " + std::to_string(tensor.dtype.code) + ", " + std::to_string(tensor.dtype.bits) + " bits";
  view.shape.assign(tensor.shape, tensor.shape + tensor.dimensions);
  view.strides.resize(view.shape.size());
  std::int64_t stride = 1;
  for (std::size_t d = view.shape.size(); d-- > 0;) {
    view.strides[d] = tensor.strides != nullptr ? tensor.strides[d] : stride;
    stride *= view.shape[d];
  }
  view.owner = take_over(capsule, managed);
  return view;
}

// Of a dtype that numpy itself does not define.
std::optional<ElementFormat> format_of_name(const std::string& name) {
  for (const ElementFormat format : kElementFormats) {
    if (name == ml_dtypes_name(format)) return format;
  }
  return std::nullopt;
}

ArrayView view_of_numpy(const py::array& array) {
  ArrayView view;
  const py::dtype dtype = array.dtype();
  view.data = const_cast<void*>(array.data());
  view.writable = array.writeable();
  view.item_bytes = dtype.itemsize();
  const char kind = dtype.kind(), type = dtype.char_();
  const bool native = dtype.byteorder() != '>';
  if (type == 'f' || type == 'e') {
    if (native) view.format = type == 'f' ? ElementFormat::f32 : ElementFormat::f16;
  } else if (kind == 'V' || kind == 'f') {
    view.dtype_name = py::str(py::handle(dtype));
    view.format = format_of_name(view.dtype_name);
  }
  view.plain_bytes = view.item_bytes == 1 && (kind == 'u' || kind == 'i');
  view.booleans = kind == 'b';
  for (py::ssize_t d = 0; d < array.ndim(); ++d) {
    if (view.item_bytes == 0 || array.strides(d) % view.item_bytes != 0)
      throw Failed(Error::kBadArgument, "expected strides of whole elements",
                   "array of " + std::string(py::str(py::handle(dtype))));
    view.shape.push_back(array.shape(d));
    view.strides.push_back(array.strides(d) / view.item_bytes);
  }
  view.owner = array;
  return view;
}

std::string shape_text(const std::vector<std::int64_t>& shape) {
  std::string text = "(";
  for (std::size_t d = 0; d < shape.size(); ++d) text += (d == 0 ? "" : ", ") + std::to_string(shape[d]);
  return text + ")";
}

std::string describe(const char* what, const ArrayView& view) {
  return std::string(what) + ": shape " + shape_text(view.shape) + ", " + view.dtype();
}

py::object ml_dtype(const char* name) {
  try {
    return py::module_::import("ml_dtypes").attr(name);
  } catch (const py::error_already_set& error) {
    if (!error.matches(PyExc_ImportError) && !error.matches(PyExc_AttributeError)) throw;
    return py::none();
  }
}

}  // namespace

std::int64_t ArrayView::size() const {
  std::int64_t count = 1;
  for (const std::int64_t extent : shape) count *= extent;
  return count;
}

std::string ArrayView::dtype() const {
  if (!dtype_name.empty() || !py::hasattr(owner, "dtype")) return dtype_name;
  return py::str(owner.attr("dtype"));
}

bool ArrayView::contiguous() const {
  std::int64_t stride = 1;
  for (std::size_t d = shape.size(); d-- > 0;) {
    if (shape[d] != 1 && strides[d] != stride) return size() == 0;
    stride *= shape[d];
  }
  return true;
}

ArrayView view_of(const py::handle& object, const char* what) {
  if (py::isinstance<py::array>(object)) return view_of_numpy(py::reinterpret_borrow<py::array>(object));
  if (py::hasattr(object, "__dlpack__") && py::hasattr(object, "__dlpack_device__"))
    return view_of_dlpack(object, what);
  if (PyObject_CheckBuffer(object.ptr()) != 0) {
    const py::object memory = py::reinterpret_steal<py::object>(PyMemoryView_FromObject(object.ptr()));
    if (!memory) throw py::error_already_set();
    return view_of_numpy(py::module_::import("numpy").attr("asarray")(memory).cast<py::array>());
  }
  throw py::type_error(std::string(what) + ": expected an array (numpy, DLPack or a buffer), got " +
                       std::string(py::str(py::type::handle_of(object).attr("__name__"))));
}

PlainMatrix plain_matrix(const py::handle& object, const char* what) {
  ArrayView view = view_of(object, what);
  const bool plain = view.format == ElementFormat::f32 || view.format == ElementFormat::bf16 ||
                     view.format == ElementFormat::f16;
  if (!plain)
    throw Failed(Error::kUnsupportedFormat, "expected float32, bfloat16 or float16", describe(what, view));
  if (view.shape.size() != 1 && view.shape.size() != 2)
    throw Failed(Error::kBadShape, "expected one or two dimensions", describe(what, view));
  const bool one = view.shape.size() == 1;
  PlainMatrix matrix{view.data,
                     *view.format,
                     one ? 1 : view.shape[0],
                     view.shape.back(),
                     one ? view.shape[0] : view.strides[0],
                     view.shape,
                     view.owner};
  const bool rows_apart = matrix.rows <= 1 || matrix.stride >= matrix.cols;
  const bool unit = matrix.cols <= 1 || view.strides.back() == 1;
  if (!rows_apart || !unit) {
    throw Failed(Error::kBadArgument,
                 "expected elements of a row next to each other: numpy.ascontiguousarray",
                 describe(what, view));
  }
  if (matrix.rows <= 1) matrix.stride = matrix.cols;
  return matrix;
}

const std::uint8_t* bits_of(const ArrayView& view, std::int64_t bytes, const char* what) {
  if (!view.contiguous())
    throw Failed(Error::kBadArgument, "expected a C-contiguous array", describe(what, view));
  if (view.size() * view.item_bytes != bytes) {
    throw Failed(Error::kBadShape, "the array does not have the size that it must have",
                 describe(what, view) + ", expected " + std::to_string(bytes) + " bytes");
  }
  return static_cast<const std::uint8_t*>(view.data);
}

const std::uint8_t* bytes_of(const ArrayView& view, std::int64_t count, const char* what) {
  if (view.item_bytes != 1)
    throw Failed(Error::kUnsupportedFormat, "expected elements of one byte", describe(what, view));
  return bits_of(view, count, what);
}

const float* floats_of(const ArrayView& view, std::int64_t count, const char* what) {
  if (view.format != ElementFormat::f32)
    throw Failed(Error::kUnsupportedFormat, "expected float32", describe(what, view));
  return reinterpret_cast<const float*>(bits_of(view, count * 4, what));
}

py::dtype dtype_of(ElementFormat format) {
  // A dtype for each format, looked up once; leaked, since Python may be gone when statics are destroyed.
  static auto* known = new std::array<py::object, std::size(kElementFormats)>();
  py::object& dtype = (*known)[static_cast<std::size_t>(format)];
  if (dtype) return py::reinterpret_borrow<py::dtype>(dtype);
  const char* bits = info(format).storage_bits <= 8    ? "uint8"
                     : info(format).storage_bits == 16 ? "uint16"
                                                       : "uint32";
  if (format == ElementFormat::f32) bits = "float32";
  if (format == ElementFormat::f16) bits = "float16";
  const bool in_ml_dtypes =
      *ml_dtypes_name(format) != '\0' && format != ElementFormat::f32 && format != ElementFormat::f16;
  py::object type = in_ml_dtypes ? ml_dtype(ml_dtypes_name(format)) : py::none();
  if (type.is_none()) type = py::str(bits);
  dtype = py::dtype::from_args(type);
  return py::reinterpret_borrow<py::dtype>(dtype);
}

py::array new_array(ElementFormat format, std::vector<std::int64_t> shape) {
  return py::array(dtype_of(format), py::array::ShapeContainer(shape.begin(), shape.end()));
}

py::array output_array(const py::object& out, ElementFormat format, const std::vector<std::int64_t>& shape,
                       std::int64_t* row_stride) {
  *row_stride = shape.empty() ? 1 : shape.back();
  if (out.is_none()) return new_array(format, shape);
  if (!py::isinstance<py::array>(out)) throw py::type_error("out: expected a numpy array");
  const auto array = py::reinterpret_borrow<py::array>(out);
  const ArrayView view = view_of_numpy(array);
  const bool holds =
      view.format == format ||
      (!view.format.has_value() && view.dtype() == std::string(py::str(py::handle(dtype_of(format)))));
  if (!holds || view.shape != shape) {
    throw Failed(Error::kBadShape, "out has another shape or type than the result",
                 describe("out", view) + ", expected " + shape_text(shape) + ", " +
                     std::string(py::str(py::handle(dtype_of(format)))));
  }
  if (!view.writable) throw Failed(Error::kBadArgument, "out cannot be written to", "out");
  if (view.shape.size() == 2 && view.shape[0] > 1) *row_stride = view.strides[0];
  const bool unit = shape.back() <= 1 || view.strides.back() == 1;
  if (!unit || *row_stride < shape.back())
    throw Failed(Error::kBadArgument, "expected elements of a row next to each other", describe("out", view));
  return array;
}

}  // namespace fourge::python
