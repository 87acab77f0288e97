// What every Hadamard kernel of the registry offers to the dispatcher.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "fourge/hadamard.h"
#include "jit/registry.h"

namespace fourge::jit {

/// A run of blocks at a fixed distance: what the generated code reads.
struct HadamardArgs {
  const void* x;
  void* y;
  float* work;                      // `order` floats of scratch, 64-byte aligned
  const std::uint32_t* sign_words;  // 0 or 0x80000000 for each element; orders below 16 repeat up to 16 words
  std::int64_t count;               // blocks; >= 1
  std::int64_t x_step, y_step;      // bytes from block to block; orders below 16: blocks lie without gaps
  float scale;
};

class HadamardKernel {
 public:
  virtual ~HadamardKernel() = default;
  virtual KernelCode code() const = 0;
  virtual void run(const HadamardArgs& args) const = 0;
};

using HadamardKernelEntry = KernelEntry<HadamardSpec, HadamardKernel>;

/// Every Hadamard kernel, best first.
std::span<const HadamardKernelEntry> hadamard_kernels();

Result<std::shared_ptr<const HadamardKernel>> make_hadamard_scalar(const HadamardSpec& spec);
const char* hadamard_scalar_refusal(const HadamardSpec& spec);
#if defined(__x86_64__)
Result<std::shared_ptr<const HadamardKernel>> make_hadamard_avx512(const HadamardSpec& spec);
const char* hadamard_avx512_refusal(const HadamardSpec& spec);
/// For tests: every vector register filled with ones first.
Result<std::shared_ptr<const HadamardKernel>> make_hadamard_avx512_poisoned(const HadamardSpec& spec);
#endif

}  // namespace fourge::jit
