// Where golden data too large for the repository lie. Tests that need them skip, with a message, when absent.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <string>

namespace fourge::tests {

/// $FOURGE_SHARED, or ../shared beside the source tree; empty when there is no such folder.
inline std::filesystem::path shared_data() {
  const char* variable = std::getenv("FOURGE_SHARED");
  const std::filesystem::path path = variable != nullptr
                                         ? std::filesystem::path(variable)
                                         : std::filesystem::path(FOURGE_SOURCE_DIR) / ".." / "shared";
  return std::filesystem::is_directory(path / "golden") ? path : std::filesystem::path();
}

}  // namespace fourge::tests

/// First line of a test that needs them: defines `shared`.
#define FOURGE_NEEDS_SHARED(shared)                                    \
  const std::filesystem::path shared = ::fourge::tests::shared_data(); \
  if (shared.empty()) GTEST_SKIP() << "no golden data: set FOURGE_SHARED or put them in ../shared"
