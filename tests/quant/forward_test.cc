#include <gtest/gtest.h>

#include <cmath>
#include <numbers>
#include <random>

#include "fourge/rounding.h"
#include "quant/hadamard.h"
#include "quant/model/evaluate.h"
#include "quant/model/load.h"
#include "quant/model/vector_kernels.h"
#include "quant/npy.h"
#include "tests/support/shared_data.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/test_data.h"
#include "tests/support/tiny_model.h"

namespace fourge::quant {
namespace {

using tests::TensorMap;
using Matrix = std::vector<std::vector<double>>;

// The architecture once more, as its papers write it: scalar, f64, one token at a time against all before it.
class PlainModel {
 public:
  PlainModel(const ModelConfig& config, const TensorMap& tensors) : c_(config), tensors_(tensors) {}

  Matrix logits(const std::vector<std::uint32_t>& ids) const {
    Matrix x;
    for (const std::uint32_t id : ids) x.push_back(row("model.embed_tokens.weight", id));
    for (std::int64_t layer = 0; layer < c_.layers; ++layer) x = block(layer, x);
    Matrix out;
    for (const auto& token : x) {
      out.push_back(times(c_.tied_embeddings ? "model.embed_tokens.weight" : "lm_head.weight",
                          norm("model.norm.weight", token)));
    }
    return out;
  }

 private:
  std::vector<double> row(const std::string& name, std::size_t index) const {
    const auto& [shape, values] = tensors_.at(name);
    const auto width = static_cast<std::ptrdiff_t>(shape.back());
    const auto first = values.begin() + static_cast<std::ptrdiff_t>(index) * width;
    return {first, first + width};
  }
  std::vector<double> times(const std::string& name, const std::vector<double>& x) const {
    std::vector<double> y;
    for (std::int64_t i = 0; i < tensors_.at(name).first[0]; ++i) {
      const std::vector<double> w = row(name, static_cast<std::size_t>(i));
      double sum = 0.0;
      for (std::size_t j = 0; j < x.size(); ++j) sum += w[j] * x[j];
      y.push_back(sum);
    }
    return y;
  }
  std::vector<double> norm(const std::string& name, const std::vector<double>& x) const {
    const std::vector<double> gain = row(name, 0);
    double squares = 0.0;
    for (const double v : x) squares += v * v;
    const double root =
        std::sqrt(squares / static_cast<double>(x.size()) + static_cast<double>(c_.rms_norm_eps));
    std::vector<double> y;
    for (std::size_t i = 0; i < x.size(); ++i) y.push_back(x[i] / root * gain[i]);
    return y;
  }
  double frequency(std::size_t i) const {
    const double f =
        std::pow(c_.rope_theta, -2.0 * static_cast<double>(i) / static_cast<double>(c_.head_dim));
    if (c_.rope_scaling.kind != RopeScaling::Kind::llama3) return f;
    const RopeScaling& s = c_.rope_scaling;
    const double wavelength = 2.0 * std::numbers::pi / f;
    const double smooth = std::clamp(
        (s.original_context / wavelength - s.low_freq_factor) / (s.high_freq_factor - s.low_freq_factor), 0.0,
        1.0);
    return (1.0 - smooth) * f / s.factor + smooth * f;
  }
  // Complex multiplication of pairs (i, i + half) with e^(i * position * frequency).
  std::vector<double> turned(const std::vector<double>& head, std::size_t position) const {
    std::vector<double> y(head.size());
    const std::size_t half = head.size() / 2;
    for (std::size_t i = 0; i < half; ++i) {
      const double angle = static_cast<double>(position) * frequency(i);
      y[i] = head[i] * std::cos(angle) - head[i + half] * std::sin(angle);
      y[i + half] = head[i + half] * std::cos(angle) + head[i] * std::sin(angle);
    }
    return y;
  }
  std::vector<double> head_of(const std::vector<double>& x, std::int64_t head, const std::string& gain,
                              std::size_t position) const {
    const auto first = x.begin() + head * c_.head_dim;
    std::vector<double> y(first, first + c_.head_dim);
    if (c_.qk_norm()) y = norm(gain, y);
    return turned(y, position);
  }
  Matrix block(std::int64_t layer, Matrix x) const {
    const std::string base = "model.layers." + std::to_string(layer) + ".";
    const std::string attention = base + "self_attn.";
    Matrix q, k, v;
    for (const auto& token : x) {
      const std::vector<double> normed = norm(base + "input_layernorm.weight", token);
      q.push_back(times(attention + "q_proj.weight", normed));
      k.push_back(times(attention + "k_proj.weight", normed));
      v.push_back(times(attention + "v_proj.weight", normed));
    }
    for (std::size_t t = 0; t < x.size(); ++t) {
      std::vector<double> mixed;
      for (std::int64_t h = 0; h < c_.heads; ++h) {
        const std::int64_t kv = h * c_.kv_heads / c_.heads;
        const std::vector<double> query = head_of(q[t], h, attention + "q_norm.weight", t);
        std::vector<double> weights;
        double total = 0.0;
        for (std::size_t s = 0; s <= t; ++s) {
          const std::vector<double> key = head_of(k[s], kv, attention + "k_norm.weight", s);
          double dot = 0.0;
          for (std::size_t i = 0; i < key.size(); ++i) dot += query[i] * key[i];
          weights.push_back(std::exp(dot / std::sqrt(static_cast<double>(c_.head_dim))));
          total += weights.back();
        }
        for (std::int64_t i = 0; i < c_.head_dim; ++i) {
          double sum = 0.0;
          for (std::size_t s = 0; s <= t; ++s)
            sum += weights[s] / total * v[s][static_cast<std::size_t>(kv * c_.head_dim + i)];
          mixed.push_back(sum);
        }
      }
      const std::vector<double> y = times(attention + "o_proj.weight", mixed);
      for (std::size_t i = 0; i < y.size(); ++i) x[t][i] += y[i];
    }
    for (auto& token : x) {
      const std::vector<double> normed = norm(base + "post_attention_layernorm.weight", token);
      std::vector<double> gate = times(base + "mlp.gate_proj.weight", normed);
      const std::vector<double> up = times(base + "mlp.up_proj.weight", normed);
      for (std::size_t i = 0; i < up.size(); ++i) gate[i] *= up[i] / (1.0 + std::exp(-gate[i]));
      const std::vector<double> y = times(base + "mlp.down_proj.weight", gate);
      for (std::size_t i = 0; i < y.size(); ++i) token[i] += y[i];
    }
    return x;
  }

