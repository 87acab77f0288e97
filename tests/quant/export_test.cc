#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "fourge/quantize.h"
#include "quant/e2m1.h"
#include "quant/export/convert.h"
#include "quant/export/gguf.h"
#include "quant/export/output_folder.h"
#include "quant/export/quantize_model.h"
#include "quant/model/evaluate.h"
#include "tests/quant/golden.h"
#include "tests/support/shared_data.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/tiny_model.h"

namespace fourge::quant {
namespace {

using tests::TemporaryFolder;

constexpr StoredFormat kStored[] = {StoredFormat::fourge, StoredFormat::fp_quant,
                                    StoredFormat::compressed_tensors, StoredFormat::modelopt};

std::vector<std::vector<std::uint32_t>> some_sequences() {
  std::vector<std::vector<std::uint32_t>> sequences(6);
  for (std::size_t s = 0; s < sequences.size(); ++s)
    for (std::uint32_t t = 0; t < 40; ++t)
      sequences[s].push_back(static_cast<std::uint32_t>((t * 31 + s * 77 + t * t) % 256));
  return sequences;
}

ModelConfig export_config() {
  ModelConfig config = tests::tiny_config(Architecture::llama);
  config.intermediate = 192;  // whole GGUF blocks of 64
  return config;
}

/// The recipe that the format can hold, W4A4.
Recipe recipe_for(StoredFormat stored, Format format) {
  Recipe recipe = *named_recipe("rtn", format, true);
  const bool nv = format == Format::nvfp4;
  recipe.static_activations = nv;
  if (stored == StoredFormat::fp_quant) {
    recipe.rotations = {32};
    recipe.weights.rule = nv ? ScaleRule::static_6 : ScaleRule::shift;
    recipe.activation_rule = recipe.weights.rule;
  } else if (!nv) {
    recipe.activation_rule = recipe.weights.rule = ScaleRule::even;
  }
  return recipe;
}

class Export : public testing::Test {
 protected:
  void SetUp() override {
    tests::write_tiny_model(folder_ / "model", config_, tests::tiny_tensors(config_, 11), 2);
    tests::write_text(folder_ / "model" / "tokenizer.json", "{}");
  }

  QuantizeJob job(const Recipe& recipe, StoredFormat stored, const std::string& out) const {
    QuantizeJob job;
    job.model = folder_ / "model";
    job.out = folder_ / out;
    job.recipe = recipe;
    job.stored = stored;
    job.sequences = some_sequences();
    return job;
  }
  void quantize(const Recipe& recipe, StoredFormat stored, const std::string& out) {
    const Result<QuantizeOutcome> outcome = quantize_model(job(recipe, stored, out));
    ASSERT_TRUE(outcome.ok()) << outcome.failure().message();
    ASSERT_TRUE(outcome->complete);
    EXPECT_TRUE(std::filesystem::exists(folder_ / out / "tokenizer.json"));
    EXPECT_FALSE(std::filesystem::exists(folder_ / (out + ".partial")));
  }
  std::vector<QuantizedLayer> layers_of(const std::string& name) const {
    std::vector<QuantizedLayer> layers;
    const Result<Checkpoint> checkpoint = Checkpoint::open(folder_ / name);
    EXPECT_TRUE(checkpoint.ok()) << checkpoint.failure().message();
    const Result<StoredScheme> scheme = read_scheme(*checkpoint);
    EXPECT_TRUE(scheme.ok()) << scheme.failure().message();
    for (std::int64_t layer = 0; layer < config_.layers; ++layer) {
      for (const Linear linear : kLinears) {
        const Result<QuantizedLayer> stored = read_stored_layer(*checkpoint, *scheme, layer, linear);
        EXPECT_TRUE(stored.ok()) << stored.failure().message();
        if (stored.ok()) layers.push_back(*stored);
      }
    }
    return layers;
  }
  Result<std::vector<float>> logits_of_folder(const std::string& name) const {
    const Result<Checkpoint> checkpoint = Checkpoint::open(folder_ / name);
    if (!checkpoint) return checkpoint.failure();
    const Result<StoredScheme> scheme = read_scheme(*checkpoint);
    if (!scheme) return scheme.failure();
    Result<LanguageModel> model = load_model(*checkpoint, *scheme);
    if (!model) return model.failure();
    return model->forward(some_sequences()[2]);
  }
  float scalar(const std::string& folder, const std::string& tensor) const {
    const Result<Checkpoint> checkpoint = Checkpoint::open(folder_ / folder);
    const Result<Tensor> found = checkpoint->find(tensor);
    EXPECT_TRUE(found.ok()) << found.failure().message();
    float value = 0.0f;
    std::memcpy(&value, found->bytes.data(), sizeof(float));
    return value;
  }

