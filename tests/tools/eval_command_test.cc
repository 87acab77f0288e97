// fourge eval: the JSON that scripts rely on, and what is refused.
#include <gtest/gtest.h>

#include <string>

#include "tests/tools/cli.h"

namespace fourge::tests {
namespace {

const std::string kModel = FOURGE_SOURCE_DIR "/models/nano";

TEST(EvalCommand, JsonHasTheKeysThatScriptsRelyOn) {
  const nlohmann::json document =
      json_of({"eval", kModel, "--text", kModel + "/README.md", "--max-bytes", "300", "--json"});
  EXPECT_GT(document["bits_per_byte"], 1.0);
  EXPECT_LT(document["bits_per_byte"], 5.0);  // bytes at random: 8
  EXPECT_GT(document["perplexity"], 1.0);
  EXPECT_EQ(document["bytes"], 299);  // the first byte of a window has no context
  EXPECT_EQ(document["windows"], 1);
  EXPECT_GT(document["seconds"], 0.0);
}

TEST(EvalCommand, RefusesBadInput) {
  expect_refused({"eval", kModel}, "fourge eval: missing option: --text: see fourge eval --help");
  expect_refused({"eval", "--text", "t"}, "fourge eval: missing argument: MODEL_DIR: see fourge eval --help");
  expect_refused({"eval", kModel, "--text", "absent"}, "fourge eval: not found: absent: no such file");
  expect_refused(
      {"eval", kModel, "--text", kModel + "/README.md", "--values", "fake_bf16", "--numerics", "blackwell"},
      "fourge eval: bad argument: --values fake_bf16 with --numerics blackwell: rounded dequantised "
      "operands are not 4-bit: expected numerics fast");
  expect_refused({"eval", FOURGE_SOURCE_DIR "/docs", "--text", kModel + "/README.md"},
                 "fourge eval: not found: " FOURGE_SOURCE_DIR
                 "/docs/config.json: expected a model folder with a config.json");
}

}  // namespace
}  // namespace fourge::tests
