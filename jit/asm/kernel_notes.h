// What a generator says of its kernel beside the bytes.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "fourge/kernel.h"

namespace fourge::jit {

struct KernelNotes {
  std::vector<std::pair<std::string, std::string>> registers;  // register(s), role
  std::string budget;                                          // ports of the inner step, one line each
  PortBudget ports{};                                          // its first line as numbers
};

}  // namespace fourge::jit
