// fourge kernel: shows one generated kernel.
#include <fmt/core.h>
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "fourge/gemm.h"
#include "jit/asm/executable_code.h"
#include "jit/asm/listing.h"
#include "quant/atomic_file.h"
#include "tools/cli/commands.h"
#include "tools/cli/context.h"
#include "tools/cli/gemm_report.h"
#include "tools/cli/gemm_spec_text.h"
#include "tools/cli/options.h"
#include "tools/cli/table.h"

namespace fourge::cli {
namespace {

struct KernelOptions {
  std::vector<std::string> words;
  std::string kernel, max_isa, dump;
  bool disassemble = false, budget = false;
};

// What was asked for of the kernel; empty strings where nothing was.
struct Shown {
  GemmSpec spec;
  KernelCode code;
  std::vector<std::string> decisions;
  std::string listing, dumped, dumped_listing;
};

Status check_generated(const KernelCode& code, const char* option) {
  if (!code.bytes.empty()) return {};
  return {Error::kBadArgument, "expected a generated kernel; this one is compiled C++",
          fmt::format("{} with {}", option, code.name)};
}

// DIR/NAME.bin, and DIR/NAME.s where objdump is there to make it.
Status dump(Shown& shown, const std::string& directory) {
  if (const Status generated = check_generated(shown.code, "--dump"); !generated) return generated;
  if (const Status dumped = jit::dump_code(shown.code.bytes, shown.code.name, directory); !dumped)
    return dumped;
  const std::string stem = directory + "/" + shown.code.name;
  shown.dumped = stem + ".bin";
  const Result<std::string> listing = jit::annotated_listing(shown.code);
  if (!listing) return listing.error() == Error::kNotFound ? Status() : Status(listing.failure());
  Result<quant::AtomicFile> file = quant::AtomicFile::create(stem + ".s");
  if (!file) return file.failure();
  if (const Status written = file->write(*listing); !written) return written;
  if (const Status committed = file->commit(); !committed) return committed;
  shown.dumped_listing = stem + ".s";
  return {};
}

Result<Shown> show(const KernelOptions& options) {
  const Result<GemmSpec> spec = parse_gemm_spec(options.words);
  if (!spec) return spec.failure();
  std::string kernel;
  if (!options.kernel.empty()) {
    const Result<std::string> found = find_kernel(*spec, options.kernel);
    if (!found) return found.failure();
    kernel = *found;
  }
  const Result<Gemm> gemm =
      Gemm::create(*spec, {.kernel = kernel.empty() ? nullptr : kernel.c_str(),
                           .max_isa = options.max_isa.empty() ? nullptr : options.max_isa.c_str()});
  if (!gemm) return gemm.failure();
  Shown shown{*spec, gemm->code(), gemm->decisions(), {}, {}, {}};
  if (options.disassemble) {
    if (const Status generated = check_generated(shown.code, "--disassemble"); !generated)
      return generated.failure();
    Result<std::string> listing = jit::annotated_listing(shown.code);
    if (!listing) return listing.failure();
    shown.listing = std::move(*listing);
  }
  if (!options.dump.empty()) {
    if (const Status dumped = dump(shown, options.dump); !dumped) return dumped.failure();
  }
  return shown;
}

void print_budget(const KernelCode& code, const Context& context) {
  fmt::print("\n{}\n", context.paint(Color::kBold, "Port budget"));
  std::istringstream lines(code.budget);
  for (std::string line; std::getline(lines, line);) fmt::print("  {}\n", line);
  if (!code.plan.empty()) fmt::print("\n{}\n  {}\n", context.paint(Color::kBold, "Cache blocks"), code.plan);
}

void print_registers(const KernelCode& code, const Context& context) {
  if (code.registers.empty()) return;
  fmt::print("\n{}\n", context.paint(Color::kBold, "Registers"));
  Table table({{"  registers", Table::Align::kLeft}, {"role", Table::Align::kLeft}});
  for (const auto& [registers, role] : code.registers) table.add_row({"  " + registers, role});
  table.print();
}

void print_text(const Shown& shown, const KernelOptions& options, const Context& context) {
  const KernelCode& code = shown.code;
  fmt::print("{}\n", context.paint(Color::kBold, code.name));
  fmt::print("  spec       {}\n", gemm_spec_text(shown.spec));
  fmt::print("  level      {}\n", code.isa);
  fmt::print("  exactness  {}\n", code.exactness);
  fmt::print("  code       {}\n",
             code.bytes.empty() ? "compiled C++" : fmt::format("{} bytes, generated", code.bytes.size()));
  for (const std::string& decision : shown.decisions) fmt::print("  registry   {}\n", decision);
  const bool everything = !options.disassemble && options.dump.empty() && !options.budget;
  if (everything || options.budget) {
    print_registers(code, context);
    print_budget(code, context);
  }
  if (!shown.dumped.empty()) {
    fmt::print("\ncode      {}\n", shown.dumped);
    fmt::print("listing   {}\n", shown.dumped_listing.empty()
                                     ? "none: objdump (Debian package binutils) is needed to make one"
                                     : shown.dumped_listing);
  }
  if (!shown.listing.empty()) fmt::print("\n{}", shown.listing);
}

Json to_json(const Shown& shown) {
  const KernelCode& code = shown.code;
  Json document = {
      {"kernel", code.name},
      {"spec", gemm_spec_text(shown.spec)},
      {"isa", code.isa},
      {"exactness", code.exactness},
      {"generated", !code.bytes.empty()},
      {"bytes", code.bytes.size()},
      {"registers", Json::array()},
      {"budget", code.budget},
      {"plan", code.plan.empty() ? Json(nullptr) : Json(code.plan)},
      {"decisions", shown.decisions},
      {"dumped", shown.dumped.empty() ? Json(nullptr) : Json(shown.dumped)},
      {"dumped_listing", shown.dumped_listing.empty() ? Json(nullptr) : Json(shown.dumped_listing)},
      {"disassembly", shown.listing.empty() ? Json(nullptr) : Json(shown.listing)}};
  for (const auto& [registers, role] : code.registers) {
    document["registers"].push_back({{"registers", registers}, {"role", role}});
  }
  return document;
}

Result<Outcome> run(const KernelOptions& options, Context& context) {
  const Result<Shown> shown = show(options);
  if (!shown) return shown.failure();
  if (context.json()) {
    context.print(to_json(*shown));
  } else {
    print_text(*shown, options, context);
  }
  return Outcome::kTrue;
}

}  // namespace

void add_kernel_command(CLI::App& app, Context& context) {
  auto options = std::make_shared<KernelOptions>();
  CLI::App* command = app.add_subcommand("kernel", "Show one generated kernel: registers, budget, assembly");
  command->footer(kGemmSpecHelp);
  command->add_option("spec", options->words, "The kernel's spec, see below")
      ->required()
      ->type_name("SPEC...");
  command->add_flag("--disassemble", options->disassemble,
                    "Print the listing: objdump's, with labels, the roles of registers, and the constants");
  command->add_option("--dump", options->dump, "Write the code to DIR/NAME.bin and the listing to DIR/NAME.s")
      ->type_name("DIR");
  command->add_flag("--budget", options->budget, "Print the registers' roles and the port budget");
  command->add_option("--kernel", options->kernel, "A registered kernel, by name or the part after __")
      ->type_name("NAME");
  command->add_option("--max-isa", options->max_isa, "Highest level; overrides FOURGE_MAX_ISA")
      ->type_name("ISA");
  context.add_json_flag(*command);
  context.on_run(*command, [options, &context] { return run(*options, context); });
}

}  // namespace fourge::cli
