// Lines of jit/kernels.inc for operations whose kernels are chosen by spec and level alone.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "fourge/error.h"
#include "fourge/kernel.h"
#include "jit/cpu.h"
#include "jit/verbose.h"

namespace fourge::jit {

/// One registered kernel. kernel_name(spec) gives the name up to the double underscore: docs/names.md.
template <class SpecType, class KernelType>
struct KernelEntry {
  using Spec = SpecType;
  using Kernel = KernelType;

  const char* isa_variant;  // the name's last part
  Isa isa;
  const char* (*refusal)(const Spec& spec);  // null: takes the spec; else the reason
  Result<std::shared_ptr<const Kernel>> (*make)(const Spec& spec);

  std::string name(const Spec& spec) const { return kernel_name(spec) + "__" + isa_variant; }
};

template <class Entry>
struct Choice {
  const Entry* entry = nullptr;
  std::shared_ptr<const typename Entry::Kernel> kernel;
  std::vector<std::string> decisions;  // "NAME: chosen" or "NAME: why not", in registry order
};

/// options.max_isa, else FOURGE_MAX_ISA, else the best level of this machine. kBadArgument for a bad name.
Result<Isa> level_cap(const KernelOptions& options);

/// "NAME: reason; NAME: reason", for the failure that no kernel fits.
std::string join(const std::vector<std::string>& decisions);

/// The first entry that takes the spec here, made. kUnsupportedIsa lists every refusal.
template <class Entry>
Result<Choice<Entry>> choose(std::span<const Entry> entries, const typename Entry::Spec& spec,
                             const KernelOptions& options) {
  const Result<Isa> cap = level_cap(options);
  if (!cap.ok()) return cap.failure();
  Choice<Entry> choice;
  for (const Entry& entry : entries) {
    const std::string name = entry.name(spec);
    const char* missing = host_features().missing_for(entry.isa);
    std::string reason;
    if (options.kernel != nullptr && name != options.kernel) {
      reason = "another kernel was asked for by name";
    } else if (const char* refusal = entry.refusal(spec)) {
      reason = refusal;
    } else if (missing != nullptr) {
      reason = missing;
    } else if (above(entry.isa, *cap)) {
      reason = std::string("above the level cap ") + name_of(*cap);
    } else if (choice.entry != nullptr) {
      reason = "fits, but a faster one is ahead of it";
    } else {
      choice.entry = &entry;
      reason = "chosen";
    }
    choice.decisions.push_back(name + ": " + reason);
  }
  say_decisions(kernel_name(spec), choice.decisions);
  if (choice.entry == nullptr)
    return {Error::kUnsupportedIsa, "no kernel can do this here", join(choice.decisions)};
  auto kernel = choice.entry->make(spec);
  if (!kernel.ok()) return kernel.failure();
  choice.kernel = std::move(*kernel);
  return choice;
}

}  // namespace fourge::jit
