// fourge vectors, conform and mma: what one writes, the other accepts; one wrong bit is seen.
#include <gtest/gtest.h>

#include <fstream>
#include <string>
#include <vector>

#include "quant/safetensors.h"
#include "tests/tools/cli.h"

namespace fourge::tests {
namespace {

constexpr const char* kFp4Models[] = {"blackwell.mxf4nvf4.ue4m3.block16", "blackwell.mxf4nvf4.ue8m0.block16",
                                      "blackwell.mxf4.ue8m0.block32"};

class ConformanceRoundTrip : public testing::Test {
 protected:
  std::string file(const std::string& name) const { return (folder_ / name).string(); }

  void generate(const std::string& model, const std::string& name) const {
    const ProgramResult result =
        run_fourge({"vectors", "--model", model, "--tiles", "14", "--out", file(name), "--seed", "5"});
    ASSERT_EQ(result.exit_code, 0) << result.err;
  }

  /// Copies a vector file with one bit of its first output changed.
  void copy_with_a_wrong_bit(const std::string& from, const std::string& to) const {
    const auto vectors = quant::Safetensors::open(file(from));
    ASSERT_TRUE(vectors.ok());
    const auto first =
        static_cast<std::size_t>(vectors->find("d")->bytes.data() - vectors->tensors().front().bytes.data());
    std::vector<std::uint8_t> bytes = read_bytes(file(from));
    std::size_t data = bytes.size();
    for (const quant::Tensor& tensor : vectors->tensors()) data -= tensor.bytes.size();
    bytes[data + first] ^= 1;
    write_bytes(file(to), bytes);
  }

  const TemporaryFolder& folder() const { return folder_; }

 private:
  TemporaryFolder folder_;
};

TEST_F(ConformanceRoundTrip, ReferenceAndEveryKernelAcceptGeneratedVectors) {
  for (const char* model : kFp4Models) {
    generate(model, "v.safetensors");
    const nlohmann::json result = json_of({"conform", file("v.safetensors"), "--json"})["files"][0];
    EXPECT_EQ(result["model"], model);
    EXPECT_EQ(result["outputs"], 14 * 16 * 8);
    EXPECT_EQ(result["mismatches"], 0);
    EXPECT_EQ(result["checked_by"][0], "reference");
    EXPECT_GE(result["checked_by"].size(), 2u) << "no kernel claims " << model;
  }
}

TEST_F(ConformanceRoundTrip, OneWrongBitIsAMismatchOfEveryChecker) {
  generate(kFp4Models[0], "v.safetensors");
  copy_with_a_wrong_bit("v.safetensors", "wrong.safetensors");
  const nlohmann::json document =
      json_of({"conform", file("v.safetensors"), file("wrong.safetensors"), "--json"}, 1);
  EXPECT_EQ(document["files"][0]["mismatches"], 0);
  EXPECT_EQ(document["files"][1]["mismatches"], 1);
  for (const auto& checker : document["files"][1]["checkers"]) EXPECT_EQ(checker["mismatches"], 1) << checker;
}

TEST_F(ConformanceRoundTrip, HardwareCapturesConform) {
  const nlohmann::json document =
      json_of({"conform",
               FOURGE_SOURCE_DIR "/tests/data/captures/hopper.f16.f32__mma_sync_m16n8k16_f16_f16.safetensors",
               "--json"});
  EXPECT_GT(document["files"][0]["outputs"], 1000);
  EXPECT_EQ(document["files"][0]["mismatches"], 0);
}

TEST_F(ConformanceRoundTrip, ConformRefusesBadFiles) {
  expect_refused({"conform"}, "fourge conform: missing argument: files: see fourge conform --help");
  expect_refused({"conform", file("absent")},
                 "fourge conform: not found: " + file("absent") + ": no such file");
  const std::string model = FOURGE_SOURCE_DIR "/models/nano/model.safetensors";
  expect_refused({"conform", model}, "fourge conform: bad file: " + model +
                                         ": metadata format is 'pt': expected tensor-core-vectors-1");
  generate(kFp4Models[0], "v.safetensors");
  std::vector<std::uint8_t> bytes = read_bytes(file("v.safetensors"));
  bytes.resize(bytes.size() - 1);
  write_bytes(file("short.safetensors"), bytes);
  const ProgramResult result = run_fourge({"conform", file("short.safetensors")});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_EQ(result.err.rfind("fourge conform: bad file: " + file("short.safetensors") + ": ", 0), 0u)
      << result.err;
}

TEST_F(ConformanceRoundTrip, VectorsRefusesBadOptions) {
  const std::string model = "blackwell.mxf4.ue8m0.block32";
  expect_refused({"vectors", "--model", "foo", "--out", file("x.hex")},
                 "fourge vectors: not found: foo: expected a model of `fourge mma --list`, or custom:...");
  expect_refused({"vectors", "--model", model, "--out", file("x.txt")},
                 "fourge vectors: bad argument: " + file("x.txt") +
                     ": expected a name that ends in .safetensors, .hex or .json");
  expect_refused(
      {"vectors", "--model", model, "--out", file("x.hex"), "--k", "63"},
      "fourge vectors: bad shape: " + model + ": k = 63, not 64: the model has no instruction of this depth");
  EXPECT_EQ(folder().entries(), 0u);
}

TEST_F(ConformanceRoundTrip, MmaComputesOneOutput) {
  // 0.5 * 0.5 under the smallest scale, 2^-9, on both sides: 2^-20 beside c = 1.
  const nlohmann::json document =
      json_of({"mma", "--model", "blackwell.mxf4nvf4.ue4m3.block16", "--a", "1,", "--b", "1,", "--a-scales",
               "01383838", "--b-scales", "01383838", "--c", "3f800000", "--json"});
  EXPECT_EQ(document["result"], "3f800008");
}

TEST_F(ConformanceRoundTrip, MmaRefusesBadOptions) {
  expect_refused({"mma"},
                 "fourge mma: bad argument: a required option is missing: expected --model, --a and --b, or "
                 "--list");
  expect_refused({"mma", "--model", "blackwell.mxf4nvf4.ue4m3.block16", "--a", "zz", "--b", "1,"},
                 "fourge mma: bad argument: --a: 'z': expected hexadecimal digits");
}

}  // namespace
}  // namespace fourge::tests