  const ModelConfig& c_;
  const TensorMap& tensors_;
};

void expect_as_plain(const ModelConfig& config, int shards) {
  const tests::TemporaryFolder folder;
  const TensorMap tensors = tests::tiny_tensors(config, 7);
  tests::write_tiny_model(folder.path(), config, tensors, shards);
  const Result<Checkpoint> checkpoint = Checkpoint::open(folder.path());
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.failure().message();
  EXPECT_EQ(checkpoint->config(), config);
  Result<LanguageModel> model = load_float_model(*checkpoint);
  ASSERT_TRUE(model.ok()) << model.failure().message();
  std::vector<std::uint32_t> ids;
  for (std::uint32_t i = 0; i < 110; ++i) ids.push_back(i * 37 % 256);  // more than one chunk of queries
  const Result<std::vector<float>> logits = model->forward(ids);
  ASSERT_TRUE(logits.ok()) << logits.failure().message();
  const Matrix expected = PlainModel(config, tensors).logits(ids);
  double worst = 0.0;
  for (std::size_t t = 0; t < ids.size(); ++t) {
    for (std::size_t v = 0; v < 256; ++v)
      worst = std::max(worst, std::fabs(static_cast<double>((*logits)[t * 256 + v]) - expected[t][v]));
  }
  EXPECT_LT(worst, 2e-5);
}

TEST(ForwardPass, LlamaMatchesPlainModel) { expect_as_plain(tests::tiny_config(Architecture::llama), 1); }

TEST(ForwardPass, ShardedTiedLlamaMatchesPlainModel) {
  ModelConfig config = tests::tiny_config(Architecture::llama);
  config.tied_embeddings = true;
  expect_as_plain(config, 3);
}

TEST(ForwardPass, Qwen3MatchesPlainModel) { expect_as_plain(tests::tiny_config(Architecture::qwen3), 2); }

TEST(ForwardPass, Llama3RopeMatchesPlainModel) {
  ModelConfig config = tests::tiny_config(Architecture::llama);
  config.rope_scaling = {RopeScaling::Kind::llama3, 8.0, 1.0, 4.0, 32.0};  // all three cases occur
  expect_as_plain(config, 1);
}

TEST(ForwardPass, Bf16ValuesRoundLikeTheFormatAndStayNear) {
  std::vector<float> x = {1.0f, 1.00390625f, 1.01171875f, -3.14159f, 3.4e38f, 1e-40f, INFINITY, -0.0f, NAN};
  for (int i = 0; i < 40; ++i) x.push_back(std::ldexp(1.0f + static_cast<float>(i) / 37.0f, i - 20));
  std::vector<float> rounded = x;
  round_to_bf16(rounded.data(), static_cast<std::int64_t>(rounded.size()));
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (std::isnan(x[i])) {
      EXPECT_TRUE(std::isnan(rounded[i]));
      continue;
    }
    const std::uint32_t code = encode(ElementFormat::bf16, x[i], Rounding::rne, Overflow::infinity);
    EXPECT_EQ(rounded[i], decode_f32(ElementFormat::bf16, code)) << x[i];
  }

