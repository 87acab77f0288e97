// fourge gemm: one product, generated, checked against reference/, timed against its bound.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <string>

#include "bench/support/gemm_run.h"
#include "quant/quantize.h"
#include "tools/cli/commands.h"
#include "tools/cli/context.h"
#include "tools/cli/gemm_report.h"
#include "tools/cli/matrix_source.h"
#include "tools/cli/options.h"
#include "tools/cli/progress.h"

namespace fourge::cli {
namespace {

constexpr std::int64_t kMostTokens = 1 << 20, kMostThreads = 4096;

constexpr const char* kGemmFooter =
    "D = X W^T, X tokens x K, W N x K, both quantised first (W4A4), alpha = both tensor scales.\n"
    "X is random: Student-t values in log-normal channels, as heavy-tailed as a model's activations. W of\n"
    "--random is normal. Scale rules as in quantize-tensor; default static_6 (nvfp4), rceil (mxfp4).\n"
    "--check compares bit for bit with reference/, the model of the tensor core: all outputs, or up to 64\n"
    "blocks of 8 x 8 of them. Exit code 1 when one differs.\n"
    "The bound is the larger of the time that the kernel's arithmetic unit and reading the packed weights\n"
    "take at the peaks measured in the same run.";

// --activations
enum class ActivationFormat : std::uint8_t { as_weights, nvfp4, mxfp4, bf16 };
constexpr const char* name_of(ActivationFormat a) {
  constexpr const char* kNames[] = {"as-weights", "nvfp4", "mxfp4", "bf16"};
  return kNames[static_cast<int>(a)];
}

struct GemmCommandOptions {
  std::string weights, random;
  Format format = Format::nvfp4;
  std::int64_t tokens = 0;
  ActivationFormat activations = ActivationFormat::as_weights;
  Numerics numerics = Numerics::blackwell;
  OutputType output = OutputType::f32;
  std::int64_t threads = 0;
  bench::CheckExtent check = bench::CheckExtent::sample;
  double seconds = 0.2;
  std::string rule, kernel, max_isa;
};

Result<bench::Values> load_weights(const GemmCommandOptions& options) {
  if (!options.weights.empty()) {
    const Result<TensorPath> path = split_tensor_path(options.weights);
    if (!path) return path.failure();
    const Result<quant::Safetensors> file = quant::Safetensors::open(path->file);
    if (!file) return file.failure();
    return matrix_of(*file, path->tensor);
  }
  const Result<RandomMatrix> random = parse_random_matrix(options.random);
  if (!random) return random.failure();
  if (const Status fits = check_memory(options.tokens, random->rows, random->cols); !fits) {
    return fits.failure();
  }
  return bench::random_weights(random->rows, random->cols, random->seed);
}

Result<Activations> activations_of(const GemmCommandOptions& options) {
  switch (options.activations) {
    case ActivationFormat::as_weights:
      return Activations::same;
    case ActivationFormat::bf16:
      return Activations::bf16;
    default:
      break;
  }
  if (std::string(name_of(options.activations)) == name_of(options.format)) return Activations::same;
  return {Error::kBadArgument,
          "expected the format of the weights or bf16: no tensor-core instruction mixes the two",
          fmt::format("--activations {} with --format {}", name_of(options.activations),
                      name_of(options.format))};
}

Result<QuantizeSpec> quantize_spec(const GemmCommandOptions& options) {
  QuantizeSpec spec{.format = options.format, .rule = bench::default_rule(options.format)};
  if (options.rule.empty()) return spec;
  const Result<ScaleRule> rule = quant::scale_rule_of_name(options.format, options.rule);
  if (!rule) return rule.failure();
  spec.rule = *rule;
  return spec;
}

// What the options ask for, before any data is made: mistakes cost no time.
struct Request {
  GemmSpec spec;
  QuantizeSpec quantize;
  std::string kernel;

