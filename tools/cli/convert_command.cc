// fourge convert: 4-bit checkpoints and files of tensors from one format to another.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "quant/export/convert.h"
#include "quant/text.h"
#include "tools/cli/commands.h"
#include "tools/cli/context.h"
#include "tools/cli/matrix_file.h"
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

using Direction = TensorScale::Direction;
constexpr const char* name_of(Direction direction) {
  return direction == Direction::decode_multiplier ? "decode" : "encode";
}

constexpr std::initializer_list<Naming> kNamings = {Naming::fourge,   Naming::compressed_tensors,
                                                    Naming::modelopt, Naming::fp_quant,
                                                    Naming::gpt_oss,  Naming::gguf};
constexpr std::pair<const char*, quant::DType> kDecodedTypes[] = {
    {"f32", quant::DType::f32}, {"f16", quant::DType::f16}, {"bf16", quant::DType::bf16}};
constexpr std::initializer_list<ScaleLayout> kLayouts = {ScaleLayout::linear, ScaleLayout::swizzled_128x4,
                                                         ScaleLayout::swizzled_8x4};
constexpr std::initializer_list<NibbleOrder> kNibbleOrders = {NibbleOrder::low_first, NibbleOrder::high_first,
                                                              NibbleOrder::halves};
constexpr std::initializer_list<Format> kBlockFormats = {Format::nvfp4, Format::mxfp4, Format::mxfp4_b16};
constexpr std::initializer_list<Direction> kDirections = {Direction::decode_multiplier,
                                                          Direction::encode_multiplier};

// A choice that may be left open.
template <class Enum>
CLI::Option* add_hint(CLI::App& command, const std::string& option, std::optional<Enum>& value,
                      std::initializer_list<Enum> choices, const std::string& description) {
  std::string names;
  for (const Enum choice : choices) names += (names.empty() ? "" : "|") + std::string(name_of(choice));
  auto parse = [option, &value, names, known = std::vector<Enum>(choices)](const std::string& text) {
    for (const Enum choice : known)
      if (text == name_of(choice)) value = choice;
    if (!value) throw CLI::ValidationError(option, "expected one of " + names);
  };
  return command.add_option_function<std::string>(option, std::move(parse), description)->type_name(names);
}

// "decode:0.0012", "encode:2688"
Result<TensorScale> parse_tensor_scale(const std::string& text) {
  for (const Direction direction : kDirections) {
    const std::string prefix = std::string(name_of(direction)) + ":";
    if (!text.starts_with(prefix)) continue;
    float value = 0.0f;
    if (CLI::detail::lexical_cast(text.substr(prefix.size()), value) && value > 0.0f && std::isfinite(value))
      return TensorScale{value, direction};
  }
  return {Error::kBadArgument, "expected decode:X or encode:X, X positive and finite", text};
}

