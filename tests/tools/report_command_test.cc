// fourge report measures this machine; what its pages look like is tested in a browser (report_page_test.py).
#include <cstdlib>
#include <set>

#include "tests/support/temporary_folder.h"
#include "tests/tools/cli.h"

namespace fourge::tests {
namespace {

using nlohmann::json;

TEST(ReportCommand, EveryPartIsThereAndWhatIsAbsentIsSaid) {
  // LeakSanitizer of clang 14 fails on the thread-local memory of libraries loaded at run time.
  ::setenv("ASAN_OPTIONS", "detect_leaks=0", 1);
  const TemporaryFolder folder;
  const std::string page = (folder / "page.html").string();
  const json document = json_of({"report", "--smoke", "--json", "--out", page});
  EXPECT_EQ(document.at("mode"), "smoke");
  EXPECT_TRUE(document.at("wrong").is_null()) << document.at("wrong");
  const std::string reduced = document.at("reduced");
  EXPECT_NE(read_text(page).find(reduced), std::string::npos);

  std::set<std::string> numerics;
  for (const json& row : document.at("results")) {
    if (row.at("operation") != "gemm") continue;
    EXPECT_EQ(row.at("status"), "ok") << row;
    EXPECT_GT(row.at("best_us"), 0.0) << row;
    numerics.insert(row.at("numerics"));
  }
  EXPECT_EQ(numerics, (std::set<std::string>{"blackwell", "fast"}));
  for (const json& level : document.at("context").at("levels"))
    EXPECT_NE(level.at("available").get<bool>(), level.at("missing").is_string()) << level;
  for (const json& peer : document.at("context").at("peers"))
    EXPECT_NE(peer.at("version").is_string(), peer.at("absent").is_string()) << peer;
  EXPECT_FALSE(document.at("scaling").at("fits").empty());
  EXPECT_FALSE(document.at("study").at("cells").empty());
  EXPECT_EQ(document.at("layers").at("weights").size(), 8);
  EXPECT_EQ(document.at("models").at("rows").size(), 6);
  EXPECT_EQ(document.at("certified").size(), 6);
  for (const json& kernel : document.at("kernels")) EXPECT_FALSE(kernel.at("budget").empty()) << kernel;
  EXPECT_FALSE(document.at("evidence").empty());
}

TEST(ReportCommand, OneExtentAtATime) {
  const ProgramResult result = run_fourge({"report", "--quick", "--smoke", "--json"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_EQ(result.out, "");
}

}  // namespace
}  // namespace fourge::tests
