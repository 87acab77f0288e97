// fourge demo: real weights in, a generated kernel out, every output held against the reference.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "bench/peaks/timing.h"
#include "bench/support/gemm_run.h"
#include "tools/cli/commands.h"
#include "tools/cli/context.h"
#include "tools/cli/demo_model.h"
#include "tools/cli/demo_text.h"
#include "tools/cli/gemm_report.h"
#include "tools/cli/options.h"
#include "tools/cli/progress.h"
#include "tools/cli/table.h"

namespace fourge::cli {
namespace {

constexpr std::int64_t kTokens[] = {1, 32, 512};
constexpr std::int64_t kQuickTokens[] = {1, 32};

constexpr const char* kDemoFooter =
    "Quantises the MLP weights of the middle layer of models/nano, generates a kernel for each shape, and\n"
    "multiplies activations made from text: embedding, RMSNorm and SwiGLU of the model itself (attention "
    "left\n"
    "out). Every output is compared bit for bit with reference/. Then a larger random product, and the same\n"
    "products by oneDNN (bf16) and OpenBLAS (f32) where they are installed.";

struct DemoOptions {
  std::string model;
  std::int64_t threads = 1;
  bool quick = false;
};

// One line of the table before it runs.
struct Product {
  std::string weights;  // "layer 3 mlp.gate_proj", "random"
  const bench::Values* x = nullptr;
  const bench::Values* w = nullptr;
  std::int64_t tokens = 1;
  Format format = Format::nvfp4;
};

struct DemoRow {
  Product product;
  bench::GemmReport report;
};

// Products that differ in format alone have one comparison with the peers.
struct PeerRow {
  std::string weights;
  std::int64_t m = 0, n = 0, k = 0;
  std::vector<bench::PeerReport> runs;
};

struct Demo {
  std::string model;
  std::int64_t layer = 0;
  int threads = 1;
  bench::MachinePeaks peaks{0.05};
  std::vector<DemoRow> rows;
  std::vector<PeerRow> peers;
  double seconds = 0;

