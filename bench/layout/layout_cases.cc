// Every registered layout kernel: checked against scale_layout.h, then timed beside a copy of the same bytes.
#include <cstring>
#include <string>
#include <vector>
#include "bench/groups.h"

#include "bench/harness/memory_case.h"
#include "bench/peaks/pages.h"
#include "jit/layout/layout_kernel.h"

namespace fourge::bench {
namespace {

struct LayoutCase {
  LayoutSpec spec;
  std::string kernel;  // name
  std::string max_isa;
  std::int64_t rows, columns;
  int threads;
};

// Scales against the definition; codes by going back and forth.
bool is_right(const LayoutCase& c, const std::uint8_t* from, const std::uint8_t* to, std::size_t bytes) {
  std::vector<std::uint8_t> want(bytes);
  if (jit::is_scales(c.spec.from)) {
    convert_scales(jit::scale_layout_of(c.spec.from), from, jit::scale_layout_of(c.spec.to), want.data(),
                   c.rows, c.columns);
    return std::memcmp(want.data(), to, bytes) == 0;
  }
  const Result<LayoutConverter> back = LayoutConverter::create({c.spec.to, c.spec.from});
  return back.ok() && back->run({to, want.data(), c.rows, c.columns}).ok() &&
         std::memcmp(want.data(), from, bytes) == 0 && std::memcmp(to, from, bytes) != 0;
}

void run_case(benchmark::State& state, const LayoutCase& c) {
  const Result<LayoutConverter> converter =
      LayoutConverter::create(c.spec, {.kernel = c.kernel.c_str(), .max_isa = c.max_isa.c_str()});
  if (!converter.ok()) return report_wrong(state, converter.failure().message());
  current_case().code = converter->code();
  const std::int64_t bytes = c.rows * c.columns;  // whole tiles
  const Pages from(bytes), to(bytes);
  if (from.data() == nullptr || to.data() == nullptr)
    return report_skipped(state, "no memory for the operands");
  for (std::int64_t i = 0; i < bytes; ++i) from.data()[i] = static_cast<std::uint8_t>(i * 37 + i / 251);
  const LayoutOperands operands{from.data(), to.data(), c.rows, c.columns};
  const Status done = converter->run(operands, {.threads = c.threads});
  if (!done.ok()) return report_wrong(state, done.failure().message());
  if (!is_right(c, from.data(), to.data(), static_cast<std::size_t>(bytes)))
    return report_wrong(state, "differs from the definition");
  measure_memory(state, {.read = from.data(),
                         .read_bytes = bytes,
                         .written = to.data(),
                         .written_bytes = bytes,
                         .elements = bytes,
                         .run = [&] { return converter->run(operands, {.threads = c.threads}).ok(); }});
}

std::vector<LayoutSpec> every_spec() {
  std::vector<LayoutSpec> specs;
  for (int from = 0; from <= static_cast<int>(ByteLayout::halves_32); ++from) {
    for (int to = 0; to <= static_cast<int>(ByteLayout::halves_32); ++to) {
      const LayoutSpec spec{static_cast<ByteLayout>(from), static_cast<ByteLayout>(to)};
      if (check(spec).ok()) specs.push_back(spec);
    }
  }
  return specs;
}

}  // namespace

void register_layout_benchmarks(const HarnessOptions& options, MachinePeaks&) {
  struct Footprint {
    const char* name;
    std::int64_t columns, rows;
  };
  // Both sides together half of L2. Scales of rows of 8,192 NVFP4 elements: 128 rows lie in an eighth of the
  // sets of L1. Of 9,216: in all of them.
  const auto rows_in_l2 = [](std::int64_t columns) {
    return jit::host_caches().l2 / 4 / columns / 128 * 128;
  };
  std::vector<Footprint> footprints = {{"L2", 512, rows_in_l2(512)}, {"L2_576", 576, rows_in_l2(576)}};
  if (options.quick) footprints.pop_back();
  if (options.all) footprints.push_back({"64MiB", 512, (std::int64_t{1} << 26) / 512});
  if (options.smoke) footprints = {{"smoke", 512, 128}};
  for (const auto& entry : jit::layout_kernels()) {
    if (const char* missing = jit::host_features().missing_for(entry.isa)) {
      leave_out_kernel(std::string("layout, ") + entry.isa_variant, missing);
      continue;
    }
    for (const LayoutSpec& spec : every_spec()) {
      if (entry.refusal(spec) != nullptr) continue;
      for (const Footprint& footprint : footprints) {
        for (const int threads : options.threads) {
          const LayoutCase c{spec,           entry.name(spec),  jit::name_of(entry.isa),
                             footprint.rows, footprint.columns, threads};
          const std::string name =
              "layout/" + c.kernel + "/" + footprint.name + "/threads:" + std::to_string(threads);
          add_case(name,
                   {.operation = "layout",
                    .kernel = c.kernel,
                    .isa = c.max_isa,
                    .format = std::string(name_of(spec.from)) + " to " + name_of(spec.to),
                    .footprint = footprint.name,
                    .rows = c.rows,
                    .cols = c.columns,
                    .threads = threads,
                    .verified = "bits"},
                   [c](benchmark::State& state) { run_case(state, c); });
        }
      }
    }
  }
}

}  // namespace fourge::bench
