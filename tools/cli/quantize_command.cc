// fourge quantize: a model folder to 4 bits.
#include <fmt/core.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "quant/export/quantize_model.h"
#include "quant/model/evaluate.h"
#include "quant/quantize.h"
#include "tools/cli/commands.h"
#include "tools/cli/context.h"
#include "tools/cli/options.h"
#include "tools/cli/progress.h"
#include "tools/cli/ranks.h"
#include "tools/cli/table.h"

namespace fourge::cli {
namespace {

volatile std::sig_atomic_t interrupted = 0;

/// The first SIGINT lets the block in work finish; a second one ends the program at once.
extern "C" void note_interrupt(int) {
  interrupted = 1;
  std::signal(SIGINT, SIG_DFL);
}

struct QuantizeOptions {
  std::string model, out, calibration, rotate, blocks;
  std::string recipe = "rtn";
  std::string scale_rule, activation_rule;
  Format format = Format::nvfp4;
  quant::Method method = quant::Method::rtn;
  ColumnOrder order = ColumnOrder::natural;
  ScaleTiming timing = ScaleTiming::before;
  Importance importance = Importance::none;
  quant::Flow flow = quant::Flow::block;
  quant::Target target = quant::Target::own_input;
  quant::StoredFormat stored = quant::StoredFormat::fourge;
  quant::TokenEncoding tokens = quant::TokenEncoding::automatic;
  bool w4a16 = false;
  bool static_activations = false;
  bool tune_encode = false;
  double damping = 0.01;
  double target_damping = 0.01;
  double equalize = 0.0;
  quant::ValueType values = quant::ValueType::f32;
  std::int64_t descent = 0;
  std::int64_t sequences = 128;
  std::int64_t length = 0;
  std::int64_t stride = 0;
};

Result<std::vector<std::int64_t>> parse_rotations(const std::string& text) {
  if (text == "none") return std::vector<std::int64_t>{1};
  if (text == "auto") return std::vector<std::int64_t>{1, 16, 32, 64, 128};
  std::vector<std::int64_t> orders;
  for (const std::string& part : CLI::detail::split(text, ',')) {
    std::int64_t order = 0;
    if (!CLI::detail::lexical_cast(part, order))
      return {Error::kBadArgument, "expected none, auto, or orders such as 16 or 16,64", "--rotate " + text};
    orders.push_back(order);
  }
  return orders;
}

/// The named recipe with what was said on the command line put over it.
Result<quant::Recipe> recipe_of(const QuantizeOptions& o, const CLI::App& command) {
  Result<quant::Recipe> recipe = quant::named_recipe(o.recipe, o.format, !o.w4a16);
  if (!recipe) return recipe;
  const auto given = [&command](const char* option) { return command.count(option) > 0; };
  quant::Recipe& r = *recipe;
  if (given("--method")) r.method = o.method;
  if (given("--scale-rule")) {
    const Result<ScaleRule> rule = quant::scale_rule_of_name(o.format, o.scale_rule);
    if (!rule) return rule.failure();
    r.weights.rule = *rule;
  }
  if (given("--activation-rule")) {
    const Result<ScaleRule> rule = quant::scale_rule_of_name(o.format, o.activation_rule);
    if (!rule) return rule.failure();
    r.activation_rule = *rule;
  }
  if (given("--rotate")) {
    Result<std::vector<std::int64_t>> orders = parse_rotations(o.rotate);
    if (!orders) return orders.failure();
    r.rotations = std::move(*orders);
    if (r.rotations.size() > 1) r.flow = quant::Flow::group;
  }
  if (given("--order")) r.weights.order = o.order;
  if (given("--scale-timing")) r.weights.timing = o.timing;
  if (given("--importance")) r.weights.importance = o.importance;
  if (given("--damping")) r.weights.damping = o.damping;
  if (given("--descent")) r.weights.descent_passes = static_cast<int>(o.descent);
  if (given("--flow")) r.flow = o.flow;
  if (given("--target")) r.target = o.target;
  if (given("--target-damping")) r.target_damping = o.target_damping;
  if (given("--equalize")) r.equalize = o.equalize;
  if (given("--values")) r.values = o.values;
  if (given("--static-activations")) r.static_activations = o.static_activations;
  if (given("--tune-encode")) r.tune_encode = o.tune_encode;
  if (Status valid = quant::check(r); !valid) return valid.failure();
  return recipe;
}

Status parse_blocks(const std::string& text, quant::QuantizeJob& job) {
  if (text.empty()) return {};
  const std::vector<std::string> parts = CLI::detail::split(text, ':');
  if (parts.size() == 2 && CLI::detail::lexical_cast(parts[0], job.first_block) &&
      CLI::detail::lexical_cast(parts[1], job.last_block) && job.first_block >= 0 && job.last_block >= 0)
    return {};
  return {Error::kBadArgument, "expected FIRST:LAST, both counted from 0", "--blocks " + text};
}

Status read_calibration(const QuantizeOptions& o, quant::QuantizeJob& job) {
  if (!job.recipe.needs_calibration()) return {};
  if (o.calibration.empty())
    return {Error::kBadArgument, "this recipe measures activations: expected --calibration FILE",
            "recipe " + job.recipe.name};
  const Result<quant::Checkpoint> checkpoint = quant::Checkpoint::open(job.model);
  if (!checkpoint) return checkpoint.failure();
  const quant::ModelConfig& config = checkpoint->config();
  const std::int64_t length = o.length > 0 ? o.length : std::min<std::int64_t>(config.context, 2048);
  const Result<std::vector<std::uint32_t>> ids =
      quant::read_tokens(o.calibration, o.tokens, config.vocabulary, 0);
  if (!ids) return ids.failure();
  const std::int64_t spread = static_cast<std::int64_t>(ids->size()) / std::max<std::int64_t>(o.sequences, 1);
  const std::int64_t stride = o.stride > 0 ? o.stride : std::max(length, spread);
  Result<std::vector<std::vector<std::uint32_t>>> sequences =
      quant::calibration_sequences(*ids, o.sequences, length, stride);
  if (!sequences) return sequences.failure();
  job.sequences = std::move(*sequences);
  return {};
}

Json to_json(const quant::LayerLog& log) {
  return {{"name", log.name},
          {"rotation", log.rotation},
          {"encode", log.encode},
          {"damping", log.report.damping},
          {"attempts", log.report.attempts},
          {"dead_columns", log.report.dead_columns},
          {"relative_error", log.report.relative_error},
          {"output_error", log.output_error},
          {"seconds", log.seconds}};
}

/// To standard error; a log that cannot be written does not end the work.
void note(const std::string& line) { std::fputs(line.c_str(), stderr); }

void print_block(std::int64_t layer, std::int64_t layers, bool resumed, const quant::QuantizedBlock& block) {
  if (resumed) note(fmt::format("block {}/{} kept from an interrupted run\n", layer + 1, layers));
  for (const quant::LayerLog& log : block.log) {
    std::string measured;  // rounding to nearest has no Hessian
    if (log.report.attempts > 0)
      measured = fmt::format("error {:.3e} damping {:g} ({} tried) ", log.report.relative_error,
                             log.report.damping, log.report.attempts);
    if (log.output_error > 0.0) measured += fmt::format("output {:.3e} ", log.output_error);
    note(fmt::format("{:<40} rotate {:<4} {}{:.1f} s\n", log.name, log.rotation, measured, log.seconds));
  }
  if (block.pass_seconds > 0.0)
    note(fmt::format("block {}/{}: calibration passes {:.1f} s, second moments {:.1f} s\n", layer + 1, layers,
                     block.pass_seconds, block.moment_seconds));
}

Result<Outcome> run(const QuantizeOptions& o, const CLI::App& command, Context& context) {
  const Result<quant::Recipe> recipe = recipe_of(o, command);
  if (!recipe) return recipe.failure();
  quant::QuantizeJob job;
  job.model = o.model;
  job.out = o.out;
  job.recipe = *recipe;
  job.stored = o.stored;
  const Result<std::unique_ptr<quant::Ranks>> ranks = start_ranks();
  if (!ranks) return ranks.failure();
  job.ranks = ranks->get();
  const bool speaks = job.ranks->rank() == 0;
  if (Status parsed = parse_blocks(o.blocks, job); !parsed) return parsed.failure();
  if (Status read = read_calibration(o, job); !read) return read.failure();

  const auto start = std::chrono::steady_clock::now();
  Json layers = Json::array();
  double pass_seconds = 0.0, moment_seconds = 0.0;
  std::unique_ptr<Progress> progress;
  std::int64_t shown = -1;
  std::int64_t done_before = 0;
  quant::QuantizeEvents events;
  events.on_progress = [&](std::int64_t layer, std::int64_t done, std::int64_t total) {
    if (!speaks) return;
    if (shown != layer) {
      progress = std::make_unique<Progress>(fmt::format("block {}", layer + 1), total);
      shown = layer;
      done_before = 0;
    }
    progress->advance(done - done_before);
    done_before = done;
  };
  events.on_block = [&](std::int64_t layer, std::int64_t count, bool resumed,
                        const quant::QuantizedBlock& block) {
    progress.reset();
    if (!speaks) return;
    for (const quant::LayerLog& log : block.log) layers.push_back(to_json(log));
    pass_seconds += block.pass_seconds;
    moment_seconds += block.moment_seconds;
    print_block(layer, count, resumed, block);
  };
  events.should_stop = [] { return interrupted != 0; };
  std::signal(SIGINT, note_interrupt);
  const Result<quant::QuantizeOutcome> outcome = quant::quantize_model(job, events);
  progress.reset();
  if (!outcome) return outcome.failure();
  if (!speaks) return Outcome::kTrue;
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  if (context.json()) {
    context.print({{"out", o.out},
                   {"complete", outcome->complete},
                   {"blocks_present", outcome->blocks_present},
                   {"blocks_resumed", outcome->blocks_resumed},
                   {"recipe", Json::parse(to_json_text(job.recipe))},
                   {"seconds", seconds},
                   {"pass_seconds", pass_seconds},
                   {"moment_seconds", moment_seconds},
                   {"layers", layers}});
  } else if (outcome->complete) {
    fmt::print("{} written in {:.1f} s\n", o.out, seconds);
  } else {
    fmt::print(
        "{} blocks are done, others are still missing. The same command continues: {}.partial keeps them\n",
        outcome->blocks_present, o.out);
  }
  return interrupted != 0 && !outcome->complete ? Outcome::kFalse : Outcome::kTrue;
}

void add_recipe_options(CLI::App& command, QuantizeOptions& o) {
  command.add_option("--recipe", o.recipe, "rtn, 4over6, gptq, mr-gptq or best: settings by one name")
      ->capture_default_str();
  add_choice(command, "--format", o.format, {Format::nvfp4, Format::mxfp4}, "Block format");
  add_choice(command, "--method", o.method, {quant::Method::rtn, quant::Method::gptq}, "Rounding");
  command.add_option("--scale-rule", o.scale_rule, "Of the weights");
  command.add_option("--activation-rule", o.activation_rule, "Scale rule of the activations");
  command.add_option("--rotate", o.rotate, "none, auto, or Hadamard orders to choose from per layer");
  command.add_flag("--w4a16", o.w4a16, "Activations stay in f32 or bf16");
  command.add_flag("--static-activations", o.static_activations, "nvfp4: tensor scales from calibration");
  command.add_flag("--tune-encode", o.tune_encode, "mxfp4: a tensor scale for each group of activations");
  add_choice(command, "--order", o.order, {ColumnOrder::natural, ColumnOrder::activation, ColumnOrder::group},
             "Columns of GPTQ");
  add_choice(command, "--scale-timing", o.timing, {ScaleTiming::before, ScaleTiming::within},
             "When GPTQ chooses scales");
  add_choice(command, "--importance", o.importance,
             {Importance::none, Importance::diagonal, Importance::conditional}, "Weights of sweep's errors");
  add_choice(command, "--flow", o.flow, {quant::Flow::block, quant::Flow::group}, "Calibration flow");
  add_choice(command, "--target", o.target,
             {quant::Target::own_input, quant::Target::quantized_input, quant::Target::float_output,
              quant::Target::stream_output},
             "What GPTQ keeps near");
  command.add_option("--damping", o.damping, "Of GPTQ's Hessian, times its mean diagonal");
  command.add_option("--target-damping", o.target_damping, "Of the least squares of float_output");
  command.add_option("--equalize", o.equalize,
                     "Strength, 0 to 1, of moving scale between input channels and columns");
  add_choice(command, "--values", o.values,
             {quant::ValueType::f32, quant::ValueType::bf16, quant::ValueType::fake_bf16},
             "Of the calibration pass: bf16 or fake_bf16 as published pipelines compute");
  add_count(command, "--descent", o.descent, 0, 100, "Passes of coordinate descent after GPTQ");
}

}  // namespace

void add_quantize_command(CLI::App& app, Context& context) {
  auto options = std::make_shared<QuantizeOptions>();
  QuantizeOptions& o = *options;
  CLI::App* command = app.add_subcommand("quantize", "Quantise a language model to NVFP4 or MXFP4");
  command->add_option("MODEL_DIR", o.model, "Folder with config.json and safetensors")->required();
  command->add_option("--out", o.out, "Folder to write; it appears when it is complete")->required();
  add_recipe_options(*command, o);
  command->add_option("--calibration", o.calibration, "Text, or token ids");
  add_choice(*command, "--tokens", o.tokens,
             {quant::TokenEncoding::automatic, quant::TokenEncoding::bytes, quant::TokenEncoding::u16,
              quant::TokenEncoding::u32},
             "What the calibration file holds");
  add_count(*command, "--sequences", o.sequences, 1, 1 << 20, "Calibration sequences");
  add_count(*command, "--sequence-length", o.length, 2, 1 << 24, "Tokens a sequence (default: the context)");
  add_count(*command, "--sequence-stride", o.stride, 1, std::int64_t{1} << 40,
            "Tokens from one sequence's start to the next (default: spread over the file)");
  add_choice(*command, "--export", o.stored,
             {quant::StoredFormat::fourge, quant::StoredFormat::compressed_tensors,
              quant::StoredFormat::fp_quant, quant::StoredFormat::modelopt},
             "Format of the folder");
  command->add_option("--blocks", o.blocks, "FIRST:LAST: only these blocks; rtn and 4over6");
  context.add_json_flag(*command);
  context.on_run(*command, [options, command, &context] { return run(*options, *command, context); });
}

}  // namespace fourge::cli
