// Products of the chosen kernels over M, every kernel at one M, and the same by other libraries.
#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "bench/support/gemm_run.h"
#include "jit/select.h"
#include "tools/report/gather/gather.h"

namespace fourge::report {
namespace {

Json product_row(const bench::GemmReport& report, const std::string& verified) {
  const bool checked = report.check_extent != bench::CheckExtent::none;
  Json bound = Json::object();
  if (report.bound) {
    bound = {{"by", report.bound->by},
             {"us", report.bound->seconds * 1e6},
             {"fraction", *report.bound_fraction()},
             {"roofline_gops", report.bound->gflops}};
  }
  return {{"operation", "gemm"},
          {"kernel", report.code.name},
          {"isa", report.code.isa},
          {"format", name_of(report.spec.format)},
          {"numerics", name_of(report.spec.numerics)},
          {"activations", name_of(report.spec.activations)},
          {"m", report.spec.m},
          {"n", report.spec.n},
          {"k", report.spec.k},
          {"threads", report.threads},
          {"status", report.check.ok() ? "ok" : "wrong"},
          {"reason", report.check.ok() ? Json(nullptr) : Json(report.check.first)},
          {"verified", checked ? verified : "no"},
          {"runs", report.times.count()},
          {"best_us", report.times.best() * 1e6},
          {"median_us", report.times.median() * 1e6},
          {"gops", report.gflops()},
          {"intensity", report.operations() / static_cast<double>(report.packed_bytes)},
          {"bytes", report.packed_bytes},
          {"bound", std::move(bound)},
          {"certified", report.stats.certified_fraction()}};
}

class Products {
 public:
  Products(const Extent& extent, Json& context, std::string& wrong)
      : extent_(extent),
        context_(context),
        wrong_(wrong),
        w_(bench::random_weights(extent.size, extent.size, 1)),
        peaks_(extent.product_seconds) {}

  fourge::Result<Json> measure() {
    for (const std::int64_t m : extent_.tokens) {
      const bench::Values x = bench::random_activations(m, extent_.size, 2);
      for (const Format format : {Format::nvfp4, Format::mxfp4}) {
        if (const Status added = add_products(x, format); !added) return added.failure();
      }
      add_peers(x);
    }
    return std::move(rows_);
  }

 private:
  Status add_products(const bench::Values& x, Format format) {
    const fourge::Result<bench::GemmData> data =
        bench::quantize_both(x, w_, {.format = format, .rule = bench::default_rule(format)});
    if (!data) return data.failure();
    for (const Numerics numerics : {Numerics::blackwell, Numerics::fast}) {
      const GemmSpec spec{
          .m = x.rows, .n = extent_.size, .k = extent_.size, .format = format, .numerics = numerics};
      if (const Status added = add(spec, *data, nullptr); !added) return added;
      if (x.rows != extent_.every_kernel) continue;
      for (const jit::GemmKernelEntry& entry : jit::gemm_kernels()) {
        if (const Status added = add_other(spec, entry, *data); !added) return added;
      }
    }
    const GemmSpec plain{.m = x.rows,
                         .n = extent_.size,
                         .k = extent_.size,
                         .format = format,
                         .numerics = Numerics::fast,
                         .activations = Activations::bf16};
    return add(plain, *data, nullptr);
  }

  // A registered kernel that dispatch does not choose here; those that cannot run stand in the context.
  Status add_other(const GemmSpec& spec, const jit::GemmKernelEntry& entry, const bench::GemmData& data) {
    if (entry.numerics != spec.numerics || entry.refusal(spec) != nullptr) return {};
    const std::string name = entry.name(spec);
    if (const char* missing = jit::host_features().missing_for(entry.isa)) {
      context_["left_out"].push_back({{"kernel", name}, {"reason", missing}});
      return {};
    }
    const auto& cap = jit::environment_max_isa();
    if (cap.ok() && *cap && jit::above(entry.isa, **cap)) {
      context_["left_out"].push_back({{"kernel", name}, {"reason", "above FOURGE_MAX_ISA"}});
      return {};
    }
    const bool known = std::any_of(rows_.begin(), rows_.end(), [&](const Json& row) {
      return row.at("kernel") == name && row.at("m") == spec.m;
    });
    return known ? Status() : add(spec, data, name.c_str());
  }

  Status add(const GemmSpec& spec, const bench::GemmData& data, const char* kernel) {
    const fourge::Result<bench::TimedGemm> gemm = bench::create_gemm(spec, {.kernel = kernel});
    if (!gemm) return gemm.failure();
    const bool exact = spec.numerics == Numerics::blackwell || spec.activations != Activations::same;
    const bench::GemmRunOptions run{.threads = 1,
                                    .check = exact ? bench::CheckExtent::sample : bench::CheckExtent::none,
                                    .repeat = {.seconds = extent_.product_seconds, .least = 5},
                                    .relative_error = false};
    const fourge::Result<bench::GemmReport> report = bench::run_gemm(*gemm, data, run, peaks_);
    if (!report) return report.failure();
    if (!report->check.ok() && wrong_.empty()) wrong_ = report->code.name + ": " + report->check.first;
    rows_.push_back(product_row(*report, "bits"));
    return {};
  }

  void add_peers(const bench::Values& x) {
    const bool first = rows_.empty() || context_["peers"].empty();
    for (const bench::PeerReport& peer :
         bench::run_peers(x, w_, 1, {.seconds = extent_.product_seconds, .least = 5})) {
      if (first) {
        context_["peers"].push_back({{"name", peer.name},
                                     {"version", peer.ran() ? Json(peer.version) : Json(nullptr)},
                                     {"absent", peer.ran() ? Json(nullptr) : Json(peer.absent)}});
      }
      if (!peer.ran()) continue;
      const double operations = 2.0 * static_cast<double>(x.rows) * static_cast<double>(extent_.size) *
                                static_cast<double>(extent_.size);
      rows_.push_back({{"operation", "peer"},
                       {"kernel", peer.name},
                       {"m", x.rows},
                       {"n", extent_.size},
                       {"k", extent_.size},
                       {"threads", 1},
                       {"status", "ok"},
                       {"verified", "no"},
                       {"runs", peer.times.count()},
                       {"best_us", peer.times.best() * 1e6},
                       {"median_us", peer.times.median() * 1e6},
                       {"gops", operations / peer.times.best() / 1e9},
                       {"relative_error", peer.relative_error}});
    }
  }

  const Extent& extent_;
  Json& context_;
  std::string& wrong_;
  bench::Values w_;
  bench::MachinePeaks peaks_;
  Json rows_ = Json::array();
};

}  // namespace

fourge::Result<Json> measure_products(const Extent& extent, Json& context, std::string& wrong) {
  context["left_out"] = Json::array();
  return Products(extent, context, wrong).measure();
}

Status take_bench(const Json& bench, Json& document) {
  const Json& context = at(bench, "/context/fourge");
  const Json& benchmarks = at(bench, "/benchmarks");
  if (!context.is_object() || !benchmarks.is_array())
    return {Error::kBadFile, "expected the JSON of fourge bench, with context.fourge and benchmarks",
            "--bench"};
  document["context"] = context;
  if (!document["context"].contains("date")) document["context"]["date"] = text_at(bench, "/context/date");
  document["results"] = Json::array();
  for (const Json& benchmark : benchmarks) {
    const auto row = benchmark.find("fourge");
    if (row == benchmark.end() || !row->is_object()) continue;
    document["results"].push_back(*row);
    document["results"].back().erase("times_us");
  }
  return {};
}

}  // namespace fourge::report
