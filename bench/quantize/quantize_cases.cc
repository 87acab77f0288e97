// Every registered quantise kernel: checked against quant/, then timed in cycles.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>
#include <vector>
#include "bench/groups.h"

#include "bench/harness/memory_case.h"
#include "bench/peaks/pages.h"
#include "bench/support/plain_data.h"
#include "fourge/hadamard.h"
#include "jit/element_io.h"
#include "jit/quantize/quantize_kernel.h"
#include "quant/quantize.h"
#include "reference/hadamard.h"

namespace fourge::bench {
namespace {

constexpr std::int64_t kCols = 1024;

struct QuantizeCase {
  QuantizerSpec spec;
  std::string kernel;  // name
  std::string max_isa;
  std::int64_t rows;
  bool amax_given;
  int threads;
};

// The f32 matrix that the kernel quantises.
std::vector<float> prepared(const QuantizeCase& c, const std::uint8_t* x) {
  std::vector<float> values(static_cast<std::size_t>(c.rows * kCols));
  jit::load_elements(c.spec.input, x, c.rows * kCols, values.data());
  if (c.spec.transpose) values = quant::transposed(values, c.rows, kCols);
  const auto order = static_cast<std::size_t>(c.spec.rotate);
  const float scale = order != 0 ? orthonormal_scale(c.spec.rotate) : 1.0f;
  for (std::size_t i = 0; order != 0 && i < values.size(); i += order)
    reference::hadamard_block(std::span(values).subspan(i, order), nullptr, &scale);
  return values;
}

// Empty, or what differs from quant/.
std::string difference(const QuantizeCase& c, const std::vector<float>& values, const std::uint8_t* codes,
                       const std::uint8_t* scales) {
  const std::int64_t rows = c.spec.transpose ? kCols : c.rows, cols = c.spec.transpose ? c.rows : kCols;
  const Result<QuantizedMatrix> want =
      quant::quantize_with_amax(values, rows, cols, c.spec.quantize, quant::tensor_amax(values), 1);
  if (!want.ok()) return want.failure().message();
  if (std::memcmp(want->codes.data(), codes, want->codes.size()) != 0) return "codes differ from quant/";
  if (std::memcmp(want->scales.data(), scales, want->scales.size()) != 0) return "scales differ from quant/";
  return {};
}

void run_case(benchmark::State& state, const QuantizeCase& c) {
  const Result<Quantizer> quantizer =
      Quantizer::create(c.spec, {.kernel = c.kernel.c_str(), .max_isa = c.max_isa.c_str()});
  if (!quantizer.ok()) return report_wrong(state, quantizer.failure().message());
  current_case().code = quantizer->code();
  const std::int64_t count = c.rows * kCols, block = info(c.spec.quantize.format).block;
  const std::int64_t out_rows = c.spec.transpose ? kCols : c.rows, out_cols = count / out_rows;
  const std::int64_t scale_count = scale_bytes(c.spec.quantize.layout, out_rows, out_cols / block);
  const Pages x(count * jit::plain_bytes(c.spec.input)), out(count / 2 + scale_count);
  if (x.data() == nullptr || out.data() == nullptr)
    return report_skipped(state, "no memory for the operands");
  fill_activations(c.spec.input, count, x.data());

  const std::vector<float> values = prepared(c, x.data());
  QuantizeOperands operands{.x = x.data(),
                            .rows = c.rows,
                            .cols = kCols,
                            .seed = 1,
                            .codes = out.data(),
                            .scales = out.data() + count / 2};
  if (c.amax_given) operands.amax = quant::tensor_amax(values);
  const Result<QuantizeOutcome> outcome = quantizer->run(operands, {.threads = c.threads});
  if (!outcome.ok()) return report_wrong(state, outcome.failure().message());
  if (const std::string wrong = difference(c, values, operands.codes, operands.scales); !wrong.empty())
    return report_wrong(state, wrong);
  measure_memory(state, {.read = x.data(),
                         .read_bytes = count * jit::plain_bytes(c.spec.input),
                         .written = out.data(),
                         .written_bytes = count / 2 + scale_count,
                         .elements = count,
                         .yardstick = Yardstick::read,
                         .run = [&] { return quantizer->run(operands, {.threads = c.threads}).ok(); }});
  state.counters["redone_blocks"] = static_cast<double>(outcome->redone_blocks);
}

std::vector<QuantizerSpec> specs_of(const HarnessOptions& options) {
  std::vector<QuantizerSpec> specs;
  for (const Format format : {Format::nvfp4, Format::mxfp4}) {
    for (const ScaleRule rule : scale_rules_of(format)) {
      if ((options.quick || options.smoke) && tries_scales(rule)) continue;  // up to a hundred times as long
      specs.push_back({.quantize = {.format = format, .rule = rule}, .input = ElementFormat::bf16});
    }
    const QuantizerSpec plain{
        .quantize = {.format = format,
                     .rule = format == Format::nvfp4 ? ScaleRule::static_6 : ScaleRule::rceil},
        .input = ElementFormat::bf16};
    for (const std::int64_t order : {16, 32, 64, 128, 256}) {
      specs.push_back(plain);
      specs.back().rotate = order;
    }
    if (options.quick) continue;
    specs.push_back(plain);
    specs.back().input = ElementFormat::f32;
    specs.push_back(plain);
    specs.back().input = ElementFormat::f16;
    specs.push_back(plain);
    specs.back().quantize.block_2d = true;
    specs.push_back(plain);
    specs.back().transpose = true;
    specs.push_back(plain);
    specs.back().quantize.layout = ScaleLayout::swizzled_128x4;
    specs.push_back(plain);
    specs.back().quantize.rounding = ElementRounding::stochastic;
  }
  return specs;
}

void add(const QuantizeCase& c, const char* footprint) {
  const std::string name = "quantize/" + c.kernel + "/" + footprint + (c.amax_given ? "/amax_given" : "") +
                           "/threads:" + std::to_string(c.threads);
  add_case(name,
           {.operation = "quantize",
            .kernel = c.kernel,
            .isa = c.max_isa,
            .format = name_of(c.spec.quantize.format),
            .footprint = std::string(footprint) + (c.amax_given ? ", amax given" : ""),
            .rows = c.rows,
            .cols = kCols,
            .order = c.spec.rotate,
            .threads = c.threads,
            .verified = "quant"},
           [c](benchmark::State& state) { run_case(state, c); });
}

}  // namespace

void register_quantize_benchmarks(const HarnessOptions& options, MachinePeaks&) {
  struct Footprint {
    const char* name;
    std::int64_t rows;
  };
  // bf16 in half of L2; 64 MiB of it.
  std::vector<Footprint> footprints = {{"L2", jit::host_caches().l2 / 4 / 2 / kCols}};
  if (options.all) footprints.push_back({"64MiB", (std::int64_t{1} << 25) / kCols});
  if (options.smoke) footprints = {{"smoke", 32}};
  bool is_best = true;
  for (const auto& entry : jit::quantize_kernels()) {
    if (const char* missing = jit::host_features().missing_for(entry.isa)) {
      leave_out_kernel(std::string("quantize, ") + entry.isa_variant, missing);
      continue;
    }
    for (const QuantizerSpec& spec : specs_of(options)) {
      if (!check(spec).ok() || entry.refusal(spec) != nullptr) continue;
      if (!is_best && !options.all && !options.smoke && spec != specs_of(options).front()) continue;
      for (const Footprint& footprint : footprints) {
        for (const bool amax_given : {true, false}) {
          if (!amax_given && spec.quantize.format != Format::nvfp4) continue;
          for (const int threads : options.threads)
            add({spec, entry.name(spec), jit::name_of(entry.isa), footprint.rows, amax_given, threads},
                footprint.name);
        }
      }
    }
    is_best = false;
  }
}

}  // namespace fourge::bench
