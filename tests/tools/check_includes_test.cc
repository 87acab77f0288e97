// tools/check_includes accepts every arrow and catches every wrong include.
#include <gtest/gtest.h>

#include <fstream>
#include <string>

#include "tests/support/run_program.h"

namespace fourge::tests {
namespace {

class CheckIncludes : public testing::Test {
 protected:
  CheckIncludes() {
    write("include/fourge/a.h", "#include <cstdint>\n#include \"fourge/b.h\"\n");
    write("include/fourge/b.h", "");
    write("reference/mma.h", "#include <fourge/a.h>\n");
    write("reference/rounding.h", "#include \"fourge/a.h\"\n");
    write("simd/decode.h", "#include <immintrin.h>\n#include \"fourge/a.h\"\n");
    write("jit/gemm.h", "#include <xbyak/xbyak.h>\n#include \"simd/decode.h\"\n");
    write("jit/dispatch.h", "#include \"gemm.h\"\n");
    write("quant/rtn.cc", "#include \"jit/dispatch.h\"\n#include \"reference/rounding.h\"\n");
    write("tools/cli/main.cc", "#include \"jit/gemm.h\"\n#include \"reference/mma.h\"\n");
    write("tools/cli/table.h", "#include <fmt/core.h>\n");
    write("bench/gemm.cc", "#include <benchmark/benchmark.h>\n#include \"jit/gemm.h\"\n");
    write("tests/tools/a_test.cc", "#include \"tools/cli/table.h\"\n");
  }

  void write(const std::string& file, const std::string& text) {
    const auto path = folder_ / file;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << text;
  }

  ProgramResult check() {
    return run_program({FOURGE_SOURCE_DIR "/tools/check_includes", "--root", folder_.path().string()});
  }

  void expect_wrong(const std::string& file, const std::string& text) {
    write(file, text);
    const ProgramResult result = check();
    EXPECT_EQ(result.exit_code, 1) << text;
    EXPECT_EQ(result.err.rfind(file + ":1: ", 0), 0u) << result.err;
  }

 private:
  TemporaryFolder folder_;
};

TEST_F(CheckIncludes, AcceptsTheArrows) {
  const ProgramResult result = check();
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.err, "");
}

TEST_F(CheckIncludes, AcceptsThisTree) {
  const ProgramResult result = run_program({FOURGE_SOURCE_DIR "/tools/check_includes"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
}

TEST_F(CheckIncludes, JitNeverSeesTheReference) {
  expect_wrong("jit/kernel.cc", "#include \"reference/mma.h\"\n");
}
TEST_F(CheckIncludes, JitNeverSeesTheReferenceByARelativePath) {
  expect_wrong("jit/kernel.cc", "  #  include \"../reference/mma.h\"\n");
}
TEST_F(CheckIncludes, SimdNeverSeesTheReference) {
  expect_wrong("simd/kernel.cc", "#include <reference/mma.h>\n");
}
TEST_F(CheckIncludes, SimdNeverSeesJit) { expect_wrong("simd/kernel.cc", "#include \"jit/gemm.h\"\n"); }
TEST_F(CheckIncludes, ReferenceNeverSeesJit) {
  expect_wrong("reference/kernel.cc", "#include \"jit/gemm.h\"\n");
}
TEST_F(CheckIncludes, ReferenceIsStdOnly) { expect_wrong("reference/x.cc", "#include <Eigen/Dense>\n"); }
TEST_F(CheckIncludes, ReferenceHasNoIntrinsics) {
  expect_wrong("reference/x.cc", "#include <immintrin.h>\n");
}
TEST_F(CheckIncludes, IncludeIsStdOnly) { expect_wrong("include/fourge/x.h", "#include <omp.h>\n"); }
TEST_F(CheckIncludes, IncludeSeesNoOtherFolder) {
  expect_wrong("include/fourge/x.h", "#include \"reference/rounding.h\"\n");
}
TEST_F(CheckIncludes, QuantSeesOnlyTheRoundingOfTheReference) {
  expect_wrong("quant/x.cc", "#include \"reference/mma.h\"\n");
}
TEST_F(CheckIncludes, QuantSeesOnlyTheDispatcherOfJit) {
  expect_wrong("quant/x.cc", "#include \"jit/gemm.h\"\n");
}
TEST_F(CheckIncludes, NoLibrarySeesTools) { expect_wrong("quant/x.cc", "#include \"tools/cli/table.h\"\n"); }
TEST_F(CheckIncludes, ToolsNeverSeeTests) { expect_wrong("tools/x.cc", "#include \"tests/support/x.h\"\n"); }
TEST_F(CheckIncludes, BenchNeverSeesTests) {
  write("tests/support/x.h", "");
  expect_wrong("bench/x.cc", "#include \"tests/support/x.h\"\n");
}
TEST_F(CheckIncludes, AMissingFileIsNamed) { expect_wrong("jit/x.cc", "#include \"jit/absent.h\"\n"); }

}  // namespace
}  // namespace fourge::tests
