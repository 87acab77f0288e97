// fourge info: levels, kernels, choices and peaks.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/tools/cli.h"

namespace fourge::tests {
namespace {

using nlohmann::json;

TEST(InfoCommand, SaysWhatIsMissingAndWhatWouldBeChosen) {
  const json document = json_of({"info", "--json"});
  expect_keys(document, {"cpu", "caches", "levels", "kernels", "choices"});
  EXPECT_FALSE(document.contains("peaks"));
  EXPECT_TRUE(document["levels"][0]["available"]);  // scalar
  for (const json& level : document["levels"]) EXPECT_NE(level["available"], level["missing"].is_string());
  EXPECT_FALSE(document["choices"][0]["kernel"].is_null());
  EXPECT_LE(document["choices"][0]["decisions"].size(), document["kernels"].size());
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

}  // namespace
}  // namespace fourge::tests
