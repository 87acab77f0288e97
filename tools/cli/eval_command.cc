// fourge eval: bits per byte of a text under a model folder.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdint>
#include <memory>
#include <numbers>
#include <span>
#include <string>
#include <vector>

#include "quant/export/stored_model.h"
#include "quant/model/compare.h"
#include "quant/model/evaluate.h"
#include "tools/cli/commands.h"
#include "tools/cli/context.h"
#include "tools/cli/options.h"
#include "tools/cli/progress.h"

namespace fourge::cli {
namespace {

struct EvalOptions {
  std::string model;
  std::string text;
  std::string reference;
  quant::TokenEncoding encoding = quant::TokenEncoding::automatic;
  std::int64_t window = 0;
  std::int64_t max_bytes = 0;
  Numerics numerics = Numerics::fast;
  quant::ValueType values = quant::ValueType::f32;
};

Result<quant::LanguageModel> load(const quant::Checkpoint& checkpoint) {
  const Result<quant::StoredScheme> scheme = quant::read_scheme(checkpoint);
  if (!scheme) return scheme.failure();
  return quant::load_model(checkpoint, *scheme);
}

Status set_values(quant::LanguageModel& model, const EvalOptions& options) {
  model.values = options.values;
  if (options.values != quant::ValueType::fake_bf16) return {};
  if (options.numerics == Numerics::blackwell) {
    return {Error::kBadArgument, "rounded dequantised operands are not 4-bit: expected numerics fast",
            "--values fake_bf16 with --numerics blackwell"};
  }
  for (quant::Block& block : model.blocks)
    for (quant::LinearLayer& layer : block.linears) layer = layer.rounded_to_bf16();
  return {};
}

/// Sum of bits of each window: what paired comparisons of two models are made from.
std::vector<double> bits_of_windows(const quant::Evaluation& evaluation) {
  std::vector<double> bits = evaluation.window_nats;
  for (double& b : bits) b /= std::numbers::ln2;
  return bits;
}

/// "layers" and "stream_error" of the document.
Status add_difference(const EvalOptions& options, quant::LanguageModel& model,
                      std::span<const std::uint32_t> ids, std::int64_t window, Json& document) {
  const Result<quant::Checkpoint> checkpoint = quant::Checkpoint::open(options.reference);
  if (!checkpoint) return checkpoint.failure();
  Result<quant::LanguageModel> reference = load(*checkpoint);
  if (!reference) return reference.failure();
  const Result<quant::ModelDifference> difference = quant::compare_models(*reference, model, ids, window);
  if (!difference) return difference.failure();
  document["layers"] = Json::array();
  for (const quant::LayerDifference& layer : difference->layers)
    document["layers"].push_back({{"name", layer.name}, {"output_error", layer.output_error}});
  document["stream_error"] = difference->stream_error;
  return {};
}

Result<Outcome> run(const EvalOptions& options, Context& context) {
  const Result<quant::Checkpoint> checkpoint = quant::Checkpoint::open(options.model);
  if (!checkpoint) return checkpoint.failure();
  const auto start = std::chrono::steady_clock::now();
  Result<quant::LanguageModel> model = load(*checkpoint);
  if (!model) return model.failure();
  model->numerics = options.numerics;
  if (Status set = set_values(*model, options); !set) return set.failure();
  const std::int64_t window = options.window > 0 ? options.window : model->config.context;
  const Result<std::vector<std::uint32_t>> ids =
      quant::read_tokens(options.text, options.encoding, model->config.vocabulary, options.max_bytes);
  if (!ids) return ids.failure();

  Progress progress("eval", (static_cast<std::int64_t>(ids->size()) + window - 1) / window);
  const Result<quant::Evaluation> result =
      quant::evaluate(*model, *ids, window, [&progress] { progress.advance(); });
  if (!result) return result.failure();
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  Json document = {{"bits_per_byte", result->bits_per_token()},
                   {"perplexity", result->perplexity()},
                   {"bytes", result->scored_tokens},
                   {"windows", result->windows},
                   {"seconds", seconds}};
  if (context.json()) document["window_bits"] = bits_of_windows(*result);
  if (!options.reference.empty()) {
    if (Status added = add_difference(options, *model, *ids, window, document); !added)
      return added.failure();
  }
  context.print(document);
  return Outcome::kTrue;
}

}  // namespace

void add_eval_command(CLI::App& app, Context& context) {
  auto options = std::make_shared<EvalOptions>();
  CLI::App* command = app.add_subcommand("eval", "Measure bits per byte of a text under a model");
  command->add_option("MODEL_DIR", options->model, "Folder with config.json and safetensors")->required();
  command->add_option("--text", options->text, "Text, or token ids")->required();
  add_count(*command, "--window", options->window, 2, 1 << 24,
            "Tokens a window (default: the model's context)");
  add_choice(*command, "--numerics", options->numerics, {Numerics::fast, Numerics::blackwell},
             "blackwell: every 4-bit product bit for bit as the tensor cores");
  add_choice(*command, "--values", options->values,
             {quant::ValueType::f32, quant::ValueType::bf16, quant::ValueType::fake_bf16},
             "Of values between operations: bf16 rounds as a bf16 model on a GPU does, fake_bf16 rounds "
             "dequantised operands as well");
  add_choice(*command, "--tokens", options->encoding,
             {quant::TokenEncoding::automatic, quant::TokenEncoding::bytes, quant::TokenEncoding::u16,
              quant::TokenEncoding::u32},
             "What the text file holds");
  command->add_option("--reference", options->reference,
                      "Float model folder: also the output error of every layer on its inputs");
  add_count(*command, "--max-bytes", options->max_bytes, 2, std::int64_t{1} << 40, "Read no more than this");
  context.add_json_flag(*command);
  context.on_run(*command, [options, &context] { return run(*options, context); });
}

}  // namespace fourge::cli
