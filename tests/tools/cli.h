// The built program, as a function.
#pragma once

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/support/run_program.h"

namespace fourge::tests {

/// The program with its arguments; in a cross build behind the emulator's command line.
inline std::vector<std::string> fourge_command(const std::vector<std::string>& arguments) {
  std::vector<std::string> command;
#if defined(FOURGE_EMULATOR)
  std::istringstream emulator(FOURGE_EMULATOR);
  for (std::string part; std::getline(emulator, part, '|');) command.push_back(part);
#endif
  command.push_back(FOURGE_PROGRAM);
  command.insert(command.end(), arguments.begin(), arguments.end());
  return command;
}

/// build/<preset>/fourge ARGUMENTS...
inline ProgramResult run_fourge(const std::vector<std::string>& arguments) {
  return run_program(fourge_command(arguments));
}

/// The names under "Subcommands:" of fourge --help.
inline std::vector<std::string> command_names() {
  std::istringstream help(run_fourge({"--help"}).out);
  std::vector<std::string> names;
  bool in_list = false;
  for (std::string line; std::getline(help, line);) {
    if (line == "Subcommands:") {
      in_list = true;
    } else if (line.empty()) {
      in_list = false;
    } else if (in_list && line.size() > 2 && line[2] != ' ') {
      names.push_back(line.substr(2, line.find(' ', 2) - 2));
    }
  }
  return names;
}

/// Exit code 2, nothing on standard output, and exactly this one line on standard error.
inline void expect_refused(const std::vector<std::string>& arguments, const std::string& line) {
  const ProgramResult result = run_fourge(arguments);
  EXPECT_EQ(result.exit_code, 2) << line;
  EXPECT_EQ(result.out, "");
  EXPECT_EQ(result.err, line + "\n");
}

/// The JSON document that a command printed; a failed expectation and null when it is none.
inline nlohmann::json json_of(const std::vector<std::string>& arguments, int exit_code = 0) {
  const ProgramResult result = run_fourge(arguments);
  EXPECT_EQ(result.exit_code, exit_code) << result.err;
  EXPECT_TRUE(nlohmann::json::accept(result.out)) << result.out;
  return nlohmann::json::parse(result.out, nullptr, false);
}

inline void expect_keys(const nlohmann::json& object, const std::vector<std::string>& keys) {
  for (const std::string& key : keys) EXPECT_TRUE(object.contains(key)) << key;
}

}  // namespace fourge::tests
