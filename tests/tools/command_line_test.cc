// What holds for every command: help, usage errors, exit codes, colours.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "tests/tools/cli.h"

namespace fourge::tests {
namespace {

bool has_escape(const std::string& text) { return text.find('\033') != std::string::npos; }

TEST(CommandLine, HelpListsCommands) {
  const std::vector<std::string> names = command_names();
  EXPECT_NE(std::find(names.begin(), names.end(), "layout"), names.end());
}

TEST(CommandLine, EveryCommandHasHelpAndJson) {
  for (const std::string& name : command_names()) {
    const ProgramResult result = run_fourge({name, "--help"});
    EXPECT_EQ(result.exit_code, 0) << name;
    EXPECT_EQ(result.err, "") << name;
    EXPECT_NE(result.out.find("Usage: fourge " + name), std::string::npos) << result.out;
    EXPECT_NE(result.out.find("--json"), std::string::npos) << name;
  }
}

TEST(CommandLine, EveryCommandRefusesAnUnknownOption) {
  for (const std::string& name : command_names()) {
    const ProgramResult result = run_fourge({name, "--no-such-option"});
    EXPECT_EQ(result.exit_code, 2) << name;
    EXPECT_EQ(result.out, "") << name;
    EXPECT_EQ(result.err.rfind("fourge " + name + ": ", 0), 0u) << result.err;
    EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << result.err;
  }
}

TEST(CommandLine, VersionIsOneLine) {
  const ProgramResult result = run_fourge({"--version"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_EQ(result.out.rfind("fourge ", 0), 0u);
  EXPECT_EQ(std::count(result.out.begin(), result.out.end(), '\n'), 1);
}

TEST(CommandLine, NoCommandListsThem) {
  const ProgramResult result = run_fourge({});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_EQ(result.err.rfind("fourge: missing command: expected one of ", 0), 0u) << result.err;
  for (const std::string& name : command_names()) {
    EXPECT_NE(result.err.find(name), std::string::npos) << result.err;
  }
}

TEST(CommandLine, UnknownCommandListsThem) {
  const ProgramResult result = run_fourge({"frobnicate", "--rows", "3"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_EQ(result.err.rfind("fourge: unknown command: 'frobnicate': expected one of ", 0), 0u) << result.err;
}

TEST(CommandLine, UnknownGlobalOption) {
  expect_refused({"--frobnicate"}, "fourge: unknown option: '--frobnicate': see fourge --help");
}

TEST(CommandLine, AnErrorIsOneLineWhateverTheInput) {
  const ProgramResult result = run_fourge({"two\nlines\033[31m"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << result.err;
  EXPECT_FALSE(has_escape(result.err));
}

TEST(CommandLine, AFullDiskIsReported) {
  const ProgramResult result = run_program(
      fourge_command({"layout", "--rows", "4", "--cols", "4", "--layout", "linear"}), "/dev/full");
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_EQ(result.err.rfind("fourge layout: input/output error: standard output: ", 0), 0u) << result.err;
}

TEST(CommandLine, ColoursOnlyOnATerminalWithoutNoColor) {
  const std::vector<std::string> command =
      fourge_command({"layout", "--rows", "4", "--cols", "4", "--layout", "linear"});
  ::unsetenv("NO_COLOR");
  ::setenv("TERM", "xterm", 1);
  EXPECT_FALSE(has_escape(run_program(command).out));
  EXPECT_TRUE(has_escape(run_on_terminal(command).out));
  ::setenv("NO_COLOR", "1", 1);
  EXPECT_FALSE(has_escape(run_on_terminal(command).out));
  ::unsetenv("NO_COLOR");
  ::setenv("TERM", "dumb", 1);
  EXPECT_FALSE(has_escape(run_on_terminal(command).out));
}

}  // namespace
}  // namespace fourge::tests
