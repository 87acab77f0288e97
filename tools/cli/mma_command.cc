// fourge mma: one output of one tensor-core instruction, from hex on the command line.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "tools/cli/commands.h"
#include "tools/cli/context.h"
#include "tools/cli/mma_options.h"
#include "tools/cli/table.h"
#include "tools/vectors/explain.h"
#include "tools/vectors/vector_set.h"

namespace fourge::cli {
namespace {

using reference::MmaModel;

struct MmaOptions {
  bool list = false;
  std::string model;
  std::string a, b, c, a_scales, b_scales;
  std::string a_format, b_format;
  PolicyOptions policy;
};

using Bytes = std::vector<std::uint8_t>;

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// "3c00" -> 0x3c00, at most `bits` wide; an optional 0x.
Result<std::uint32_t> parse_word(const std::string& option, std::string_view text, int bits) {
  const std::string where = option + " " + std::string(text);
  if (text.starts_with("0x") || text.starts_with("0X")) text.remove_prefix(2);
  std::uint64_t word = 0;
  for (const char c : text) {
    const int digit = hex_digit(c);
    if (digit < 0) return {Error::kBadArgument, "expected hexadecimal digits", where};
    word = word << 4 | static_cast<std::uint64_t>(digit);
    if (word >> bits != 0) return {Error::kBadArgument, "the number does not fit its format", where};
  }
  if (text.empty()) return {Error::kBadArgument, "expected a hexadecimal number", where};
  return static_cast<std::uint32_t>(word);
}

// "0123ab" -> bytes in that order; '_' may separate.
Result<Bytes> parse_bytes(const std::string& option, std::string_view text) {
  if (text.starts_with("0x") || text.starts_with("0X")) text.remove_prefix(2);
  Bytes bytes;
  int high = -1;
  for (const char c : text) {
    if (c == '_') continue;
    const int digit = hex_digit(c);
    if (digit < 0) {
      return {Error::kBadArgument, "expected hexadecimal digits", option + ": '" + std::string(1, c) + "'"};
    }
    if (high < 0) {
      high = digit;
    } else {
      bytes.push_back(static_cast<std::uint8_t>(high << 4 | digit));
      high = -1;
    }
  }
  if (high >= 0) return {Error::kBadArgument, "expected an even number of hexadecimal digits", option};
  return bytes;
}

// "3c00,0,bc00" -> the bytes of a row of k elements; those not listed are zero.
Result<Bytes> parse_elements(const std::string& option, std::string_view text, ElementFormat format, int k) {
  const int bits = info(format).storage_bits;
  Bytes row(static_cast<std::size_t>(reference::row_bytes(format, k)), 0);
  int i = 0;
  while (!text.empty()) {
    const std::size_t comma = text.find(',');
    const Result<std::uint32_t> code = parse_word(option, text.substr(0, comma), bits == 4 ? 4 : bits);
    if (!code.ok()) return code.failure();
    if (i >= k) return {Error::kBadArgument, "more elements than the instruction has", option};
    for (int bit = 0; bit < bits; ++bit) {
      const int at = i * bits + bit;
      std::uint8_t& byte = row[static_cast<std::size_t>(at / 8)];
      byte = static_cast<std::uint8_t>(byte | (*code >> bit & 1) << at % 8);
    }
    ++i;
    text = comma == std::string_view::npos ? std::string_view() : text.substr(comma + 1);
  }
  return row;
}

bool is_element_list(const std::string& text) { return text.find(',') != std::string::npos; }

// Bits of one element where `bytes` are whole rows.
int depth_of(const Bytes& bytes, ElementFormat format) {
  return static_cast<int>(bytes.size()) * 8 / info(format).storage_bits;
}

struct Operands {
  vectors::OutputOperands x;
  Bytes a, b, a_scales, b_scales;
};

// The depth that the byte rows say, or the model's own where both are lists of elements.
Result<int> choose_depth(const MmaOptions& options, const MmaModel& model, ElementFormat a, ElementFormat b) {
  for (const auto& [option, text, format] :
       {std::tuple{"--a", &options.a, a}, std::tuple{"--b", &options.b, b}}) {
    if (is_element_list(*text)) continue;
    const Result<Bytes> bytes = parse_bytes(option, *text);
    if (!bytes.ok()) return bytes.failure();
    const int k = depth_of(*bytes, format);
    const bool whole = k >= 1 && k <= vectors::kMostDepth &&
                       reference::row_bytes(format, k) == static_cast<int>(bytes->size());
    if (!whole || !model.takes_depth(k)) {
      const std::string wanted = model.depths[0] == 0
                                     ? std::string("whole elements")
                                     : fmt::format("{} bytes", reference::row_bytes(format, model.depths[0]));
      return {Error::kBadShape, "expected the bytes of a row of the instruction's depth",
              fmt::format("{}: {} bytes of {}, {} has rows of {}", option, bytes->size(), name_of(format),
                          options.model, wanted)};
    }
    return k;
  }
  if (model.depths[0] != 0) return model.depths[0];
  const auto elements = [](const std::string& text) {
    return static_cast<int>(std::count(text.begin(), text.end(), ',')) + 1;
  };
  const int k = std::max(elements(options.a), elements(options.b));
  return k + k % 2;
}

Result<Bytes> parse_row(const std::string& option, const std::string& text, ElementFormat format, int k) {
  if (is_element_list(text)) return parse_elements(option, text, format, k);
  Result<Bytes> bytes = parse_bytes(option, text);
  if (bytes.ok() && static_cast<int>(bytes->size()) != reference::row_bytes(format, k)) {
    return {Error::kBadShape, "expected as many elements in a as in b",
            fmt::format("{}: {} bytes of {} for k = {}", option, bytes->size(), name_of(format), k)};
  }
  return bytes;
}

Result<Bytes> parse_scales(const std::string& option, const std::string& text, const MmaModel& model, int k) {
  const int count = reference::scales_per_row(model, k);
  if (count == 0 && !text.empty()) return {Error::kBadArgument, "the model has no block scales", option};
  Result<Bytes> bytes = parse_bytes(option, text);
  if (bytes.ok() && static_cast<int>(bytes->size()) != count) {
    return {Error::kBadShape, "expected one byte for each scale of the row",
            fmt::format("{}: {} bytes, the model takes {} of {}", option, bytes->size(), count,
                        name_of(model.scale_format))};
  }
  return bytes;
}

Result<Operands> parse_operands(const MmaOptions& options) {
  const Result<MmaModel> model = reference::find_model(options.model);
  if (!model.ok()) return model.failure();
  Operands operands;
  vectors::OutputOperands& x = operands.x;
  x.model_name = options.model;
  x.model = *model;
  const Result<ElementFormat> a_format = element_format("--a-format", options.a_format, *model);
  if (!a_format.ok()) return a_format.failure();
  const Result<ElementFormat> b_format =
      element_format("--b-format", options.b_format.empty() ? options.a_format : options.b_format, *model);
  if (!b_format.ok()) return b_format.failure();
  x.a_format = *a_format;
  x.b_format = *b_format;
  const Result<int> k = choose_depth(options, *model, x.a_format, x.b_format);
  if (!k.ok()) return k.failure();
  x.k = *k;
  if (Status status = reference::check(*model, {1, 1, x.k, x.a_format, x.b_format}); !status.ok())
    return status.failure();
  const auto take = [](Result<Bytes> parsed, Bytes& bytes) -> Status {
    if (!parsed.ok()) return parsed.failure();
    bytes = std::move(*parsed);
    return {};
  };
  if (Status s = take(parse_row("--a", options.a, x.a_format, x.k), operands.a); !s.ok()) return s.failure();
  if (Status s = take(parse_row("--b", options.b, x.b_format, x.k), operands.b); !s.ok()) return s.failure();
  if (Status s = take(parse_scales("--a-scales", options.a_scales, *model, x.k), operands.a_scales); !s.ok())
    return s.failure();
  if (Status s = take(parse_scales("--b-scales", options.b_scales, *model, x.k), operands.b_scales); !s.ok())
    return s.failure();
  const Result<std::uint32_t> c =
      parse_word("--c", options.c, model->rules.output.storage_bits == 16 ? 16 : 32);
  if (!c.ok()) return c.failure();
  x.c = *c;
  return operands;
}

std::string depth_text(const MmaModel& model) {
  return std::to_string(model.depths[0]) +
         (model.depths[1] != 0 ? ", " + std::to_string(model.depths[1]) : "");
}

std::string formats_text(const MmaModel& model) {
  std::string text;
  for (const ElementFormat format : kElementFormats) {
    if (model.formats.contains(format)) text += std::string(text.empty() ? "" : " ") + name_of(format);
  }
  return text;
}

void list_models(Context& context) {
  if (context.json()) {
    Json models = Json::array();
    for (const MmaModel& model : reference::kMmaModels) {
      models.push_back({{"name", model.name},
                        {"formats", formats_text(model)},
                        {"k", depth_text(model)},
                        {"fraction_bits", model.rules.fraction_bits},
                        {"products_per_sum", model.rules.products_per_sum},
                        {"output", model.rules.output.name},
                        {"rounding", model.rules.rounding == Rounding::rz ? "rz" : "rne"},
                        {"scale_block", model.scale_block},
                        {"evidence", name_of(model.evidence)},
                        {"source", model.source}});
    }
    context.print({{"models", std::move(models)}});
    return;
  }
  Table table({{"model", Table::Align::kLeft},
               {"a, b", Table::Align::kLeft},
               {"k", Table::Align::kLeft},
               {"F"},
               {"sum"},
               {"output", Table::Align::kLeft},
               {"evidence", Table::Align::kLeft},
               {"", Table::Align::kLeft}});
  for (const MmaModel& model : reference::kMmaModels) {
    table.add_row(
        {std::string(model.name), formats_text(model), depth_text(model),
         std::to_string(model.rules.fraction_bits), std::to_string(model.rules.products_per_sum),
         std::string(model.rules.output.name) + (model.rules.rounding == Rounding::rz ? " rz" : " rne"),
         name_of(model.evidence), std::string(model.source)});
  }
  table.print();
  fmt::print("\nF: bits kept below the largest exponent. sum: products aligned and added at once.\n");
}

Result<Outcome> run(const MmaOptions& options, Context& context) {
  if (options.list) {
    list_models(context);
    return Outcome::kTrue;
  }
  if (options.model.empty() || options.a.empty() || options.b.empty()) {
    return {Error::kBadArgument, "expected --model, --a and --b, or --list", "a required option is missing"};
  }
  Result<Operands> operands = parse_operands(options);
  if (!operands.ok()) return operands.failure();
  vectors::OutputOperands& x = operands->x;
  x.a = operands->a;
  x.b = operands->b;
  x.a_scales = operands->a_scales;
  x.b_scales = operands->b_scales;
  if (context.json()) {
    context.print(vectors::explain_json(x, options.policy.policy()));
  } else {
    fmt::print("{}", vectors::explain_text(x, options.policy.policy()));
  }
  return Outcome::kTrue;
}

}  // namespace

void add_mma_command(CLI::App& app, Context& context) {
  auto options = std::make_shared<MmaOptions>();
  options->c = "0";
  CLI::App* command =
      app.add_subcommand("mma", "Compute one output of one tensor-core instruction, step by step");
  command->footer(
      "HEX is the row's bytes in memory order, as in a vector file (e2m1: two a byte, low nibble first; f16, "
      "bf16,\n"
      "tf32: little endian), or a list of element codes with commas: --a 3c00,bc00 (the rest is zero; one "
      "element\n"
      "alone: 3c00,). Scales are bytes, block 0 first; c is the word of an f32, or f16 where that is the "
      "output.\n"
      "fourge mma --model blackwell.mxf4nvf4.ue4m3.block16 --a 1, --b 1, --a-scales 01383838 --b-scales "
      "01383838 "
      "--c 3f800000");
  command->add_flag("--list", options->list, "List the models, their rules and what they rest on");
  command->add_option("--model", options->model, "Name of a model, or custom:...")->type_name("MODEL");
  command->add_option("--a", options->a, "Row of A")->type_name("HEX");
  command->add_option("--b", options->b, "Column of B")->type_name("HEX");
  command->add_option("--c", options->c, "Word of C")->type_name("HEX")->default_str("0");
  command->add_option("--a-scales", options->a_scales, "Scales of the row of A")->type_name("HEX");
  command->add_option("--b-scales", options->b_scales, "Scales of the column of B")->type_name("HEX");
  command->add_option("--a-format", options->a_format, "Format of A where the model takes several")
      ->type_name("FORMAT");
  command->add_option("--b-format", options->b_format, "Format of B; that of A when not given")
      ->type_name("FORMAT");
  add_policy_options(*command, options->policy);
  context.add_json_flag(*command);
  context.on_run(*command, [options, &context] { return run(*options, context); });
}

}  // namespace fourge::cli
