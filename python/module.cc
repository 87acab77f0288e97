// fourge._fourge: what python/fourge/__init__.py builds on.
#include "fourge/version.h"
#include "jit/asm/executable_code.h"
#include "python/bindings.h"

#define FOURGE_TEXT_OF(x) #x
#define FOURGE_TEXT(x) FOURGE_TEXT_OF(x)

namespace fourge::python {

std::string disassemble(const KernelCode& code) {
  if (code.bytes.empty())
    throw Failed(Error::kNotFound, "the kernel is compiled C++: it has no generated code", code.name);
  return value_of(jit::disassemble(code.bytes, code.name));
}

}  // namespace fourge::python

PYBIND11_MODULE(_fourge, module) {
  using namespace fourge::python;
  pybind11::options options;
  options.disable_function_signatures();  // docstrings give shapes and types; __init__.pyi gives signatures
  define_error(module);
  define_elements(module);
  define_matrix(module);
  define_gemm(module);
  define_kernels(module);
  define_mma(module);
  define_gptq(module);
  module.attr("__version__") = FOURGE_TEXT(FOURGE_VERSION_MAJOR) "." FOURGE_TEXT(
      FOURGE_VERSION_MINOR) "." FOURGE_TEXT(FOURGE_VERSION_PATCH);
}
