#include "jit/select.h"

#include "jit/gemm/amx_gemm.h"
#include "jit/gemm/exact_gemm.h"
#include "jit/gemm/w4a16_gemm.h"
#include "jit/registry.h"

namespace fourge::jit {
namespace {

constexpr GemmKernelEntry kGemmKernels[] = {
#define FOURGE_GEMM_KERNEL(tile, isa_variant, isa, numerics, smallest_m, refusal, make) \
  {tile, isa_variant, isa, numerics, smallest_m, refusal, make},
#include "jit/kernels.inc"
};

std::string why_not(const GemmKernelEntry& entry, const GemmSpec& spec, const CpuFeatures& features,
                    Isa max_isa, const char* kernel) {
  if (kernel != nullptr && entry.name(spec) != kernel) return "another kernel was asked for by name";
  if (entry.numerics != spec.numerics) return std::string("computes numerics ") + name_of(entry.numerics);
  if (const char* reason = entry.refusal(spec)) return reason;
  if (kernel == nullptr && spec.m < entry.smallest_m) {
    return "pays from m = " + std::to_string(entry.smallest_m) + " on";
  }
  if (const char* missing = features.missing_for(entry.isa)) return missing;
  if (above(entry.isa, max_isa)) return std::string("above the level cap ") + name_of(max_isa);
  return {};
}

}  // namespace

std::span<const GemmKernelEntry> gemm_kernels() { return kGemmKernels; }

Selection select(const GemmSpec& spec, const CpuFeatures& features, Isa max_isa, const char* kernel) {
  Selection selection;
  for (const GemmKernelEntry& entry : kGemmKernels) {
    std::string reason = why_not(entry, spec, features, max_isa, kernel);
    if (reason.empty() && selection.entry == nullptr) {
      selection.entry = &entry;
      reason = "chosen";
    } else if (reason.empty()) {
      reason = "fits, but a faster one is ahead of it";
    }
    selection.decisions.push_back(entry.name(spec) + ": " + reason);
  }
  return selection;
}

}  // namespace fourge::jit
