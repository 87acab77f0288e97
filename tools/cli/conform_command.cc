// fourge conform: tensor-core vectors against the reference and every kernel that claims their model.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tools/cli/commands.h"
#include "tools/cli/conform_checkers.h"
#include "tools/cli/context.h"
#include "tools/cli/mma_options.h"
#include "tools/cli/options.h"
#include "tools/cli/table.h"
#include "tools/vectors/evaluate.h"
#include "tools/vectors/explain.h"

namespace fourge::cli {
namespace {

using vectors::OutputIndex;
using vectors::VectorSet;

struct ConformOptions {
  std::vector<std::string> files;
  PolicyOptions policy;
  std::string explain;  // "tile,row,column"
  std::int64_t threads = 0;
};

struct Checked {
  std::string name;
  vectors::Comparison comparison;
};

struct FileReport {
  std::string file;
  VectorSet set;
  std::vector<Checked> checked;
  std::vector<std::string> not_run;  // "NAME: why"
  std::int64_t mismatches = 0;       // outputs on which somebody differs from the file
  std::optional<OutputIndex> first;
  std::uint32_t first_answer = 0;  // of the checker that differs
  std::string first_checker;
};

vectors::OutputOperands operands_of(const VectorSet& set, const OutputIndex& at) {
  vectors::OutputOperands x;
  x.model_name = set.model_name;
  x.model = set.model;
  x.a_format = set.shape.a_format;
  x.b_format = set.shape.b_format;
  x.k = set.shape.k;
  x.a = set.a_row(at.tile, at.row);
  x.b = set.b_row(at.tile, at.column);
  x.a_scales = set.a_scale_row(at.tile, at.row);
  x.b_scales = set.b_scale_row(at.tile, at.column);
  const std::size_t output = set.output(at.tile, at.row, at.column);
  x.c = set.c[output];
  x.given = set.d[output];
  return x;
}

std::string place_text(const OutputIndex& at) {
  return fmt::format("tile {}, row {}, column {}", at.tile, at.row, at.column);
}

Result<FileReport> check_file(const std::string& file, const ConformOptions& options) {
  Result<VectorSet> set = vectors::read_vectors(file);
  if (!set.ok()) return set.failure();
  FileReport report;
  report.file = file;
  report.set = std::move(*set);
  std::vector<bool> differs(static_cast<std::size_t>(report.set.outputs()));
  for (const Checker& checker :
       checkers_for(report.set, options.policy.policy(), static_cast<int>(options.threads))) {
    const Result<std::vector<std::uint32_t>> d = checker.run(report.set);
    if (!d.ok() && d.error() == Error::kUnsupportedIsa) {
      report.not_run.push_back(checker.name + ": " + d.failure().reason);
      continue;
    }
    if (!d.ok()) return d.failure();
    const vectors::Comparison comparison = vectors::compare(report.set, *d);
    for (std::size_t i = 0; i < d->size(); ++i) differs[i] = differs[i] || (*d)[i] != report.set.d[i];
    if (comparison.first && !report.first) {
      report.first = comparison.first;
      report.first_checker = checker.name;
      report.first_answer =
          (*d)[report.set.output(report.first->tile, report.first->row, report.first->column)];
    }
    report.checked.push_back({checker.name, comparison});
  }
  for (const bool differing : differs) report.mismatches += differing ? 1 : 0;
  return report;
}

Result<OutputIndex> parse_index(const std::string& text, const VectorSet& set) {
  OutputIndex at;
  char end = 0;
  long long tile = 0;
  if (std::sscanf(text.c_str(), "%lld,%d,%d%c", &tile, &at.row, &at.column, &end) != 3) {
    return {Error::kBadArgument, "expected TILE,ROW,COLUMN", "--explain " + text};
  }
  at.tile = tile;
  if (tile < 0 || tile >= set.tiles || at.row < 0 || at.row >= set.shape.m || at.column < 0 ||
      at.column >= set.shape.n) {
    return {Error::kBadArgument, "expected an output of the file",
            fmt::format("--explain {}: the file has {} tiles of {} x {}", text, set.tiles, set.shape.m,
                        set.shape.n)};
  }
  return at;
}

Result<Outcome> run_explain(const ConformOptions& options, Context& context) {
  if (options.files.size() != 1) {
    return {Error::kBadArgument, "expected one file",
            fmt::format("--explain with {} files", options.files.size())};
  }
  const Result<VectorSet> set = vectors::read_vectors(options.files[0]);
  if (!set.ok()) return set.failure();
  const Result<OutputIndex> at = parse_index(options.explain, *set);
  if (!at.ok()) return at.failure();
  const vectors::OutputOperands operands = operands_of(*set, *at);
  if (context.json()) {
    context.print(vectors::explain_json(operands, options.policy.policy()));
  } else {
    fmt::print("{}: {}\n{}", options.files[0], place_text(*at),
               vectors::explain_text(operands, options.policy.policy()));
  }
  return vectors::compute(operands, options.policy.policy()) == *operands.given ? Outcome::kTrue
                                                                                : Outcome::kFalse;
}

Json to_json(const FileReport& report, const ConformOptions& options) {
  Json json = {{"file", report.file},
               {"model", report.set.model_name},
               {"outputs", report.set.outputs()},
               {"mismatches", report.mismatches},
               {"checked_by", Json::array()},
               {"checkers", Json::array()},
               {"not_run", report.not_run},
               {"first_mismatch", nullptr}};
  for (const Checked& checked : report.checked) {
    json["checked_by"].push_back(checked.name);
    json["checkers"].push_back({{"name", checked.name}, {"mismatches", checked.comparison.mismatches}});
  }
  if (report.first) {
    json["first_mismatch"] = {{"tile", report.first->tile},
                              {"row", report.first->row},
                              {"column", report.first->column},
                              {"checker", report.first_checker},
                              {"answer", vectors::word_text(report.set.model, report.first_answer)},
                              {"explanation", vectors::explain_json(operands_of(report.set, *report.first),
                                                                    options.policy.policy())}};
  }
  return json;
}

// A file made under the other zero rule says so in its metadata.
std::string zero_rule_hint(const FileReport& report, const ConformOptions& options) {
  const auto entry = report.set.metadata.find("zero_rule");
  const bool made_by_mma_sim = entry != report.set.metadata.end() &&
                               (entry->second.starts_with("MMA-Sim") || entry->second.starts_with("mma-sim"));
  if (report.mismatches == 0 || !made_by_mma_sim || options.policy.zero_rule == reference::ZeroRule::mma_sim)
    return "";
  return "The file was made under MMA-Sim's zero rule; compare with --zero-rule mma-sim.\n";
}

void print_reports(const std::vector<FileReport>& reports, const ConformOptions& options,
                   const Context& context) {
  Table table({{"file", Table::Align::kLeft},
               {"model", Table::Align::kLeft},
               {"outputs"},
               {"mismatches"},
               {"checked by", Table::Align::kLeft}});
  for (const FileReport& report : reports) {
    bool first = true;
    for (const Checked& checked : report.checked) {
      const std::int64_t wrong = checked.comparison.mismatches;
      const std::string count =
          context.paint(wrong == 0 ? Color::kGreen : Color::kRed, std::to_string(wrong));
      table.add_row({first ? report.file : "", first ? report.set.model_name : "",
                     first ? std::to_string(report.set.outputs()) : "", count, checked.name});
      first = false;
    }
    for (const std::string& reason : report.not_run) table.add_row({"", "", "", "not run", reason});
  }
  table.print();
  for (const FileReport& report : reports) {
    if (!report.first) continue;
    fmt::print("\n{}: first mismatch at {}: {} has {}, the file {}\n{}{}", report.file,
               place_text(*report.first), report.first_checker,
               vectors::word_text(report.set.model, report.first_answer),
               vectors::word_text(report.set.model, *operands_of(report.set, *report.first).given),
               vectors::explain_text(operands_of(report.set, *report.first), options.policy.policy()),
               zero_rule_hint(report, options));
  }
}

Result<Outcome> run(const ConformOptions& options, Context& context) {
  if (!options.explain.empty()) return run_explain(options, context);
  std::vector<FileReport> reports;
  bool all_match = true;
  for (const std::string& file : options.files) {
    Result<FileReport> report = check_file(file, options);
    if (!report.ok()) return report.failure();
    all_match = all_match && report->mismatches == 0;
    reports.push_back(std::move(*report));
  }
  if (context.json()) {
    Json files = Json::array();
    for (const FileReport& report : reports) files.push_back(to_json(report, options));
    context.print({{"files", std::move(files)}, {"zero_rule", name_of(options.policy.zero_rule)}});
  } else {
    print_reports(reports, options, context);
  }
  return all_match ? Outcome::kTrue : Outcome::kFalse;
}

}  // namespace

void add_conform_command(CLI::App& app, Context& context) {
  auto options = std::make_shared<ConformOptions>();
  CLI::App* command =
      app.add_subcommand("conform", "Check tensor-core vectors against the models and the kernels");
  command->footer(
      "Files in the format tensor-core-vectors-1, of any model. Each is checked by the reference and, where "
      "kernels\n"
      "claim its model, by every kernel that runs here. The first mismatch is printed term by term.");
  command->add_option("files", options->files, "Vector files")->required()->type_name("FILE");
  add_policy_options(*command, options->policy);
  command->add_option("--explain", options->explain, "Print how the reference gets one output")
      ->type_name("TILE,ROW,COLUMN");
  add_count(*command, "--threads", options->threads, 0, 4096, "Threads of the reference, 0 for all")
      ->default_str("0");
  context.add_json_flag(*command);
  context.on_run(*command, [options, &context] { return run(*options, context); });
}

}  // namespace fourge::cli
