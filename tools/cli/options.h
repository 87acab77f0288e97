// Options whose bad values are refused with what was given and what is allowed.
#pragma once

#include <fmt/core.h>
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "fourge/error.h"

namespace fourge::cli {

/// An option that takes one of a few names: `--layout linear|swizzled_128x4`. name_of(Enum) gives each name;
/// `value` holds the default and receives the choice.
template <class Enum>
CLI::Option* add_choice(CLI::App& command, const std::string& option, Enum& value,
                        std::initializer_list<Enum> choices, const std::string& description) {
  std::vector<std::string> names;
  for (const Enum choice : choices) names.emplace_back(name_of(choice));
  auto parse = [option, &value, known = std::vector<Enum>(choices)](const std::string& text) {
    std::vector<std::string> allowed;
    for (const Enum choice : known) {
      if (text == name_of(choice)) {
        value = choice;
        return;
      }
      allowed.emplace_back(name_of(choice));
    }
    throw CLI::ValidationError(option, fmt::format("expected one of {}", fmt::join(allowed, ", ")));
  };
  return command.add_option_function<std::string>(option, std::move(parse), description)
      ->type_name(fmt::format("{}", fmt::join(names, "|")))
      ->default_str(name_of(value));
}

/// A whole number from `least` to `most`, both allowed.
inline CLI::Option* add_count(CLI::App& command, const std::string& option, std::int64_t& value,
                              std::int64_t least, std::int64_t most, const std::string& description) {
  auto check = [least, most](const std::string& text) {
    std::int64_t number = 0;
    if (CLI::detail::lexical_cast(text, number) && number >= least && number <= most) return std::string();
    return fmt::format("expected a whole number from {} to {}", least, most);
  };
  return command.add_option(option, value, description)->check(CLI::Validator(check, "", ""))->type_name("N");
}

/// "FILE.safetensors:NAME": a tensor in a file. The name is what follows the last colon.
struct TensorPath {
  std::string file;
  std::string tensor;
};
inline Result<TensorPath> split_tensor_path(const std::string& text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string::npos || colon == 0 || colon + 1 == text.size()) {
    return {Error::kBadArgument, "expected FILE.safetensors:TENSOR", text};
  }
  return TensorPath{text.substr(0, colon), text.substr(colon + 1)};
}

}  // namespace fourge::cli
