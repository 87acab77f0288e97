// fourge demo: every output of every product is checked and right.
#include <gtest/gtest.h>

#include <string>

#include "tests/tools/cli.h"

#if defined(__SANITIZE_ADDRESS__)
#define FOURGE_HAS_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FOURGE_HAS_ASAN 1
#endif
#endif

namespace fourge::tests {
namespace {

TEST(DemoCommand, EveryOutputIsBitExact) {
#ifdef FOURGE_HAS_ASAN
  GTEST_SKIP() << "millions of outputs of the scalar reference: minutes under sanitizers";
#endif
  const nlohmann::json document = json_of({"demo", "--json"});
  std::int64_t outputs = 0;
  for (const auto& product : document["products"]) {
    const auto all = product["m"].get<std::int64_t>() * product["n"].get<std::int64_t>();
    EXPECT_EQ(product["outputs_checked"], all) << product["weights"];
    EXPECT_EQ(product["mismatches"], 0) << product["weights"];
    EXPECT_GT(product["seconds_best"], 0.0);
    EXPECT_GT(product["relative_error"], 0.01);
    EXPECT_LT(product["relative_error"], 0.5);
    outputs += all;
  }
  EXPECT_EQ(document["outputs_checked"], outputs);
  EXPECT_GT(outputs, 1'000'000);
  EXPECT_EQ(document["mismatches"], 0);
}

TEST(DemoCommand, RefusesBadInput) {
  const ProgramResult absent = run_fourge({"demo", "--model", "/absent"});
  EXPECT_EQ(absent.exit_code, 2);
  EXPECT_EQ(absent.err.rfind("fourge demo: not found: /absent", 0), 0u) << absent.err;
  expect_refused({"demo", "--threads", "0"},
                 "fourge demo: bad argument: --threads '0': expected a whole number from 1 to 4096");
}

}  // namespace
}  // namespace fourge::tests