  std::int64_t outputs() const {
    std::int64_t sum = 0;
    for (const DemoRow& row : rows) sum += row.report.check.outputs;
    return sum;
  }
  std::int64_t mismatches() const {
    std::int64_t sum = 0;
    for (const DemoRow& row : rows) sum += row.report.check.mismatches;
    return sum;
  }
};

constexpr bench::RepeatOptions kRepeat{.seconds = 0.05};

bench::Values first_rows(const bench::Values& values, std::int64_t rows) {
  return {rows, values.cols, {values.data.begin(), values.data.begin() + rows * values.cols}};
}

Status run_product(const Product& product, Demo& demo) {
  const bench::Values x = first_rows(*product.x, product.tokens);
  const QuantizeSpec quantize{.format = product.format, .rule = bench::default_rule(product.format)};
  const Result<bench::GemmData> data = bench::quantize_both(x, *product.w, quantize);
  if (!data) return data.failure();
  const Result<bench::TimedGemm> gemm = bench::create_gemm(
      {.m = product.tokens, .n = product.w->rows, .k = product.w->cols, .format = product.format});
  if (!gemm) return gemm.failure();
  bench::GemmRunOptions options;
  options.threads = demo.threads;
  options.check = bench::CheckExtent::all;
  options.repeat = kRepeat;
  Result<bench::GemmReport> report = bench::run_gemm(*gemm, *data, options, demo.peaks);
  if (!report) return report.failure();
  demo.rows.push_back({product, std::move(*report)});
  if (product.format == Format::nvfp4) {
    demo.peers.push_back({product.weights, product.tokens, product.w->rows, product.w->cols,
                          bench::run_peers(x, *product.w, demo.threads, kRepeat)});
  }
  return {};
}

Status run_products(const std::vector<Product>& products, Demo& demo) {
  Progress progress("demo", static_cast<std::int64_t>(products.size()));
  for (const Product& product : products) {
    if (const Status ran = run_product(product, demo); !ran) return ran;
    progress.advance();
  }
  return {};
}

Status run_model(const DemoModel& model, std::span<const std::int64_t> tokens, Demo& demo) {
  demo.model = model.folder().lexically_normal().string();
  demo.layer = model.layers() / 2;
  const Result<bench::Values> x = model.gate_inputs(demo.layer, kDemoText);
  if (!x) return x.failure();
  const Result<bench::Values> h = model.down_inputs(demo.layer, *x);
  if (!h) return h.failure();
  const Result<bench::Values> gate = model.weights(demo.layer, "mlp.gate_proj");
  if (!gate) return gate.failure();
  const Result<bench::Values> down = model.weights(demo.layer, "mlp.down_proj");
  if (!down) return down.failure();
  std::vector<Product> products;
  for (const Format format : {Format::nvfp4, Format::mxfp4}) {
    for (const std::int64_t m : tokens) products.push_back({"gate_proj", &*x, &*gate, m, format});
    for (const std::int64_t m : tokens) products.push_back({"down_proj", &*h, &*down, m, format});
  }
  return run_products(products, demo);
}

// The width of a model of 8 billion parameters.
Status run_large(Demo& demo) {
  constexpr std::int64_t kWidth = 4096, kMostTokens = 128;
  const bench::Values w = bench::random_weights(kWidth, kWidth, 1);
  const bench::Values x = bench::random_activations(kMostTokens, kWidth, 2);
  return run_products({{"random", &x, &w, 1, Format::nvfp4},
                       {"random", &x, &w, kMostTokens, Format::nvfp4},
                       {"random", &x, &w, kMostTokens, Format::mxfp4}},
                      demo);
}

// What follows the last "_" of the part before "__", and the part after: "1x16x64__avx512_vnni".
std::string short_name(const std::string& kernel) {
  const std::size_t variant = kernel.rfind("__");
  return variant == std::string::npos ? kernel : kernel.substr(kernel.rfind('_', variant - 1) + 1);
}

std::string shape_text(std::int64_t m, std::int64_t n, std::int64_t k) {
  return fmt::format("{} x {} x {}", m, n, k);
}

void print_products(const Demo& demo, const Context& context) {
  using Align = Table::Align;
  Table table({{"weights", Align::kLeft},
               {"M x N x K"},
               {"format", Align::kLeft},
               {"kernel", Align::kLeft},
               {"time"},
               {"GFLOP/s"},
               {"GB/s"},
               {"of bound"},
               {"by", Align::kLeft},
               {"checked"},
               {"wrong"},
               {"rel. error"}});
  for (const DemoRow& row : demo.rows) {
    const bench::GemmReport& r = row.report;
    const std::string wrong = std::to_string(r.check.mismatches);
    table.add_row({row.product.weights, shape_text(r.spec.m, r.spec.n, r.spec.k), name_of(r.spec.format),
                   short_name(r.code.name), time_text(r.times.best()), fmt::format("{:.1f}", r.gflops()),
                   fmt::format("{:.2f}", r.weight_gbps()),
                   r.bound ? fmt::format("{:.1f} %", 100 * *r.bound_fraction()) : "-",
                   r.bound ? r.bound->by : "-", std::to_string(r.check.outputs),
                   context.paint(r.check.ok() ? Color::kGreen : Color::kRed, wrong),
                   r.error ? fmt::format("{:.4f}", r.error->value) : "-"});
  }
  table.print();
}

void print_peers(const Demo& demo) {
  Table table({{"weights", Table::Align::kLeft},
               {"M x N x K"},
               {"fourge nvfp4"},
               {"oneDNN bf16"},
               {"speedup"},
               {"OpenBLAS f32"},
               {"speedup"}});
  for (const PeerRow& peer : demo.peers) {
    for (const DemoRow& row : demo.rows) {
      const GemmSpec& spec = row.report.spec;
      const bool same = row.product.weights == peer.weights && spec.m == peer.m && spec.n == peer.n;
      if (!same || spec.format != Format::nvfp4) continue;
      std::vector<std::string> cells = {peer.weights, shape_text(peer.m, peer.n, peer.k),
                                        time_text(row.report.times.best())};
      for (const bench::PeerReport& run : peer.runs) {
        cells.push_back(run.ran() ? time_text(run.times.best()) : "absent");
        cells.push_back(run.ran() ? fmt::format("{:.2f}", run.times.best() / row.report.times.best()) : "-");
      }
      table.add_row(std::move(cells));
    }
  }
  table.print();
  for (const bench::PeerReport& run : demo.peers.front().runs) {
    fmt::print("{}: {}\n", run.name, run.ran() ? run.version : run.absent);
  }
}

void print_text(Demo& demo, const Context& context) {
  fmt::print("{}, {} thread{}; {}, layer {}\n\n", jit::host_name(), demo.threads,
             demo.threads == 1 ? "" : "s", demo.model, demo.layer);
  print_products(demo, context);
  fmt::print(
      "\nTimes are the best of many runs; the peaks behind \"of bound\" were measured in this run.\n\n");
  print_peers(demo);
  fmt::print("\nchosen: {}\n", choice_line(demo.rows.front().report));
  const std::string verdict = demo.mismatches() == 0 ? context.paint(Color::kGreen, "bit-exact")
                                                     : context.paint(Color::kRed, "NOT bit-exact");
  fmt::print("{} outputs compared with reference/, {} mismatches: {}; {:.1f} s\n", demo.outputs(),
             demo.mismatches(), verdict, demo.seconds);
}

Json to_json(const Demo& demo) {
  Json document = {{"cpu", jit::host_name()},
                   {"model", demo.model},
                   {"layer", demo.layer},
                   {"threads", demo.threads},
                   {"products", Json::array()},
                   {"peers", Json::array()},
                   {"chosen", choice_line(demo.rows.front().report)},
                   {"outputs_checked", demo.outputs()},
                   {"mismatches", demo.mismatches()},
                   {"seconds", demo.seconds}};
  for (const DemoRow& row : demo.rows) {
    Json object = {{"weights", row.product.weights}};
    object.update(cli::to_json(row.report));
    document["products"].push_back(std::move(object));
  }
  for (const PeerRow& peer : demo.peers) {
    for (const bench::PeerReport& run : peer.runs) {
      Json object = {
          {"name", run.name}, {"weights", peer.weights}, {"m", peer.m}, {"n", peer.n}, {"k", peer.k}};
      object["version"] = run.ran() ? Json(run.version) : Json(nullptr);
      object["absent"] = run.ran() ? Json(nullptr) : Json(run.absent);
      object["seconds_best"] = run.ran() ? Json(run.times.best()) : Json(nullptr);
      object["seconds_median"] = run.ran() ? Json(run.times.median()) : Json(nullptr);
      object["relative_error"] = run.ran() ? Json(run.relative_error) : Json(nullptr);
      document["peers"].push_back(std::move(object));
    }
  }
  return document;
}

Result<Outcome> run(const DemoOptions& options, Context& context) {
  const double start = bench::now_seconds();
  const Result<std::filesystem::path> folder = find_model(options.model);
  if (!folder) return folder.failure();
  const Result<DemoModel> model = DemoModel::open(*folder);
  if (!model) return model.failure();
  Demo demo;
  demo.threads = static_cast<int>(options.threads);
  const std::span<const std::int64_t> tokens =
      options.quick ? std::span<const std::int64_t>(kQuickTokens) : std::span<const std::int64_t>(kTokens);
  if (const Status ran = run_model(*model, tokens, demo); !ran) return ran.failure();
  if (!options.quick) {
    if (const Status ran = run_large(demo); !ran) return ran.failure();
  }
  demo.seconds = bench::now_seconds() - start;
  if (context.json()) {
    context.print(to_json(demo));
  } else {
    print_text(demo, context);
  }
  return demo.mismatches() == 0 ? Outcome::kTrue : Outcome::kFalse;
}

}  // namespace

void add_demo_command(CLI::App& app, Context& context) {
  auto options = std::make_shared<DemoOptions>();
  CLI::App* command =
      app.add_subcommand("demo", "Quantise, generate, run, verify and time on the shipped model");
  command->footer(kDemoFooter);
  command->add_option("--model", options->model, "Folder of another Llama with a byte vocabulary")
      ->type_name("DIR");
  add_count(*command, "--threads", options->threads, 1, 4096, "Threads of the timed runs")->default_str("1");
  command->add_flag("--quick", options->quick, "Only 1 and 32 tokens, nothing larger: a few seconds");
  context.add_json_flag(*command);
  context.on_run(*command, [options, &context] { return run(*options, context); });
}

}  // namespace fourge::cli
