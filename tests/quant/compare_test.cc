#include "quant/model/compare.h"

#include <gtest/gtest.h>

#include "quant/model/load.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/tiny_model.h"

namespace fourge::quant {
namespace {

TEST(CompareModels, OneChangedLayerIsTheOneThatDiffers) {
  const tests::TemporaryFolder folder;
  const ModelConfig config = tests::tiny_config(Architecture::llama);
  tests::write_tiny_model(folder / "model", config, tests::tiny_tensors(config, 4), 1);
  const Result<Checkpoint> checkpoint = Checkpoint::open(folder / "model");
  Result<LanguageModel> reference = load_float_model(*checkpoint), changed = load_float_model(*checkpoint);
  ASSERT_TRUE(reference.ok() && changed.ok());
  LinearLayer& gate = changed->blocks[1].layer(Linear::gate);
  std::vector<float> values = gate.weight().to_values();
  for (float& v : values) v *= 1.5f;
  gate = LinearLayer(Weight::of_values(values, gate.weight().rows(), gate.weight().cols()));

  const std::vector<std::uint32_t> ids = {5, 80, 3, 200, 41, 41, 7, 99, 13};
  const Result<ModelDifference> difference = compare_models(*reference, *changed, ids, 4);
  ASSERT_TRUE(difference.ok()) << difference.failure().message();
  ASSERT_EQ(difference->layers.size(), 14u);
  for (const LayerDifference& layer : difference->layers) {
    const double expected = layer.name == "model.layers.1.mlp.gate_proj" ? 0.25 : 0.0;
    EXPECT_NEAR(layer.output_error, expected, 1e-6) << layer.name;
  }
  EXPECT_EQ(difference->stream_error[0], 0.0);
  EXPECT_GT(difference->stream_error[1], 0.0);

  changed->config.intermediate = 8;
  EXPECT_EQ(compare_models(*reference, *changed, ids, 4).error(), Error::kBadShape);
}

}  // namespace
}  // namespace fourge::quant
