// fourge demo: every output of the shipped model is checked.
#include <gtest/gtest.h>

#include <cstdlib>

#include <string>
#include <vector>

#include "tests/support/temporary_folder.h"
#include "tests/tools/cli.h"

namespace fourge::tests {
namespace {

using nlohmann::json;

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

void expect_whole_demo(const std::vector<std::string>& arguments, std::size_t products) {
  // LeakSanitizer's own tracer crashes in processes that load the peers' libraries.
  ::setenv("ASAN_OPTIONS", "detect_leaks=0", 1);
  const json document = json_of(arguments);
  EXPECT_EQ(document["mismatches"], 0);
  std::int64_t outputs = 0;
  for (const json& product : document["products"]) {
    expect_keys(product, gemm_keys());
    const std::int64_t all = product["m"].get<std::int64_t>() * product["n"].get<std::int64_t>();
    EXPECT_EQ(product["outputs_checked"], all);
    EXPECT_GT(product["relative_error"], 0.01);
    EXPECT_LT(product["relative_error"], 0.5);
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

TEST(DemoCommand, RefusesNoThreads) {
  expect_refused({"demo", "--threads", "0"},
                 "fourge demo: bad argument: --threads '0': expected a whole number from 1 to 4096");
}

}  // namespace
}  // namespace fourge::tests
