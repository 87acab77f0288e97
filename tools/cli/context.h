// What every command shares: how it runs, how it prints, how it fails, and the exit code.
#pragma once

#include <cstdio>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "fourge/error.h"

namespace CLI {
class App;
}

namespace fourge::cli {

/// JSON whose keys keep the order in which they were written.
using Json = nlohmann::ordered_json;

/// What a command that could do its work found.
enum class Outcome : int {
  kTrue = 0,   ///< done, and everything that was checked holds
  kFalse = 1,  ///< done, and something that was checked does not hold
};
inline constexpr int kExitBadUse = 2;  // bad options or bad input: no outcome

enum class Color { kRed, kGreen, kYellow, kBold, kDim };

/// Whether the stream is a terminal that may be coloured: NO_COLOR and TERM=dumb say no.
bool takes_color(std::FILE* stream);
bool is_terminal(std::FILE* stream);
/// Columns of the terminal on standard output; COLUMNS, then 100, when it is none.
int terminal_width();

class Context {
 public:
  using Action = std::function<Result<Outcome>()>;

  /// Declares --json on a command.
  void add_json_flag(CLI::App& command);
  /// Whether --json was given.
  bool json() const { return json_; }

  /// Makes `action` what the command does once its options are valid. A Failure it returns is printed by
  /// fail().
  void on_run(CLI::App& command, Action action);
  /// Runs the chosen command. Returns the exit code of the process.
  int run();

  /// One line on standard error: "fourge <command>: <what>: <where>: <expected>". Returns exit code 2.
  int fail(std::string_view command, const Failure& failure);
  int fail(std::string_view command, std::string_view what, std::string_view where,
           std::string_view expected);

  /// One JSON document on standard output.
  void print(const Json& document);

  /// The text in colour when standard output takes it, else unchanged.
  std::string paint(Color color, std::string_view text) const;

 private:
  bool json_ = false;
  std::string command_;
  Action action_;
};

}  // namespace fourge::cli
