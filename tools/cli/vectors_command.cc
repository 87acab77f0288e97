// fourge vectors: golden vectors of any model for people who do not want this code.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <string>

#include "tools/cli/commands.h"
#include "tools/cli/context.h"
#include "tools/cli/mma_options.h"
#include "tools/cli/options.h"
#include "tools/cli/progress.h"
#include "tools/vectors/evaluate.h"
#include "tools/vectors/generate.h"

namespace fourge::cli {
namespace {

using reference::MmaModel;
using vectors::Mode;
using vectors::VectorSet;

constexpr std::int64_t kMostOutputs = std::int64_t{1} << 28;
constexpr std::int64_t kMostBytes = std::int64_t{1} << 31;

struct VectorsOptions {
  std::string model, out;
  std::string a_format, b_format;
  std::int64_t tiles = 100, m = 16, n = 8, k = 0, seed = 1;
  Mode mode = Mode::all;
  PolicyOptions policy;
};

Result<VectorSet> empty_set(const VectorsOptions& options) {
  VectorSet set;
  const Result<MmaModel> model = reference::find_model(options.model);
  if (!model.ok()) return model.failure();
  set.model_name = options.model;
  set.model = *model;
  const Result<ElementFormat> a_format = element_format("--a-format", options.a_format, *model);
  if (!a_format.ok()) return a_format.failure();
  const Result<ElementFormat> b_format =
      element_format("--b-format", options.b_format.empty() ? options.a_format : options.b_format, *model);
  if (!b_format.ok()) return b_format.failure();
  const int native_depth = model->depths[0] != 0 ? model->depths[0] : 32;
  set.shape = {static_cast<int>(options.m), static_cast<int>(options.n),
               options.k != 0 ? static_cast<int>(options.k) : native_depth, *a_format, *b_format};
  if (Status status = reference::check(*model, set.shape); !status.ok()) return status.failure();
  set.a_row_bytes = reference::row_bytes(*a_format, set.shape.k);
  set.b_row_bytes = reference::row_bytes(*b_format, set.shape.k);
  const std::int64_t bytes_per_tile = options.m * set.a_row_bytes + options.n * set.b_row_bytes;
  if (options.tiles * set.outputs_per_tile() > kMostOutputs || options.tiles * bytes_per_tile > kMostBytes) {
    return {Error::kBadArgument,
            "expected at most 2^28 outputs and 2^31 bytes of operands: make several files",
            fmt::format("--tiles {} of {} x {}", options.tiles, options.m, options.n)};
  }
  return set;
}

Result<Outcome> run(const VectorsOptions& options, Context& context) {
  Result<VectorSet> made = empty_set(options);
  if (!made.ok()) return made.failure();
  VectorSet& set = *made;
  vectors::generate_operands(set, options.tiles, options.mode, static_cast<std::uint64_t>(options.seed));
  set.metadata["source"] = fmt::format("fourge " FOURGE_VERSION " reference, mode {}, seed {}",
                                       name_of(options.mode), options.seed);
  set.metadata["zero_rule"] = name_of(options.policy.zero_rule);
  set.metadata["note"] =
      "mode: 0 random, 1 edge, 2 zeros, 3 cancel, 4 subnormal, 5 bands. Evidence of the model: " +
      std::string(name_of(set.model.evidence)) + ", " + std::string(set.model.source);
  {
    Progress progress("vectors", set.tiles);
    set.d = vectors::evaluate(set, options.policy.policy(), 0,
                              [&](std::int64_t tiles) { progress.advance(tiles); });
  }
  if (Status status = vectors::write_vectors(set, options.out); !status.ok()) return status.failure();
  if (context.json()) {
    context.print({{"file", options.out},
                   {"model", set.model_name},
                   {"a_format", name_of(set.shape.a_format)},
                   {"b_format", name_of(set.shape.b_format)},
                   {"m", set.shape.m},
                   {"n", set.shape.n},
                   {"k", set.shape.k},
                   {"mode", name_of(options.mode)},
                   {"seed", options.seed},
                   {"tiles", set.tiles},
                   {"outputs", set.outputs()}});
  } else {
    fmt::print("{}: {} outputs of {}, {} tiles of {} x {} x {}, mode {}, seed {}\n", options.out,
               set.outputs(), set.model_name, set.tiles, set.shape.m, set.shape.n, set.shape.k,
               name_of(options.mode), options.seed);
  }
  return Outcome::kTrue;
}

}  // namespace

void add_vectors_command(CLI::App& app, Context& context) {
  auto options = std::make_shared<VectorsOptions>();
  CLI::App* command = app.add_subcommand("vectors", "Write golden vectors of a tensor-core model to a file");
  command->footer(
      "The suffix of --out says the form: .safetensors (tensor-core-vectors-1, read by conform), .hex (one "
      "output a\n"
      "line, for Verilog's $readmemh) or .json. The same options give the same bytes on every machine.");
  command->add_option("--model", options->model, "Name of a model (fourge mma --list), or custom:...")
      ->required()
      ->type_name("MODEL");
  add_count(*command, "--tiles", options->tiles, 1, kMostOutputs, "Instructions")->default_str("100");
  add_choice(*command, "--mode", options->mode,
             {Mode::random, Mode::edge, Mode::zeros, Mode::cancel, Mode::subnormal, Mode::bands, Mode::all},
             "Distribution of the operands; all takes them in turn");
  command->add_option("--out", options->out, "File to write")->required()->type_name("FILE");
  add_count(*command, "--seed", options->seed, 0, INT64_MAX, "Seed")->default_str("1");
  add_count(*command, "--m", options->m, 1, vectors::kMostRows, "Rows of a tile")->default_str("16");
  add_count(*command, "--n", options->n, 1, vectors::kMostRows, "Columns of a tile")->default_str("8");
  add_count(*command, "--k", options->k, 1, vectors::kMostDepth, "Depth; the model's own when not given");
  command->add_option("--a-format", options->a_format, "Format of A where the model takes several")
      ->type_name("FORMAT");
  command->add_option("--b-format", options->b_format, "Format of B; that of A when not given")
      ->type_name("FORMAT");
  add_policy_options(*command, options->policy);
  context.add_json_flag(*command);
  context.on_run(*command, [options, &context] { return run(*options, context); });
}

}  // namespace fourge::cli
