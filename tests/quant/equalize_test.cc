// Equalisation of channels.
#include "quant/gptq/equalize.h"

#include <gtest/gtest.h>

#include <cmath>
#include <deque>
#include <filesystem>
#include <random>

#include "quant/export/quantize_model.h"
#include "quant/export/stored_model.h"
#include "quant/model/compare.h"
#include "quant/model/load.h"
#include "tests/support/run_program.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/tiny_model.h"

namespace fourge::quant {
namespace {

class Equalization : public testing::TestWithParam<Architecture> {
 protected:
  void write() {
    config_ = tests::tiny_config(GetParam());
    tests::TensorMap tensors = tests::tiny_tensors(config_, 11);
    for (auto& [name, tensor] : tensors)  // channels far apart
      if (name.ends_with("layernorm.weight"))
        for (std::size_t j = 0; j < tensor.second.size(); j += 5) tensor.second[j] *= 20.0f;
    tests::write_tiny_model(folder_ / "model", config_, tensors);
    std::mt19937 random(2);
    for (int s = 0; s < 6; ++s) {
      sequences_.emplace_back();
      for (int t = 0; t < 40; ++t) sequences_.back().push_back(static_cast<std::uint32_t>(random() % 256));
    }
  }
  LanguageModel load(const std::string& name) {
    checkpoints_.push_back(*Checkpoint::open(folder_ / name));
    return *load_model(checkpoints_.back(), *read_scheme(checkpoints_.back()));
  }
  Status quantize(const Recipe& recipe, const std::string& out, const QuantizeEvents& events = {}) {
    QuantizeJob job{
        .model = folder_ / "model", .out = folder_ / out, .recipe = recipe, .sequences = sequences_};
    const Result<QuantizeOutcome> outcome = quantize_model(job, events);
    return outcome ? Status{} : Status(outcome.failure());
  }
  /// Mean squared difference of the logits from the float model's.
  double logit_error(const std::string& name) {
    LanguageModel reference = load("model"), model = load(name);
    double error = 0.0;
    for (const auto& ids : sequences_) {
      const std::vector<float> a = *reference.forward(ids), b = *model.forward(ids);
      for (std::size_t i = 0; i < a.size(); ++i) error += std::pow(static_cast<double>(a[i] - b[i]), 2.0);
    }
    return error;
  }

  ModelConfig config_;
  tests::TemporaryFolder folder_;
  std::deque<Checkpoint> checkpoints_;  // models point into their files
  std::vector<std::vector<std::uint32_t>> sequences_;
};

TEST_P(Equalization, KeepsTheFunctionAndReachesTheLeastProduct) {
  write();
  LanguageModel plain = load("model"), moved = load("model");
  ChannelMoments moments;
  for (const Group group : kGroups) {
    auto& of_group = moments[static_cast<std::size_t>(group)];
    for (std::int64_t j = 0; j < shape_of(config_, linears_of(group).front()).cols; ++j)
      of_group.push_back(std::exp2(static_cast<double>(j % 7) - 3.0));
  }
  equalize(config_, moments, 1.0, moved.blocks[0]);
  const std::vector<float> a = *plain.forward(sequences_[0]), b = *moved.forward(sequences_[0]);
  for (std::size_t i = 0; i < a.size(); ++i) ASSERT_NEAR(a[i], b[i], 1e-4f) << i;
  const Result<ModelDifference> same = compare_models(plain, moved, sequences_[0], 40);
  ASSERT_TRUE(same.ok()) << same.failure().message();
  for (const LayerDifference& layer : same->layers) EXPECT_LT(layer.output_error, 1e-9) << layer.name;

  // down: (sum x^2 / s^2) (sum w^2 s^2) is the square of sum x w, before it was more.
  const auto squares = [](const LinearLayer& layer) {
    const std::vector<float> w = layer.weight().to_values();
    std::vector<double> sums(static_cast<std::size_t>(layer.weight().cols()));
    for (std::size_t i = 0; i < w.size(); ++i)
      sums[i % sums.size()] += static_cast<double>(w[i]) * static_cast<double>(w[i]);
    return sums;
  };
  const std::vector<double>& x = moments[static_cast<std::size_t>(Group::down)];
  const std::vector<double> before = squares(plain.blocks[0].layer(Linear::down)),
                            after = squares(moved.blocks[0].layer(Linear::down));
  double inputs = 0.0, weights = 0.0, least = 0.0, first_inputs = 0.0, first_weights = 0.0;
  for (std::size_t j = 0; j < x.size(); ++j) {
    inputs += x[j] * before[j] / after[j];
    weights += after[j];
    first_inputs += x[j];
    first_weights += before[j];
    least += std::sqrt(x[j] * before[j]);
  }
  EXPECT_NEAR(inputs * weights, least * least, 1e-4 * least * least);
  EXPECT_GT(first_inputs * first_weights, 1.05 * least * least);
}

TEST_P(Equalization, StoredModelsKeepItsGainsAndAResumedRunItsBytes) {
  write();
  Recipe recipe = *named_recipe("best", Format::mxfp4, true);
  recipe.rotations = {32};
  recipe.equalize = 1.0;
  ASSERT_TRUE(quantize(recipe, "whole").ok());
  ASSERT_TRUE(
      quantize(recipe, "again", {.on_block = {}, .on_progress = {}, .should_stop = [] { return true; }})
          .ok());
  ASSERT_FALSE(std::filesystem::exists(folder_ / "again"));
  ASSERT_TRUE(quantize(recipe, "again").ok());
  for (const auto& entry : std::filesystem::directory_iterator(folder_ / "whole"))
    EXPECT_TRUE(tests::read_text(entry.path()) ==
                tests::read_text(folder_ / "again" / entry.path().filename()))
        << entry.path();

  const LanguageModel stored = load("whole"), source = load("model");
  EXPECT_NE(stored.blocks[0].input_norm, source.blocks[0].input_norm);
  EXPECT_EQ(stored.blocks[0].q_norm, source.blocks[0].q_norm);
  EXPECT_EQ(stored.blocks[0].layer(Linear::v).output_divisors().size(),
            static_cast<std::size_t>(config_.kv_width()));
  EXPECT_TRUE(stored.blocks[0].layer(Linear::q).output_divisors().empty());
  LanguageModel float_model = load("model"), quantized = load("whole");
  const Result<ModelDifference> errors = compare_models(float_model, quantized, sequences_[0], 40);
  ASSERT_TRUE(errors.ok()) << errors.failure().message();
  for (const LayerDifference& layer : errors->layers) EXPECT_LT(layer.output_error, 0.3) << layer.name;
  Recipe plain = recipe;
  plain.equalize = 0.0;
  ASSERT_TRUE(quantize(plain, "plain").ok());
  EXPECT_LT(logit_error("whole"), 0.9 * logit_error("plain"));  // channels 20 apart
}

TEST_P(Equalization, HalfSetCombinationsAreRefused) {
  Recipe recipe = *named_recipe("rtn", Format::nvfp4, true);
  recipe.equalize = 0.5;
  EXPECT_EQ(check(recipe).error(), Error::kBadArgument);
  recipe = *named_recipe("mr-gptq", Format::nvfp4, true);
  for (const double strength : {-0.1, 1.5, std::nan("")}) {
    recipe.equalize = strength;
    EXPECT_EQ(check(recipe).error(), Error::kBadArgument) << strength;
  }
}

INSTANTIATE_TEST_SUITE_P(Architectures, Equalization,
                         testing::Values(Architecture::llama, Architecture::qwen3),
                         [](const auto& param) { return std::string(name_of(param.param)); });

}  // namespace
}  // namespace fourge::quant
