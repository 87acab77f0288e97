// Public operations without a kernel of their own: batches, GPTQ, searching scale rules, the reference.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "bench/groups.h"
#include "bench/support/gemm_data.h"
#include "fourge/decode.h"
#include "fourge/gptq.h"
#include "fourge/rounding.h"
#include "reference/gemm.h"
#include "reference/mma/model.h"

namespace fourge::bench {
namespace {

QuantizedMatrix quantized(const Values& values) {
  return *quantize(values.data, values.rows, values.cols, {.rule = default_rule(Format::nvfp4)});
}

// Experts with different numbers of rows, in one call.
void batch(benchmark::State& state, std::int64_t experts, std::int64_t n, std::int64_t k) {
  const Result<Gemm> gemm = Gemm::create({.m = 16, .n = n, .k = k});
  if (!gemm.ok()) return report_wrong(state, gemm.failure().message());
  std::vector<QuantizedMatrix> a;
  std::vector<PackedWeights> weights;
  std::vector<std::vector<float>> d, want;
  std::vector<GemmBatchItem> items;
  double products = 0;
  for (std::int64_t e = 0; e < experts; ++e) {
    const std::int64_t m = 1 + e * 5 % 16;
    a.push_back(quantized(random_activations(m, k, static_cast<std::uint64_t>(e))));
    weights.push_back(
        *gemm->pack(quantized(random_weights(n, k, static_cast<std::uint64_t>(e + 100))).view()));
    d.emplace_back(static_cast<std::size_t>(m * n));
    want.push_back(d.back());
    products += static_cast<double>(m * n * k);
  }
  for (std::size_t e = 0; e < a.size(); ++e) {
    const GemmOperands operands{.alpha = gemm_alpha(a[e].tensor_scale, weights[e].tensor_scale()),
                                .d = d[e].data()};
    items.push_back({.m = a[e].rows, .a = a[e].view(), .weights = &weights[e], .operands = operands});
    const Result<Gemm> single = Gemm::create({.m = a[e].rows, .n = n, .k = k});
    GemmOperands alone = operands;
    alone.d = want[e].data();
    if (!single.ok() || !single->run(a[e].view(), weights[e], alone).ok())
      return report_skipped(state, "another kernel packs single products another way");
  }
  if (const Status ran = gemm->run_batch(items, {.threads = 1}); !ran.ok())
    return report_wrong(state, ran.failure().message());
  if (d != want) return report_wrong(state, "differs from single runs");
  current_case().operations = 2 * products;
  current_case().code = gemm->code();
  measure_calls(state, 1, [&] { static_cast<void>(gemm->run_batch(items, {.threads = 1})); });
}

void gptq_layer(benchmark::State& state, std::int64_t rows, std::int64_t cols) {
  const Values weights = random_weights(rows, cols, 1), inputs = random_activations(2 * cols, cols, 2);
  const std::vector<double> hessian = second_moment(inputs.data, inputs.rows, cols);
  const GptqSpec spec{.rule = ScaleRule::static_6};
  const Result<GptqResult> once = gptq(weights.data, rows, cols, hessian, spec);
  if (!once.ok()) return report_wrong(state, once.failure().message());
  if (!(once->report.relative_error > 0 && once->report.relative_error < 0.02))
    return report_wrong(state, "the loss of GPTQ is not that of 4 bits");
  current_case().elements = static_cast<double>(rows * cols);
  measure_calls(state, 1, [&] { static_cast<void>(gptq(weights.data, rows, cols, hessian, spec)); });
}

// Rules that try scales have no kernel: quantize() itself.
void searching(benchmark::State& state, Format format, ScaleRule rule, std::int64_t rows, std::int64_t cols) {
  const Values values = random_activations(rows, cols, 3);
  const auto error_under = [&](ScaleRule other) {
    const Result<QuantizedMatrix> q = quantize(values.data, rows, cols, {.format = format, .rule = other});
    std::vector<float> back(values.data.size());
    double error = 0;
    if (!q.ok() || !dequantize(q->view(), back).ok()) return 1e300;
    for (std::size_t i = 0; i < back.size(); ++i)
      error +=
          (static_cast<double>(back[i]) - values.data[i]) * (static_cast<double>(back[i]) - values.data[i]);
    return error;
  };
  if (error_under(rule) > error_under(ScaleRule::static_6) * 1.02)
    return report_wrong(state, "a larger error than that of static_6");
  current_case().elements = static_cast<double>(rows * cols);
  measure_calls(state, 1, [&] {
    static_cast<void>(quantize(values.data, rows, cols, {.format = format, .rule = rule}));
  });
}

void dequantizing(benchmark::State& state, std::int64_t rows, std::int64_t cols) {
  const QuantizedMatrix q = quantized(random_activations(rows, cols, 4));
  std::vector<float> got(static_cast<std::size_t>(rows * cols)), want(got.size());
  const Result<Decoder> decoder = Decoder::create({});
  if (!decoder.ok() || !decoder->run(q.view(), want.data()).ok() || !dequantize(q.view(), got).ok())
    return report_wrong(state, "it failed");
  if (got != want) return report_wrong(state, "differs from the decode kernel");
  current_case().elements = static_cast<double>(got.size());
  current_case().bytes = static_cast<double>(got.size() * 4 + q.codes.size() + q.scales.size());
  measure_calls(state, 1, [&] { static_cast<void>(dequantize(q.view(), got)); });
}

void converting_scales(benchmark::State& state, std::int64_t rows, std::int64_t columns) {
  std::vector<std::uint8_t> linear(static_cast<std::size_t>(rows * columns)), back(linear.size());
  for (std::size_t i = 0; i < linear.size(); ++i) linear[i] = static_cast<std::uint8_t>(i * 37);
  std::vector<std::uint8_t> tiles(
      static_cast<std::size_t>(scale_bytes(ScaleLayout::swizzled_128x4, rows, columns)));
  const auto there = [&] {
    convert_scales(ScaleLayout::linear, linear.data(), ScaleLayout::swizzled_128x4, tiles.data(), rows,
                   columns);
  };
  there();
  convert_scales(ScaleLayout::swizzled_128x4, tiles.data(), ScaleLayout::linear, back.data(), rows, columns);
  if (back != linear) return report_wrong(state, "there and back is another matrix");
  current_case().bytes = 2 * static_cast<double>(linear.size());
  measure_calls(state, 1, there);
}

void reference_product(benchmark::State& state, Format format, std::int64_t m, std::int64_t n,
                       std::int64_t k) {
  const GemmSpec spec{.m = m, .n = n, .k = k, .format = format};
  const Result<GemmData> data = quantize_both(random_activations(m, k, 1), random_weights(n, k, 2),
                                              {.format = format, .rule = default_rule(format)});
  const Result<Gemm> gemm = Gemm::create(spec);
  if (!data.ok() || !gemm.ok()) return report_wrong(state, "no operands");
  std::vector<float> got(static_cast<std::size_t>(m * n)), want(got.size());
  GemmOperands operands{.alpha = data->alpha(), .d = want.data()};
  if (!gemm->run(data->a.view(), *gemm->pack(data->b.view()), operands).ok())
    return report_wrong(state, "no kernel");
  operands.d = got.data();
  const auto run = [&] {
    static_cast<void>(reference::gemm(spec, data->a.view(), data->b.view(), operands));
  };
  run();
  if (std::memcmp(got.data(), want.data(), got.size() * sizeof(float)) != 0)
    return report_wrong(state, "differs from the kernel");
  current_case().operations = 2 * static_cast<double>(m * n * k);
  measure_calls(state, 1, run);
}

// One output of an instruction: a dot product of depth k with its accumulator.
void instruction(benchmark::State& state, const reference::MmaModel& model) {
  constexpr int kCalls = 200;
  ElementFormat format{};
  for (const ElementFormat candidate : kElementFormats)
    if (model.formats.contains(candidate)) format = candidate;
  const int k = model.depths[0];
  const auto bytes = static_cast<std::size_t>(reference::row_bytes(format, k));
  const auto count = static_cast<std::size_t>(reference::scales_per_row(model, k));
  const std::vector<std::uint8_t> zeros(bytes), scales(count, 0x38);
  const auto zero_row = reference::decode_row(model, format, k, zeros, scales);
  const ElementFormat c_format = model.c_format();
  const std::uint32_t one = encode(c_format, 1.0f);
  if (reference::mma(model, zero_row, zero_row, one) != one) return report_wrong(state, "0 * 0 + 1 is not 1");
  std::vector<std::uint8_t> ordinary(bytes);
  for (std::size_t i = 0; i < bytes; ++i) ordinary[i] = static_cast<std::uint8_t>(i * 37 % 51 + 8);
  const auto a = reference::decode_row(model, format, k, ordinary, scales);
  current_case().operations = 2.0 * k;
  measure_calls(state, kCalls, [&] {
    std::uint32_t d = one;
    for (int i = 0; i < kCalls; ++i) benchmark::DoNotOptimize(d = reference::mma(model, a, a, one));
  });
}

void elements(benchmark::State& state, ElementFormat format) {
  constexpr int kCalls = 1 << 14;
  const std::uint32_t codes = 1u << info(format).code_bits();
  std::vector<float> values(codes);
  for (std::uint32_t code = 0; code < codes; ++code) {
    values[code] = decode_f32(format, code);
    if (!(values[code] == values[code])) values[code] = 0.0f;
    if (values[code] != 0 && encode(format, values[code], Rounding::rne, Overflow::infinity) != code)
      return report_wrong(state, "a code does not come back");
  }
  current_case().elements = 1;
  measure_calls(state, kCalls, [&] {
    for (std::uint32_t i = 0; i < kCalls; ++i)
      benchmark::DoNotOptimize(
          encode(format, values[i * 31 & (codes - 1)] * 1.01f, Rounding::rne, Overflow::infinity));
  });
}

std::string by(std::int64_t a, std::int64_t b) { return std::to_string(a) + "x" + std::to_string(b); }

}  // namespace

void register_library_benchmarks(const HarnessOptions& options, MachinePeaks& peaks) {
  const bool smoke = options.smoke;
  const std::int64_t n = smoke ? 48 : 512, k = smoke ? 64 : 512, experts = smoke ? 3 : 8;
  add_case("gemm_batch/nvfp4/" + std::to_string(experts) + "x16x" + by(n, k),
           {.operation = "gemm_batch",
            .kernel = "Gemm::run_batch",
            .format = "nvfp4",
            .m = 16 * experts,
            .n = n,
            .k = k,
            .verified = "bits"},
           [=](benchmark::State& state) { batch(state, experts, n, k); });
  const std::int64_t rows = smoke ? 8 : 128, cols = smoke ? 64 : 512;
  add_case("gptq/nvfp4/" + by(rows, cols),
           {.operation = "gptq",
            .kernel = "gptq",
            .format = "nvfp4",
            .rows = rows,
            .cols = cols,
            .verified = "loss"},
           [=](benchmark::State& state) { gptq_layer(state, rows, cols); });
  register_second_moment_cases(options, peaks);
  for (const Format format : {Format::nvfp4, Format::mxfp4}) {
    for (const ScaleRule rule : {ScaleRule::search, ScaleRule::sweep}) {
      add_case(std::string("quantize/") + name_of(format) + "/" + name_of(rule) + "/" + by(rows, cols),
               {.operation = "quantize",
                .kernel = std::string("quantize(), ") + name_of(rule),
                .format = name_of(format),
                .rows = rows,
                .cols = cols,
                .verified = "error"},
               [=](benchmark::State& state) { searching(state, format, rule, rows, cols); });
    }
    const std::int64_t m = smoke ? 1 : 4;
    add_case(std::string("reference/gemm/") + name_of(format) + "/" + std::to_string(m) + "x" + by(n / 16, k),
             {.operation = "reference",
              .kernel = "reference::gemm",
              .format = name_of(format),
              .m = m,
              .n = n / 16,
              .k = k,
              .verified = "bits"},
             [=](benchmark::State& state) { reference_product(state, format, m, n / 16, k); });
  }
  add_case("dequantize/nvfp4/" + by(rows, cols),
           {.operation = "dequantize",
            .kernel = "dequantize()",
            .format = "nvfp4",
            .rows = rows,
            .cols = cols,
            .verified = "bits"},
           [=](benchmark::State& state) { dequantizing(state, rows, cols); });
  add_case("convert_scales/" + by(rows, cols),
           {.operation = "convert_scales",
            .kernel = "convert_scales()",
            .rows = rows,
            .cols = cols,
            .verified = "bits"},
           [=](benchmark::State& state) { converting_scales(state, rows, cols); });
  for (const ElementFormat format : {ElementFormat::e2m1, ElementFormat::e4m3, ElementFormat::f16}) {
    add_case(std::string("encode/") + name_of(format),
             {.operation = "encode", .kernel = "encode()", .format = name_of(format), .verified = "bits"},
             [=](benchmark::State& state) { elements(state, format); });
  }
  for (const reference::MmaModel& model : reference::kMmaModels) {
    add_case("reference/mma/" + std::string(model.name),
             {.operation = "reference",
              .kernel = std::string(model.name),
              .k = model.depths[0],
              .verified = "identity"},
             [&model](benchmark::State& state) { instruction(state, model); });
  }
}

}  // namespace fourge::bench
