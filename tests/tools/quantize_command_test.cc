// fourge quantize: interruption, a disk that fills, refusals, shared work.
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/temporary_folder.h"
#include "tests/support/tiny_model.h"
#include "tests/tools/cli.h"

namespace fourge::tests {
namespace {

namespace fs = std::filesystem;

class QuantizeCommand : public testing::Test {
 protected:
  /// A tiny model of `layers` blocks and a calibration text.
  void write_model(std::int64_t layers) {
    quant::ModelConfig config = tiny_config(quant::Architecture::llama);
    config.layers = layers;
    write_tiny_model(model(), config, tiny_tensors(config, 7), 1);
    std::string text;
    for (int i = 0; i < 1 << 14; ++i) text.push_back(static_cast<char>('a' + (i * i + i / 7) % 26));
    write_text(folder_ / "calibration", text);
  }
  std::string model() const { return (folder_ / "model").string(); }
  std::string out() const { return (folder_ / "out").string(); }
  std::string partial() const { return out() + ".partial"; }
  std::vector<std::string> command(const std::vector<std::string>& more) const {
    std::vector<std::string> all = {
        "quantize",    model(), "--out", out(), "--calibration", (folder_ / "calibration").string(),
        "--sequences", "8",     "--json"};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  std::vector<std::string> shards() const {
    std::vector<std::string> contents;
    std::vector<fs::path> paths;
    for (const auto& entry : fs::directory_iterator(out()))
      if (entry.path().extension() == ".safetensors") paths.push_back(entry.path());
    std::sort(paths.begin(), paths.end());
    for (const fs::path& path : paths) contents.push_back(read_text(path));
    return contents;
  }

  TemporaryFolder folder_;
};

TEST_F(QuantizeCommand, AfterAnInterruptTheSameCommandContinues) {
  write_model(14);
  const std::vector<std::string> arguments = command({"--recipe", "mr-gptq", "--rotate", "16"});
  const pid_t child = ::fork();
  if (child == 0) {
    for (const int stream : {STDOUT_FILENO, STDERR_FILENO}) ::dup2(::open("/dev/null", O_WRONLY), stream);
    execute(fourge_command(arguments));
  }
  const fs::path first = fs::path(partial()) / "model-00001-of-00015.safetensors";
  while (!fs::exists(first) && ::kill(child, 0) == 0 && !fs::exists(out()))
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  ::kill(child, SIGINT);
  EXPECT_EQ(exit_code_of(child), 1);
  ASSERT_FALSE(fs::exists(out()));
  EXPECT_TRUE(fs::exists(first));
  EXPECT_FALSE(fs::exists(fs::path(partial()) / "config.json"));  // no model for any reader

  const nlohmann::json rest = json_of(arguments);
  EXPECT_TRUE(rest["complete"].get<bool>());
  EXPECT_GE(rest["blocks_resumed"].get<int>(), 1);
  EXPECT_LT(rest["blocks_resumed"].get<int>(), 14);
  EXPECT_FALSE(fs::exists(partial()));
  const std::vector<std::string> continued = shards();
  fs::remove_all(out());
  EXPECT_EQ(json_of(arguments)["blocks_resumed"], 0);
  EXPECT_TRUE(continued == shards());
}

TEST_F(QuantizeCommand, AFullDiskLeavesNoModel) {
  write_model(2);
  // A file-size limit of 8 blocks of 1024 bytes stands for the disk: a block's shard is larger.
  std::vector<std::string> limited = {"/bin/bash", "-c", "trap '' XFSZ; ulimit -f 8; exec \"$@\"", "bash"};
  for (const std::string& part : fourge_command(command({"--recipe", "rtn"}))) limited.push_back(part);
  const ProgramResult result = run_program(limited);
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_EQ(result.out, "");
  EXPECT_NE(result.err.find("fourge quantize: "), std::string::npos) << result.err;
  EXPECT_NE(result.err.find("model-00001-of-00003.safetensors"), std::string::npos) << result.err;
  EXPECT_FALSE(fs::exists(out()));
  for (const auto& entry : fs::directory_iterator(partial()))
    EXPECT_EQ(entry.path().filename(), "state.json");  // nothing half-written
  EXPECT_TRUE(json_of(command({"--recipe", "rtn"}))["complete"].get<bool>());
}

TEST_F(QuantizeCommand, RefusesWhatMeansNothingBeforeWork) {
  write_model(1);
  const std::string start = "fourge quantize: bad argument: ";
  const auto refusal = [&](const std::vector<std::string>& more, const std::string& line) {
    const ProgramResult result = run_fourge(command(more));
    EXPECT_EQ(result.exit_code, 2);
    EXPECT_EQ(result.err, start + line + "\n");
    EXPECT_FALSE(fs::exists(partial()));
  };
  refusal({"--recipe", "mrgptq"}, "recipe 'mrgptq': expected rtn, 4over6, gptq, mr-gptq or best");
  refusal({"--recipe", "4over6", "--format", "mxfp4"},
          "recipe 4over6 with format mxfp4: Four Over Six chooses between scales 1.5 apart; mxfp4's are "
          "powers of "
          "two. Expected nvfp4");
  refusal({"--recipe", "mr-gptq", "--scale-timing", "within"},
          "scale timing within with column order activation; expected natural or group: scales chosen within "
          "GPTQ "
          "need an order that keeps groups together");
  refusal({"--recipe", "rtn", "--descent", "2"},
          "method rtn: scales within GPTQ, descent and importance need a Hessian: use method gptq");
  refusal(
      {"--recipe", "mr-gptq", "--importance", "diagonal"},
      "importance diagonal with scale rule search: only the scale rule sweep weighs errors by importance");
  refusal({"--recipe", "best", "--values", "bf16"},
          "values: flow group measures in f32: values of another type need flow block");
  refusal({"--recipe", "mr-gptq", "--blocks", "0:0", "--rotate", "7"},
          "rotation of order 7: expected powers of two from 1 to 32768");
}

TEST_F(QuantizeCommand, ColumnsThatTheFormatDoesNotDivideAreNamed) {
  quant::ModelConfig config = tiny_config(quant::Architecture::llama);
  config.intermediate = 152;
  write_tiny_model(model(), config, tiny_tensors(config, 7), 1);
  const ProgramResult result =
      run_fourge({"quantize", model(), "--out", out(), "--recipe", "rtn", "--format", "nvfp4"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_NE(result.err.find("mlp.down_proj: 152 columns"), std::string::npos) << result.err;
  EXPECT_FALSE(fs::exists(partial()));
}

TEST_F(QuantizeCommand, RanksOfMpirunMakeTheSameModel) {
#if defined(FOURGE_MPIRUN)
  write_model(2);
  const std::vector<std::string> arguments = command({"--recipe", "best", "--rotate", "16"});
  ASSERT_TRUE(json_of(arguments)["complete"].get<bool>());
  const std::vector<std::string> alone = shards();
  for (const char* ranks : {"1", "2", "3"}) {
    fs::remove_all(out());
    std::vector<std::string> shared = {FOURGE_MPIRUN, "--allow-run-as-root", "--oversubscribe", "-n",
                                       ranks,         FOURGE_MPI_PROGRAM};
    shared.insert(shared.end(), arguments.begin(), arguments.end());
    const ProgramResult result = run_program(shared);
    ASSERT_EQ(result.exit_code, 0) << ranks << " ranks: " << result.err;
    EXPECT_TRUE(alone == shards()) << ranks << " ranks";
  }
#else
  GTEST_SKIP() << "no MPI when this was configured (Debian: libopenmpi-dev), or sanitizers";
#endif
}

}  // namespace
}  // namespace fourge::tests
