// Every registered Hadamard kernel: checked against reference/, then timed beside a copy of the same bytes.
#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <vector>
#include "bench/groups.h"

#include "bench/harness/memory_case.h"
#include "bench/peaks/pages.h"
#include "bench/support/plain_data.h"
#include "jit/element_io.h"
#include "jit/hadamard/hadamard_kernel.h"
#include "reference/hadamard.h"

namespace fourge::bench {
namespace {

struct HadamardCase {
  HadamardSpec spec;
  std::string kernel;  // name
  std::string max_isa;
  std::int64_t elements;
  bool in_place;
  int threads;
};

HadamardOperands operands_of(const HadamardCase& c, const std::uint8_t* x, std::uint8_t* y,
                             const std::uint8_t* signs) {
  const std::int64_t cols = std::max<std::int64_t>(c.spec.order, 4096 / c.spec.order * c.spec.order);
  return {.x = x,
          .y = y,
          .rows = c.elements / cols,
          .cols = cols,
          .signs = c.spec.signs ? signs : nullptr,
          .scale = orthonormal_scale(c.spec.order)};
}

// The first blocks, as many as fit into 2^16 elements, bit for bit.
bool is_right(const HadamardCase& c, const std::uint8_t* x, const std::uint8_t* y,
              const std::uint8_t* signs) {
  HadamardOperands o = operands_of(c, x, nullptr, signs);
  o.rows = std::min(o.rows, std::max<std::int64_t>(1, (std::int64_t{1} << 16) / o.cols));
  std::vector<std::uint8_t> want(static_cast<std::size_t>(o.rows * o.cols * jit::plain_bytes(c.spec.output)));
  o.y = want.data();
  return reference::hadamard(c.spec, o).ok() && std::memcmp(want.data(), y, want.size()) == 0;
}

void run_case(benchmark::State& state, const HadamardCase& c) {
  const Result<Hadamard> hadamard =
      Hadamard::create(c.spec, {.kernel = c.kernel.c_str(), .max_isa = c.max_isa.c_str()});
  if (!hadamard.ok()) return report_wrong(state, hadamard.failure().message());
  current_case().code = hadamard->code();
  std::uint8_t signs[kLargestHadamardOrder / 8];
  for (std::size_t i = 0; i < sizeof signs; ++i) signs[i] = static_cast<std::uint8_t>(i * 37 + 11);
  const std::int64_t cols = operands_of(c, nullptr, nullptr, signs).cols;
  const std::int64_t count = c.elements / cols * cols;
  const std::int64_t read_bytes = count * jit::plain_bytes(c.spec.input),
                     written_bytes = count * jit::plain_bytes(c.spec.output);
  const Pages x(read_bytes + kLoopBytes), y(c.in_place ? kLoopBytes : written_bytes + kLoopBytes);
  if (x.data() == nullptr || y.data() == nullptr) return report_skipped(state, "no memory for the operands");
  fill_activations(c.spec.input, count, x.data());
  std::uint8_t* out = c.in_place ? x.data() : y.data();
  const RunOptions run_options{.threads = c.threads};
  // In place the check needs the input again.
  std::vector<std::uint8_t> input;
  if (c.in_place) input.assign(x.data(), x.data() + read_bytes);
  if (const Status done = hadamard->run(operands_of(c, x.data(), out, signs), run_options); !done.ok())
    return report_wrong(state, done.failure().message());
  if (!is_right(c, c.in_place ? input.data() : x.data(), out, signs))
    return report_wrong(state, "differs from reference/");
  measure_memory(
      state, {.read = x.data(),
              .read_bytes = read_bytes,
              .written = out,
              .written_bytes = written_bytes,
              .elements = count,
              .run = [&] { return hadamard->run(operands_of(c, x.data(), out, signs), run_options).ok(); }});
}

struct Footprint {
  const char* name;
  std::int64_t elements;  // of f32
};

void add(const HadamardCase& c, const char* footprint) {
  std::string name = "hadamard/" + c.kernel + "/" + footprint + (c.in_place ? "/in_place" : "") +
                     "/threads:" + std::to_string(c.threads);
  const HadamardOperands o = operands_of(c, nullptr, nullptr, nullptr);
  add_case(name,
           {.operation = "hadamard",
            .kernel = c.kernel,
            .isa = c.max_isa,
            .format = std::string(name_of(c.spec.input)) + (c.in_place ? ", in place" : ""),
            .footprint = footprint,
            .rows = o.rows,
            .cols = o.cols,
            .order = c.spec.order,
            .threads = c.threads,
            .verified = "bits"},
           [c](benchmark::State& state) { run_case(state, c); });
}

std::vector<HadamardSpec> specs_of(const HarnessOptions& options, bool is_best) {
  std::vector<HadamardSpec> specs;
  std::vector<std::int64_t> orders = {2, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768};
  if (options.quick) orders = {64, 128, 1024, 8192};
  if (options.smoke) orders = {8, 32, 512, 12 * 16};
  if (!is_best && !options.all && !options.smoke) orders = {128, 4096};
  for (const std::int64_t order : orders) specs.push_back({.order = order});
  if (options.smoke || !(is_best || options.all)) return specs;
  for (const std::int64_t order : {12 * 256, 20 * 256, 28 * 512}) specs.push_back({.order = order});
  for (const ElementFormat format : {ElementFormat::bf16, ElementFormat::f16}) {
    for (const std::int64_t order : {64, 128, 1024, 8192})
      specs.push_back({.order = order, .input = format, .output = format});
  }
  for (const std::int64_t order : {128, 4096}) specs.push_back({.order = order, .signs = true});
  return specs;
}

}  // namespace

void register_hadamard_benchmarks(const HarnessOptions& options, MachinePeaks&) {
  // x and y together half of L2; 256 MiB each.
  const std::int64_t in_l2 = jit::host_caches().l2 / 2 / 8;
  std::vector<Footprint> footprints = {{"L2", in_l2}, {"256MiB", std::int64_t{1} << 26}};
  if (options.quick) footprints.pop_back();
  if (options.smoke) footprints = {{"smoke", 1 << 12}};
  bool is_best = true;
  for (const auto& entry : jit::hadamard_kernels()) {
    if (const char* missing = jit::host_features().missing_for(entry.isa)) {
      leave_out_kernel(std::string("hadamard, ") + entry.isa_variant, missing);
      continue;
    }
    for (const HadamardSpec& spec : specs_of(options, is_best)) {
      if (!check(spec).ok() || entry.refusal(spec) != nullptr) continue;
      for (const Footprint& footprint : footprints) {
        const bool is_f32 = spec.input == ElementFormat::f32 && !spec.signs;
        const bool large = footprint.elements > in_l2 && !options.smoke;
        if (large && !options.all &&
            (!is_best || !is_f32 || (spec.order != 1024 && spec.order != 8192 && spec.order != 128)))
          continue;
        for (const bool in_place : {false, true}) {
          if (in_place && !is_f32) continue;
          for (const int threads : options.threads) {
            add({spec, entry.name(spec), jit::name_of(entry.isa), footprint.elements, in_place, threads},
                footprint.name);
          }
        }
      }
    }
    is_best = false;
  }
}

}  // namespace fourge::bench
