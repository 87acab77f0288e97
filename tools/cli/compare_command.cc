// fourge compare: whether two files hold the same numbers, and how far apart they are where they do not.
#include <fmt/core.h>
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "quant/text.h"
#include "tools/cli/commands.h"
#include "tools/cli/context.h"
#include "tools/cli/options.h"
#include "tools/cli/table.h"
#include "tools/cli/tensor_difference.h"

namespace fourge::cli {
namespace {

struct CompareOptions {
  std::string a, b, tensor, tensor_b;
  std::int64_t max_ulp = 0;
};

struct Compared {
  FileTensor a, b;
  std::optional<Difference> difference;  // none: the shapes differ
  bool accepted = false;
};

struct Comparison {
  std::vector<Compared> tensors;
  std::vector<std::string> only_in_a, only_in_b;
  bool accepted() const {
    return only_in_a.empty() && only_in_b.empty() &&
           std::all_of(tensors.begin(), tensors.end(), [](const Compared& c) { return c.accepted; });
  }
};

Result<Compared> compare_pair(const FileTensor& a, const FileTensor& b, std::int64_t max_ulp) {
  Compared compared{a, b, std::nullopt, false};
  if (a.shape != b.shape) return compared;
  Result<Difference> difference = difference_of(a, b);
  if (!difference) return difference.failure();
  compared.accepted = difference->differing == 0 ||
                      (max_ulp > 0 && difference->largest_ulp <= static_cast<std::uint64_t>(max_ulp));
  compared.difference = std::move(*difference);
  return compared;
}

// A file of one tensor that has no name of its own.
bool is_array(const TensorFile& file) { return std::string_view(file.kind()) == "npy"; }

// By name; two files of one tensor each are compared whatever it is called.
Result<Comparison> compare(const TensorFile& a, const TensorFile& b, const CompareOptions& options) {
  std::vector<std::pair<FileTensor, FileTensor>> pairs;
  Comparison comparison;
  if (!options.tensor.empty() || !options.tensor_b.empty()) {
    const Result<FileTensor> left =
        options.tensor.empty() && is_array(a) ? a.tensors()[0] : a.find(options.tensor);
    if (!left) return left.failure();
    const std::string& name = options.tensor_b.empty() ? options.tensor : options.tensor_b;
    const Result<FileTensor> right = options.tensor_b.empty() && is_array(b) ? b.tensors()[0] : b.find(name);
    if (!right) return right.failure();
    pairs.emplace_back(*left, *right);
  } else if (a.tensors().size() == 1 && b.tensors().size() == 1) {
    pairs.emplace_back(a.tensors()[0], b.tensors()[0]);
  } else {
    for (const FileTensor& left : a.tensors()) {
      if (const Result<FileTensor> right = b.find(left.name)) {
        pairs.emplace_back(left, *right);
      } else {
        comparison.only_in_a.push_back(left.name);
      }
    }
    for (const FileTensor& right : b.tensors()) {
      if (!a.find(right.name)) comparison.only_in_b.push_back(right.name);
    }
  }
  for (const auto& [left, right] : pairs) {
    Result<Compared> compared = compare_pair(left, right, options.max_ulp);
    if (!compared) return compared.failure();
    comparison.tensors.push_back(std::move(*compared));
  }
  return comparison;
}

std::string hex(std::uint64_t bits, int width) { return fmt::format("0x{:0{}x}", bits, width / 4); }

std::string index_text(std::int64_t position, const std::vector<std::int64_t>& shape) {
  std::vector<std::int64_t> index(shape.size());
  for (std::size_t i = shape.size(); i-- > 0;) {
    index[i] = position % shape[i];
    position /= shape[i];
  }
  return quant::shape_text(index);
}

std::string ulp_text(std::uint64_t ulp) { return ulp == kNanDistance ? "NaN" : std::to_string(ulp); }

std::string sqnr_text(const Difference& difference) {
  return difference.sqnr_db.has_value() ? fmt::format("{:.2f}", *difference.sqnr_db) : "inf";
}

void print_difference(const Compared& compared) {
  const Difference& d = *compared.difference;
  fmt::print("\n{}\n", quant::printable(compared.a.name));
  const ElementPair& first = *d.first;
  fmt::print("  first differing element {}: a {} = {:.9g}, b {} = {:.9g}\n",
             index_text(first.position, compared.a.shape), hex(first.a_bits, first.a_width), first.a,
             hex(first.b_bits, first.b_width), first.b);
  std::int64_t largest = 0;
  for (const UlpBin& bin : d.ulps) largest = std::max(largest, bin.count);
  for (const UlpBin& bin : d.ulps) {
    const std::string label =
        bin.least == bin.most ? ulp_text(bin.most) : fmt::format("{}-{}", bin.least, bin.most);
    const double width = std::max(10, terminal_width() - 60);
    const auto marks = static_cast<std::size_t>(1 + static_cast<double>(bin.count) /
                                                        static_cast<double>(largest) * (width - 1));
    fmt::print("  {:>23} ulp {:>12} {}\n", label, bin.count, std::string(marks, '#'));
  }
}

void print_text(const Comparison& comparison, const Context& context) {
  Table table({{"tensor", Table::Align::kLeft},
               {"a", Table::Align::kLeft},
               {"b", Table::Align::kLeft},
               {"shape", Table::Align::kLeft},
               {"differing"},
               {"largest ulp"},
               {"SQNR dB"},
               {"", Table::Align::kLeft}});
  for (const Compared& row : comparison.tensors) {
    const std::string verdict =
        row.accepted ? context.paint(Color::kGreen, row.difference->differing == 0 ? "same" : "accepted")
                     : context.paint(Color::kRed, "different");
    std::string shape = quant::shape_text(row.a.shape);
    if (!row.difference.has_value()) shape += " " + quant::shape_text(row.b.shape);
    std::vector<std::string> cells = {
        quant::printable(row.a.name), row.a.format, row.b.format, shape, "", "", ""};
    if (const auto& d = row.difference) {
      cells[4] = std::to_string(d->differing);
      cells[5] = ulp_text(d->largest_ulp);
      cells[6] = sqnr_text(*d);
    }
    cells.push_back(verdict);
    table.add_row(std::move(cells));
  }
  table.print();
  for (const std::string& name : comparison.only_in_a) fmt::print("only in a: {}\n", quant::printable(name));
  for (const std::string& name : comparison.only_in_b) fmt::print("only in b: {}\n", quant::printable(name));
  for (const Compared& row : comparison.tensors) {
    if (row.difference.has_value() && row.difference->differing != 0) print_difference(row);
  }
}

Json to_json(const Compared& row) {
  Json tensor = {{"name", row.a.name},       {"name_b", row.b.name},   {"format_a", row.a.format},
                 {"format_b", row.b.format}, {"shape_a", row.a.shape}, {"shape_b", row.b.shape},
                 {"accepted", row.accepted}};
  if (!row.difference.has_value()) return tensor;
  const Difference& d = *row.difference;
  tensor["elements"] = d.elements;
  tensor["differing"] = d.differing;
  tensor["sqnr_db"] = d.sqnr_db.has_value() ? Json(*d.sqnr_db) : Json(nullptr);
  tensor["largest_ulp"] = d.largest_ulp == kNanDistance ? Json(nullptr) : Json(d.largest_ulp);
  tensor["ulp_histogram"] = Json::array();
  for (const UlpBin& bin : d.ulps) {
    const auto bound = [](std::uint64_t ulp) { return ulp == kNanDistance ? Json("nan") : Json(ulp); };
    tensor["ulp_histogram"].push_back(
        {{"least", bound(bin.least)}, {"most", bound(bin.most)}, {"count", bin.count}});
  }
  tensor["first"] = nullptr;
  if (d.first.has_value()) {
    tensor["first"] = {{"position", d.first->position},
                       {"index", index_text(d.first->position, row.a.shape)},
                       {"a_bits", hex(d.first->a_bits, d.first->a_width)},
                       {"b_bits", hex(d.first->b_bits, d.first->b_width)},
                       {"a", d.first->a},
                       {"b", d.first->b}};
  }
  return tensor;
}

Result<Outcome> run(const CompareOptions& options, Context& context) {
  const Result<TensorFile> a = TensorFile::open(options.a);
  if (!a) return a.failure();
  const Result<TensorFile> b = TensorFile::open(options.b);
  if (!b) return b.failure();
  const Result<Comparison> comparison = compare(*a, *b, options);
  if (!comparison) return comparison.failure();
  if (context.json()) {
    Json tensors = Json::array();
    for (const Compared& row : comparison->tensors) tensors.push_back(to_json(row));
    context.print({{"a", options.a},
                   {"b", options.b},
                   {"same", comparison->accepted()},
                   {"tensors", tensors},
                   {"only_in_a", comparison->only_in_a},
                   {"only_in_b", comparison->only_in_b}});
  } else {
    print_text(*comparison, context);
  }
  return comparison->accepted() ? Outcome::kTrue : Outcome::kFalse;
}

}  // namespace

void add_compare_command(CLI::App& app, Context& context) {
  auto options = std::make_shared<CompareOptions>();
  CLI::App* command = app.add_subcommand("compare", "Compare the tensors of two files, bit for bit");
  command->footer(
      "Exit code 1 when anything differs: a bit, a shape, a tensor that is in one file only. Tensors are "
      "paired by\n"
      "name, or as the only ones of their files. Types that differ are compared as f32.\n"
      "SQNR = 10 log10(sum a^2 / sum (a - b)^2).");
  command->add_option("A", options->a, "A .safetensors, .gguf or .npy file")->required();
  command->add_option("B", options->b, "Another")->required();
  command->add_option("--tensor", options->tensor, "Only this one")->type_name("NAME");
  command->add_option("--tensor-b", options->tensor_b, "Its name in B, when it differs")->type_name("NAME");
  add_count(*command, "--max-ulp", options->max_ulp, 0, std::int64_t{1} << 62,
            "Accept elements at most N values of their type apart");
  context.add_json_flag(*command);
  context.on_run(*command, [options, &context] { return run(*options, context); });
}

}  // namespace fourge::cli
