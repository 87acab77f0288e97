#include "tools/cli/usage_error.h"

#include <fmt/core.h>
#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

namespace fourge::cli {
namespace {

struct Line {
  std::string what;
  std::string where;
  std::string expected;
};

// "--rows: text", "--rows is required", "--rows requires --cols", "Could not convert: --rows = x": the option
// that the parser names, when the command has it.
const CLI::Option* option_in(const CLI::App& command, const std::string& message) {
  const CLI::Option* found = nullptr;
  std::size_t first = std::string::npos;
  for (const CLI::Option* option : command.get_options()) {
    const std::string name = option->get_name();
    const std::size_t at = message.find(name);
    if (name.empty() || at == std::string::npos) continue;
    const bool longer_at_same_place = at == first && name.size() > found->get_name().size();
    if (at < first || longer_at_same_place) {
      found = option;
      first = at;
    }
  }
  return found;
}

std::string with_value(const CLI::Option& option) {
  std::string text = option.get_name();
  for (const std::string& value : option.results()) text += fmt::format(" '{}'", value);
  return text;
}

// The names in "... {a,b,c} ..." or "{a->0,b->1}", as CLI::IsMember and CLI::CheckedTransformer write them.
std::optional<std::string> members(const std::string& message) {
  const std::size_t open = message.find('{');
  const std::size_t close = message.find('}', open);
  if (open == std::string::npos || close == std::string::npos) return std::nullopt;
  std::vector<std::string> names = CLI::detail::split(message.substr(open + 1, close - open - 1), ',');
  for (std::string& name : names) name = name.substr(0, name.find("->"));
  return fmt::format("{}", fmt::join(names, ", "));
}

std::string expected_type(const std::string& type) {
  if (type.rfind("UINT", 0) == 0) return "expected a whole number that is not negative";
  if (type.rfind("INT", 0) == 0 || type == "N") return "expected a whole number";
  if (type.rfind("FLOAT", 0) == 0) return "expected a number";
  return type.empty() ? "expected another value" : fmt::format("expected {}", type);
}

std::string help_hint(const CLI::App& app, const CLI::App& command) {
  return &app == &command ? "see fourge --help" : fmt::format("see fourge {} --help", command.get_name());
}

Line refused_value(const CLI::Option& option, const std::string& message) {
  if (const auto names = members(message)) {
    return {"bad argument", with_value(option), fmt::format("expected one of {}", *names)};
  }
  std::string expected = message;
  const std::string prefix = option.get_name() + ": ";
  if (expected.rfind(prefix, 0) == 0) expected = expected.substr(prefix.size());
  return {"bad argument", with_value(option), expected};
}

std::string all_commands(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands({})) names.push_back(command->get_name());
  return fmt::format("expected one of {}", fmt::join(names, ", "));
}

Line unexpected_argument(const CLI::App& app, const CLI::App& command) {
  const std::vector<std::string> rest = command.remaining();
  const std::string first = rest.empty() ? "" : rest.front();
  const bool is_option = first.rfind('-', 0) == 0;
  if (!is_option && &app == &command)
    return {"unknown command", fmt::format("'{}'", first), all_commands(app)};
  return {is_option ? "unknown option" : "unexpected argument", fmt::format("'{}'", first),
          help_hint(app, command)};
}

Line describe(const CLI::App& app, const CLI::App& command, const CLI::ParseError& error) {
  const std::string message = error.what();
  const CLI::Option* option = option_in(command, message);
  if (dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr) return unexpected_argument(app, command);
  if (dynamic_cast<const CLI::RequiredError*>(&error) != nullptr) {
    if (option != nullptr) {
      const char* what = option->get_positional() ? "missing argument" : "missing option";
      return {what, option->get_name(), help_hint(app, command)};
    }
    if (&app == &command && !app.remaining().empty()) return unexpected_argument(app, command);
    if (&app == &command) return {"missing command", "", all_commands(app)};
    return {"missing argument", "", message};
  }
  if (option != nullptr) {
    if (dynamic_cast<const CLI::ValidationError*>(&error) != nullptr) return refused_value(*option, message);
    if (dynamic_cast<const CLI::ConversionError*>(&error) != nullptr) {
      return {"bad argument", with_value(*option), expected_type(option->get_type_name())};
    }
    if (dynamic_cast<const CLI::ArgumentMismatch*>(&error) != nullptr && option->results().empty()) {
      return {"missing value", option->get_name(), expected_type(option->get_type_name())};
    }
  }
  return {"bad argument", "", message};
}

}  // namespace

int fail_usage(const CLI::App& app, const CLI::ParseError& error, Context& context) {
  const std::vector<CLI::App*> chosen = app.get_subcommands();
  const CLI::App& command = chosen.empty() ? app : *chosen.front();
  const Line line = describe(app, command, error);
  return context.fail(chosen.empty() ? "" : command.get_name(), line.what, line.where, line.expected);
}

}  // namespace fourge::cli
