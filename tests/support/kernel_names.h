// GoogleTest prints a registered kernel as its level: names of tests stay readable.
#pragma once

#include <ostream>

#include "jit/gemm/gemm_kernel.h"
#include "jit/registry.h"

namespace fourge::jit {

template <class Spec, class Kernel>
void PrintTo(const KernelEntry<Spec, Kernel>& entry, std::ostream* out) {
  *out << entry.isa_variant;
}
inline void PrintTo(const GemmKernelEntry& entry, std::ostream* out) { *out << entry.isa_variant; }

}  // namespace fourge::jit
