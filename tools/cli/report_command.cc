// fourge report: what this machine does, on one page.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <string>

#include "quant/atomic_file.h"
#include "tools/cli/commands.h"
#include "tools/cli/context.h"
#include "tools/cli/demo_model.h"
#include "tools/report/gather/gather.h"
#include "tools/report/page.h"

namespace fourge::cli {
namespace {

struct ReportOptions {
  report::GatherOptions gather;
  bool quick = false, smoke = false;
  std::string out, from;
};

Status write(const std::string& path, const std::string& text) {
  Result<quant::AtomicFile> file = quant::AtomicFile::create(path);
  if (!file) return file.failure();
  if (const Status written = file->write(text); !written) return written;
  return file->commit();
}

Result<Json> measured(const ReportOptions& options) {
  report::GatherOptions gather = options.gather;
  gather.version = FOURGE_VERSION;
  gather.mode = options.smoke   ? report::Mode::smoke
                : options.quick ? report::Mode::quick
                                : report::Mode::full;
  const Result<std::filesystem::path> model = find_model(gather.model);
  gather.model = model ? model->string() : std::string();
  if (!model) gather.model_absent = model.failure().message();
  if (is_terminal(stderr))
    gather.started = [](const std::string& what) { fmt::print(stderr, "{} ...\n", what); };
  return report::gather(gather);
}

Result<Json> loaded(const std::string& path) {
  Result<Json> document = report::read_json(path);
  if (document && !document->contains("fourge_report"))
    return {Error::kBadFile, "expected a document of fourge report --json, with \"fourge_report\"", path};
  return document;
}

Result<Outcome> run(const ReportOptions& options, Context& context) {
  if (options.out.empty() && !context.json())
    return {Error::kBadArgument, "expected --out FILE.html, or --json", "no output"};
  const Result<Json> document = options.from.empty() ? measured(options) : loaded(options.from);
  if (!document) return document.failure();
  if (!options.out.empty()) {
    if (const Status written = write(options.out, report::render_page(*document)); !written)
      return written.failure();
  }
  const std::string wrong = report::text_at(*document, "/wrong", "");
  if (context.json()) {
    context.print(*document);
  } else {
    fmt::print("{}\n", options.out);
    if (!wrong.empty()) fmt::print("{} {}\n", context.paint(Color::kRed, "WRONG:"), wrong);
  }
  return wrong.empty() ? Outcome::kTrue : Outcome::kFalse;
}

}  // namespace

void add_report_command(CLI::App& app, Context& context) {
  auto options = std::make_shared<ReportOptions>();
  CLI::App* command = app.add_subcommand("report", "Measure this machine and write one self-contained page");
  command->footer(
      "The page needs no network and no script; the document it was made from is embedded in it. --json "
      "prints the\n"
      "document as well; --from draws one again, of this machine or another, without measuring.");
  command->add_option("--out", options->out, "The page")->type_name("FILE.html");
  CLI::Option* quick =
      command->add_flag("--quick", options->quick, "Small shapes, few samples: about a minute");
  command->add_flag("--smoke", options->smoke, "Smallest shapes, hardly timed: is it right")->excludes(quick);
  CLI::Option* from = command->add_option("--from", options->from, "Draw this document instead of measuring")
                          ->type_name("FILE.json");
  const auto input = [&](const char* name, std::string& value, const char* what, const char* type) {
    command->add_option(name, value, what)->type_name(type)->excludes(from);
  };
  input("--bench", options->gather.bench, "Results of the benchmarks instead of measuring products",
        "FILE.json");
  input("--scaling", options->gather.scaling, "Document of fourge scaling", "FILE.json");
  input("--study", options->gather.study, "Document of fourge study", "FILE.json");
  input("--models", options->gather.models, "Bits per byte from results that tools/anchors/anchors.py keeps",
        "DIR");
  input("--model", options->gather.model, "Float model folder; default: the shipped one", "DIR");
  input("--text", options->gather.text, "What the model reads; default: the licence", "FILE");
  context.add_json_flag(*command);
  context.on_run(*command, [options, &context] { return run(*options, context); });
}

}  // namespace fourge::cli
