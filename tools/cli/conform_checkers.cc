#include "tools/cli/conform_checkers.h"

#include <bit>
#include <optional>

#include "fourge/gemm.h"
#include "jit/select.h"
#include "tools/cli/progress.h"
#include "tools/vectors/evaluate.h"

namespace fourge::cli {
namespace {

using vectors::VectorSet;

// The block format whose GEMM is a chain of this model's instructions.
std::optional<Format> block_format(const reference::MmaModel& model) {
  if (model.procedure != reference::Procedure::block_scaled_fp4) return std::nullopt;
  for (const Format format : kFormats) {
    if (info(format).scale == model.scale_format && info(format).block == model.scale_block) return format;
  }
  return std::nullopt;
}

// One instruction is a GEMM with k = 64 that starts from c.
GemmSpec spec_of(const VectorSet& set, Format format) {
  return {.m = set.shape.m, .n = set.shape.n, .k = set.shape.k, .format = format, .accumulate = true};
}

QuantizedView view(Format format, std::int64_t rows, const VectorSet& set,
                   std::span<const std::uint8_t> first_row, std::span<const std::uint8_t> first_scales) {
  QuantizedView view;
  view.format = format;
  view.rows = rows;
  view.cols = set.shape.k;
  view.codes = first_row.data();
  view.scales = first_scales.data();
  return view;
}

Result<std::vector<std::uint32_t>> run_kernel(const VectorSet& set, Format format,
                                              const std::string& kernel) {
  const Result<Gemm> gemm = Gemm::create(spec_of(set, format), {.kernel = kernel.c_str()});
  if (!gemm.ok()) return gemm.failure();
  const auto per_tile = static_cast<std::size_t>(set.outputs_per_tile());
  std::vector<float> c(per_tile), d(per_tile);
  std::vector<std::uint32_t> words;
  words.reserve(static_cast<std::size_t>(set.outputs()));
  for (std::int64_t tile = 0; tile < set.tiles; ++tile) {
    const std::uint32_t* c_words = &set.c[set.output(tile, 0, 0)];
    for (std::size_t i = 0; i < per_tile; ++i) c[i] = std::bit_cast<float>(c_words[i]);
    const Result<PackedWeights> packed =
        gemm->pack(view(format, set.shape.n, set, set.b_row(tile, 0), set.b_scale_row(tile, 0)));
    if (!packed.ok()) return packed.failure();
    const Status status =
        gemm->run(view(format, set.shape.m, set, set.a_row(tile, 0), set.a_scale_row(tile, 0)), *packed,
                  {.c = c.data(), .d = d.data()}, {.threads = 1});
    if (!status.ok()) return status.failure();
    for (const float x : d) words.push_back(std::bit_cast<std::uint32_t>(x));
  }
  return words;
}

}  // namespace

std::vector<Checker> checkers_for(const VectorSet& set, const reference::MmaPolicy& policy, int threads) {
  std::vector<Checker> checkers;
  checkers.push_back({"reference", [policy, threads](const VectorSet& vectors) {
                        Progress progress("reference", vectors.tiles);
                        return Result(vectors::evaluate(
                            vectors, policy, threads, [&](std::int64_t tiles) { progress.advance(tiles); }));
                      }});
  const std::optional<Format> format = block_format(set.model);
  if (!format) return checkers;
  const GemmSpec spec = spec_of(set, *format);
  for (const jit::GemmKernelEntry& entry : jit::gemm_kernels()) {
    if (entry.numerics != Numerics::blackwell || entry.refusal(spec) != nullptr) continue;
    const std::string name = entry.name(spec);
    checkers.push_back({name, [name, block = *format](const VectorSet& vectors) {
                          return run_kernel(vectors, block, name);
                        }});
  }
  return checkers;
}

}  // namespace fourge::cli
