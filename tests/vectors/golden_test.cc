// Vector files from a simulator and from GPUs against reference/.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "tests/support/shared_data.h"
#include "tests/support/test_data.h"
#include "tools/vectors/evaluate.h"

namespace fourge::vectors {
namespace {

using reference::MmaPolicy;
using reference::ZeroRule;

std::vector<std::filesystem::path> files_in(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() == ".safetensors") files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

std::int64_t mismatches(const VectorSet& set, const MmaPolicy& policy) {
  return compare(set, evaluate(set, policy)).mismatches;
}

VectorSet read(const std::filesystem::path& file) {
  Result<VectorSet> set = read_vectors(file.string());
  EXPECT_TRUE(set.ok()) << (set.ok() ? "" : set.failure().message());
  return set.ok() ? std::move(*set) : VectorSet{};
}

constexpr MmaPolicy kMmaSim = {.zeros = ZeroRule::mma_sim};

TEST(MmaSimVectors, CommittedTilesMatch) {
  const auto files = files_in(tests::test_data() / "tc");
  ASSERT_EQ(files.size(), 15u);
  std::map<std::string, std::int64_t> under_hardware_rule;
  for (const auto& file : files) {
    const VectorSet set = read(file);
    EXPECT_EQ(set.outputs(), 14 * 128) << file;
    EXPECT_EQ(mismatches(set, kMmaSim), 0) << file;
    if (const std::int64_t count = mismatches(set, {})) under_hardware_rule[file.stem()] = count;
  }
  const std::map<std::string, std::int64_t> kKnown = {
      {"hopper_bf16_f32", 2}, {"mxf8_e4m3_e4m3", 2}, {"mxf8_e4m3_e5m2", 3}};
  EXPECT_EQ(under_hardware_rule, kKnown);
}

// Each file notices each rule that it can: F by one either way, and the rounding of D.
TEST(MmaSimVectors, ASabotagedRuleIsSeen) {
  for (const auto& file : files_in(tests::test_data() / "tc")) {
    const VectorSet set = read(file);
    if (set.model.procedure == reference::Procedure::block_scaled_fp4) {
      MmaPolicy policy;
      policy.zero_groups_count = false;
      EXPECT_GT(mismatches(set, policy), 0) << file;
      continue;  // F of the fp4 kinds: MmaMxf4.ASabotagedRuleIsSeen
    }
    const auto changed = [&](auto change) {
      VectorSet copy = set;
      change(copy.model.rules);
      return mismatches(copy, kMmaSim);
    };
    EXPECT_EQ(changed([](reference::DotAddRules&) {}), 0) << file;
    if (set.model.rules.output.storage_bits == 32) {
      EXPECT_GT(changed([](reference::DotAddRules& rules) { ++rules.fraction_bits; }), 0) << file;
      EXPECT_GT(changed([](reference::DotAddRules& rules) { --rules.fraction_bits; }), 0) << file;
    }
    EXPECT_GT(changed([](reference::DotAddRules& rules) {
                rules.rounding = rules.rounding == Rounding::rz ? Rounding::rne : Rounding::rz;
              }),
              0)
        << file;
    EXPECT_GT(changed([](reference::DotAddRules& rules) { rules.products_per_sum /= 4; }), 0) << file;
  }
}

TEST(MmaSimVectors, AllMatch) {
  FOURGE_NEEDS_SHARED(shared);
  const auto files = files_in(shared / "golden" / "tc");
  ASSERT_EQ(files.size(), 15u);
  std::map<std::string, std::int64_t> under_hardware_rule;
  for (const auto& file : files) {
    const VectorSet set = read(file);
    EXPECT_EQ(mismatches(set, kMmaSim), 0) << file;
    if (const std::int64_t count = mismatches(set, {})) under_hardware_rule[file.stem()] = count;
  }
  const std::map<std::string, std::int64_t> kKnown = {
      {"hopper_bf16_f32", 2}, {"mxf8_e4m3_e4m3", 19}, {"mxf8_e4m3_e5m2", 7}};
  EXPECT_EQ(under_hardware_rule, kKnown);
}

// What an H100 computed (tests/data/captures/README.md).
TEST(H100Captures, AllMatch) {
  const auto files = files_in(tests::test_data() / "captures");
  ASSERT_GE(files.size(), 30u);
  for (const auto& file : files) {
    const VectorSet set = read(file);
    EXPECT_GE(set.outputs(), 6400) << file;
    EXPECT_EQ(mismatches(set, {}), 0) << file;
  }
}

// The captures tell every rule of the table from its neighbours.
TEST(H100Captures, ASabotagedRuleIsSeen) {
  std::map<std::string, std::int64_t> seen;
  for (const auto& file : files_in(tests::test_data() / "captures")) {
    const VectorSet set = read(file);
    const std::string& name = set.model_name;
    const auto add = [&](const std::string& what, auto change, const MmaPolicy& policy = {}) {
      VectorSet copy = set;
      change(copy.model.rules);
      seen[name + ": " + what] += mismatches(copy, policy);
    };
    add("F + 1", [](reference::DotAddRules& rules) { ++rules.fraction_bits; });
    add("F - 1", [](reference::DotAddRules& rules) { --rules.fraction_bits; });
    add("rounding", [](reference::DotAddRules& rules) {
      rules.rounding = rules.rounding == Rounding::rz ? Rounding::rne : Rounding::rz;
    });
    add("half of the products", [](reference::DotAddRules& rules) { rules.products_per_sum /= 2; });
    // 470 of 6,003,200 f16 outputs tell floor + 1: too few to be among the captures kept here.
    if (name == "hopper.bf16.f32" || name == "hopper.tf32.f32") {
      add("floor + 1", [](reference::DotAddRules& rules) { ++rules.lowest_exponent; });
    }
    if (name == "hopper.bf16.f32" || name == "hopper.tf32.f32" || name == "hopper.f16.f16") {
      add("floor - 1", [](reference::DotAddRules& rules) { --rules.lowest_exponent; });
    }
    if (name == "hopper.bf16.f32" || name == "hopper.tf32.f32") {
      add(
          "zero rule", [](reference::DotAddRules&) {}, kMmaSim);
    }
  }
  for (const auto& [what, count] : seen) EXPECT_GT(count, 0) << what;
}

// Outputs of an H100, an H200 and a B200.
TEST(LeedsVectors, AllMatch) {
  FOURGE_NEEDS_SHARED(shared);
  const auto files = files_in(shared / "golden" / "leeds");
  ASSERT_EQ(files.size(), 24u);
  for (const auto& file : files) {
    const VectorSet set = read(file);
    EXPECT_EQ(set.outputs(), 5000) << file;
    EXPECT_EQ(mismatches(set, {}), 0) << file;
  }
}

}  // namespace
}  // namespace fourge::vectors
