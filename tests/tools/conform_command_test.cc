// fourge conform, mma and vectors: what they print, what they refuse, with which exit code.
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "tests/support/temporary_folder.h"
#include "tests/support/test_data.h"
#include "tests/tools/cli.h"

namespace fourge::tests {
namespace {

const std::string kNvfp4 = "blackwell.mxf4nvf4.ue4m3.block16";

std::string tc(const std::string& name) { return (test_data() / "tc" / name).string(); }

// The only line on standard error holds all of these; nothing on standard output.
void expect_refusal(const std::vector<std::string>& arguments, const std::vector<std::string>& parts) {
  const ProgramResult result = run_fourge(arguments);
  EXPECT_EQ(result.exit_code, 2) << result.err;
  EXPECT_EQ(result.out, "");
  EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << result.err;
  for (const std::string& part : parts) EXPECT_NE(result.err.find(part), std::string::npos) << result.err;
}

TEST(ConformCommand, EveryCheckerAgreesWithTheFp4Files) {
  const nlohmann::json document =
      json_of({"conform", "--json", tc("nvfp4_ue4m3_b16.safetensors"), tc("mxfp4_ue8m0_b32.safetensors"),
               tc("mxf4nvf4_ue8m0_b16.safetensors")});
  ASSERT_EQ(document["files"].size(), 3u);
  for (const auto& file : document["files"]) {
    EXPECT_EQ(file["outputs"], 14 * 128);
    EXPECT_EQ(file["mismatches"], 0);
    EXPECT_EQ(file["checked_by"][0], "reference");
    EXPECT_GE(file["checked_by"].size(), 2u) << "no kernel claims " << file["model"];
  }
  EXPECT_EQ(document["files"][0]["model"], kNvfp4);
}

TEST(ConformCommand, ShowsTheFirstMismatchTermByTerm) {
  const std::string file = tc("hopper_bf16_f32.safetensors");
  const ProgramResult result = run_fourge({"conform", file});
  EXPECT_EQ(result.exit_code, 1);
  for (const char* part :
       {"first mismatch at tile 12, row 8, column 2: reference has 1f810000, the file 00000000",
        "Emax -64, F 25: one unit is 2^-89", "<- Emax", "sum 33816576 units = 129 * 2^-71", "result 1f810000",
        "file   00000000 = 0   MISMATCH", "compare with --zero-rule mma-sim"}) {
    EXPECT_NE(result.out.find(part), std::string::npos) << part << "\n" << result.out;
  }
  EXPECT_EQ(run_fourge({"conform", "--zero-rule", "mma-sim", file}).exit_code, 0);
  const nlohmann::json document = json_of({"conform", "--json", file}, 1);
  EXPECT_EQ(document["files"][0]["mismatches"], 2);
  EXPECT_EQ(document["files"][0]["first_mismatch"]["tile"], 12);
  EXPECT_EQ(document["files"][0]["first_mismatch"]["explanation"]["result"], "1f810000");
}

TEST(ConformCommand, ExplainsAnyOutput) {
  const std::string file = tc("nvfp4_ue4m3_b16.safetensors");
  const ProgramResult result = run_fourge({"conform", "--explain", "3,15,7", file});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_NE(result.out.find("tile 3, row 15, column 7"), std::string::npos);
  EXPECT_NE(result.out.find("group 3"), std::string::npos);
  expect_refusal({"conform", "--explain", "14,0,0", file},
                 {"--explain 14,0,0: the file has 14 tiles of 16 x 8"});
  expect_refusal({"conform", "--explain", "0,0", file}, {"--explain 0,0", "TILE,ROW,COLUMN"});
  expect_refusal({"conform", "--explain", "0,0,0x", file}, {"TILE,ROW,COLUMN"});
  expect_refusal({"conform", "--explain", "0,0,0", file, file}, {"--explain with 2 files"});
}

TEST(ConformCommand, RefusesWhatIsNoVectorFile) {
  const TemporaryFolder folder;
  expect_refusal({"conform", (folder / "absent.safetensors").string()},
                 {"fourge conform: not found", "absent"});
  write_bytes(folder / "short.safetensors", {1, 2, 3});
  expect_refusal({"conform", (folder / "short.safetensors").string()}, {"bad file", "short.safetensors"});
  expect_refusal({"conform", folder.path().string()}, {"bad file"});
  expect_refusal({"conform", "--zero-rule", "none", tc("nvfp4_ue4m3_b16.safetensors")},
                 {"hardware, mma-sim"});
  expect_refusal({"conform"}, {"fourge conform"});
}

TEST(MmaCommand, ComputesTheWorkedExamples) {
  const auto d = [](const std::vector<std::string>& arguments) {
    std::vector<std::string> all = {"mma", "--json"};
    all.insert(all.end(), arguments.begin(), arguments.end());
    return json_of(all)["result"].get<std::string>();
  };
  EXPECT_EQ(d({"--model", kNvfp4, "--a", "1,", "--b", "1,", "--a-scales", "01383838", "--b-scales",
               "01383838", "--c", "3f800000"}),
            "3f800008");
  EXPECT_EQ(d({"--model", kNvfp4, "--a", std::string(64, '7'), "--b", "0x" + std::string(64, '7'),
               "--a-scales", "7e7e7e7e", "--b-scales", "7e7e_7e7e"}),
            "4ddc8000");
  EXPECT_EQ(d({"--model", "hopper.f16.f32", "--a", "3c00,0c00", "--b", "3c00,8c00"}), "3f7fffff");
  EXPECT_EQ(d({"--model", "hopper.f16.f32", "--a", "003c" + std::string(60, '0'), "--b", "3c00,"}),
            "3f800000");
  EXPECT_EQ(d({"--model", "hopper.f16.f16", "--a", "3c00,", "--b", "3c00,", "--c", "7bff"}), "7bff");
  EXPECT_EQ(d({"--model", "hopper.wgmma.fp8.f32", "--a-format", "e4m3", "--a", "0,", "--b", "0,", "--c",
               "3f8007ff"}),
            "3f800400");
  EXPECT_EQ(d({"--model", "custom:fraction_bits=25,products=4,output=f32,rounding=rz", "--a-format", "bf16",
               "--a", "3f80,4000", "--b", "3f80,4000"}),
            "40a00000");
}

TEST(MmaCommand, ListsEveryModelWithItsEvidence) {
  const nlohmann::json models = json_of({"mma", "--list", "--json"})["models"];
  EXPECT_EQ(models.size(), 30u);
  for (const auto& model : models) EXPECT_FALSE(model["source"].get<std::string>().empty());
  EXPECT_NE(run_fourge({"mma", "--list"}).out.find(kNvfp4), std::string::npos);
}

TEST(MmaCommand, RefusesBadOperands) {
  const std::vector<std::string> good = {"mma",      "--model", kNvfp4,       "--a",      "1,",
                                         "--b",      "1,",      "--a-scales", "38383838", "--b-scales",
                                         "38383838", "--c",     "0"};
  ASSERT_EQ(run_fourge(good).exit_code, 0);
  const auto with = [&](const std::string& option, const std::string& value) {
    std::vector<std::string> arguments = good;
    for (std::size_t i = 0; i + 1 < arguments.size(); ++i) {
      if (arguments[i] == option) {
        arguments[i + 1] = value;
        return arguments;
      }
    }
    arguments.push_back(option);
    arguments.push_back(value);
    return arguments;
  };
  expect_refusal(with("--model", "hopper.fp4"), {"hopper.fp4", "expected a model of `fourge mma --list`"});
  expect_refusal(with("--model", "custom:fraction_bits=99,products=4,output=f32,rounding=rz"),
                 {"from 1 to 44"});
  expect_refusal(with("--a", "xyz"), {"--a", "hexadecimal"});
  expect_refusal(with("--a", "12g4"), {"--a: 'g'", "hexadecimal"});
  expect_refusal(with("--a", "123"), {"--a", "even number"});
  expect_refusal(with("--a", "1234"), {"--a: 2 bytes of e2m1", "32 bytes"});
  expect_refusal(with("--a", std::string(66, '1')), {"--a: 33 bytes of e2m1"});
  expect_refusal(with("--b", std::string(62, '1')), {"--b: 31 bytes of e2m1"});
  expect_refusal(with("--a", "1f,"), {"--a 1f", "does not fit"});
  std::string many;
  for (int i = 0; i < 65; ++i) many += "1,";
  expect_refusal(with("--a", many), {"--a", "more elements"});
  expect_refusal(with("--a-scales", "3838"), {"--a-scales: 2 bytes, the model takes 4 of ue4m3"});
  expect_refusal(with("--c", "123456789"), {"--c", "does not fit"});
  expect_refusal(with("--c", ""), {"--c"});
  expect_refusal(with("--a-format", "e4m3"), {"e4m3, not one of e2m1"});
  expect_refusal(with("--a-format", "e9m9"), {"--a-format e9m9"});
  expect_refusal({"mma", "--model", "hopper.wgmma.fp8.f32", "--a", "1,", "--b", "1,"},
                 {"--a-format", "e4m3, e5m2"});
  expect_refusal({"mma", "--model", "hopper.f16.f32", "--a", "1,", "--b", "1,", "--a-scales", "00"},
                 {"no block scales", "--a-scales"});
  expect_refusal({"mma", "--model", kNvfp4}, {"--a"});
}

TEST(VectorsCommand, WhatItWritesConforms) {
  const TemporaryFolder folder;
  const std::string file = (folder / "v.safetensors").string();
  for (const std::vector<std::string>& more :
       {std::vector<std::string>{"--model", kNvfp4},
        {"--model", "hopper.mma_sync.fp8.f16", "--a-format", "e4m3", "--b-format", "e5m2"},
        {"--model", "blackwell.mxf8f6f4.ue8m0.block32", "--a-format", "e3m2", "--m", "1", "--n", "3"},
        {"--model", "custom:fraction_bits=12,products=4,output=f16,rounding=rne", "--a-format", "f16", "--k",
         "6"}}) {
    std::vector<std::string> arguments = {"vectors", "--tiles", "12", "--out", file, "--json"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const nlohmann::json made = json_of(arguments);
    EXPECT_EQ(made["tiles"], 12);
    const nlohmann::json checked = json_of({"conform", "--json", file});
    EXPECT_EQ(checked["files"][0]["outputs"], made["outputs"]);
    EXPECT_EQ(checked["files"][0]["mismatches"], 0);
  }
  EXPECT_EQ(run_fourge({"vectors", "--model", kNvfp4, "--tiles", "1", "--out", (folder / "v.hex").string()})
                .exit_code,
            0);
  EXPECT_NE(read_text(folder / "v.hex").find("// model: " + kNvfp4), std::string::npos);
}

TEST(VectorsCommand, RefusesAndHarmsNothing) {
  const TemporaryFolder folder;
  const std::string file = (folder / "v.safetensors").string();
  write_bytes(file, {1, 2, 3});
  expect_refusal({"vectors", "--model", "nothing", "--out", file}, {"nothing"});
  expect_refusal({"vectors", "--model", kNvfp4, "--k", "32", "--out", file}, {"k = 32, not 64"});
  expect_refusal({"vectors", "--model", kNvfp4, "--mode", "wild", "--out", file}, {"random, edge, zeros"});
  expect_refusal({"vectors", "--model", kNvfp4, "--tiles", "0", "--out", file}, {"--tiles"});
  expect_refusal({"vectors", "--model", kNvfp4, "--tiles", "200000000", "--out", file}, {"2^28 outputs"});
  expect_refusal({"vectors", "--model", "hopper.wgmma.fp8.f32", "--out", file}, {"--a-format"});
  expect_refusal({"vectors", "--model", kNvfp4, "--out", (folder / "v.txt").string()},
                 {".safetensors, .hex or .json"});
  expect_refusal({"vectors", "--model", kNvfp4, "--out", (folder / "no" / "v.json").string()}, {"not found"});
  EXPECT_EQ(read_bytes(file), (std::vector<std::uint8_t>{1, 2, 3}));
  EXPECT_EQ(folder.entries(), 1u);
}

}  // namespace
}  // namespace fourge::tests
