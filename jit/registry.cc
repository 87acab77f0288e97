#include "jit/registry.h"

namespace fourge::jit {

bool above(Isa isa, Isa cap) {
  if (isa == Isa::neon || cap == Isa::neon) return isa != Isa::scalar && isa != cap;
  return isa > cap;
}

Result<Isa> level_cap(const KernelOptions& options) {
  if (options.max_isa != nullptr) {
    const auto isa = parse_isa(options.max_isa);
    if (isa.has_value()) return *isa;
    return {Error::kBadArgument, "expected scalar, sse4, avx2, avx512, amx or neon", options.max_isa};
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
