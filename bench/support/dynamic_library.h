// A shared library that may be missing. Never closed: OpenMP runtimes do not survive it.
#pragma once

#include <dlfcn.h>

namespace fourge::bench {

class DynamicLibrary {
 public:
  explicit DynamicLibrary(const char* name) : handle_(dlopen(name, RTLD_NOW | RTLD_LOCAL)) {}

  bool is_loaded() const { return handle_ != nullptr; }
  /// Sets `function` to the library's symbol; false when there is none.
  template <class Function>
  bool find(const char* symbol, Function*& function) const {
    function = handle_ == nullptr ? nullptr : reinterpret_cast<Function*>(dlsym(handle_, symbol));
    return function != nullptr;
  }

 private:
  void* handle_;
};

}  // namespace fourge::bench
