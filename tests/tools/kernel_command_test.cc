// fourge kernel: the code of the kernel that gemm would run, to read, to dump, to disassemble.
#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "tests/tools/cli.h"

namespace fourge::tests {
namespace {

const std::string kSpec = "1x64x128";

/// Whether this machine's choice is generated code; the portable and the Highway kernels are compiled.
nlohmann::json shown(const std::vector<std::string>& more = {}) {
  std::vector<std::string> arguments = {"kernel", "gemm", kSpec, "nvfp4", "--json"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return json_of(arguments);
}

TEST(KernelCommand, ShowsTheKernelThatGemmRuns) {
  const nlohmann::json document = shown();
  const nlohmann::json run =
      json_of({"gemm", "--random", "64,128", "--format", "nvfp4", "--tokens", "1", "--json"});
  EXPECT_EQ(document["kernel"], run["kernel"]);
  EXPECT_EQ(document["exactness"], "bit_exact(blackwell.mxf4nvf4.ue4m3.block16)");
  EXPECT_FALSE(document["decisions"].empty());
  EXPECT_EQ(document["generated"].get<bool>(), document["bytes"] > 0);
}

TEST(KernelCommand, DumpWritesItsBytes) {
  const nlohmann::json document = shown();
  if (!document["generated"].get<bool>()) GTEST_SKIP() << "no generated kernel runs on this machine";
  const TemporaryFolder folder;
  const nlohmann::json dumped = shown({"--dump", folder.path().string()});
  const std::filesystem::path file = folder / (document["kernel"].get<std::string>() + ".bin");
  EXPECT_EQ(dumped["dumped"], file.string());
  EXPECT_EQ(std::filesystem::file_size(file), document["bytes"].get<std::uintmax_t>());
}

TEST(KernelCommand, DisassemblesWhereObjdumpIs) {
  if (!shown()["generated"].get<bool>()) GTEST_SKIP() << "no generated kernel runs on this machine";
  if (!std::filesystem::exists("/usr/bin/objdump")) GTEST_SKIP() << "no objdump: Debian package binutils";
  const auto listing = shown({"--disassemble"})["disassembly"].get<std::string>();
  EXPECT_NE(listing.find("ret"), std::string::npos);
  EXPECT_NE(listing.find("push   rbp"), std::string::npos) << listing.substr(0, 500);
}

TEST(KernelCommand, RefusesBadSpecs) {
  const std::string kernel = "fourge kernel: bad argument: ";
  expect_refused({"kernel"}, "fourge kernel: missing argument: spec: see fourge kernel --help");
  expect_refused({"kernel", "conv"}, kernel + "SPEC 'conv': expected an operation first: gemm");
  for (const std::string word : {"1x2", "1x2x3x4", "0x", "nvfp5", "output=f64"}) {
    expect_refused({"kernel", "gemm", word},
                   kernel + "SPEC '" + word +
                       "': expected MxNxK, nvfp4, mxfp4, mxfp4_b16, blackwell, fast, output=TYPE, "
                       "activations=TYPE, bias or accumulate");
  }
  const ProgramResult odd = run_fourge({"kernel", "gemm", "1x64x100"});
  EXPECT_EQ(odd.exit_code, 2);
  EXPECT_EQ(odd.err.rfind("fourge kernel: bad shape: ", 0), 0u) << odd.err;
  expect_refused({"kernel", "gemm", kSpec, "--kernel", "scalar", "--disassemble"},
                 kernel +
                     "--disassemble with gemm_f32_e2m1_e2m1_ue4m3b16_1x16x64__scalar: expected a generated "
                     "kernel; this one is compiled C++");
}

}  // namespace
}  // namespace fourge::tests
