// Which kernel runs a spec on this machine, and why every other one does not.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "fourge/gemm.h"
#include "jit/cpu.h"
#include "jit/gemm/gemm_kernel.h"

namespace fourge::jit {

/// Every GEMM kernel, best first.
std::span<const GemmKernelEntry> gemm_kernels();

struct Selection {
  const GemmKernelEntry* entry = nullptr;  // null: none fits
  std::vector<std::string> decisions;      // "NAME: chosen" or "NAME: why not", in registry order
};

/// max_isa caps the level; `kernel` (may be null) asks for one by name.
Selection select(const GemmSpec& spec, const CpuFeatures& features, Isa max_isa, const char* kernel);

}  // namespace fourge::jit
