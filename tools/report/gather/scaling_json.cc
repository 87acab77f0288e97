#include "tools/report/gather/scaling_json.h"

namespace fourge::report {

Json to_json(const bench::Scaling& scaling) {
  Json document = {{"tolerance", bench::kTolerance},
                   {"wrong", scaling.wrong.empty() ? Json(nullptr) : Json(scaling.wrong)},
                   {"fits", Json::array()},
                   {"points", Json::array()}};
  const auto rate = [](double seconds_each) {
    return seconds_each > 0 ? Json(1e-9 / seconds_each) : Json(nullptr);
  };
  for (const bench::ScalingFit& fit : scaling.fits) {
    document["fits"].push_back({{"kernel", fit.kernel},
                                {"format", name_of(fit.format)},
                                {"numerics", name_of(fit.numerics)},
                                {"points", fit.points},
                                {"overhead_us", fit.model.overhead * 1e6},
                                {"gops", rate(fit.model.seconds_per_operation)},
                                {"gbps", rate(fit.model.seconds_per_byte)},
                                {"row_step_ns", fit.model.seconds_per_row_step * 1e9},
                                {"mean_deviation", fit.mean_deviation},
                                {"worst_deviation", fit.worst_deviation}});
  }
  for (const bench::ScalingPoint& point : scaling.points) {
    document["points"].push_back(
        {{"sweep", name_of(point.sweep)},
         {"kernel", point.kernel},
         {"isa", point.isa},
         {"format", name_of(point.spec.format)},
         {"numerics", name_of(point.spec.numerics)},
         {"m", point.spec.m},
         {"n", point.spec.n},
         {"k", point.spec.k},
         {"threads", point.threads},
         {"operations", point.work.operations},
         {"bytes", point.work.bytes},
         {"row_steps", point.work.row_steps},
         {"best_us", point.best * 1e6},
         {"median_us", point.median * 1e6},
         {"pass_ratio", point.pass_ratio},
         {"pace", point.pace},
         {"slow_share", point.slow_share()},
         {"model_us", point.model * 1e6},
         {"deviation", point.deviation()},
         {"explanation", point.explanation.empty() ? Json(nullptr) : Json(point.explanation)}});
  }
  return document;
}

}  // namespace fourge::report