struct ConvertOptions {
  std::string from, out;
  Target to = Target::fourge;
  // Tensors instead of a checkpoint
  std::string as;
  std::vector<std::string> names;
  std::string scales, tensor_scale;  // of one matrix without known names
  ReadHints hints;
  WriteOptions write;
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

// --as: a naming, or the type that everything becomes.
Status take_as(const std::string& as, WriteOptions& write) {
  for (const Naming naming : kNamings) {
    if (as == name_of(naming)) write.naming = naming;
  }
  for (const auto& [name, dtype] : kDecodedTypes) {
    if (as == name) write.dtype = dtype;
  }
  if (write.naming || write.dtype) return {};
  return {Error::kBadArgument,
          "expected fourge, compressed-tensors, modelopt, fp-quant, gpt-oss, gguf, f32, f16 or bf16", as};
}

// A matrix of the tensors that are named: --tensor CODES --scales SCALES [--tensor-scale X].
Result<MatrixFile> named_matrix(const TensorFile& file, const ConvertOptions& options) {
  if (options.names.size() != 1 && file.tensors().size() != 1)
    return {Error::kBadArgument, "--scales takes one --tensor, the codes", options.from};
  const Result<FileTensor> codes =
      options.names.empty() ? Result<FileTensor>(file.tensors()[0]) : file.find(options.names[0]);
  if (!codes) return codes.failure();
  const std::size_t colon = options.scales.rfind(':');
  const bool elsewhere = std::filesystem::exists(options.scales) || colon != std::string::npos;
  const bool has_name = elsewhere && !std::filesystem::exists(options.scales);
  Result<TensorFile> other =
      elsewhere ? TensorFile::open(has_name ? options.scales.substr(0, colon) : options.scales)
                : TensorFile::open(options.from);
  if (!other) return other.failure();
  const Result<FileTensor> scales = other->find(!elsewhere                 ? options.scales
                                                : has_name                 ? options.scales.substr(colon + 1)
                                                : other->tensors().empty() ? std::string()
                                                                           : other->tensors()[0].name);
  if (!scales) return scales.failure();
  Result<QuantizedMatrix> matrix = matrix_from(*codes, *scales, options.hints);
  if (!matrix) return matrix.failure();
  if (!options.tensor_scale.empty()) {
    const Result<TensorScale> scale = parse_tensor_scale(options.tensor_scale);
    if (!scale) return scale.failure();
    matrix->tensor_scale = *scale;
  }
  MatrixFile content;
  content.matrices.push_back({codes->name, Naming::fourge, std::move(*matrix)});
  return content;
}

// Only what --tensor names, by stem or by name.
Status choose(const std::vector<std::string>& names, const std::string& file, MatrixFile& content) {
  if (names.empty()) return {};
  const auto named = [&names](const std::string& name) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  for (const std::string& name : names) {
    const bool known = std::any_of(content.matrices.begin(), content.matrices.end(),
                                   [&](const NamedMatrix& m) { return m.stem == name; }) ||
                       std::any_of(content.plain.begin(), content.plain.end(),
                                   [&](const FileTensor& t) { return t.name == name; });
    if (!known)
      return {Error::kNotFound, "expected the name of a tensor, or of a matrix without its suffix",
              file + ": " + quant::in_quotes(name)};
  }
  std::erase_if(content.matrices, [&](const NamedMatrix& m) { return !named(m.stem); });
  std::erase_if(content.plain, [&](const FileTensor& t) { return !named(t.name); });
  return {};
}

Json to_json(const MatrixFile& content, const ConvertOptions& options) {
  Json document = {
      {"from", options.from}, {"out", options.out}, {"as", options.as}, {"matrices", Json::array()}};
  for (const NamedMatrix& named : content.matrices) {
    document["matrices"].push_back({{"name", named.stem},
                                    {"naming", name_of(named.naming)},
                                    {"format", name_of(named.matrix.format)},
                                    {"rows", named.matrix.rows},
                                    {"cols", named.matrix.cols},
                                    {"tensor_scale", named.matrix.tensor_scale.value},
                                    {"direction", name_of(named.matrix.tensor_scale.direction)}});
  }
  document["tensors"] = content.plain.size();
  return document;
}

Result<Outcome> convert_tensors(const ConvertOptions& options, Context& context) {
  WriteOptions write = options.write;
  write.output = options.out;
  if (Status taken = take_as(options.as, write); !taken) return taken.failure();
  const bool arranged =
      write.layout != ScaleLayout::linear || write.nibbles != NibbleOrder::low_first || write.direction;
  if (arranged && write.naming != Naming::fourge)
    return {Error::kBadArgument, "--layout, --nibbles and --direction go with --as fourge; others fix them",
            "--as " + options.as};
  const Result<TensorFile> file = TensorFile::open(options.from);
  if (!file) return file.failure();
  Result<MatrixFile> content =
      options.scales.empty() ? read_matrices(*file, options.hints) : named_matrix(*file, options);
  if (!content) return content.failure();
  if (options.scales.empty()) {
    if (Status chosen = choose(options.names, options.from, *content); !chosen) return chosen.failure();
  }
  if (Status written = write_matrices(*content, write); !written) return written.failure();
  if (context.json()) {
    context.print(to_json(*content, options));
    return Outcome::kTrue;
  }
  for (const NamedMatrix& named : content->matrices) {
    fmt::print("{}: {} {} x {}, {} -> {}\n", quant::printable(named.stem), name_of(named.matrix.format),
               named.matrix.rows, named.matrix.cols, name_of(named.naming), options.as);
  }
  fmt::print("{} written: {} matrices, {} other tensors\n", options.out, content->matrices.size(),
             content->plain.size());
  return Outcome::kTrue;
}

Result<Outcome> run(const ConvertOptions& options, Context& context) {
  if (!options.as.empty()) return convert_tensors(options, context);
  if (Status done = convert(options); !done) return done.failure();
  if (context.json()) {
    context.print({{"from", options.from}, {"out", options.out}, {"to", name_of(options.to)}});
  } else {
    fmt::print("{} written\n", options.out);
  }
  return Outcome::kTrue;
}

void add_tensor_options(CLI::App& command, ConvertOptions& options, CLI::Option* as) {
  command
      .add_option("--tensor", options.names,
                  "Only this tensor, or matrix without its suffix; may be repeated")
      ->type_name("NAME")
      ->allow_extra_args(false)
      ->needs(as);
  CLI::Option* scales = command.add_option("--scales", options.scales, "Scales of the codes in --tensor")
                            ->type_name("WHERE")
                            ->needs(as);
  command.add_option("--tensor-scale", options.tensor_scale, "With --scales: decode:X or encode:X")
      ->type_name("DIRECTION:X")
      ->needs(scales);
  add_hint(command, "--from-layout", options.hints.layout, kLayouts, "Scale layout of the input")->needs(as);
  add_hint(command, "--from-nibbles", options.hints.nibbles, kNibbleOrders, "Nibbles of the input")
      ->needs(as);
  add_hint(command, "--from-format", options.hints.format, kBlockFormats, "Format of the input")->needs(as);
  add_choice(command, "--layout", options.write.layout, kLayouts, "Scale layout to write")->needs(as);
  add_choice(command, "--nibbles", options.write.nibbles, kNibbleOrders, "Nibbles to write")->needs(as);
  add_hint(command, "--direction", options.write.direction, kDirections, "Of the tensor scale to write")
      ->needs(as);
}

}  // namespace

