// fourge convert: 4-bit checkpoints from one format to another.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <memory>
#include <string>

#include "quant/export/convert.h"
#include "tools/cli/commands.h"
#include "tools/cli/context.h"
#include "tools/cli/options.h"

namespace fourge::cli {
namespace {

enum class Target { fourge, compressed_tensors, fp_quant, modelopt, gguf };
constexpr const char* name_of(Target target) {
  switch (target) {
    case Target::fourge:
      return "fourge";
    case Target::compressed_tensors:
      return "compressed-tensors";
    case Target::fp_quant:
      return "fp-quant";
    case Target::modelopt:
      return "modelopt";
    case Target::gguf:
      return "gguf";
  }
  return "";
}

struct ConvertOptions {
  std::string from, out;
  Target to = Target::fourge;
};

quant::StoredFormat stored_of(Target target) {
  switch (target) {
    case Target::compressed_tensors:
      return quant::StoredFormat::compressed_tensors;
    case Target::fp_quant:
      return quant::StoredFormat::fp_quant;
    case Target::modelopt:
      return quant::StoredFormat::modelopt;
    default:
      return quant::StoredFormat::fourge;
  }
}

Status convert(const ConvertOptions& options) {
  const std::filesystem::path from = options.from;
  if (from.extension() == ".gguf" || from.extension() == ".safetensors") {
    if (options.to != Target::fourge)
      return {Error::kBadArgument, "a file converts to fourge only; convert its result further",
              options.from};
    return from.extension() == ".gguf" ? quant::convert_from_gguf(from, options.out)
                                       : quant::convert_gpt_oss(from, options.out);
  }
  if (options.to == Target::gguf) return quant::convert_to_gguf(from, options.out);
  return quant::convert_folder(from, options.out, stored_of(options.to));
}

Result<Outcome> run(const ConvertOptions& options, Context& context) {
  if (Status done = convert(options); !done) return done.failure();
  if (context.json()) {
    context.print({{"from", options.from}, {"out", options.out}, {"to", name_of(options.to)}});
  } else {
    fmt::print("{} written\n", options.out);
  }
  return Outcome::kTrue;
}

}  // namespace

void add_convert_command(CLI::App& app, Context& context) {
  auto options = std::make_shared<ConvertOptions>();
  CLI::App* command = app.add_subcommand("convert", "Repack a 4-bit checkpoint for another tool");
  command->footer(
      "FROM is a 4-bit model folder (fourge, compressed-tensors, fp-quant, modelopt), a .gguf file, or a\n"
      ".safetensors file with gpt-oss's NAME_blocks and NAME_scales. Codes and scales are copied, never "
      "rounded\n"
      "again; what the other format cannot say (a rotation, a scale rule of activations) is refused.");
  command->add_option("FROM", options->from, "What to read")->required();
  command->add_option("--out", options->out, "Folder, .gguf or .safetensors file to write")->required();
  add_choice(*command, "--to", options->to,
             {Target::fourge, Target::compressed_tensors, Target::fp_quant, Target::modelopt, Target::gguf},
             "Format to write");
  context.add_json_flag(*command);
  context.on_run(*command, [options, &context] { return run(*options, context); });
}

}  // namespace fourge::cli
