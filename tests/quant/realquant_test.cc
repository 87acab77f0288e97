// Checkpoints that FP-Quant itself exported (shared models/nano/golden), read by this library, and its own
// exports beside them.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "quant/export/quantize_model.h"
#include "quant/export/stored_model.h"
#include "quant/model/evaluate.h"
#include "quant/safetensors.h"
#include "tests/support/shared_data.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/tiny_model.h"

namespace fourge::quant {
namespace {

namespace fs = std::filesystem;

struct Upstream {
  Format format;
  std::int64_t rotation;
  const char* file;
  double bits;  // of the first 64 KiB of valid.bin, W4A4, bf16 model on a GPU

  fs::path path(const fs::path& shared) const { return shared / "models" / "nano" / "golden" / file; }
};
constexpr Upstream kUpstream[] = {
    {Format::nvfp4, 16, "mrgptq_realquant_nvfp4_h16_w4a4.safetensors", 1.25823},
    {Format::mxfp4, 32, "mrgptq_realquant_mxfp4_h32_w4a4.safetensors", 1.29276},
};

bool is_linear(const std::string& tensor) { return tensor.find("_proj.") != std::string::npos; }

/// A folder of FP-Quant's file and what it leaves unquantised of the float model.
void write_folder(const fs::path& folder, const Upstream& upstream, const fs::path& shared) {
  const fs::path nano = shared / "models" / "nano";
  nlohmann::json map;
  const Result<Safetensors> linears = Safetensors::open(upstream.path(shared));
  const Result<Safetensors> model = Safetensors::open(nano / "model.safetensors");
  ASSERT_TRUE(linears.ok() && model.ok());
  for (const Tensor& tensor : linears->tensors()) map[tensor.name] = "linears.safetensors";
  for (const Tensor& tensor : model->tensors())
    if (!is_linear(tensor.name)) map[tensor.name] = "rest.safetensors";
  fs::create_symlink(upstream.path(shared), folder / "linears.safetensors");
  fs::create_symlink(nano / "model.safetensors", folder / "rest.safetensors");
  tests::write_text(folder / "model.safetensors.index.json",
                    nlohmann::json({{"metadata", nlohmann::json::object()}, {"weight_map", map}}).dump());
  nlohmann::json config = nlohmann::json::parse(std::ifstream(nano / "config.json"));
  config["quantization_config"] = {{"quant_method", "fp_quant"},
                                   {"forward_dtype", name_of(upstream.format)},
                                   {"forward_method", "abs_max"},
                                   {"backward_dtype", "bf16"},
                                   {"hadamard_group_size", upstream.rotation},
                                   {"modules_to_not_convert", {"lm_head"}},
                                   {"store_master_weights", false},
                                   {"pseudoquantization", false}};
  tests::write_text(folder / "config.json", config.dump());
}

double bits_of(const fs::path& folder, const fs::path& text, ValueType values) {
  const Result<Checkpoint> checkpoint = Checkpoint::open(folder);
  EXPECT_TRUE(checkpoint.ok()) << checkpoint.failure().message();
  const Result<StoredScheme> scheme = read_scheme(*checkpoint);
  EXPECT_TRUE(scheme.ok()) << scheme.failure().message();
  Result<LanguageModel> model = load_model(*checkpoint, *scheme);
  EXPECT_TRUE(model.ok()) << model.failure().message();
  model->values = values;
  const auto ids = read_tokens(text, TokenEncoding::bytes, 256, 65536);
  return evaluate(*model, *ids, 512)->bits_per_token();
}

TEST(LongRealquant, UpstreamsCheckpointsMeasureAsTheyDidThere) {
  FOURGE_NEEDS_SHARED(shared);
  for (const Upstream& upstream : kUpstream) {
    const tests::TemporaryFolder folder;
    write_folder(folder.path(), upstream, shared);
    EXPECT_NEAR(bits_of(folder.path(), shared / "models" / "valid.bin", ValueType::bf16), upstream.bits,
                0.003)
        << upstream.file;
  }
}

/// Quantises nano by a recipe of FP-Quant's and exports it.
void export_nano(const Upstream& upstream, const fs::path& shared, const char* name, std::int64_t sequences,
                 const fs::path& out) {
  Recipe recipe = *named_recipe(name, upstream.format, true);
  recipe.rotations = {upstream.rotation};
  if (recipe.method == Method::rtn) {
    recipe.static_activations = upstream.format == Format::nvfp4;
    recipe.weights.rule = recipe.activation_rule =
        upstream.format == Format::nvfp4 ? ScaleRule::static_6 : ScaleRule::shift;
  }
  const auto ids = read_tokens(shared / "models" / "calib.bin", TokenEncoding::bytes, 256, 0);
  QuantizeJob job;
  job.model = shared / "models" / "nano";
  job.out = out;
  job.recipe = recipe;
  job.stored = StoredFormat::fp_quant;
  job.sequences = *calibration_sequences(*ids, sequences, 512, 8192);
  const Result<QuantizeOutcome> outcome = quantize_model(job);
  ASSERT_TRUE(outcome.ok()) << outcome.failure().message();
}

TEST(Realquant, ExportsHaveUpstreamsTensors) {
  FOURGE_NEEDS_SHARED(shared);
  for (const Upstream& upstream : kUpstream) {
    const tests::TemporaryFolder folder;
    export_nano(upstream, shared, "rtn", 1, folder / "out");
    const Result<Checkpoint> ours = Checkpoint::open(folder / "out");
    const Result<Safetensors> theirs = Safetensors::open(upstream.path(shared));
    ASSERT_TRUE(ours.ok() && theirs.ok());
    std::set<std::string> names;
    for (const auto& [name, tensor] : ours->tensors())
      if (is_linear(name)) names.insert(name);
    for (const Tensor& expected : theirs->tensors()) {
      ASSERT_EQ(names.erase(expected.name), 1u) << expected.name;
      const Tensor& tensor = ours->tensors().at(expected.name);
      EXPECT_EQ(tensor.dtype, expected.dtype) << expected.name;
      EXPECT_EQ(tensor.shape, expected.shape) << expected.name;
      if (expected.name.find("hadamard_matrix") != std::string::npos) {
        EXPECT_TRUE(std::ranges::equal(tensor.bytes, expected.bytes)) << expected.name;
      }
    }
    EXPECT_TRUE(names.empty()) << *names.begin();
  }
}

// Scales come before error feedback: only the rounding of upstream's rotated weights to bf16 lies between.
TEST(LongRealquant, SearchedScalesAreUpstreams) {
  FOURGE_NEEDS_SHARED(shared);
  for (const Upstream& upstream : kUpstream) {
    const tests::TemporaryFolder folder;
    export_nano(upstream, shared, "mr-gptq", 128, folder / "out");
    const Result<Checkpoint> ours = Checkpoint::open(folder / "out");
    const Result<Safetensors> theirs = Safetensors::open(upstream.path(shared));
    ASSERT_TRUE(ours.ok() && theirs.ok());
    std::map<std::string, std::pair<double, double>> same;  // of kind: equal, all
    for (const Tensor& expected : theirs->tensors()) {
      const std::string kind = expected.name.substr(expected.name.rfind('.') + 1);
      const Tensor& tensor = ours->tensors().at(expected.name);
      for (std::size_t i = 0; i < expected.bytes.size(); ++i) {
        same[kind].first += tensor.bytes[i] == expected.bytes[i] ? 1.0 : 0.0;
        same[kind].second += 1.0;
      }
    }
    EXPECT_GT(same["scales"].first, 0.99 * same["scales"].second) << upstream.file;
    RecordProperty(std::string(name_of(upstream.format)) + "_scales",
                   std::to_string(same["scales"].first / same["scales"].second));
    std::printf("%s: equal scales %.5f, bytes of two codes %.5f\n", upstream.file,
                same["scales"].first / same["scales"].second, same["qweight"].first / same["qweight"].second);
  }
}

}  // namespace
}  // namespace fourge::quant
