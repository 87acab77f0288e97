#include "tools/vectors/evaluate.h"

#include <algorithm>
#include <atomic>
#include <thread>

namespace fourge::vectors {
namespace {

using reference::MmaPolicy;
using reference::MmaRow;

MmaRow a_row(const VectorSet& set, std::int64_t tile, int i, const MmaPolicy& policy) {
  return reference::decode_row(set.model, set.shape.a_format, set.shape.k, set.a_row(tile, i),
                               set.a_scale_row(tile, i), policy);
}

MmaRow b_row(const VectorSet& set, std::int64_t tile, int j, const MmaPolicy& policy) {
  return reference::decode_row(set.model, set.shape.b_format, set.shape.k, set.b_row(tile, j),
                               set.b_scale_row(tile, j), policy);
}

void evaluate_tile(const VectorSet& set, std::int64_t tile, const MmaPolicy& policy, std::uint32_t* d) {
  std::vector<MmaRow> b;
  for (int j = 0; j < set.shape.n; ++j) b.push_back(b_row(set, tile, j, policy));
  for (int i = 0; i < set.shape.m; ++i) {
    const MmaRow a = a_row(set, tile, i, policy);
    for (int j = 0; j < set.shape.n; ++j) {
      const std::size_t output = set.output(tile, i, j);
      d[output] = reference::mma(set.model, a, b[static_cast<std::size_t>(j)], set.c[output], policy);
    }
  }
}

}  // namespace

std::vector<std::uint32_t> evaluate(const VectorSet& set, const MmaPolicy& policy, int threads,
                                    const std::function<void(std::int64_t)>& advance) {
  std::vector<std::uint32_t> d(static_cast<std::size_t>(set.outputs()));
  if (threads <= 0) threads = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  std::atomic<std::int64_t> next{0};
  const auto work = [&](bool reports) {
    std::int64_t reported = 0;
    for (std::int64_t tile = next++; tile < set.tiles; tile = next++) {
      evaluate_tile(set, tile, policy, d.data());
      if (reports && advance) {
        const std::int64_t begun = std::min(next.load(), set.tiles);
        advance(begun - reported);
        reported = begun;
      }
    }
  };
  std::vector<std::thread> helpers;
  for (int t = 1; t < threads; ++t) helpers.emplace_back(work, false);
  work(true);
  for (std::thread& helper : helpers) helper.join();
  return d;
}

reference::MmaTrace trace_output(const VectorSet& set, std::int64_t tile, int i, int j,
                                 const MmaPolicy& policy) {
  reference::MmaTrace trace;
  reference::mma(set.model, a_row(set, tile, i, policy), b_row(set, tile, j, policy),
                 set.c[set.output(tile, i, j)], policy, &trace);
  return trace;
}

Comparison compare(const VectorSet& set, const std::vector<std::uint32_t>& d) {
  Comparison comparison;
  const std::int64_t columns = set.shape.n, per_tile = set.outputs_per_tile();
  for (std::size_t i = 0; i < d.size(); ++i) {
    if (d[i] == set.d[i]) continue;
    const auto output = static_cast<std::int64_t>(i);
    if (comparison.mismatches++ == 0) {
      comparison.first = {output / per_tile, static_cast<int>(output % per_tile / columns),
                          static_cast<int>(output % columns)};
    }
  }
  return comparison;
}

}  // namespace fourge::vectors
