// fourge inspect: what a file of tensors holds.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "quant/text.h"
#include "tools/cli/commands.h"
#include "tools/cli/context.h"
#include "tools/cli/table.h"
#include "tools/cli/tensor_file.h"
#include "tools/cli/tensor_statistics.h"

namespace fourge::cli {
namespace {

struct InspectOptions {
  std::string file;
  std::vector<std::string> names;
  bool histograms = false, no_statistics = false;
};

struct Inspected {
  FileTensor tensor;
  std::optional<TensorStatistics> statistics;
  std::optional<ScaleHistogram> scales;
  std::vector<std::int64_t> codes;  // 16 counts, or none
};

Result<Inspected> inspect(const TensorFile& file, const FileTensor& tensor, const InspectOptions& options) {
  Inspected inspected{tensor, std::nullopt, std::nullopt, {}};
  if (options.no_statistics) return inspected;
  if (const auto scales = scales_of(file, tensor))
    inspected.scales = scale_histogram(scales->format, scales->codes);
  if (const auto codes = codes_of(file, tensor)) inspected.codes = code_histogram(*codes);
  const bool only_codes = !inspected.codes.empty() && tensor.dtype == quant::DType::u8;
  const bool only_scales = inspected.scales.has_value() && tensor.dtype == quant::DType::u8;
  if (only_codes || only_scales) return inspected;  // the bytes' own values say nothing
  const Result<std::vector<float>> values = values_of(tensor);
  if (values) {
    inspected.statistics = statistics_of(*values);
  } else if (values.error() != Error::kUnsupportedFormat) {
    return values.failure();
  }
  return inspected;
}

std::string number(double value) { return fmt::format("{:.4g}", value); }

void print_table(const TensorFile& file, const std::vector<Inspected>& all, const Context& context) {
  fmt::print("{}  {}, {} tensors\n", context.paint(Color::kBold, quant::printable(file.name())), file.kind(),
             file.tensors().size());
  for (const auto& [key, value] : file.metadata())
    fmt::print("  {} = {}\n", quant::printable(key), quant::printable(value));
  fmt::print("\n");
  Table table({{"tensor", Table::Align::kLeft},
               {"format", Table::Align::kLeft},
               {"shape", Table::Align::kLeft},
               {"bytes"},
               {"amax"},
               {"deviation"},
               {"kurtosis"},
               {"zeros %"},
               {"NaN, inf"}});
  for (const Inspected& row : all) {
    std::vector<std::string> cells = {quant::printable(row.tensor.name), row.tensor.format,
                                      quant::shape_text(row.tensor.shape),
                                      std::to_string(row.tensor.bytes.size())};
    if (const auto& s = row.statistics; s.has_value() && s->elements > 0) {
      const double zeros = 100.0 * static_cast<double>(s->zeros) / static_cast<double>(s->elements);
      cells.insert(cells.end(),
                   {number(s->amax), number(s->deviation), number(s->kurtosis), fmt::format("{:.2f}", zeros),
                    s->nans + s->infinities == 0 ? "" : fmt::format("{}, {}", s->nans, s->infinities)});
    }
    table.add_row(std::move(cells));
  }
  table.print();
}

// label  count  bar
void print_bar(const std::string& label, std::int64_t count, std::int64_t largest, std::int64_t total) {
  const auto width = static_cast<double>(std::max(10, terminal_width() - 40));
  const double part = largest == 0 ? 0 : static_cast<double>(count) / static_cast<double>(largest);
  const auto marks = static_cast<std::size_t>(std::ceil(part * width));
  const double percent = total == 0 ? 0 : 100.0 * static_cast<double>(count) / static_cast<double>(total);
  fmt::print("  {:>8} {:>12} {:>7.2f}% {}\n", label, count, percent, std::string(marks, '#'));
}

void print_scales(const ScaleHistogram& scales) {
  fmt::print("block scales by binade: {} scales, {} to {}\n", scales.total, number(scales.smallest),
             number(scales.largest));
  std::int64_t largest = std::max(scales.zeros, scales.nans);
  for (const auto& [binade, count] : scales.binades) largest = std::max(largest, count);
  if (scales.zeros != 0) print_bar("0", scales.zeros, largest, scales.total);
  for (const auto& [binade, count] : scales.binades)
    print_bar(fmt::format("2^{}", binade), count, largest, scales.total);
  if (scales.nans != 0) print_bar("NaN", scales.nans, largest, scales.total);
}

void print_codes(const std::vector<std::int64_t>& codes) {
  std::vector<std::int64_t> magnitudes(8);
  std::int64_t total = 0;
  for (std::size_t code = 0; code < codes.size(); ++code) {
    magnitudes[code % 8] += codes[code];
    total += codes[code];
  }
  fmt::print("e2m1 codes by magnitude: {} codes\n", total);
  const std::int64_t largest = *std::max_element(magnitudes.begin(), magnitudes.end());
  for (std::uint32_t code = 0; code < 8; ++code)
    print_bar(fmt::format("{:g}", decode_f32(ElementFormat::e2m1, code)), magnitudes[code], largest, total);
}

void print_text(const TensorFile& file, const std::vector<Inspected>& all, const InspectOptions& options,
                const Context& context) {
  print_table(file, all, context);
  if (!options.histograms && options.names.empty()) return;
  for (const Inspected& row : all) {
    if (!row.scales.has_value() && row.codes.empty()) continue;
    fmt::print("\n{}\n", context.paint(Color::kBold, quant::printable(row.tensor.name)));
    if (row.scales.has_value()) print_scales(*row.scales);
    if (!row.codes.empty()) print_codes(row.codes);
  }
}

Json to_json(const Inspected& row) {
  Json tensor = {{"name", row.tensor.name},
                 {"format", row.tensor.format},
                 {"shape", row.tensor.shape},
                 {"elements", row.tensor.elements()},
                 {"bytes", row.tensor.bytes.size()},
                 {"statistics", nullptr},
                 {"scale_histogram", nullptr},
                 {"code_histogram", row.codes.empty() ? Json(nullptr) : Json(row.codes)}};
  if (const auto& s = row.statistics) {
    tensor["statistics"] = {{"min", s->min},
                            {"max", s->max},
                            {"amax", s->amax},
                            {"mean", s->mean},
                            {"deviation", s->deviation},
                            {"kurtosis", s->kurtosis},
                            {"zeros", s->zeros},
                            {"nans", s->nans},
                            {"infinities", s->infinities}};
  }
  if (const auto& h = row.scales) {
    Json binades = Json::array();
    for (const auto& [binade, count] : h->binades)
      binades.push_back({{"exponent", binade}, {"count", count}});
    tensor["scale_histogram"] = {{"total", h->total},       {"zeros", h->zeros},     {"nans", h->nans},
                                 {"smallest", h->smallest}, {"largest", h->largest}, {"binades", binades}};
  }
  return tensor;
}

Result<Outcome> run(const InspectOptions& options, Context& context) {
  const Result<TensorFile> file = TensorFile::open(options.file);
  if (!file) return file.failure();
  std::vector<FileTensor> wanted = options.names.empty() ? file->tensors() : std::vector<FileTensor>();
  for (const std::string& name : options.names) {
    Result<FileTensor> tensor = file->find(name);
    if (!tensor) return tensor.failure();
    wanted.push_back(std::move(*tensor));
  }
  std::vector<Inspected> all;
  for (const FileTensor& tensor : wanted) {
    Result<Inspected> inspected = inspect(*file, tensor, options);
    if (!inspected) return inspected.failure();
    all.push_back(std::move(*inspected));
  }
  if (!context.json()) {
    print_text(*file, all, options, context);
    return Outcome::kTrue;
  }
  Json metadata = Json::object(), tensors = Json::array();
  for (const auto& [key, value] : file->metadata()) metadata[key] = value;
  for (const Inspected& row : all) tensors.push_back(to_json(row));
  context.print(
      {{"file", options.file}, {"kind", file->kind()}, {"metadata", metadata}, {"tensors", tensors}});
  return Outcome::kTrue;
}

}  // namespace

void add_inspect_command(CLI::App& app, Context& context) {
  auto options = std::make_shared<InspectOptions>();
  CLI::App* command = app.add_subcommand("inspect", "Show the tensors of a file and their statistics");
  command->footer(
      "Kurtosis is 3 for a normal distribution; large values mean outliers, which cost 4-bit formats their "
      "range.\n"
      "Histograms: of the binades of block scales, and of e2m1 codes.");
  command->add_option("FILE", options->file, "A .safetensors, .gguf or .npy file")->required();
  command->add_option("--tensor", options->names, "Only this one, with its histograms; may be repeated")
      ->type_name("NAME");
  command->add_flag("--histograms", options->histograms, "Histograms of every 4-bit tensor");
  command->add_flag("--no-statistics", options->no_statistics, "Names, formats and shapes only");
  context.add_json_flag(*command);
  context.on_run(*command, [options, &context] { return run(*options, context); });
}

}  // namespace fourge::cli
