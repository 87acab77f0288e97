// Every registered decode kernel: checked against quant/, then timed beside stores of the same bytes.
#include <algorithm>
#include <cstring>
#include <string>
#include <vector>
#include "bench/groups.h"

#include "bench/harness/memory_case.h"
#include "bench/peaks/pages.h"
#include "bench/support/gemm_data.h"
#include "fourge/decode.h"
#include "jit/decode/decode_kernel.h"
#include "jit/element_io.h"

namespace fourge::bench {
namespace {

constexpr std::int64_t kCols = 1024;

struct DecodeCase {
  DecodeSpec spec;
  ScaleLayout layout;
  std::string kernel;  // name
  std::string max_isa;
  std::int64_t rows;
  int threads;
};

bool is_right(const DecodeCase& c, const QuantizedView& matrix, const std::uint8_t* y) {
  std::vector<float> values(static_cast<std::size_t>(matrix.rows * matrix.cols));
  if (!dequantize(matrix, values).ok()) return false;
  std::vector<std::uint8_t> want(values.size() * static_cast<std::size_t>(jit::plain_bytes(c.spec.output)));
  jit::store_elements(c.spec.output, values.data(), static_cast<std::int64_t>(values.size()), want.data());
  return std::memcmp(want.data(), y, want.size()) == 0;
}

void run_case(benchmark::State& state, const DecodeCase& c) {
  const Result<Decoder> decoder =
      Decoder::create(c.spec, {.kernel = c.kernel.c_str(), .max_isa = c.max_isa.c_str()});
  if (!decoder.ok()) return report_wrong(state, decoder.failure().message());
  current_case().code = decoder->code();
  const Values weights = random_weights(c.rows, kCols, 1);
  const Result<QuantizedMatrix> matrix =
      quantize(weights.data, c.rows, kCols,
               {.format = c.spec.format, .rule = default_rule(c.spec.format), .layout = c.layout});
  if (!matrix.ok()) return report_wrong(state, matrix.failure().message());
  const QuantizedView view = matrix->view();
  const std::int64_t count = c.rows * kCols, written_bytes = count * jit::plain_bytes(c.spec.output);
  const Pages y(written_bytes);
  if (y.data() == nullptr) return report_skipped(state, "no memory for the output");
  const Status done = decoder->run(view, y.data(), 0, {.threads = c.threads});
  if (!done.ok()) return report_wrong(state, done.failure().message());
  if (!is_right(c, view, y.data())) return report_wrong(state, "differs from quant/");
  measure_memory(state,
                 {.read = matrix->codes.data(),
                  .read_bytes = static_cast<std::int64_t>(matrix->codes.size() + matrix->scales.size()),
                  .written = y.data(),
                  .written_bytes = written_bytes,
                  .elements = count,
                  .yardstick = Yardstick::store,
                  .run = [&] { return decoder->run(view, y.data(), 0, {.threads = c.threads}).ok(); }});
}

void add(const DecodeCase& c, const char* footprint) {
  const std::string name = "decode/" + c.kernel + "/" + footprint +
                           (c.layout != ScaleLayout::linear ? std::string("/") + name_of(c.layout) : "") +
                           "/threads:" + std::to_string(c.threads);
  add_case(name,
           {.operation = "decode",
            .kernel = c.kernel,
            .isa = c.max_isa,
            .format = name_of(c.spec.format),
            .footprint = footprint,
            .rows = c.rows,
            .cols = kCols,
            .threads = c.threads,
            .verified = "quant"},
           [c](benchmark::State& state) { run_case(state, c); });
}

}  // namespace

void register_decode_benchmarks(const HarnessOptions& options, MachinePeaks&) {
  struct Footprint {
    const char* name;
    std::int64_t rows;
  };
  // f32 in half of L2; 256 MiB of bf16.
  std::vector<Footprint> footprints = {{"L2", jit::host_caches().l2 / 2 / 4 / kCols}};
  if (!options.quick) footprints.push_back({"256MiB", (std::int64_t{1} << 27) / kCols});
  if (options.smoke) footprints = {{"smoke", 9}};
  bool is_best = true;
  for (const auto& entry : jit::decode_kernels()) {
    if (const char* missing = jit::host_features().missing_for(entry.isa)) {
      leave_out_kernel(std::string("decode, ") + entry.isa_variant, missing);
      continue;
    }
    for (const Format format : {Format::nvfp4, Format::mxfp4}) {
      for (const ElementFormat output : {ElementFormat::bf16, ElementFormat::f16, ElementFormat::f32}) {
        const DecodeSpec spec{.format = format, .output = output};
        if (!check(spec).ok() || entry.refusal(spec) != nullptr) continue;
        for (const Footprint& footprint : footprints) {
          if (!is_best && footprint.rows > footprints.front().rows) continue;
          for (const ScaleLayout layout : {ScaleLayout::linear, ScaleLayout::swizzled_128x4}) {
            if (layout != ScaleLayout::linear && output != ElementFormat::bf16) continue;
            for (const int threads : options.threads)
              add({spec, layout, entry.name(spec), jit::name_of(entry.isa), footprint.rows, threads},
                  footprint.name);
          }
        }
      }
    }
    is_best = false;
  }
}

}  // namespace fourge::bench