void add_convert_command(CLI::App& app, Context& context) {
  auto options = std::make_shared<ConvertOptions>();
  CLI::App* command = app.add_subcommand("convert", "Repack 4-bit checkpoints and tensors for another tool");
  command->footer(
      "Codes and scales are moved, never rounded again; what the target cannot say is refused.\n"
      "A checkpoint (--to): FROM is a 4-bit model folder (fourge, compressed-tensors, fp-quant, modelopt), "
      "a\n"
      ".gguf file, or a .safetensors file with gpt-oss's NAME_blocks and NAME_scales.\n"
      "Tensors (--as): FROM is a .safetensors, .gguf or .npy file, --out another. Matrices are found by the\n"
      "names of any of these tools (quantize-tensor's too) and written under those of --as, or decoded to "
      "f32,\n"
      "f16 or bf16. Other tensors are copied; f32, f16 and bf16 convert them, too.\n"
      "  layouts     linear, swizzled_128x4, swizzled_8x4: fourge layout draws them\n"
      "  nibbles     low_first, high_first, halves (element i low, i + block / 2 high: GGUF)\n"
      "  directions  decode: value = code * scale * x; encode: value = code * scale / x\n"
      "--scales takes FILE, FILE:TENSOR or TENSOR: scales of the codes in --tensor, whatever their names.");
  command->add_option("FROM", options->from, "What to read")->required();
  command->add_option("--out", options->out, "Folder or file to write")->required();
  CLI::Option* to = add_choice(
      *command, "--to", options->to,
      {Target::fourge, Target::compressed_tensors, Target::fp_quant, Target::modelopt, Target::gguf},
      "Format of the checkpoint");
  CLI::Option* as = command->add_option("--as", options->as, "Names or type of the tensors")->excludes(to);
  as->type_name("fourge|compressed-tensors|modelopt|fp-quant|gpt-oss|gguf|f32|f16|bf16");
  add_tensor_options(*command, *options, as);
  context.add_json_flag(*command);
  context.on_run(*command, [options, &context] { return run(*options, context); });
}

}  // namespace fourge::cli