  ModelConfig config_ = export_config();
  TemporaryFolder folder_;
};

void expect_same_weights(const std::vector<QuantizedLayer>& a, const std::vector<QuantizedLayer>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].matrix.codes, b[i].matrix.codes) << i;
    EXPECT_EQ(a[i].matrix.scales, b[i].matrix.scales) << i;
    EXPECT_EQ(a[i].matrix.tensor_scale.as_decode_multiplier(),
              b[i].matrix.tensor_scale.as_decode_multiplier())
        << i;
  }
}

TEST_F(Export, EveryFormatReadsBackWhatWasQuantised) {
  for (const StoredFormat stored : kStored) {
    for (const Format format : {Format::nvfp4, Format::mxfp4}) {
      if (stored == StoredFormat::modelopt && format != Format::nvfp4) continue;
      const Recipe recipe = recipe_for(stored, format);
      const std::string name = std::string(name_of(stored)) + name_of(format);
      quantize(recipe, stored, name);
      quantize(recipe, StoredFormat::fourge, name + "-fourge");
      expect_same_weights(layers_of(name), layers_of(name + "-fourge"));
      const Result<std::vector<float>> a = logits_of_folder(name), b = logits_of_folder(name + "-fourge");
      ASSERT_TRUE(a.ok()) << a.failure().message();
      ASSERT_TRUE(b.ok()) << b.failure().message();
      double difference = 0.0, size = 0.0;
      for (std::size_t i = 0; i < a->size(); ++i) {
        difference += std::pow(static_cast<double>((*a)[i] - (*b)[i]), 2.0);
        size += std::pow(static_cast<double>((*b)[i]), 2.0);
      }
      // nvfp4 formats that store 2688 / amax give the activations' amax back to one rounding.
      EXPECT_LE(difference / size, format == Format::mxfp4 ? 0.0 : 1e-3) << name;
    }
  }
}

TEST_F(Export, TensorScalesPointTheWayTheirFormatSays) {
  const std::string module = "model.layers.1.mlp.down_proj";
  const auto weight = tests::tiny_tensors(config_, 11).at(module + ".weight").second;
  float amax = 0.0f;
  for (const float w : weight) amax = std::max(amax, std::fabs(w));
  quantize(recipe_for(StoredFormat::compressed_tensors, Format::nvfp4), StoredFormat::compressed_tensors,
           "ct");
  EXPECT_FLOAT_EQ(scalar("ct", module + ".weight_global_scale"), 2688.0f / amax);
  quantize(recipe_for(StoredFormat::modelopt, Format::nvfp4), StoredFormat::modelopt, "mo");
  EXPECT_FLOAT_EQ(scalar("mo", module + ".weight_scale_2"), amax / 2688.0f);
  EXPECT_FLOAT_EQ(scalar("mo", module + ".input_scale") * scalar("ct", module + ".input_global_scale"), 1.0f);
  quantize(recipe_for(StoredFormat::fp_quant, Format::mxfp4), StoredFormat::fp_quant, "fp");
  EXPECT_EQ(scalar("fp", module + ".weight_global_scale"), 3.0f);
  EXPECT_EQ(scalar("fp", module + ".act_global_scale"), 3.0f);
}

TEST_F(Export, ElementZeroIsInTheLowNibbleOfRowMajorCodes) {
  quantize(recipe_for(StoredFormat::compressed_tensors, Format::mxfp4), StoredFormat::compressed_tensors,
           "ct");
  const std::string module = "model.layers.0.mlp.gate_proj";
  const auto weight = tests::tiny_tensors(config_, 11).at(module + ".weight").second;
  const Result<Checkpoint> checkpoint = Checkpoint::open(folder_ / "ct");
  const Result<Tensor> codes = checkpoint->find(module + ".weight_packed", {192, 32});
  const Result<Tensor> scales = checkpoint->find(module + ".weight_scale", {192, 2});
  ASSERT_TRUE(codes.ok() && scales.ok());
  for (std::size_t i = 0; i < weight.size(); ++i) {
    const unsigned code = i % 2 == 0 ? codes->bytes[i / 2] & 15u : codes->bytes[i / 2] >> 4;
    const float value = kE2m1Values[code] * std::ldexp(1.0f, int{scales->bytes[i / 32]} - 127);
    EXPECT_NEAR(value, weight[i], 0.3 * std::ldexp(1.0, int{scales->bytes[i / 32]} - 125)) << i;
  }
}

