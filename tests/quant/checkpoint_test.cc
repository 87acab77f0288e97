#include "quant/model/checkpoint.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "quant/model/evaluate.h"
#include "quant/model/load.h"
#include "quant/npy.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/tiny_model.h"

namespace fourge::quant {
namespace {

using tests::TensorMap;

constexpr const char* kVictim = "model.layers.1.mlp.up_proj.weight";

/// The message of the failure that opening and checking the folder ends in; empty when it succeeds.
std::string refusal(const std::filesystem::path& folder) {
  const Result<Checkpoint> checkpoint = Checkpoint::open(folder);
  if (!checkpoint) return checkpoint.failure().message();
  const Status valid = check_float_checkpoint(*checkpoint);
  return valid.ok() ? "" : valid.failure().message();
}

class BadCheckpoint : public testing::Test {
 protected:
  void SetUp() override { tensors_ = tests::tiny_tensors(config_, 3); }
  std::string refusal_after_writing(int shards = 1) {
    tests::write_tiny_model(folder_.path(), config_, tensors_, shards);
    return refusal(folder_.path());
  }
  void replace_in_config(const std::string& from, const std::string& to) {
    std::string text = tests::config_json(config_);
    const std::size_t at = text.find(from);
    ASSERT_NE(at, std::string::npos);
    tests::write_text(folder_ / "config.json", text.replace(at, from.size(), to));
  }
  void expect_config_refused(const std::string& from, const std::string& to, const std::string& reason) {
    tests::write_tiny_model(folder_.path(), config_, tensors_);
    replace_in_config(from, to);
    const std::string message = refusal(folder_.path());
    EXPECT_NE(message.find(reason), std::string::npos) << message;
    EXPECT_NE(message.find("config.json"), std::string::npos) << message;
  }

  ModelConfig config_ = tests::tiny_config(Architecture::llama);
  TensorMap tensors_;
  tests::TemporaryFolder folder_;
};

TEST_F(BadCheckpoint, GoodOneIsAccepted) { EXPECT_EQ(refusal_after_writing(2), ""); }

TEST_F(BadCheckpoint, MissingShardIsNamed) {
  ASSERT_EQ(refusal_after_writing(3), "");
  std::filesystem::remove(folder_ / "model-1.safetensors");
  const std::string message = refusal(folder_.path());
  EXPECT_NE(message.find("model-1.safetensors: tensor 'model."), std::string::npos) << message;
}

TEST_F(BadCheckpoint, TensorThatTheIndexPromisesIsNamed) {
  ASSERT_EQ(refusal_after_writing(2), "");
  SafetensorsWriter empty;
  ASSERT_TRUE(empty.write(folder_ / "model-1.safetensors").ok());
  const std::string message = refusal(folder_.path());
  EXPECT_NE(message.find("model-1.safetensors"), std::string::npos) << message;
  EXPECT_NE(message.find("model."), std::string::npos) << message;
}

TEST_F(BadCheckpoint, ShardOutsideTheFolderIsRefused) {
  ASSERT_EQ(refusal_after_writing(1), "");
  tests::write_text(folder_ / "model.safetensors.index.json",
                    "{\"weight_map\": {\"a\": \"../model.safetensors\"}}");
  EXPECT_NE(refusal(folder_.path()).find("beside the index"), std::string::npos);
}

TEST_F(BadCheckpoint, MissingTensorIsNamed) {
  tensors_.erase(kVictim);
  EXPECT_NE(refusal_after_writing().find(kVictim), std::string::npos);
}

TEST_F(BadCheckpoint, WrongShapeIsNamedWithBothShapes) {
  tensors_[kVictim].first = {config_.hidden, config_.intermediate};
  const std::string message = refusal_after_writing();
  EXPECT_NE(message.find(kVictim), std::string::npos) << message;
  EXPECT_NE(message.find("[64, 160], expected [160, 64]"), std::string::npos) << message;
}

TEST_F(BadCheckpoint, NotFiniteWeightIsNamedWithItsPlace) {
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::infinity()}) {
    tensors_[kVictim].second[77] = bad;
    const std::string message = refusal_after_writing();
    EXPECT_NE(message.find(kVictim), std::string::npos) << message;
    EXPECT_NE(message.find("element 77"), std::string::npos) << message;
  }
}

