// reference/ against the independent model in tools/judge, which computes with exact fractions in Python.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "tests/support/temporary_folder.h"
#include "tools/vectors/evaluate.h"

namespace fourge::vectors {
namespace {

using reference::MmaModel;

bool has_python() {
  return std::system("python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null") == 0;
}

struct Draw {
  std::string model = "";
  ElementFormat a_format = ElementFormat::e2m1, b_format = ElementFormat::e2m1;
  int rows = 1, tiles = 1, seed = 1;
  std::string zero_rule = "hardware";
  std::string mode = "all";
  int k = 0;  // the model's largest
};

// The judge draws operands and answers; the reference must agree with every answer.
void expect_agreement(const Draw& draw) {
  const tests::TemporaryFolder folder;
  const std::string file = (folder / "judge.safetensors").string();
  const std::string rows = std::to_string(draw.rows);
  const std::string command =
      "PYTHONDONTWRITEBYTECODE=1 python3 '" FOURGE_SOURCE_DIR "/tools/judge' random --model '" + draw.model +
      "' --a-format " + name_of(draw.a_format) + " --b-format " + name_of(draw.b_format) + " --m " + rows +
      " --n " + rows + " --tiles " + std::to_string(draw.tiles) + " --seed " + std::to_string(draw.seed) +
      " --mode " + draw.mode + (draw.k != 0 ? " --k " + std::to_string(draw.k) : "") + " --zero-rule " +
      draw.zero_rule + " --out '" + file + "' > '" + (folder / "log").string() + "' 2>&1";
  ASSERT_EQ(std::system(command.c_str()), 0) << command;
  const Result<VectorSet> set = read_vectors(file);
  ASSERT_TRUE(set.ok()) << set.failure().message();
  ASSERT_EQ(set->tiles, draw.tiles);
  reference::MmaPolicy policy;
  if (draw.zero_rule == "mma-sim") policy.zeros = reference::ZeroRule::mma_sim;
  const Comparison comparison = compare(*set, evaluate(*set, policy));
  EXPECT_EQ(comparison.mismatches, 0) << command << "\nfirst at tile " << comparison.first->tile;
}

std::vector<ElementFormat> formats_of(const MmaModel& model) {
  std::vector<ElementFormat> formats;
  for (const ElementFormat format : kElementFormats) {
    if (model.formats.contains(format)) formats.push_back(format);
  }
  return formats;
}

constexpr const char* kCustom[] = {
    "custom:fraction_bits=25,products=16,output=f32,rounding=rz,emax_floor=-133",
    "custom:fraction_bits=14,products=4,output=e8m13,rounding=rz",
    "custom:fraction_bits=30,products=32,output=f32,rounding=rne",
    "custom:fraction_bits=1,products=1,output=f16,rounding=rne",
    "custom:fraction_bits=44,products=8,output=f32,rounding=rz"};

#define FOURGE_NEEDS_PYTHON() \
  if (!has_python()) GTEST_SKIP() << "no python3 of at least 3.11"

TEST(Judge, AgreesOnEveryModel) {
  FOURGE_NEEDS_PYTHON();
  for (const MmaModel& model : reference::kMmaModels) {
    const auto formats = formats_of(model);
    expect_agreement({std::string(model.name), formats.front(), formats.back(), 1, 120, 11});
  }
}

// The shorter instructions: one sum of fewer products, or fewer sums.
TEST(Judge, AgreesOnShortDepths) {
  FOURGE_NEEDS_PYTHON();
  for (const MmaModel& model : reference::kMmaModels) {
    if (model.depths[1] == 0) continue;
    const auto formats = formats_of(model);
    expect_agreement({.model = std::string(model.name),
                      .a_format = formats.back(),
                      .b_format = formats.front(),
                      .rows = 2,
                      .tiles = 18,
                      .seed = 14,
                      .k = model.depths[1]});
  }
}

TEST(Judge, AgreesUnderMmaSimsZeroRule) {
  FOURGE_NEEDS_PYTHON();
  for (const char* model : {"hopper.bf16.f32", "hopper.tf32.f32", "blackwell.mxf8f6f4.ue8m0.block32"}) {
    const auto formats = formats_of(*reference::find_model(model));
    expect_agreement({model, formats.front(), formats.back(), 4, 24, 12, "mma-sim", "zeros"});
  }
}

TEST(Judge, AgreesOnCustomAccumulators) {
  FOURGE_NEEDS_PYTHON();
  for (const char* model : kCustom)
    expect_agreement({model, ElementFormat::bf16, ElementFormat::e5m2, 2, 24, 13});
}

TEST(LongJudge, AgreesOnEveryModelAndEveryPairOfFormats) {
  FOURGE_NEEDS_PYTHON();
  for (const MmaModel& model : reference::kMmaModels) {
    const auto formats = formats_of(model);
    const int tiles = formats.size() > 2 ? 120 : formats.size() > 1 ? 300 : 600;
    for (const ElementFormat a : formats) {
      for (const ElementFormat b : formats) expect_agreement({std::string(model.name), a, b, 8, tiles, 21});
    }
  }
}

TEST(LongJudge, AgreesOnCustomAccumulatorsOfAllFormats) {
  FOURGE_NEEDS_PYTHON();
  int seed = 31;
  for (const char* model : kCustom) {
    for (const ElementFormat format : formats_of(*reference::find_model(model))) {
      expect_agreement({model, format, format, 6, 120, seed++});
    }
  }
}

}  // namespace
}  // namespace fourge::vectors
