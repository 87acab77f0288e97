// Who is held against a vector file: the reference, and every kernel of the registry that claims the file's
// model.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "fourge/error.h"
#include "tools/vectors/vector_set.h"

namespace fourge::cli {

struct Checker {
  std::string name;
  /// D of all tiles, in the order of the file. kUnsupportedIsa: cannot run on this machine.
  std::function<Result<std::vector<std::uint32_t>>(const vectors::VectorSet&)> run;
};

/// The reference first. `threads`: 0 for as many as the machine has.
std::vector<Checker> checkers_for(const vectors::VectorSet& set, const reference::MmaPolicy& policy,
                                  int threads);

}  // namespace fourge::cli
