// A stand-in for the Python package ml_dtypes where it cannot be had: numpy user dtypes of its names and
// sizes, registered through the same entry of numpy's C interface, with casts from and to float32 by
// fourge/rounding.h.
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#define NPY_NO_DEPRECATED_API NPY_1_7_API_VERSION
#include <numpy/arrayobject.h>

#include <cstdint>
#include <cstring>

#include "fourge/rounding.h"

#if NPY_ABI_VERSION < 0x02000000
using PyArray_DescrProto = PyArray_Descr;
#endif

namespace {

using fourge::ElementFormat;

template <ElementFormat kFormat>
struct UserType {
  using Word = std::conditional_t<fourge::info(kFormat).storage_bits <= 8, std::uint8_t, std::uint16_t>;

  static float value_at(const void* address) {
    Word code;
    std::memcpy(&code, address, sizeof code);
    return fourge::decode_f32(kFormat, code);
  }
  static void store(float value, void* address) {
    const auto overflow =
        kFormat == ElementFormat::bf16 ? fourge::Overflow::infinity : fourge::Overflow::satfinite;
    const auto code = static_cast<Word>(
        kFormat == ElementFormat::ue8m0 ? fourge::encode_ue8m0(value, fourge::Rounding::rp)
                                        : fourge::encode(kFormat, value, fourge::Rounding::rne, overflow));
    std::memcpy(address, &code, sizeof code);
  }

  static PyObject* get_item(void* data, void*) { return PyFloat_FromDouble(value_at(data)); }
  static int set_item(PyObject* item, void* data, void*) {
    const double value = PyFloat_AsDouble(item);
    if (PyErr_Occurred() != nullptr) return -1;
    store(static_cast<float>(value), data);
    return 0;
  }
  static void copy_swap_n(void* to, npy_intp to_stride, void* from, npy_intp from_stride, npy_intp n,
                          int swap, void*) {
    for (npy_intp i = 0; i < n; ++i) {
      char* out = static_cast<char*>(to) + i * to_stride;
      if (from != nullptr) std::memcpy(out, static_cast<char*>(from) + i * from_stride, sizeof(Word));
      if (swap != 0 && sizeof(Word) == 2) std::swap(out[0], out[1]);
    }
  }
  static void copy_swap(void* to, void* from, int swap, void*) {
    copy_swap_n(to, 0, from, 0, 1, swap, nullptr);
  }
  static npy_bool is_nonzero(void* data, void*) { return value_at(data) != 0.0f; }
  static void to_float(void* from, void* to, npy_intp n, void*, void*) {
    for (npy_intp i = 0; i < n; ++i) {
      const float value = value_at(static_cast<Word*>(from) + i);
      std::memcpy(static_cast<float*>(to) + i, &value, sizeof value);
    }
  }
  static void from_float(void* from, void* to, npy_intp n, void*, void*) {
    for (npy_intp i = 0; i < n; ++i) store(static_cast<const float*>(from)[i], static_cast<Word*>(to) + i);
  }

  // Adds the type `name` to the module. False with a Python error set.
  static bool add_to(PyObject* module, const char* name) {
    PyObject* type = PyObject_CallFunction(reinterpret_cast<PyObject*>(&PyType_Type), "s(O){}", name,
                                           reinterpret_cast<PyObject*>(&PyGenericArrType_Type));
    if (type == nullptr) return false;
    static PyArray_ArrFuncs functions;
    PyArray_InitArrFuncs(&functions);
    functions.getitem = get_item;
    functions.setitem = set_item;
    functions.copyswapn = copy_swap_n;
    functions.copyswap = copy_swap;
    functions.nonzero = is_nonzero;
    static PyArray_DescrProto descr;
    std::memset(&descr, 0, sizeof descr);
    Py_SET_REFCNT(reinterpret_cast<PyObject*>(&descr), 1);
    Py_SET_TYPE(reinterpret_cast<PyObject*>(&descr), &PyArrayDescr_Type);
    descr.typeobj = reinterpret_cast<PyTypeObject*>(type);
    descr.kind = 'V';
    descr.type = 'E';
    descr.byteorder = '=';
    descr.flags = NPY_NEEDS_PYAPI | NPY_USE_GETITEM | NPY_USE_SETITEM;
    descr.elsize = sizeof(Word);
    descr.alignment = alignof(Word);
    descr.f = &functions;
    const int number = PyArray_RegisterDataType(&descr);
    if (number < 0) return false;
    PyArray_Descr* floats = PyArray_DescrFromType(NPY_FLOAT);
    PyArray_Descr* own = PyArray_DescrFromType(number);
    return PyArray_RegisterCastFunc(floats, number, from_float) == 0 &&
           PyArray_RegisterCastFunc(own, NPY_FLOAT, to_float) == 0 &&
           PyModule_AddObject(module, name, type) == 0;
  }
};

PyModuleDef definition = {PyModuleDef_HEAD_INIT,
                          "ml_dtypes",
                          "A stand-in with numpy user dtypes.",
                          -1,
                          nullptr,
                          nullptr,
                          nullptr,
                          nullptr,
                          nullptr};

}  // namespace

PyMODINIT_FUNC PyInit_ml_dtypes() {
  import_array();
  PyObject* module = PyModule_Create(&definition);
  if (module == nullptr) return nullptr;
  const bool added = UserType<ElementFormat::bf16>::add_to(module, "bfloat16") &&
                     UserType<ElementFormat::e4m3>::add_to(module, "float8_e4m3fn") &&
                     UserType<ElementFormat::e5m2>::add_to(module, "float8_e5m2") &&
                     UserType<ElementFormat::ue8m0>::add_to(module, "float8_e8m0fnu") &&
                     UserType<ElementFormat::e2m3>::add_to(module, "float6_e2m3fn") &&
                     UserType<ElementFormat::e3m2>::add_to(module, "float6_e3m2fn") &&
                     UserType<ElementFormat::e2m1>::add_to(module, "float4_e2m1fn") &&
                     PyModule_AddStringConstant(module, "__version__", "stand-in") == 0;
  if (!added) {
    Py_DECREF(module);
    return nullptr;
  }
  return module;
}
