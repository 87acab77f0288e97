// What a generator says of its kernel beside the bytes.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace fourge::jit {

struct KernelNotes {
  std::vector<std::pair<std::string, std::string>> registers;  // register(s), role
  std::string budget;                                          // ports of the inner step, one line each
};

}  // namespace fourge::jit