TEST_F(Export, ConvertingThereAndBackIsExact) {
  quantize(recipe_for(StoredFormat::modelopt, Format::nvfp4), StoredFormat::fourge, "a");
  ASSERT_TRUE(convert_folder(folder_ / "a", folder_ / "b", StoredFormat::compressed_tensors).ok());
  ASSERT_TRUE(convert_folder(folder_ / "b", folder_ / "c", StoredFormat::fourge).ok());
  expect_same_weights(layers_of("a"), layers_of("c"));
  ASSERT_TRUE(convert_folder(folder_ / "a", folder_ / "d", StoredFormat::modelopt).ok());
  ASSERT_TRUE(convert_folder(folder_ / "d", folder_ / "e", StoredFormat::fourge).ok());
  expect_same_weights(layers_of("a"), layers_of("e"));
  for (const Format format : {Format::nvfp4, Format::mxfp4}) {
    const std::string name = std::string("g") + name_of(format);
    quantize(recipe_for(StoredFormat::modelopt, format), StoredFormat::fourge, name);
    ASSERT_TRUE(convert_to_gguf(folder_ / name, folder_ / (name + ".gguf")).ok());
    const Status back = convert_from_gguf(folder_ / (name + ".gguf"), folder_ / (name + "-back"));
    ASSERT_TRUE(back.ok()) << back.failure().message();
    expect_same_weights(layers_of(name), layers_of(name + "-back"));
  }
}

TEST_F(Export, WhatAFormatCannotHoldIsRefusedBeforeWork) {
  const auto refusal = [&](Recipe recipe, StoredFormat stored) {
    const Result<QuantizeOutcome> outcome = quantize_model(job(recipe, stored, "refused"));
    EXPECT_FALSE(std::filesystem::exists(folder_ / "refused.partial"));
    return outcome.ok() ? std::string() : outcome.failure().message();
  };
  Recipe rotated = recipe_for(StoredFormat::fp_quant, Format::nvfp4);
  EXPECT_NE(refusal(rotated, StoredFormat::compressed_tensors).find("rotation"), std::string::npos);
  EXPECT_NE(refusal(rotated, StoredFormat::modelopt).find("rotation"), std::string::npos);
  Recipe four = *named_recipe("4over6", Format::nvfp4, true);
  EXPECT_NE(refusal(four, StoredFormat::compressed_tensors).find("static_6"), std::string::npos);
  Recipe weights_only = *named_recipe("rtn", Format::nvfp4, false);
  EXPECT_NE(refusal(weights_only, StoredFormat::fp_quant).find("W4A4"), std::string::npos);
  Recipe mx = recipe_for(StoredFormat::fourge, Format::mxfp4);
  EXPECT_NE(refusal(mx, StoredFormat::modelopt).find("nvfp4"), std::string::npos);
  mx.weights.rule = ScaleRule::shift;
  EXPECT_NE(refusal(mx, StoredFormat::compressed_tensors).find("tensor scale"), std::string::npos);
  Recipe too_wide = rotated;
  too_wide.rotations = {128};
  EXPECT_NE(refusal(too_wide, StoredFormat::fourge).find("rotation does not divide"), std::string::npos);
  Recipe half = *named_recipe("rtn", Format::nvfp4, true);
  half.weights.timing = ScaleTiming::within;
  EXPECT_NE(refusal(half, StoredFormat::fourge), "");
}

TEST_F(Export, ColumnsThatBlocksDoNotDivideAreRefused) {
  ModelConfig config = config_;
  config.intermediate = 176;  // 11 blocks of 16; 5.5 of 32
  tests::write_tiny_model(folder_ / "odd", config, tests::tiny_tensors(config, 12));
  for (const Format format : {Format::nvfp4, Format::mxfp4}) {
    QuantizeJob odd = job(*named_recipe("rtn", format, false), StoredFormat::fourge, name_of(format));
    odd.model = folder_ / "odd";
    const Result<QuantizeOutcome> outcome = quantize_model(odd);
    if (format == Format::nvfp4) {
      EXPECT_TRUE(outcome.ok()) << outcome.failure().message();
      continue;
    }
    ASSERT_FALSE(outcome.ok());
    EXPECT_NE(outcome.failure().message().find("176 columns, block 32"), std::string::npos)
        << outcome.failure().message();
  }
}

