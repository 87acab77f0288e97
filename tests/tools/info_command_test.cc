// fourge info: levels, kernels and choices agree with each other and with the cap.
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "tests/tools/cli.h"

namespace fourge::tests {
namespace {

TEST(InfoCommand, ChoicesAreAvailableKernels) {
  const nlohmann::json document = json_of({"info", "--json"});
  ASSERT_FALSE(document["kernels"].empty());
  ASSERT_FALSE(document["choices"].empty());
  for (const auto& choice : document["choices"]) {
    EXPECT_EQ(choice["decisions"].size(), document["kernels"].size());
    if (choice["kernel"].is_null()) continue;
    const auto name = choice["kernel"].get<std::string>();
    bool available = false;
    for (const auto& kernel : document["kernels"]) {
      const std::string variant = "__" + kernel["variant"].get<std::string>();
      if (name.ends_with(variant)) available = kernel["available"].get<bool>();
    }
    EXPECT_TRUE(available) << name;
  }
}

TEST(InfoCommand, ScalarIsEverywhere) {
  const nlohmann::json document = json_of({"info", "--json"});
  EXPECT_EQ(document["levels"][0]["isa"], "scalar");
  EXPECT_EQ(document["levels"][0]["available"], true);
  EXPECT_GE(document["hardware_threads"], 1);
}

TEST(InfoCommand, TheEnvironmentCapsTheLevel) {
  ::setenv("FOURGE_MAX_ISA", "scalar", 1);
  const nlohmann::json document = json_of({"info", "--json"});
  const ProgramResult text = run_fourge({"info"});
  ::setenv("FOURGE_MAX_ISA", "avx9", 1);
  const ProgramResult refused = run_fourge({"info"});
  ::unsetenv("FOURGE_MAX_ISA");
  EXPECT_EQ(document["isa"], "scalar");
  for (const auto& choice : document["choices"]) {
    if (!choice["kernel"].is_null()) {
      EXPECT_TRUE(choice["kernel"].get<std::string>().ends_with("__scalar"));
    }
  }
  EXPECT_EQ(text.exit_code, 0);
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_NE(refused.err.find("avx9: expected scalar, sse4,"), std::string::npos) << refused.err;
}

TEST(InfoCommand, PeaksHaveTheKeysThatScriptsRelyOn) {
  const nlohmann::json peaks = json_of({"info", "--peaks", "--threads", "1", "--json"})["peaks"];
  for (const char* key : {"amx_bf16_gflops", "amx_int8_gops", "vnni_int8_gops", "fma_f32_gflops",
                          "read_gbps_l2", "read_gbps_l3", "read_gbps_dram"}) {
    ASSERT_TRUE(peaks.contains(key)) << key;
    EXPECT_TRUE(peaks[key].is_null() || peaks[key] > 0.0) << key;
  }
  EXPECT_GT(peaks["read_gbps_dram"], 0.0);
}

TEST(InfoCommand, RefusesBadOptions) {
  expect_refused({"info", "--threads", "2"}, "fourge info: bad argument: --threads requires --peaks");
  expect_refused({"info", "--peaks", "--threads", "0"},
                 "fourge info: bad argument: --threads '0': expected a whole number from 1 to 4096");
}

}  // namespace
}  // namespace fourge::tests
