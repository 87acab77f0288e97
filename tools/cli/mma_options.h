// Options that conform, mma and vectors share: models and the policies where no source decides.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "fourge/error.h"
#include "reference/mma/model.h"
#include "tools/cli/options.h"

namespace fourge::cli {

struct PolicyOptions {
  reference::ZeroRule zero_rule = reference::ZeroRule::hardware;
  reference::NarrowSubnormals narrow_subnormals = reference::NarrowSubnormals::own_exponent;

  reference::MmaPolicy policy() const {
    return {.zeros = zero_rule, .narrow_subnormals = narrow_subnormals, .zero_groups_count = true};
  }
};

inline void add_policy_options(CLI::App& command, PolicyOptions& options) {
  add_choice(command, "--zero-rule", options.zero_rule,
             {reference::ZeroRule::hardware, reference::ZeroRule::mma_sim},
             "Which zeros take part in Emax (docs/numerics.md)");
  add_choice(command, "--fp6-fp4-subnormals", options.narrow_subnormals,
             {reference::NarrowSubnormals::own_exponent, reference::NarrowSubnormals::normalised},
             "Exponent of e2m1, e2m3 and e3m2 subnormals in (mx)f8f6f4: unknown, so a choice");
}

/// "e2m1" -> ElementFormat::e2m1; kBadArgument names `option`.
inline Result<ElementFormat> parse_format(const std::string& option, const std::string& name) {
  for (const ElementFormat format : kElementFormats) {
    if (name == name_of(format)) return format;
  }
  return {Error::kBadArgument, "expected an element format, such as e2m1, e4m3, f16 or tf32",
          option + " " + name};
}

/// The format that --a-format or --b-format names, or the only one that the model takes.
inline Result<ElementFormat> element_format(const std::string& option, const std::string& name,
                                            const reference::MmaModel& model) {
  if (!name.empty()) return parse_format(option, name);
  const ElementFormat* only = nullptr;
  std::string known;
  int count = 0;
  for (const ElementFormat& format : kElementFormats) {
    if (!model.formats.contains(format)) continue;
    only = &format;
    known += (count++ == 0 ? "" : ", ") + std::string(name_of(format));
  }
  if (count == 1) return *only;
  return {Error::kBadArgument, "the model takes several formats: say which", option + ": one of " + known};
}

}  // namespace fourge::cli