TEST_F(Export, AnExistingOutputIsNeverTouched) {
  std::filesystem::create_directories(folder_ / "full");
  tests::write_text(folder_ / "full" / "keep", "me");
  const Recipe recipe = *named_recipe("rtn", Format::nvfp4, false);
  EXPECT_EQ(quantize_model(job(recipe, StoredFormat::fourge, "full")).error(), Error::kBadArgument);
  EXPECT_TRUE(std::filesystem::exists(folder_ / "full" / "keep"));
  std::filesystem::create_directories(folder_ / "foreign.partial");
  tests::write_text(folder_ / "foreign.partial" / "keep", "me");
  EXPECT_EQ(quantize_model(job(recipe, StoredFormat::fourge, "foreign")).error(), Error::kBadArgument);
  EXPECT_TRUE(std::filesystem::exists(folder_ / "foreign.partial" / "keep"));
}

TEST_F(Export, AnInterruptedRunIsContinuedWithTheSameResult) {
  Recipe recipe = *named_recipe("mr-gptq", Format::nvfp4, true);
  quantize(recipe, StoredFormat::fourge, "whole");
  int blocks = 0;
  const QuantizeEvents stop_after_one{
      .on_block = [&](std::int64_t, std::int64_t, bool, const QuantizedBlock&) { ++blocks; },
      .on_progress = {},
      .should_stop = [] { return true; }};
  const QuantizeJob interrupted = job(recipe, StoredFormat::fourge, "again");
  const Result<QuantizeOutcome> first = quantize_model(interrupted, stop_after_one);
  ASSERT_TRUE(first.ok());
  EXPECT_FALSE(first->complete);
  EXPECT_EQ(blocks, 1);
  EXPECT_FALSE(std::filesystem::exists(folder_ / "again"));
  const Result<QuantizeOutcome> second = quantize_model(interrupted);
  ASSERT_TRUE(second.ok()) << second.failure().message();
  EXPECT_TRUE(second->complete);
  EXPECT_EQ(second->blocks_resumed, 1);
  expect_same_weights(layers_of("whole"), layers_of("again"));
  // Another recipe starts from nothing.
  QuantizeJob other = job(recipe, StoredFormat::fourge, "other");
  ASSERT_TRUE(quantize_model(other, stop_after_one).ok());
  other.recipe.weights.damping = 0.05;
  EXPECT_EQ(quantize_model(other)->blocks_resumed, 0);
}

TEST_F(Export, PartsOfAModelGatherToTheWhole) {
  const Recipe recipe = *named_recipe("4over6", Format::nvfp4, true);
  quantize(recipe, StoredFormat::fourge, "whole");
  QuantizeJob part = job(recipe, StoredFormat::fourge, "parts");
  part.first_block = part.last_block = 1;
  const Result<QuantizeOutcome> first = quantize_model(part);
  ASSERT_TRUE(first.ok()) << first.failure().message();
  EXPECT_FALSE(first->complete);
  EXPECT_EQ(first->blocks_present, 1);
  EXPECT_FALSE(std::filesystem::exists(folder_ / "parts"));
  part.first_block = part.last_block = 0;
  const Result<QuantizeOutcome> second = quantize_model(part);
  ASSERT_TRUE(second.ok()) << second.failure().message();
  EXPECT_TRUE(second->complete);
  expect_same_weights(layers_of("whole"), layers_of("parts"));
  part.recipe = *named_recipe("mr-gptq", Format::nvfp4, true);
  EXPECT_EQ(quantize_model(part).error(), Error::kBadArgument);
}

TEST(Gguf, BlocksOfGgmlDecodeToItsValues) {
  FOURGE_NEEDS_SHARED(shared);
  const std::filesystem::path gguf = shared / "golden" / "quant" / "gguf";
  for (const GgmlType type : {GgmlType::mxfp4, GgmlType::nvfp4}) {
    const std::string stem = type == GgmlType::mxfp4 ? "gauss_bf16.mxfp4" : "gauss_bf16.nvfp4";
    const GoldenBytes blocks = read_golden_bytes(gguf / (stem + ".blocks.npy"));
    const GoldenInput expected = read_golden_input(gguf / (stem + ".dequant_f32.npy"));
    const GgufTensor tensor{stem, type, {expected.rows, expected.cols}, blocks.bytes};
    const Result<QuantizedMatrix> matrix = from_gguf_blocks(tensor);
    ASSERT_TRUE(matrix.ok());
    std::vector<float> values(expected.values.size());
    ASSERT_TRUE(dequantize(matrix->view(), values).ok());
    EXPECT_EQ(values, expected.values) << stem;
    EXPECT_EQ(*to_gguf_blocks(matrix->view()), blocks.bytes) << stem;
  }
}

