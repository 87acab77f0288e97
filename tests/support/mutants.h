// Generated kernels with one instruction or constant replaced: the differential tests must notice every one.
#pragma once

#include <xbyak/xbyak.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <vector>

#include "fourge/matrix.h"

namespace fourge::tests {

using Emit = std::function<void(Xbyak::CodeGenerator&)>;
struct Mutant {
  const char* name;
  Format format;
  Emit original, mutated;
};

inline std::vector<std::uint8_t> emitted(const Emit& emit) {
  Xbyak::CodeGenerator generator(4096, Xbyak::DontSetProtectRWE);
  emit(generator);
  return {generator.getCode(), generator.getCode() + generator.getSize()};
}

// Replaces every occurrence; how many there were.
inline int replace_all(std::vector<std::uint8_t>& code, const std::vector<std::uint8_t>& from,
                       const std::vector<std::uint8_t>& to) {
  int count = 0;
  for (auto it = code.begin(); (it = std::search(it, code.end(), from.begin(), from.end())) != code.end();
       it += static_cast<std::ptrdiff_t>(from.size())) {
    std::copy(to.begin(), to.end(), it);
    ++count;
  }
  return count;
}

inline Emit constant(std::uint32_t value) {
  return [value](Xbyak::CodeGenerator& g) { g.dd(value); };
}

}  // namespace fourge::tests
