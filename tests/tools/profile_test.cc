// FOURGE_JIT_PROFILE, GDB's JIT interface and FOURGE_VERBOSE, from outside: the program under each tool.
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <regex>
#include <string>
#include <vector>

#include "jit/asm/code_view.h"
#include "tests/support/temporary_folder.h"
#include "tests/tools/cli.h"

namespace fourge::tests {
namespace {

using Environment = std::vector<std::string>;  // "NAME=value"

std::vector<std::string> with_environment(const Environment& environment,
                                          const std::vector<std::string>& command) {
  std::vector<std::string> all = {"/usr/bin/env"};
  all.insert(all.end(), environment.begin(), environment.end());
  all.insert(all.end(), command.begin(), command.end());
  return all;
}

// tests/support/one_gemm.cc; in a cross build behind the emulator.
std::vector<std::string> one_gemm(const std::string& runs = "3") {
  std::vector<std::string> command = fourge_command({runs});
  command[command.size() - 2] = FOURGE_ONE_GEMM;
  return command;
}

ProgramResult run_with(const Environment& environment) {
  return run_program(with_environment(environment, one_gemm()));
}

// What one_gemm prints.
struct Generated {
  std::string name;
  std::size_t bytes = 0;  // 0: this machine runs compiled kernels only
  std::string process;
};
Generated generated_by(const ProgramResult& result) {
  Generated generated;
  std::istringstream(result.out) >> generated.name >> generated.bytes >> generated.process;
  return generated;
}

class JitProfile : public testing::Test {
 protected:
  void SetUp() override {
    const ProgramResult result = run_program(one_gemm());
    ASSERT_EQ(result.exit_code, 0) << result.err;
    kernel_ = generated_by(result);
    if (kernel_.bytes == 0) GTEST_SKIP() << "no generated kernel runs on this machine";
  }
  Generated kernel_;
};

std::string path_of_tool(const std::string& name) {
  for (const char* folder : {"/usr/bin/", "/usr/local/bin/", "/bin/"}) {
    if (std::filesystem::exists(folder + name)) return folder + name;
  }
  return {};
}

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t found = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
  return found;
}

TEST_F(JitProfile, BadNamesAreRefused) {
  for (const char* value : {"perf", "perfmap,", "jitdump,gdb"}) {
    const ProgramResult result = run_with({std::string("FOURGE_JIT_PROFILE=") + value});
    if (std::strcmp(value, "perfmap,") == 0) {
      EXPECT_EQ(result.exit_code, 0) << result.err;
      continue;
    }
    EXPECT_EQ(result.exit_code, 2);
    EXPECT_NE(result.err.find("expected perfmap, jitdump or vtune, separated by commas"), std::string::npos)
        << result.err;
  }
}

TEST_F(JitProfile, PerfMapNamesTheKernel) {
  const ProgramResult result = run_with({"FOURGE_JIT_PROFILE=perfmap"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const std::filesystem::path map = "/tmp/perf-" + generated_by(result).process + ".map";
  const std::string text = read_text(map);
  std::filesystem::remove(map);
  char size[32];
  std::snprintf(size, sizeof size, " %zx ", kernel_.bytes);
  EXPECT_TRUE(std::regex_search(text, std::regex("(^|\n)[0-9a-f]+" + (size + kernel_.name) + "\n"))) << text;
}

struct Dump {
  std::string bytes;
  template <class T>
  T at(std::size_t offset) const {
    T value{};
    if (offset + sizeof value <= bytes.size()) std::memcpy(&value, bytes.data() + offset, sizeof value);
    return value;
  }
};

TEST_F(JitProfile, JitdumpHoldsNameCodeAndUnwinding) {
  const TemporaryFolder folder;
  const ProgramResult result =
      run_with({"FOURGE_JIT_PROFILE=jitdump", "JITDUMPDIR=" + folder.path().string()});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  Dump dump;
  for (const auto& entry : std::filesystem::directory_iterator(folder.path())) {
    EXPECT_TRUE(std::regex_match(entry.path().filename().string(), std::regex("jit-[0-9]+\\.dump")));
    dump.bytes = read_text(entry.path());
  }
  // Offsets and values: jitdump-specification.txt.
  ASSERT_EQ(dump.at<std::uint32_t>(0), 0x4A695444u);
  EXPECT_EQ(dump.at<std::uint32_t>(4), 1u);
  EXPECT_EQ(dump.at<std::uint32_t>(8), 40u);
  bool found = false, unwinding_before = false;
  std::uint64_t last_time = dump.at<std::uint64_t>(32), next_index = 0;
  std::size_t at = 40;
  while (at + 16 <= dump.bytes.size()) {
    const auto id = dump.at<std::uint32_t>(at), size = dump.at<std::uint32_t>(at + 4);
    EXPECT_GE(dump.at<std::uint64_t>(at + 8), last_time);
    last_time = dump.at<std::uint64_t>(at + 8);
    ASSERT_GE(size, 16u);
    if (id == 0) {
      EXPECT_EQ(dump.at<std::uint64_t>(at + 48), next_index++);
      const std::string name = dump.bytes.c_str() + at + 56;
      const auto code_size = dump.at<std::uint64_t>(at + 40);
      EXPECT_EQ(size, 56 + name.size() + 1 + code_size);
      if (name == kernel_.name) {
        found = true;
        EXPECT_EQ(code_size, kernel_.bytes);
        EXPECT_TRUE(unwinding_before);
      }
    } else {
      EXPECT_EQ(id, 4u);
      EXPECT_EQ(dump.at<std::uint64_t>(at + 24), 24u);  // .eh_frame_hdr
      EXPECT_EQ(size % 8, 0u);
    }
    unwinding_before = id == 4;
    at += size;
  }
  EXPECT_EQ(at, dump.bytes.size());
  EXPECT_TRUE(found);
}

TEST_F(JitProfile, AFolderThatDoesNotExistIsAnError) {
  const ProgramResult result = run_with({"FOURGE_JIT_PROFILE=jitdump", "JITDUMPDIR=/nonexistent/folder"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_NE(result.err.find("/nonexistent/folder/jit-"), std::string::npos) << result.err;
  EXPECT_NE(result.err.find("cannot write the jitdump"), std::string::npos) << result.err;
}

TEST_F(JitProfile, VtuneAgentIsToldOfLoadAndUnload) {
  const TemporaryFolder folder;
  const std::string log = (folder / "log").string();
  const ProgramResult result =
      run_with({"FOURGE_JIT_PROFILE=vtune", "INTEL_JIT_PROFILER64=" FOURGE_TEST_AGENT,
                "FOURGE_TEST_AGENT_LOG=" + log, "ASAN_OPTIONS=detect_leaks=0"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const std::string text = read_text(log);
  EXPECT_TRUE(text.starts_with("initialize\n")) << text;
  const std::string load =
      kernel_.name + " " + std::to_string(kernel_.bytes) + " bytes, module fourge, begins with ";
  EXPECT_NE(text.find(load), std::string::npos) << text;
#if defined(__x86_64__)
  EXPECT_NE(text.find(load + "55"), std::string::npos) << text;  // push rbp
#endif
  EXPECT_EQ(count(text, "load "), count(text, "event 14 ")) << text;  // every code is withdrawn at the end
}

TEST_F(JitProfile, MissingVtuneAgentIsSaidClearly) {
  const std::string sentence = "FOURGE_JIT_PROFILE=vtune takes VTune's JIT agent, which its collector names";
  ProgramResult result = run_with({"-u", "INTEL_JIT_PROFILER64", "FOURGE_JIT_PROFILE=vtune"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_NE(result.err.find("INTEL_JIT_PROFILER64 is not set: " + sentence), std::string::npos) << result.err;
  result = run_with({"INTEL_JIT_PROFILER64=/nonexistent.so", "FOURGE_JIT_PROFILE=vtune"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_NE(result.err.find("/nonexistent.so"), std::string::npos) << result.err;
}

// At the entry and after each of the first instructions, in the middle and before the return, the stack leads
// to the same caller.
TEST_F(JitProfile, GdbShowsTheKernelAndItsCallers) {
  const std::string gdb = path_of_tool("gdb");
  if (gdb.empty()) GTEST_SKIP() << "gdb (Debian package gdb) is not installed";
#if defined(FOURGE_EMULATOR)
  GTEST_SKIP() << "gdb does not look into a program behind an emulator";
#endif
  std::vector<std::string> command = {gdb, "-batch", "-nx"};
  const auto add = [&command](const std::string& text) { command.insert(command.end(), {"-ex", text}); };
  for (const char* setting : {"breakpoint pending on", "debuginfod enabled off", "print demangle off"})
    add(std::string("set ") + setting);
  add("break " + kernel_.name);  // behind the frame's set-up, once the kernel is there
  add("run");
  add("delete");
  add("break *" + kernel_.name);  // at its first instruction
  add("continue");
  constexpr std::size_t kSingleSteps = 12;
  for (std::size_t i = 0; i < kSingleSteps; ++i) add("backtrace 2"), add("stepi");
  for (const char* text : {"stepi 50", "backtrace", "delete", "finish"}) add(text);
  command.emplace_back("--args");
  const std::vector<std::string> program = one_gemm();
  command.insert(command.end(), program.begin(), program.end());
  const ProgramResult result =
      run_program(with_environment({"LC_ALL=C", "ASAN_OPTIONS=detect_leaks=0"}, command));
  if (result.err.find("ptrace: Operation not permitted") != std::string::npos)
    GTEST_SKIP() << "this machine forbids ptrace, which gdb needs";
  const std::regex caller("#1  0x[0-9a-f]+ in (\\S+) ");
  std::size_t in_kernel = 0, callers = 0;
  std::string expected;
  std::istringstream lines(result.out);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("#0 ") && line.find(kernel_.name) != std::string::npos) ++in_kernel;
    std::smatch match;
    if (!std::regex_search(line, match, caller)) continue;
    if (expected.empty()) expected = match[1];
    EXPECT_EQ(match[1], expected);
    ++callers;
  }
  EXPECT_EQ(in_kernel, kSingleSteps + 1) << result.out << result.err;
  EXPECT_EQ(callers, kSingleSteps + 1) << result.out << result.err;
  EXPECT_TRUE(std::regex_search(result.out, std::regex("#[0-9]+ +0x[0-9a-f]+ in main \\("))) << result.out;
  // `finish` came back to the caller.
  const std::size_t outermost = result.out.rfind("in main (");
  ASSERT_NE(outermost, std::string::npos);
  const std::string name = expected.substr(0, expected.find(' '));
  EXPECT_NE(result.out.find(name, outermost), std::string::npos) << result.out;
}

#if defined(FOURGE_C_LIBRARY)
// What a distribution ships: without a symbol table gdb finds its hooks among the exported symbols.
TEST_F(JitProfile, GdbShowsTheKernelsOfAStrippedLibrary) {
  const std::string gdb = path_of_tool("gdb"), strip = path_of_tool("strip");
  if (gdb.empty() || strip.empty()) GTEST_SKIP() << "gdb or strip (binutils) is not installed";
#if defined(FOURGE_EMULATOR)
  GTEST_SKIP() << "gdb does not look into a program behind an emulator";
#endif
  const TemporaryFolder folder;
  const std::string library = (folder / std::filesystem::path(FOURGE_C_SONAME).filename()).string();
  const ProgramResult stripped = run_program({strip, "--strip-all", "-o", library, FOURGE_C_LIBRARY});
  ASSERT_EQ(stripped.exit_code, 0) << stripped.err;
  // The kernel of the C program's first GEMM.
  const ProgramResult result =
      run_program(with_environment({"LC_ALL=C", "ASAN_OPTIONS=detect_leaks=0"},
                                   {gdb,
                                    "-batch",
                                    "-nx",
                                    "-ex",
                                    "set breakpoint pending on",
                                    "-ex",
                                    "set debuginfod enabled off",
                                    "-ex",
                                    "set print demangle off",
                                    "-ex",
                                    "set environment LD_LIBRARY_PATH " + folder.path().string(),
                                    "-ex",
                                    "break " + kernel_.name,
                                    "-ex",
                                    "run",
                                    "-ex",
                                    "info sharedlibrary",
                                    "-ex",
                                    "backtrace",
                                    FOURGE_C_PROGRAM}));
  if (result.err.find("ptrace: Operation not permitted") != std::string::npos)
    GTEST_SKIP() << "this machine forbids ptrace, which gdb needs";
  EXPECT_NE(result.out.find(library), std::string::npos) << result.out << result.err;
  EXPECT_TRUE(std::regex_search(result.out, std::regex("#0 .*" + kernel_.name))) << result.out << result.err;
  EXPECT_TRUE(std::regex_search(result.out, std::regex("#[0-9]+ .* (main|start_thread) \\(")))
      << result.out << result.err;
}
#endif

TEST_F(JitProfile, PerfNamesTheKernelThroughJitdump) {
  const std::string perf = path_of_tool("perf");
  if (perf.empty()) GTEST_SKIP() << "perf (Debian package linux-perf) is not installed";
#if defined(FOURGE_EMULATOR)
  GTEST_SKIP() << "perf samples the emulator";
#endif
  const TemporaryFolder folder;
  const std::string raw = (folder / "raw").string(), injected = (folder / "injected").string();
  std::vector<std::string> record = {perf, "record", "-q", "-k", "mono", "-F", "5000", "-o", raw, "--"};
  const std::vector<std::string> program = one_gemm("20000");
  record.insert(record.end(), program.begin(), program.end());
  const ProgramResult recorded = run_program(
      with_environment({"FOURGE_JIT_PROFILE=jitdump", "JITDUMPDIR=" + folder.path().string()}, record));
  if (recorded.exit_code != 0) GTEST_SKIP() << "this machine forbids perf record: " << recorded.err;
  const ProgramResult inject = run_program({perf, "inject", "--jit", "-i", raw, "-o", injected});
  ASSERT_EQ(inject.exit_code, 0) << inject.err;
  const ProgramResult report =
      run_program(with_environment({"PERF_BUILDID_DIR=" + folder.path().string()},
                                   {perf, "report", "--stdio", "--sort", "symbol", "-i", injected}));
  EXPECT_NE(report.out.find(kernel_.name), std::string::npos) << report.out << report.err;
}

TEST_F(JitProfile, VerboseSaysDispatchGenerationAndExecution) {
  const ProgramResult all = run_with({"FOURGE_VERBOSE=dispatch,jit,exec"});
  EXPECT_EQ(all.exit_code, 0);
  EXPECT_NE(all.err.find("fourge: dispatch: gemm 1 x 64 x 64: " + kernel_.name + ": chosen\n"),
            std::string::npos)
      << all.err;
  EXPECT_NE(all.err.find("__scalar: fits, but a faster one is ahead of it\n"), std::string::npos) << all.err;
  EXPECT_TRUE(
      std::regex_search(all.err, std::regex("fourge: jit: " + kernel_.name + ": " +
                                            std::to_string(kernel_.bytes) + " bytes at 0x[0-9a-f]+, ")))
      << all.err;
  EXPECT_TRUE(std::regex_search(
      all.err, std::regex("fourge: exec: " + kernel_.name + ": 1 x 64 x 64, threads 1: [0-9.]+ us\n")))
      << all.err;
  const ProgramResult jit = run_with({"FOURGE_VERBOSE=jit"});
  EXPECT_EQ(count(jit.err, "fourge: dispatch: ") + count(jit.err, "fourge: exec: "), 0u) << jit.err;
  EXPECT_EQ(run_with({}).err, "");
  const ProgramResult bad = run_with({"FOURGE_VERBOSE=loud"});
  EXPECT_EQ(bad.exit_code, 0);
  EXPECT_EQ(bad.err,
            "fourge: bad argument: FOURGE_VERBOSE 'loud': expected dispatch, jit, exec or all, separated by "
            "commas\n");
}

}  // namespace
}  // namespace fourge::tests
