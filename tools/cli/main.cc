// The program `fourge`: one command line over the library. Exit codes: 0 done and true, 1 checked and false,
// 2 bad use or bad input.
#include <CLI/CLI.hpp>

#include "tools/cli/commands.h"
#include "tools/cli/context.h"
#include "tools/cli/usage_error.h"

int main(int argc, char** argv) {
  using namespace fourge::cli;
  CLI::App app("fourge: 4-bit floating point on the CPU, bit for bit as a Blackwell tensor core computes it.",
               "fourge");
  app.set_version_flag("--version", "fourge " FOURGE_VERSION);
  app.require_subcommand(1);
  app.get_formatter()->column_width(38);
  app.footer("Exit codes: 0 done and true, 1 checked and false, 2 bad use or bad input.");

  Context context;
  add_info_command(app, context);
  add_demo_command(app, context);
  add_gemm_command(app, context);
  add_conform_command(app, context);
#if !defined(FOURGE_KERNEL_COMMANDS_ONLY)
  add_bench_command(app, context);
  add_kernel_command(app, context);
  add_mma_command(app, context);
  add_vectors_command(app, context);
  add_inspect_command(app, context);
  add_compare_command(app, context);
  add_convert_command(app, context);
  add_eval_command(app, context);
  add_layout_command(app, context);
  add_quantize_command(app, context);
  add_quantize_tensor_command(app, context);
  add_report_command(app, context);
  add_scaling_command(app, context);
  add_study_command(app, context);
#endif

  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& request) {  // --help, --version
    return app.exit(request);
  } catch (const CLI::ParseError& error) {
    return fail_usage(app, error, context);
  }
  return context.run();
}
