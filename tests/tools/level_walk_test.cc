// FOURGE_MAX_ISA walked down every level: the program says which kernel it took, stays under the cap, and
// gives the same bits.
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "jit/cpu.h"
#include "jit/select.h"
#include "tests/support/test_data.h"
#include "tests/tools/cli.h"

namespace fourge::tests {
namespace {

class MaxIsa {
 public:
  explicit MaxIsa(const char* level) { ::setenv("FOURGE_MAX_ISA", level, 1); }
  ~MaxIsa() { ::unsetenv("FOURGE_MAX_ISA"); }
  MaxIsa(const MaxIsa&) = delete;
  MaxIsa& operator=(const MaxIsa&) = delete;
};

TEST(LevelWalk, EveryLevelStaysUnderItsCapAndIsExact) {
  for (const jit::Isa level : jit::kIsas) {
    const MaxIsa cap(name_of(level));
    for (const char* format : {"nvfp4", "mxfp4"}) {
      const nlohmann::json document = json_of(
          {"gemm", "--random", "70,192", "--format", format, "--tokens", "33", "--check", "all", "--json"});
      ASSERT_TRUE(document.contains("isa")) << name_of(level);
      const auto isa = jit::parse_isa(document["isa"].get<std::string>());
      ASSERT_TRUE(isa.has_value()) << document["isa"];
      EXPECT_FALSE(jit::above(*isa, level)) << name_of(level) << " " << document["kernel"];
      EXPECT_EQ(document["outputs_checked"], 33 * 70);
      EXPECT_EQ(document["mismatches"], 0) << document["kernel"];
      // A level that this machine has is used, not one below it. Tiles want more rows than these (amx), and
      // the generated dotprod kernel goes before the compiled sve one.
      const bool passed_over = level == jit::Isa::amx || level == jit::Isa::sve;
      if (passed_over || jit::host_features().missing_for(level) != nullptr) continue;
      EXPECT_EQ(name_of(*isa), std::string(name_of(level)));
    }
  }
}

TEST(LevelWalk, DemoIsExactAtEveryLevelOfThisMachine) {
  // LeakSanitizer's own tracer crashes in processes that load the peers' libraries.
  ::setenv("ASAN_OPTIONS", "detect_leaks=0", 1);
  for (const jit::Isa level : jit::kIsas) {
    if (jit::host_features().missing_for(level) != nullptr) continue;
    const MaxIsa cap(name_of(level));
    const nlohmann::json document = json_of({"demo", "--quick", "--json"});
    EXPECT_EQ(document["mismatches"], 0) << name_of(level);
    for (const nlohmann::json& product : document["products"]) {
      const auto isa = jit::parse_isa(product["isa"].get<std::string>());
      ASSERT_TRUE(isa.has_value()) << product["isa"];
      EXPECT_FALSE(jit::above(*isa, level)) << name_of(level) << " " << product["kernel"];
    }
  }
}

bool checked(const nlohmann::json& file, const std::string& variant) {
  for (const std::string kernel : file["checked_by"]) {
    if (kernel.ends_with("__" + variant)) return true;
  }
  return false;
}

// By every kernel up to the cap and none above it: outputs of instructions, bit for bit.
TEST(LevelWalk, ConformAgreesAtEveryLevelOfThisMachine) {
  const auto path = [](const char* name) { return (test_data() / "tc" / name).string(); };
  for (const jit::Isa level : jit::kIsas) {
    if (jit::host_features().missing_for(level) != nullptr) continue;
    const MaxIsa cap(name_of(level));
    const nlohmann::json document =
        json_of({"conform", "--json", path("nvfp4_ue4m3_b16.safetensors"),
                 path("mxfp4_ue8m0_b32.safetensors"), path("mxf4nvf4_ue8m0_b16.safetensors")});
    ASSERT_EQ(document["files"].size(), 3u);
    for (const nlohmann::json& file : document["files"]) {
      EXPECT_EQ(file["outputs"], 14 * 128);
      EXPECT_EQ(file["mismatches"], 0) << name_of(level);
      for (const jit::GemmKernelEntry& entry : jit::gemm_kernels()) {
        if (entry.numerics != Numerics::blackwell || entry.isa == jit::Isa::amx) continue;
        const bool runs =
            !jit::above(entry.isa, level) && jit::host_features().missing_for(entry.isa) == nullptr;
        EXPECT_EQ(checked(file, entry.isa_variant), runs) << name_of(level) << " " << entry.isa_variant;
      }
    }
  }
}

TEST(LevelWalk, ABadLevelIsRefusedWithTheAllowedOnes) {
  const MaxIsa cap("avx1024");
  const ProgramResult result =
      run_fourge({"gemm", "--random", "16,64", "--format", "nvfp4", "--tokens", "1"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_NE(result.err.find("FOURGE_MAX_ISA=avx1024"), std::string::npos) << result.err;
  EXPECT_NE(result.err.find("avx512"), std::string::npos) << result.err;
}

}  // namespace
}  // namespace fourge::tests
