#include "jit/registry.h"

namespace fourge::jit {

Result<Isa> level_cap(const KernelOptions& options) {
  if (options.max_isa != nullptr) {
    const auto isa = parse_isa(options.max_isa);
    if (isa.has_value()) return *isa;
    return {Error::kBadArgument, kExpectedIsa, options.max_isa};
  }
  const auto& environment = environment_max_isa();
  if (!environment.ok()) return environment.failure();
  return (*environment).value_or(host_features().best());
}

std::string join(const std::vector<std::string>& decisions) {
  std::string text;
  for (const std::string& line : decisions) text += (text.empty() ? "" : "; ") + line;
  return text;
}

}  // namespace fourge::jit
