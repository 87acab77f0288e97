// fourge kernel: what it shows of a kernel, and the words that describe one.
#include <gtest/gtest.h>

#include <sstream>
#include <string>
#include <vector>

#include "tests/support/temporary_folder.h"
#include "tests/tools/cli.h"
#include "tools/cli/gemm_spec_text.h"

namespace fourge::tests {
namespace {

using nlohmann::json;

TEST(KernelCommand, ShowsRegistersBudgetAndDecisions) {
  const json document = json_of({"kernel", "gemm", "mxfp4", "1x64x64", "output=bf16", "--json"});
  expect_keys(document, {"kernel", "spec", "isa", "exactness", "bytes", "registers", "budget", "decisions",
                         "disassembly"});
  EXPECT_EQ(document["spec"], "gemm mxfp4 blackwell 1x64x64 output=bf16");
  EXPECT_EQ(document["exactness"], "bit_exact(blackwell.mxf4.ue8m0.block32)");
}

TEST(KernelCommand, DumpsWhatItDisassembles) {
  const json document = json_of({"kernel", "gemm", "--json"});
  if (!document["generated"]) GTEST_SKIP() << "no generated kernel runs on this machine";
  const TemporaryFolder folder;
  const json dumped =
      json_of({"kernel", "gemm", "--dump", folder.path().string(), "--disassemble", "--json"});
  EXPECT_EQ(read_bytes(dumped["dumped"].get<std::string>()).size(), document["bytes"]);
  EXPECT_NE(dumped["disassembly"].get<std::string>().find("ret"), std::string::npos);
}

TEST(KernelCommand, CompiledKernelsHaveNoListing) {
  expect_refused(
      {"kernel", "gemm", "--max-isa", "scalar", "--disassemble"},
      "fourge kernel: bad argument: --disassemble with gemm_f32_e2m1_e2m1_ue4m3b16_1x16x64__scalar: "
      "expected a generated kernel; this one is compiled C++");
}

TEST(KernelCommand, RefusesUnknownWords) {
  expect_refused({"kernel"}, "fourge kernel: missing argument: spec: see fourge kernel --help");
  expect_refused({"kernel", "gemv"},
                 "fourge kernel: bad argument: SPEC 'gemv': expected an operation first: gemm");
  for (const char* word : {"1x2", "1x2x", "x", "1x2x64x", "output=f8", "1y2y3"}) {
    expect_refused({"kernel", "gemm", word},
                   "fourge kernel: bad argument: SPEC '" + std::string(word) +
                       "': expected MxNxK, nvfp4, mxfp4, mxfp4_b16, blackwell, fast, output=TYPE, "
                       "activations=TYPE, bias, accumulate, mc=N or kc=N");
  }
}

TEST(GemmSpecText, WordsAndSpecAreInverse) {
  for (const Format format : kFormats) {
    for (const OutputType output : {OutputType::f32, OutputType::bf16, OutputType::f16}) {
      for (const bool bias : {false, true}) {
        const GemmSpec spec{.m = 7,
                            .n = 5,
                            .k = 96,
                            .format = format,
                            .numerics = bias ? Numerics::fast : Numerics::blackwell,
                            .activations = bias ? Activations::bf16 : Activations::same,
                            .output = output,
                            .bias = bias,
                            .accumulate = !bias};
        std::vector<std::string> words;
        std::istringstream text(cli::gemm_spec_text(spec));
        for (std::string word; text >> word;) words.push_back(word);
        const Result<GemmSpec> parsed = cli::parse_gemm_spec(words);
        ASSERT_TRUE(parsed.ok()) << parsed.failure().message();
        EXPECT_EQ(*parsed, spec) << cli::gemm_spec_text(spec);
      }
    }
  }
}

}  // namespace
}  // namespace fourge::tests
