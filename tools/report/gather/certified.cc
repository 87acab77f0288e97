// How many vectors take a proved short path, by kind of data.
#include <algorithm>
#include <random>

#include "bench/support/gemm_data.h"
#include "fourge/gemm.h"
#include "tools/report/gather/gather.h"

namespace fourge::report {
namespace {

constexpr std::int64_t kRows = 64, kDepth = 4096;

bench::Values scaled_rows(bench::Values values) {
  std::mt19937_64 random(5);
  for (float& x : values.data) {
    const auto exponent = static_cast<int>(random() % 25) - 12;
    x = std::ldexp(x, exponent);
  }
  return values;
}

struct Data {
  const char* name;
  bench::Values x, w;
};

std::vector<Data> kinds_of_data() {
  const bench::Values normal = bench::random_weights(kRows, kDepth, 3),
                      weights = bench::random_weights(kRows, kDepth, 4);
  return {{"normal values", normal, weights},
          {"heavy-tailed activations", bench::random_activations(kRows, kDepth, 3), weights},
          {"values spread over 24 binades", scaled_rows(normal), scaled_rows(weights)}};
}

fourge::Result<Json> certified_row(const Data& kind, Format format) {
  const fourge::Result<bench::GemmData> data =
      bench::quantize_both(kind.x, kind.w, {.format = format, .rule = bench::default_rule(format)});
  if (!data) return data.failure();
  const fourge::Result<Gemm> gemm = Gemm::create({.m = kRows, .n = kRows, .k = kDepth, .format = format});
  if (!gemm) return gemm.failure();
  const fourge::Result<PackedWeights> packed = gemm->pack(data->b.view());
  if (!packed) return packed.failure();
  std::vector<float> d(static_cast<std::size_t>(kRows * kRows));
  GemmOperands operands;
  operands.alpha = data->alpha();
  operands.d = d.data();
  RunStats stats;
  if (const Status ran = gemm->run(data->a.view(), *packed, operands, {.threads = 1}, &stats); !ran)
    return ran.failure();
  const auto part = [&](std::int64_t vectors) {
    return stats.vectors == 0 ? 0.0 : static_cast<double>(vectors) / static_cast<double>(stats.vectors);
  };
  return Json{{"data", kind.name},
              {"format", name_of(format)},
              {"kernel", gemm->code().name},
              {"vectors", stats.vectors},
              {"certified", stats.certified_fraction()},
              {"segments", part(stats.segment_vectors)},
              {"steps", part(stats.vectors - stats.segment_vectors - stats.general_vectors)},
              {"general", part(stats.general_vectors)}};
}

}  // namespace

fourge::Result<Json> measure_certified(const GatherOptions&) {
  Json rows = Json::array();
  for (const Data& kind : kinds_of_data()) {
    for (const Format format : {Format::nvfp4, Format::mxfp4}) {
      fourge::Result<Json> row = certified_row(kind, format);
      if (!row) return row.failure();
      rows.push_back(std::move(*row));
    }
  }
  return rows;
}

}  // namespace fourge::report
