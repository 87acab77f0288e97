// Every command of the program. main.cc registers them in the order of `fourge --help`.
#pragma once

namespace CLI {
class App;
}

namespace fourge::cli {

class Context;

void add_info_command(CLI::App& app, Context& context);
void add_bench_command(CLI::App& app, Context& context);
void add_demo_command(CLI::App& app, Context& context);
void add_gemm_command(CLI::App& app, Context& context);
void add_kernel_command(CLI::App& app, Context& context);
void add_compare_command(CLI::App& app, Context& context);
void add_conform_command(CLI::App& app, Context& context);
void add_convert_command(CLI::App& app, Context& context);
void add_eval_command(CLI::App& app, Context& context);
void add_inspect_command(CLI::App& app, Context& context);
void add_layout_command(CLI::App& app, Context& context);
void add_mma_command(CLI::App& app, Context& context);
void add_quantize_command(CLI::App& app, Context& context);
void add_quantize_tensor_command(CLI::App& app, Context& context);
void add_report_command(CLI::App& app, Context& context);
void add_scaling_command(CLI::App& app, Context& context);
void add_study_command(CLI::App& app, Context& context);
void add_vectors_command(CLI::App& app, Context& context);

}  // namespace fourge::cli