TEST_F(BadCheckpoint, TheFileOfABadTensorIsNamed) {
  tensors_[kVictim].second[77] = std::numeric_limits<float>::quiet_NaN();
  const std::string message = refusal_after_writing(3);
  int holders = 0;
  for (const char* name : {"model-0.safetensors", "model-1.safetensors", "model-2.safetensors"}) {
    const Result<Safetensors> shard = Safetensors::open(folder_ / name);
    ASSERT_TRUE(shard) << name;
    if (!shard->contains(kVictim)) continue;
    ++holders;
    EXPECT_NE(message.find((folder_ / name).string() + ": tensor"), std::string::npos) << message;
  }
  EXPECT_EQ(holders, 1);
}

TEST_F(BadCheckpoint, ConfigsThatAreNotComputedAreRefused) {
  expect_config_refused("\"llama\"", "\"mamba\"", "llama or qwen3");
  expect_config_refused("\"hidden_act\": \"silu\"", "\"hidden_act\": \"gelu\"", "expected silu");
  expect_config_refused("\"rope_scaling\": null", "\"rope_scaling\": {\"rope_type\": \"yarn\"}", "rope_type");
  expect_config_refused("\"hidden_size\": 64", "\"hidden_size\": -64", "hidden_size");
  expect_config_refused("\"hidden_size\": 64", "\"hidden_size\": \"64\"", "hidden_size");
  expect_config_refused("\"num_key_value_heads\": 2", "\"num_key_value_heads\": 3", "multiple");
  expect_config_refused("{", "{\"attention_bias\": true, ", "attention_bias");
  expect_config_refused("{", "[", "JSON");
}

TEST_F(BadCheckpoint, FolderWithoutConfigIsRefused) {
  EXPECT_NE(refusal(folder_.path()).find("config.json"), std::string::npos);
}

TEST(ReadTokens, EveryEncoding) {
  const tests::TemporaryFolder folder;
  tests::write_text(folder / "text", std::string("a\x00\xff", 3));
  EXPECT_EQ(*read_tokens(folder / "text", TokenEncoding::automatic, 256, 0),
            (std::vector<std::uint32_t>{97, 0, 255}));
  EXPECT_EQ(read_tokens(folder / "text", TokenEncoding::automatic, 1000, 0).error(), Error::kBadArgument);
  EXPECT_EQ(read_tokens(folder / "text", TokenEncoding::u16, 65536, 0).error(), Error::kBadFile);
  EXPECT_EQ(read_tokens(folder / "text", TokenEncoding::bytes, 200, 0).error(), Error::kBadFile);
  tests::write_text(folder / "ids.bin", std::string("\x01\x00\x00\x01", 4));
  EXPECT_EQ(*read_tokens(folder / "ids.bin", TokenEncoding::u16, 1000, 0),
            (std::vector<std::uint32_t>{1, 256}));
  EXPECT_EQ(*read_tokens(folder / "ids.bin", TokenEncoding::u16, 1000, 1), (std::vector<std::uint32_t>{1}));
  EXPECT_EQ(read_tokens(folder / "ids.bin", TokenEncoding::u32, 1000, 0).error(), Error::kBadFile);
  const std::vector<std::uint8_t> negative = {255, 255, 255, 255};
  const std::int64_t one[] = {1};
  ASSERT_TRUE(write_npy(folder / "ids.npy", DType::i32, one, negative).ok());
  EXPECT_EQ(read_tokens(folder / "ids.npy", TokenEncoding::automatic, 1000, 0).error(), Error::kBadFile);
  EXPECT_EQ(read_tokens(folder / "absent", TokenEncoding::bytes, 256, 0).error(), Error::kNotFound);
}

}  // namespace
}  // namespace fourge::quant