  GemmOptions gemm_options(const GemmCommandOptions& options) const {
    return {.kernel = kernel.empty() ? nullptr : kernel.c_str(),
            .max_isa = options.max_isa.empty() ? nullptr : options.max_isa.c_str()};
  }
};

Result<Request> request_of(const GemmCommandOptions& options, std::int64_t n, std::int64_t k) {
  const Result<Activations> activations = activations_of(options);
  if (!activations) return activations.failure();
  const Result<QuantizeSpec> quantize = quantize_spec(options);
  if (!quantize) return quantize.failure();
  Request request{{.m = options.tokens,
                   .n = n,
                   .k = k,
                   .format = options.format,
                   .numerics = options.numerics,
                   .activations = *activations,
                   .output = options.output},
                  *quantize,
                  {}};
  if (const Status valid = check(request.spec); !valid) return valid.failure();
  if (!options.kernel.empty()) {
    const Result<std::string> kernel = find_kernel(request.spec, options.kernel);
    if (!kernel) return kernel.failure();
    request.kernel = *kernel;
  }
  return request;
}

Result<Outcome> run(const GemmCommandOptions& options, Context& context) {
  if (options.weights.empty() == options.random.empty()) {
    return {Error::kBadArgument, "expected either --weights or --random", ""};
  }
  Result<bench::Values> weights = load_weights(options);
  if (!weights) return weights.failure();
  const Result<Request> request = request_of(options, weights->rows, weights->cols);
  if (!request) return request.failure();
  const GemmSpec& spec = request->spec;
  if (const Status fits = check_memory(spec.m, spec.n, spec.k); !fits) return fits.failure();
  const Result<bench::TimedGemm> gemm = bench::create_gemm(spec, request->gemm_options(options));
  if (!gemm) return gemm.failure();

  constexpr std::uint64_t kActivationSeed = 7;
  const Result<bench::GemmData> data = bench::quantize_both(
      bench::random_activations(spec.m, spec.k, kActivationSeed), std::move(*weights), request->quantize);
  if (!data) return data.failure();

  Progress progress("check", bench::outputs_to_check(spec, options.check));
  bench::GemmRunOptions run_options;
  run_options.threads = options.threads > 0 ? static_cast<int>(options.threads) : bench::default_threads();
  run_options.check = options.check;
  run_options.repeat.seconds = options.seconds;
  run_options.progress = [&](std::int64_t outputs) { progress.advance(outputs); };
  bench::MachinePeaks peaks(std::min(options.seconds, 0.1));
  const Result<bench::GemmReport> report = bench::run_gemm(*gemm, *data, run_options, peaks);
  if (!report) return report.failure();
  if (context.json()) {
    context.print(cli::to_json(*report));
  } else {
    print_report(*report, context);
  }
  return report->check.ok() ? Outcome::kTrue : Outcome::kFalse;
}

}  // namespace

void add_gemm_command(CLI::App& app, Context& context) {
  auto options = std::make_shared<GemmCommandOptions>();
  CLI::App* command = app.add_subcommand("gemm", "Run one product: generate, check bit for bit, time");
  command->footer(kGemmFooter);
  command->add_option("--weights", options->weights, "Weights: a matrix of a safetensors file")
      ->type_name("F.safetensors:NAME");
  command->add_option("--random", options->random, "Random weights instead")->type_name("N,K[,SEED]");
  add_choice(*command, "--format", options->format, {Format::nvfp4, Format::mxfp4, Format::mxfp4_b16},
             "Block format of the weights")
      ->required()
      ->default_str("");
  add_count(*command, "--tokens", options->tokens, 1, kMostTokens, "M, rows of the activations")->required();
  add_choice(*command, "--activations", options->activations,
             {ActivationFormat::nvfp4, ActivationFormat::mxfp4, ActivationFormat::bf16},
             "Format of the activations; default: that of the weights")
      ->default_str("");
  add_choice(*command, "--numerics", options->numerics, {Numerics::blackwell, Numerics::fast},
             "blackwell: the tensor core's bits; fast: f32 sums");
  add_choice(*command, "--output", options->output, {OutputType::f32, OutputType::bf16, OutputType::f16},
             "Type of D");
  add_count(*command, "--threads", options->threads, 1, kMostThreads, "Threads; default: all cores");
  add_choice(*command, "--check", options->check,
             {bench::CheckExtent::all, bench::CheckExtent::sample, bench::CheckExtent::none},
             "Outputs compared with reference/");
  command
      ->add_option("--seconds", options->seconds, "How long to time; up to five times more on a busy machine")
      ->check(CLI::Range(0.0, 3600.0))
      ->capture_default_str();
  command->add_option("--scale-rule", options->rule, "How a block gets its scale")->type_name("RULE");
  command->add_option("--kernel", options->kernel, "A registered kernel, by name or the part after __")
      ->type_name("NAME");
  command->add_option("--max-isa", options->max_isa, "Highest level; overrides FOURGE_MAX_ISA")
      ->type_name("ISA");
  context.add_json_flag(*command);
  context.on_run(*command, [options, &context] { return run(*options, context); });
}

}  // namespace fourge::cli