TEST(Gguf, NibblesAreSplitNotInterleaved) {
  QuantizedMatrix matrix;
  matrix.format = Format::mxfp4;
  matrix.rows = 1;
  matrix.cols = 32;
  matrix.scales = {130};
  for (unsigned i = 0; i < 16; ++i)  // element k has code k mod 16
    matrix.codes.push_back(static_cast<std::uint8_t>((2 * i) % 16 | (2 * i + 1) % 16 << 4));
  const Result<std::vector<std::uint8_t>> mx = to_gguf_blocks(matrix.view());
  ASSERT_TRUE(mx.ok());
  ASSERT_EQ(mx->size(), 17u);
  EXPECT_EQ((*mx)[0], 130);
  for (unsigned j = 0; j < 16; ++j) EXPECT_EQ((*mx)[1 + j], j | j << 4);
  matrix.format = Format::nvfp4;
  matrix.cols = 64;
  matrix.scales = {1, 2, 3, 4};
  matrix.codes.insert(matrix.codes.end(), matrix.codes.begin(), matrix.codes.end());
  const Result<std::vector<std::uint8_t>> nv = to_gguf_blocks(matrix.view());
  ASSERT_TRUE(nv.ok());
  ASSERT_EQ(nv->size(), 36u);
  for (unsigned s = 0; s < 4; ++s) {
    EXPECT_EQ((*nv)[s], s + 1);
    for (unsigned j = 0; j < 8; ++j) EXPECT_EQ((*nv)[4 + 8 * s + j], j | (j + 8) << 4);
  }
}

TEST(Gguf, MalformedFilesAreRefused) {
  const TemporaryFolder folder;
  GgufWriter writer;
  writer.add_metadata("general.architecture", std::string("llama"));
  writer.add_u32("llama.block_count", 7);
  writer.add_tensor("a", GgmlType::f32, {2, 3}, std::vector<std::uint8_t>(24, 1));
  writer.add_tensor("b", GgmlType::mxfp4, {2, 32}, std::vector<std::uint8_t>(34, 2));
  ASSERT_TRUE(writer.write(folder / "x.gguf").ok());
  const std::vector<std::uint8_t> good = tests::read_bytes(folder / "x.gguf");
  const Result<GgufFile> file = GgufFile::parse(good, "x");
  ASSERT_TRUE(file.ok()) << file.failure().message();
  EXPECT_EQ(*file->integer("llama.block_count"), 7);
  EXPECT_EQ(file->find("b")->shape, (std::vector<std::int64_t>{2, 32}));
  for (std::size_t length = 0; length < good.size(); ++length) {
    const std::span<const std::uint8_t> cut = std::span(good).first(length);
    const Result<GgufFile> short_file = GgufFile::parse(cut, "x");
    if (length + 32 <= good.size()) {
      EXPECT_FALSE(short_file.ok()) << length;
    }
  }
  for (std::size_t at = 0; at < good.size(); ++at) {  // nothing may crash, whatever a byte says
    std::vector<std::uint8_t> bad = good;
    bad[at] = static_cast<std::uint8_t>(bad[at] ^ 0xff);
    static_cast<void>(GgufFile::parse(bad, "x").ok());
  }
}

TEST(GptOss, BlocksKeepTheirOrder) {
  std::vector<std::uint8_t> bytes(2 * 3 * 2 * 16), scale_bytes(2 * 3 * 2);
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::uint8_t>(i * 7);
  for (std::size_t i = 0; i < scale_bytes.size(); ++i) scale_bytes[i] = static_cast<std::uint8_t>(120 + i);
  const Tensor blocks{"mlp_blocks", DType::u8, {2, 3, 2, 16}, bytes},
      scales{"mlp_scales", DType::u8, {2, 3, 2}, scale_bytes};
  const Result<QuantizedMatrix> matrix = from_gpt_oss(blocks, scales);
  ASSERT_TRUE(matrix.ok());
  EXPECT_EQ(matrix->rows, 6);
  EXPECT_EQ(matrix->cols, 64);
  // Expert 1, output 2, element 37 = block 1, byte 2, high nibble.
  const std::size_t byte = ((1 * 3 + 2) * 2 + 1) * 16 + 2;
  EXPECT_EQ(matrix->view().code(5, 37), bytes[byte] >> 4);
  EXPECT_EQ(matrix->view().scale(5, 1), scale_bytes[(1 * 3 + 2) * 2 + 1]);
  const Tensor wrong{"mlp_scales", DType::u8, {2, 3, 1}, std::span(scale_bytes).first(6)};
  EXPECT_EQ(from_gpt_oss(blocks, wrong).error(), Error::kBadFile);
}

}  // namespace
}  // namespace fourge::quant
