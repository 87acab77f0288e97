// fourge gemm: the JSON that scripts rely on, every level, and what is refused.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/tools/cli.h"

namespace fourge::tests {
namespace {

const std::string kModel = FOURGE_SOURCE_DIR "/models/nano/model.safetensors";
const std::string kGemm = "fourge gemm: ";

std::vector<std::string> gemm(const std::vector<std::string>& more) {
  std::vector<std::string> arguments = {"gemm", "--format", "nvfp4", "--tokens", "3", "--seconds", "0"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

TEST(GemmCommand, JsonHasTheKeysThatScriptsRelyOn) {
  const nlohmann::json document =
      json_of(gemm({"--random", "40,128,7", "--threads", "1", "--check", "all", "--json"}));
  for (const char* key :
       {"kernel", "m", "n", "k", "format", "activations", "numerics", "isa", "threads", "seconds_best",
        "seconds_median", "gflops", "weight_gbps", "bound", "bound_fraction", "outputs_checked", "mismatches",
        "certified_fraction", "relative_error"}) {
    EXPECT_TRUE(document.contains(key)) << key;
  }
  EXPECT_EQ(document["m"], 3);
  EXPECT_EQ(document["n"], 40);
  EXPECT_EQ(document["k"], 128);
  EXPECT_EQ(document["threads"], 1);
  EXPECT_EQ(document["outputs_checked"], 120);
  EXPECT_EQ(document["mismatches"], 0);
  EXPECT_GT(document["seconds_best"], 0.0);
  EXPECT_LE(document["seconds_best"], document["seconds_median"]);
  EXPECT_GT(document["relative_error"], 0.01);
  EXPECT_LT(document["relative_error"], 0.5);
}

TEST(GemmCommand, RealWeightsInEveryFormat) {
  for (const char* format : {"nvfp4", "mxfp4", "mxfp4_b16"}) {
    const nlohmann::json document =
        json_of({"gemm", "--weights", kModel + ":model.layers.0.mlp.up_proj.weight", "--format", format,
                 "--tokens", "2", "--check", "all", "--seconds", "0", "--json"});
    EXPECT_EQ(document["n"], 768) << format;
    EXPECT_EQ(document["k"], 256) << format;
    EXPECT_EQ(document["outputs_checked"], 2 * 768) << format;
    EXPECT_EQ(document["mismatches"], 0) << format;
  }
}

TEST(GemmCommand, EveryRegisteredKernelThatFitsIsExact) {
  const nlohmann::json first = json_of(gemm({"--random", "33,96", "--json"}));
  int ran = 0;
  for (const auto& decision : first["decisions"]) {
    const auto text = decision.get<std::string>();
    if (text.find(": fits") == std::string::npos && text.find(": chosen") == std::string::npos) continue;
    const std::string name = text.substr(0, text.find(": "));
    const nlohmann::json document =
        json_of(gemm({"--random", "33,96", "--kernel", name, "--check", "all", "--json"}));
    EXPECT_EQ(document["kernel"], name);
    EXPECT_EQ(document["mismatches"], 0) << name;
    ++ran;
  }
  EXPECT_GE(ran, 1);
}

TEST(GemmCommand, MaxIsaCapsTheLevel) {
  const nlohmann::json document = json_of(gemm({"--random", "16,64", "--max-isa", "scalar", "--json"}));
  EXPECT_EQ(document["isa"], "scalar");
}

TEST(GemmCommand, RefusesBadOptions) {
  expect_refused({"gemm", "--random", "64,64", "--tokens", "1"},
                 kGemm + "missing option: --format: see fourge gemm --help");
  expect_refused({"gemm", "--random", "64,64", "--format", "fp4", "--tokens", "1"},
                 kGemm + "bad argument: --format 'fp4': expected one of nvfp4, mxfp4, mxfp4_b16");
  expect_refused({"gemm", "--random", "64,64", "--format", "nvfp4", "--tokens", "0"},
                 kGemm + "bad argument: --tokens '0': expected a whole number from 1 to 1048576");
  expect_refused(gemm({}), kGemm + "bad argument: expected either --weights or --random");
  const std::string random = ": expected N,K or N,K,SEED, whole numbers, N and K at least 1";
  for (const std::string value : {"64", "64,64,x", "0,64", "64,0", "64,-64", ",", "1,2,3,4"}) {
    expect_refused(gemm({"--random", value}), kGemm + "bad argument: --random '" + value + "'" + random);
  }
  expect_refused(gemm({"--random", "64,100"}),
                 kGemm + "bad shape: m 3, n 64, k 100: k must be a multiple of the scale block, 16");
  expect_refused(gemm({"--random", "99999999999,64"}),
                 kGemm + "bad shape: --random '99999999999,64': expected N and K of at most 2^30");
  expect_refused(
      gemm({"--random", "64,64", "--max-isa", "avx9"}),
      kGemm + "bad argument: avx9: expected scalar, sse4, avx2, avx512, amx, neon, dotprod or sve");
  expect_refused(gemm({"--random", "64,64", "--scale-rule", "floor"}),
                 kGemm +
                     "bad argument: scale rule 'floor': nvfp4 takes static_6, static_4, mse, mae, abs_max, "
                     "search, sweep or quest");
}

TEST(GemmCommand, RefusesAnImpossibleSize) {
  const ProgramResult result = run_fourge(gemm({"--random", "1000000000,1000000000"}));
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_EQ(result.err.rfind(kGemm + "out of memory: m 3, n 1000000000, k 1000000000 needs ", 0), 0u)
      << result.err;
}

TEST(GemmCommand, RefusesWeightsThatAreNoMatrix) {
  expect_refused(gemm({"--weights", "absent:w"}), kGemm + "not found: absent: no such file");
  expect_refused(gemm({"--weights", kModel}),
                 kGemm + "bad argument: " + kModel + ": expected FILE.safetensors:TENSOR");
  expect_refused(
      gemm({"--weights", kModel + ":model.norm.weight"}),
      kGemm + "bad shape: " + kModel + ": tensor 'model.norm.weight' BF16 [256]: expected two dimensions");
  const ProgramResult absent = run_fourge(gemm({"--weights", kModel + ":w"}));
  EXPECT_EQ(absent.exit_code, 2);
  EXPECT_EQ(absent.err.rfind(kGemm + "not found: " + kModel + ": tensor 'w' among 57", 0), 0u) << absent.err;
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

TEST(GemmCommand, UnknownKernelListsTheRegistry) {
  const ProgramResult result =
      run_fourge({"gemm", "--random", "4,64", "--format", "nvfp4", "--tokens", "1", "--kernel", "nonsense"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_NE(result.err.find("gemm_f32_e2m1_e2m1_ue4m3b16_1x16x64__scalar"), std::string::npos) << result.err;
}

TEST(GemmCommand, FormatsAreNotMixed) {
  expect_refused(gemm({"--random", "64,64", "--activations", "mxfp4"}),
                 kGemm +
                     "bad argument: --activations mxfp4 with --format nvfp4: expected the format of the "
                     "weights or bf16: no tensor-core instruction mixes the two");
}

}  // namespace
}  // namespace fourge::tests
