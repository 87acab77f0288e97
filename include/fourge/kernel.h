// What every operation's kernels have in common: which one is asked for, how it runs, how a person reads it.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace fourge {

/// Which kernel of the registry to take.
struct KernelOptions {
  const char* kernel = nullptr;   // a registered kernel by name instead of the best one
  const char* max_isa = nullptr;  // "scalar", "avx2", "avx512", "amx", ...; overrides FOURGE_MAX_ISA
};

/// How many threads, 0 = OpenMP's default. Results do not depend on it.
struct RunOptions {
  int threads = 0;
};

/// What the ports allow: `cycles` for `work` multiply-adds (GEMM), elements, or bytes (layouts). 0: not
/// counted.
struct PortBudget {
  double cycles = 0;
  double work = 0;
};

/// A generated (or portable) kernel for a person to read.
struct KernelCode {
  std::string name;
  std::string isa;
  std::string exactness;                                       // "bit_exact(blackwell....)" or "within(...)"
  std::span<const std::uint8_t> bytes;                         // machine code; empty for a compiled kernel
  std::vector<std::pair<std::string, std::string>> registers;  // register(s), role
  std::string budget;                                          // ports of the inner step
  std::string plan{};                                          // cache blocks, for kernels that have them
  PortBudget ports{};                                          // the budget's first line as numbers
};

}  // namespace fourge
