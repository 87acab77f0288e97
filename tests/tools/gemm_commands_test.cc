// fourge gemm, kernel, info, demo: what they print, and how they refuse.
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "tests/support/temporary_folder.h"
#include "tests/tools/cli.h"
#include "tools/cli/gemm_spec_text.h"
#include "tools/cli/matrix_source.h"

namespace fourge::tests {
namespace {

using nlohmann::json;

const std::string kNano = std::string(FOURGE_SOURCE_DIR) + "/models/nano/model.safetensors";
const std::string kDown = kNano + ":model.layers.3.mlp.down_proj.weight";

void expect_keys(const json& object, const std::vector<std::string>& keys) {
  for (const std::string& key : keys) EXPECT_TRUE(object.contains(key)) << key;
}

std::vector<std::string> gemm_keys() {
  return {"kernel",
          "m",
          "n",
          "k",
          "format",
          "activations",
          "numerics",
          "isa",
          "threads",
          "seconds_best",
          "seconds_median",
          "gflops",
          "weight_gbps",
          "bound",
          "bound_fraction",
          "outputs_checked",
          "mismatches",
          "certified_fraction",
          "relative_error"};
}

TEST(GemmCommand, JsonOfRealWeightsHasEveryKeyAndNoMismatch) {
  for (const char* format : {"nvfp4", "mxfp4"}) {
    const json document = json_of({"gemm", "--weights", kDown, "--format", format, "--tokens", "3",
                                   "--threads", "2", "--check", "all", "--seconds", "0.01", "--json"});
    expect_keys(document, gemm_keys());
    EXPECT_EQ(document["m"], 3);
    EXPECT_EQ(document["n"], 256);
    EXPECT_EQ(document["k"], 768);
    EXPECT_EQ(document["activations"], format);
    EXPECT_EQ(document["outputs_checked"], 3 * 256);
    EXPECT_EQ(document["mismatches"], 0);
    EXPECT_GT(document["relative_error"], 0.01);
    EXPECT_LT(document["relative_error"], 0.5);
    EXPECT_LE(document["seconds_best"], document["seconds_median"]);
  }
}

TEST(GemmCommand, CheckExtents) {
  const std::vector<std::string> arguments = {"gemm",      "--random", "40,64,9", "--format",
                                              "nvfp4",     "--tokens", "20",      "--json",
                                              "--seconds", "0",        "--check"};
  const auto checked = [&](const char* extent) {
    auto all = arguments;
    all.emplace_back(extent);
    return json_of(all)["outputs_checked"].get<int>();
  };
  EXPECT_EQ(checked("none"), 0);
  EXPECT_EQ(checked("all"), 800);
  EXPECT_EQ(checked("sample"), 2 * 5 * 64);  // blocks of 8 x 8: 2 of 20 rows, 5 of 40 columns
}

TEST(GemmCommand, SeedAndRuleChangeTheProduct) {
  const auto error = [](const char* random, const char* rule) {
    return json_of({"gemm", "--random", random, "--format", "nvfp4", "--tokens", "4", "--scale-rule", rule,
                    "--seconds", "0", "--json"})["relative_error"]
        .get<double>();
  };
  EXPECT_EQ(error("64,256,5", "static_6"), error("64,256,5", "static_6"));
  EXPECT_NE(error("64,256,5", "static_6"), error("64,256,6", "static_6"));
  EXPECT_NE(error("64,256,5", "static_6"), error("64,256,5", "mse"));
}

TEST(GemmCommand, KernelAndLevelAreObeyed) {
  const json scalar = json_of({"gemm", "--random", "32,64", "--format", "mxfp4", "--tokens", "2", "--max-isa",
                               "scalar", "--seconds", "0", "--json"});
  EXPECT_EQ(scalar["isa"], "scalar");
  const json named = json_of({"gemm", "--random", "32,64", "--format", "mxfp4", "--tokens", "2", "--kernel",
                              "scalar", "--seconds", "0", "--json"});
  EXPECT_EQ(named["kernel"], scalar["kernel"]);
}

TEST(GemmCommand, RefusesInOneClearLine) {
  const std::vector<std::string> tail = {"--format", "nvfp4", "--tokens", "1"};
  const auto refused = [&](std::vector<std::string> arguments, const std::string& line) {
    arguments.insert(arguments.begin(), "gemm");
    arguments.insert(arguments.end(), tail.begin(), tail.end());
    expect_refused(arguments, "fourge gemm: " + line);
  };
  refused({}, "bad argument: expected either --weights or --random");
  refused({"--random", "4,64", "--weights", kDown}, "bad argument: expected either --weights or --random");
  for (const char* text : {"4", "4,", ",4", "4,64,", "4;64", "0,64", "-4,64", "4,64,1,1", "a,b"}) {
    refused({"--random", text}, "bad argument: --random '" + std::string(text) +
                                    "': expected N,K or N,K,SEED, whole numbers, N and K at least 1");
  }
  refused({"--random", "4,24"}, "bad shape: m 1, n 4, k 24: k must be a multiple of the scale block, 16");
  refused({"--weights", "nowhere.safetensors:w"}, "not found: nowhere.safetensors: no such file");
  refused({"--weights", "nowhere"}, "bad argument: nowhere: expected FILE.safetensors:TENSOR");
  refused({"--weights", kNano + ":model.norm.weight"},
          "bad shape: " + kNano + ": tensor 'model.norm.weight' BF16 [256]: expected two dimensions");
  refused(
      {"--weights", kDown, "--activations", "mxfp4"},
      "bad argument: --activations mxfp4 with --format nvfp4: expected the format of the weights or bf16: "
      "no tensor-core instruction mixes the two");
  refused({"--random", "4,64", "--scale-rule", "rceil"},
          "bad argument: scale rule 'rceil': nvfp4 takes static_6, static_4, mse, mae or abs_max");
}

TEST(GemmCommand, SizesBeyondMemoryAreRefused) {
  const ProgramResult result =
      run_fourge({"gemm", "--random", "1073741824,1024", "--format", "nvfp4", "--tokens", "1"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_NE(result.err.find("fourge gemm: out of memory: m 1, n 1073741824, k 1024 needs"), std::string::npos)
      << result.err;
}

TEST(GemmCommand, UnknownKernelListsTheRegistry) {
  const ProgramResult result =
      run_fourge({"gemm", "--random", "4,64", "--format", "nvfp4", "--tokens", "1", "--kernel", "nonsense"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_NE(result.err.find("gemm_f32_e2m1_e2m1_ue4m3b16_1x16x64__scalar"), std::string::npos) << result.err;
}

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
  expect_refused({"kernel"}, "fourge kernel: missing option: spec: see fourge kernel --help");
  expect_refused({"kernel", "gemv"},
                 "fourge kernel: bad argument: SPEC 'gemv': expected an operation first: gemm");
  for (const char* word : {"1x2", "1x2x", "x", "1x2x64x", "output=f8", "1y2y3"}) {
    expect_refused({"kernel", "gemm", word},
                   "fourge kernel: bad argument: SPEC '" + std::string(word) +
                       "': expected MxNxK, nvfp4, mxfp4, mxfp4_b16, blackwell, fast, output=TYPE, "
                       "activations=TYPE, bias or accumulate");
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

TEST(InfoCommand, SaysWhatIsMissingAndWhatWouldBeChosen) {
  const json document = json_of({"info", "--json"});
  expect_keys(document, {"cpu", "caches", "levels", "kernels", "choices"});
  EXPECT_FALSE(document.contains("peaks"));
  EXPECT_TRUE(document["levels"][0]["available"]);  // scalar
  for (const json& level : document["levels"]) EXPECT_NE(level["available"], level["missing"].is_string());
  EXPECT_FALSE(document["choices"][0]["kernel"].is_null());
  EXPECT_EQ(document["choices"][0]["decisions"].size(), document["kernels"].size());
}

TEST(InfoCommand, PeaksHaveTheirKeysAndAbsentUnitsAreNull) {
  const json document = json_of({"info", "--peaks", "--json"});
  const json& peaks = document["peaks"];
  expect_keys(peaks, {"amx_bf16_gflops", "amx_int8_gops", "vnni_int8_gops", "fma_f32_gflops", "read_gbps_l2",
                      "read_gbps_l3", "read_gbps_dram"});
  const json& levels = document["levels"];
  if (levels.size() == 5) {  // x86-64: avx2, avx512, amx
    EXPECT_EQ(peaks["fma_f32_gflops"].is_number(), levels[2]["available"].get<bool>());
    EXPECT_EQ(peaks["vnni_int8_gops"].is_number(), levels[3]["available"].get<bool>());
    EXPECT_EQ(peaks["amx_bf16_gflops"].is_number(), levels[4]["available"].get<bool>());
  }
  EXPECT_GT(peaks["read_gbps_l2"], 0.01);
}

TEST(InfoCommand, ThreadsBelongToPeaks) {
  const ProgramResult result = run_fourge({"info", "--threads", "2"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_EQ(result.err, "fourge info: bad argument: --threads requires --peaks\n");
}

void expect_whole_demo(const std::vector<std::string>& arguments, std::size_t products) {
  const json document = json_of(arguments);
  EXPECT_EQ(document["mismatches"], 0);
  std::int64_t outputs = 0;
  for (const json& product : document["products"]) {
    expect_keys(product, gemm_keys());
    const std::int64_t all = product["m"].get<std::int64_t>() * product["n"].get<std::int64_t>();
    EXPECT_EQ(product["outputs_checked"], all);
    outputs += all;
  }
  EXPECT_EQ(document["outputs_checked"], outputs);
  EXPECT_EQ(document["products"].size(), products);
  for (const json& peer : document["peers"]) {
    EXPECT_EQ(peer["absent"].is_string(), peer["seconds_best"].is_null());
  }
}

TEST(DemoCommand, ChecksEveryOutputOfTheShippedModel) { expect_whole_demo({"demo", "--quick", "--json"}, 8); }

TEST(LongDemoCommand, ChecksEveryOutputOfTheShippedModel) { expect_whole_demo({"demo", "--json"}, 15); }

TEST(DemoCommand, RefusesAFolderWithoutAModel) {
  const TemporaryFolder folder;
  expect_refused({"demo", "--model", folder.path().string()},
                 "fourge demo: not found: " + (folder / "model.safetensors").string() + ": no such file");
}

}  // namespace
}  // namespace fourge::tests
