// One product on AMX: how it is cut, and the run.
#pragma once

#include <cstdint>

#include "fourge/gemm.h"
#include "jit/asm/executable_code.h"
#include "jit/asm/kernel_notes.h"
#include "jit/gemm/amx_operands.h"
#include "jit/gemm/gemm_kernel.h"

namespace fourge::jit {

/// The generated functions.
struct AmxKernels {
  ExecutableCode prepare, decode, block, steps, output;
  KernelNotes notes;
};

/// How a problem is cut. The A tiles of a block (mc x kc bf16) stay in half the L2 cache of every thread
/// while all column blocks pass; each weight is decoded once per mc rows.
struct AmxPlan {
  std::int64_t mc;  // rows of a block, a multiple of 16
  std::int64_t kc;  // steps of a block, a multiple of kRunSteps (or all of them)
  std::int64_t steps, panels, column_blocks;

  static AmxPlan of(const GemmSpec& spec);
};

/// D = alpha * A B + bias. kOutOfMemory where scratch memory cannot be had.
///   panel_kernel  takes single rows that tiles do not certify
Status run_amx(const GemmSpec& spec, const QuantizedView& a, const std::uint8_t* packed,
               const GemmOperands& operands, const AmxKernels& kernels, ExactPanelFunction panel_kernel,
               int threads, RunStats& stats);

}  // namespace fourge::jit
