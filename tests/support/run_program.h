// Runs a program as a user would and keeps what it printed.
#pragma once

#include <fcntl.h>
#include <pty.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "tests/support/temporary_folder.h"

namespace fourge::tests {

struct ProgramResult {
  int exit_code = -1;  // 128 + signal when a signal ended it
  std::string out;
  std::string err;
};

inline std::string read_text(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  std::ostringstream text;
  text << stream.rdbuf();
  return text.str();
}

/// In the child: the program takes the process over, or 127 ends it.
[[noreturn]] inline void execute(const std::vector<std::string>& command) {
  std::vector<char*> arguments;
  for (const std::string& argument : command) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  ::execv(arguments[0], arguments.data());
  ::_exit(127);
}

inline int exit_code_of(pid_t child) {
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/// Standard input is empty; standard output goes to `out_file`, or is kept when that is empty.
inline ProgramResult run_program(const std::vector<std::string>& command, const std::string& out_file = {}) {
  const TemporaryFolder folder;
  const std::string out = out_file.empty() ? (folder / "out").string() : out_file;
  const std::string err = (folder / "err").string();
  const pid_t child = ::fork();
  if (child == 0) {
    ::dup2(::open("/dev/null", O_RDONLY), STDIN_FILENO);
    ::dup2(::open(out.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600), STDOUT_FILENO);
    ::dup2(::open(err.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600), STDERR_FILENO);
    execute(command);
  }
  ProgramResult result;
  result.exit_code = exit_code_of(child);
  if (out_file.empty()) result.out = read_text(out);
  result.err = read_text(err);
  return result;
}

/// Both streams on a pseudo-terminal; what it showed comes back in `out`.
inline ProgramResult run_on_terminal(const std::vector<std::string>& command) {
  int terminal = -1;
  const pid_t child = ::forkpty(&terminal, nullptr, nullptr, nullptr);
  if (child == 0) execute(command);
  ProgramResult result;
  std::array<char, 4096> buffer{};
  // Reading fails with EIO once the child has closed its side.
  for (ssize_t n = 0; (n = ::read(terminal, buffer.data(), buffer.size())) > 0;) {
    result.out.append(buffer.data(), static_cast<std::size_t>(n));
  }
  ::close(terminal);
  result.exit_code = exit_code_of(child);
  return result;
}

}  // namespace fourge::tests
