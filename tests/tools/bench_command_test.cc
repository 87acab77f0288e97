// fourge bench: its JSON is Google Benchmark's, every case is checked, and a machine's gaps are said.
#include <set>

#include "tests/support/temporary_folder.h"
#include "tests/tools/cli.h"

namespace fourge::tests {
namespace {

using nlohmann::json;

class BenchCommand : public testing::Test {
 protected:
  void SetUp() override {
    const ProgramResult result = run_fourge({"bench", "--smoke", "--filter", "encode/e2m1"});
    if (result.err.find("built without benchmarks") != std::string::npos) GTEST_SKIP() << result.err;
    ASSERT_EQ(result.exit_code, 0) << result.err;
    EXPECT_NE(result.out.find("1 cases, 0 wrong, 0 left out"), std::string::npos) << result.out;
  }
};

TEST_F(BenchCommand, JsonIsGoogleBenchmarksWithMore) {
  const json document = json_of({"bench", "--smoke", "--groups", "generate,library,layout", "--json"});
  const json& context = document.at("context");
  for (const char* key :
       {"date", "host_name", "num_cpus", "mhz_per_cpu", "caches", "load_avg", "library_build_type"})
    EXPECT_TRUE(context.contains(key)) << key;
  const json& ours = context.at("fourge");
  EXPECT_EQ(ours.at("mode"), "smoke");
  EXPECT_EQ(ours.at("groups"), (json{"generate", "layout", "library"}));
  EXPECT_EQ(ours.at("wrong"), 0);
  for (const char* key :
       {"commit", "compiler", "cpu", "isa", "clock", "peaks", "peers", "left_out", "kernels"})
    EXPECT_TRUE(ours.contains(key)) << key;
  std::set<std::string> operations;
  for (const json& benchmark : document.at("benchmarks")) {
    for (const char* key :
         {"name", "run_name", "run_type", "iterations", "real_time", "cpu_time", "time_unit"})
      EXPECT_TRUE(benchmark.contains(key)) << key << " " << benchmark;
    const json& facts = benchmark.at("fourge");
    operations.insert(facts.at("operation"));
    EXPECT_EQ(facts.at("status"), "ok") << benchmark;
    EXPECT_GT(facts.at("best_us"), 0.0) << benchmark;
    EXPECT_LE(facts.at("best_us"), facts.at("median_us")) << benchmark;
    EXPECT_EQ(facts.at("times_us").size(), std::min<std::size_t>(64, facts.at("runs"))) << benchmark;
  }
  for (const char* operation :
       {"generate", "lookup", "create", "layout", "gemm_batch", "gptq", "second_moment", "quantize",
        "reference", "dequantize", "convert_scales", "encode"})
    EXPECT_TRUE(operations.contains(operation)) << operation;
}

TEST_F(BenchCommand, FileIsWrittenWholeAndOldOnesSurviveFailures) {
  const TemporaryFolder folder;
  const std::string file = (folder / "out.json").string();
  ASSERT_EQ(run_fourge({"bench", "--smoke", "--filter", "encode/e4m3", "--out", file}).exit_code, 0);
  const std::string before = read_text(file);
  EXPECT_TRUE(json::accept(before));
  EXPECT_EQ(run_fourge({"bench", "--smoke", "--filter", "no such name", "--out", file}).exit_code, 2);
  EXPECT_EQ(read_text(file), before);
}

TEST_F(BenchCommand, BadUseSaysWhatIsExpected) {
  expect_refused(
      {"bench", "--groups", "gem"},
      "fourge bench: bad argument: gem is not among generate, gemm, hadamard, quantize, decode, layout, "
      "library, overhead: expected groups of bench");
  EXPECT_EQ(run_fourge({"bench", "--quick", "--smoke"}).exit_code, 2);
  EXPECT_EQ(run_fourge({"bench", "--threads", "0"}).exit_code, 2);
}

}  // namespace
}  // namespace fourge::tests
