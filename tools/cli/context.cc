#include "tools/cli/context.h"

#include <fmt/core.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <new>

namespace fourge::cli {
namespace {

const char* escape_of(Color color) {
  switch (color) {
    case Color::kRed:
      return "\033[31m";
    case Color::kGreen:
      return "\033[32m";
    case Color::kYellow:
      return "\033[33m";
    case Color::kBold:
      return "\033[1m";
    case Color::kDim:
      return "\033[2m";
  }
  return "";
}

bool is_set(const char* variable) {
  const char* value = std::getenv(variable);
  return value != nullptr && *value != '\0';
}

// Outside text may hold line ends and escapes: an error stays one line and never drives the terminal.
std::string printable(std::string_view text) {
  std::string line;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte != 0x7f) {
      line += c;
    } else {
      line += fmt::format("\\x{:02x}", byte);
    }
  }
  return line;
}

}  // namespace

bool is_terminal(std::FILE* stream) { return ::isatty(::fileno(stream)) == 1; }

bool takes_color(std::FILE* stream) {
  if (is_set("NO_COLOR") || !is_terminal(stream)) return false;
  const char* term = std::getenv("TERM");
  return term == nullptr || std::strcmp(term, "dumb") != 0;
}

int terminal_width() {
  winsize size{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  const char* columns = std::getenv("COLUMNS");
  const int width = columns == nullptr ? 0 : std::atoi(columns);
  return width > 0 ? width : 100;
}

void Context::add_json_flag(CLI::App& command) {
  command.add_flag("--json", json_, "Print one JSON document instead of text");
}

void Context::on_run(CLI::App& command, Action action) {
  command.callback([this, name = command.get_name(), action = std::move(action)] {
    command_ = name;
    action_ = action;
  });
}

int Context::run() {
  if (!action_) return kExitBadUse;
  int exit_code = kExitBadUse;
  try {
    const Result<Outcome> outcome = action_();
    exit_code = outcome.ok() ? static_cast<int>(*outcome) : fail(command_, outcome.failure());
  } catch (const std::bad_alloc&) {
    return fail(command_, name_of(Error::kOutOfMemory), "", "a smaller problem fits");
  } catch (const std::exception& exception) {
    return fail(command_, "internal error", exception.what(), "no exception leaves a command");
  }
  if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) {
    return fail(command_, name_of(Error::kIo), "standard output", std::strerror(errno));
  }
  return exit_code;
}

int Context::fail(std::string_view command, const Failure& failure) {
  return fail(command, name_of(failure.error), failure.where,
              failure.reason == nullptr ? "" : failure.reason);
}

int Context::fail(std::string_view command, std::string_view what, std::string_view where,
                  std::string_view expected) {
  std::string line = command.empty() ? "fourge" : fmt::format("fourge {}", command);
  for (const std::string_view part : {what, where, expected}) {
    if (!part.empty()) line += fmt::format(": {}", printable(part));
  }
  std::fflush(stdout);
  fmt::print(stderr, "{}\n", line);
  return kExitBadUse;
}

void Context::print(const Json& document) {
  // File names need not be UTF-8: what is not becomes U+FFFD instead of an exception.
  fmt::print("{}\n", document.dump(2, ' ', false, Json::error_handler_t::replace));
}

std::string Context::paint(Color color, std::string_view text) const {
  if (!takes_color(stdout)) return std::string(text);
  return fmt::format("{}{}\033[0m", escape_of(color), text);
}

}  // namespace fourge::cli