  const ModelConfig config = tests::tiny_config(Architecture::qwen3);
  const tests::TemporaryFolder folder;
  tests::write_tiny_model(folder.path(), config, tests::tiny_tensors(config, 7), 1);
  const Result<Checkpoint> checkpoint = Checkpoint::open(folder.path());
  LanguageModel model = *load_float_model(*checkpoint);
  const std::vector<std::uint32_t> ids = {5, 80, 3, 250, 17, 99, 42, 42};
  const std::vector<float> exact = *model.forward(ids);
  model.values = ValueType::bf16;
  const std::vector<float> logits = *model.forward(ids);
  std::vector<float> again = logits;
  round_to_bf16(again.data(), static_cast<std::int64_t>(again.size()));
  EXPECT_EQ(logits, again);
  double error = 0.0, norm = 0.0;
  for (std::size_t i = 0; i < exact.size(); ++i) {
    error += std::pow(static_cast<double>(logits[i] - exact[i]), 2.0);
    norm += std::pow(static_cast<double>(exact[i]), 2.0);
  }
  EXPECT_LT(error, 4e-4 * norm);  // some ten roundings of at most 2^-9
  EXPECT_GT(error, 1e-7 * norm);
}

TEST(ForwardPass, FakeBf16RoundsEveryOperand) {
  std::mt19937 random(5);
  std::normal_distribution<float> normal;
  std::vector<float> x(std::size_t{4} * 128);
  for (float& v : x) v = normal(random);
  const InputTransform transform{
      .rotation = 32, .quantized = true, .format = Format::mxfp4, .rule = ScaleRule::shift};
  const Result<GroupInput> fake = GroupInput::of(x, 4, 128, transform, true, ValueType::fake_bf16);
  ASSERT_TRUE(fake.ok());
  EXPECT_EQ(fake->output_scale(), 1.0f);

  const auto round_all = [](std::vector<float>& values) {
    round_to_bf16(values.data(), static_cast<std::int64_t>(values.size()));
  };
  std::vector<float> rotated = x;
  ASSERT_TRUE(hadamard_blocks(rotated, 32).ok());
  round_all(rotated);
  InputTransform plain = transform;
  plain.rotation = 1;
  const Result<GroupInput> exact = GroupInput::of(rotated, 4, 128, plain, true);
  std::vector<float> expected(exact->values().begin(), exact->values().end());
  for (float& v : expected) v *= exact->output_scale();
  const std::vector<float> unrounded = expected;
  round_all(expected);
  EXPECT_EQ(std::vector<float>(fake->values().begin(), fake->values().end()), expected);
  EXPECT_NE(expected, unrounded);  // 4/3 is no bf16

  const LinearLayer layer(Weight::of_quantized(*exact->quantized()), {1.0f, 2.0f, 3.0f, 4.0f});
  const LinearLayer rounded = layer.rounded_to_bf16();
  EXPECT_EQ(rounded.weight().to_values(), expected);
  EXPECT_EQ(rounded.weight().quantized(), nullptr);
  EXPECT_EQ(rounded.output_divisors(), layer.output_divisors());
}

TEST(ForwardPass, NanoMatchesTransformers) {
  const Result<Checkpoint> checkpoint =
      Checkpoint::open(std::filesystem::path(FOURGE_SOURCE_DIR) / "models" / "nano");
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.failure().message();
  Result<LanguageModel> model = load_float_model(*checkpoint);
  ASSERT_TRUE(model.ok()) << model.failure().message();
  const auto prompt = tests::read_words<std::uint8_t>(tests::test_data() / "model" / "nano_prompt.u8.bin");
  const auto expected = tests::read_words<float>(tests::test_data() / "model" / "nano_logits.f32.bin");
  const Result<std::vector<float>> logits =
      model->forward(std::vector<std::uint32_t>(prompt.begin(), prompt.end()));
  ASSERT_TRUE(logits.ok());
  ASSERT_EQ(logits->size(), expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR((*logits)[i], expected[i], 1e-4f) << i;
}

void expect_golden_logits(const std::filesystem::path& folder) {
  const Result<Checkpoint> checkpoint = Checkpoint::open(folder);
  ASSERT_TRUE(checkpoint.ok());
  Result<LanguageModel> model = load_float_model(*checkpoint);
  ASSERT_TRUE(model.ok());
  const Result<NpyFile> prompts = NpyFile::open(folder / "golden" / "golden_prompts.npy");
  ASSERT_TRUE(prompts.ok());
  const auto length = static_cast<std::size_t>(prompts->shape().at(1));
  for (std::size_t p = 0; p < 2; ++p) {
    const auto bytes = prompts->bytes().subspan(p * length, length);
    const Result<std::vector<float>> logits =
        model->forward(std::vector<std::uint32_t>(bytes.begin(), bytes.end()));
    ASSERT_TRUE(logits.ok());
    const Result<NpyFile> golden =
        NpyFile::open(folder / "golden" / ("golden_logits_fp32_" + std::to_string(p) + ".npy"));
    ASSERT_TRUE(golden.ok());
    const Result<std::vector<float>> expected = tensor_to_f32(golden->tensor());
    ASSERT_EQ(expected->size(), logits->size());
    float worst = 0.0f;
    for (std::size_t i = 0; i < logits->size(); ++i)
      worst = std::max(worst, std::fabs((*logits)[i] - (*expected)[i]));
    EXPECT_LT(worst, 1e-4f) << folder << " prompt " << p;
  }
}

TEST(ForwardPass, GoldenLogits) {
  FOURGE_NEEDS_SHARED(shared);
  expect_golden_logits(shared / "models" / "nano");
  expect_golden_logits(shared / "models" / "small");
}

double bits_per_byte(const std::filesystem::path& folder, const std::filesystem::path& text,
                     std::int64_t bytes) {
  const Result<Checkpoint> checkpoint = Checkpoint::open(folder);
  EXPECT_TRUE(checkpoint.ok());
  Result<LanguageModel> model = load_float_model(*checkpoint);
  const Result<std::vector<std::uint32_t>> ids = read_tokens(text, TokenEncoding::automatic, 256, bytes);
  const Result<Evaluation> result = evaluate(*model, *ids, model->config.context);
  EXPECT_TRUE(result.ok());
  return result->bits_per_token();
}

TEST(LongEvaluate, AnchorBitsPerByte) {
  FOURGE_NEEDS_SHARED(shared);
  const std::filesystem::path models = shared / "models";
  EXPECT_NEAR(bits_per_byte(models / "nano", models / "valid.bin", 65536), 1.19800, 1e-4);
  EXPECT_NEAR(bits_per_byte(models / "small", models / "valid.bin", 65536), 1.05665, 1e-4);
}

}  // namespace
}  // namespace fourge::quant
