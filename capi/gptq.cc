// fourge_gptq and what it is fed with.
#include "fourge/gptq.h"

#include <algorithm>

#include "capi/convert.h"

namespace fourge::capi {
namespace {

static_assert(FOURGE_ORDER_GROUP == static_cast<int>(ColumnOrder::group));
static_assert(FOURGE_SCALES_WITHIN == static_cast<int>(ScaleTiming::within));
static_assert(FOURGE_IMPORTANCE_CONDITIONAL == static_cast<int>(Importance::conditional));

Status take_spec(const fourge_gptq_spec* given, GptqSpec& spec) {
  const Input<fourge_gptq_spec> c(given, FOURGE_GPTQ_SPEC_INIT, "spec");
  if (!c.ok()) return c.failure();
  if (const Status s = take_format(c->format, spec.format); !s.ok()) return s;
  if (const Status s = take(c->rule, ScaleRule::quest, "scale rule", spec.rule); !s.ok()) return s;
  if (const Status s = take(c->timing, ScaleTiming::within, "timing", spec.timing); !s.ok()) return s;
  if (const Status s = take(c->order, ColumnOrder::group, "order", spec.order); !s.ok()) return s;
  if (const Status s = take(c->importance, Importance::conditional, "importance", spec.importance); !s.ok())
    return s;
  spec.damping = c->damping;
  spec.damping_retries = c->damping_retries;
  spec.descent_passes = c->descent_passes;
  spec.amax = c->amax;
  spec.encode = c->encode;
  return {};
}

// Extents whose product and square can be counted.
Status check_extents(std::int64_t rows, std::int64_t cols) {
  constexpr std::int64_t kMost = std::int64_t{1} << 30;
  if (rows >= 0 && cols >= 0 && rows <= kMost && cols <= kMost) return {};
  return {Error::kBadShape, "expected extents from 0 to 2^30",
          std::to_string(rows) + " x " + std::to_string(cols)};
}

fourge_status run(const fourge_gptq_spec* c_spec, const fourge_gptq_operands* operands,
                  fourge_gptq_report* report) {
  GptqSpec spec;
  if (const Status s = take_spec(c_spec, spec); !s.ok()) return done(s);
  const Input<fourge_gptq_operands> o(operands, FOURGE_GPTQ_OPERANDS_INIT, "operands");
  if (!o.ok()) return o.fail();
  if (const Status s = check_extents(o->rows, o->cols); !s.ok()) return done(s);
  if (o->weights == nullptr || o->codes == nullptr || o->scales == nullptr)
    return fail(Error::kBadArgument, "null pointer", "weights, codes or scales");
  const std::span weights(o->weights, static_cast<std::size_t>(o->rows * o->cols));
  const Result<GptqResult> result =
      o->hessian == nullptr ? round_to_nearest(weights, o->rows, o->cols, spec)
                            : gptq(weights, o->rows, o->cols,
                                   std::span(o->hessian, static_cast<std::size_t>(o->cols * o->cols)), spec);
  if (!result.ok()) return fail(result.failure());
  const QuantizedMatrix& matrix = result->matrix;
  const GptqReport& r = result->report;
  const fourge_status given =
      give(report,
           fourge_gptq_report{sizeof(fourge_gptq_report), matrix.tensor_scale.value,
                              static_cast<fourge_direction>(matrix.tensor_scale.direction), matrix.amax,
                              r.attempts, r.damping, r.dead_columns, 0, r.error, r.weight, r.relative_error},
           "report");
  if (given != FOURGE_OK) return given;
  std::copy(matrix.codes.begin(), matrix.codes.end(), o->codes);
  std::copy(matrix.scales.begin(), matrix.scales.end(), o->scales);
  return FOURGE_OK;
}

fourge_status moment(const float* inputs, std::int64_t tokens, std::int64_t cols, double* out) {
  if (const Status s = check_extents(tokens, cols); !s.ok()) return done(s);
  if (inputs == nullptr || out == nullptr)
    return fail(Error::kBadArgument, "null pointer", "inputs or moment");
  const std::vector<double> sum =
      second_moment(std::span(inputs, static_cast<std::size_t>(tokens * cols)), tokens, cols);
  if (sum.empty() && cols > 0)
    return fail(Error::kOutOfMemory, "no memory for the sums, or FOURGE_MAX_ISA names no level", "moment");
  std::copy(sum.begin(), sum.end(), out);
  return FOURGE_OK;
}

fourge_status rotate(double* hessian, std::int64_t cols, std::int64_t order) {
  if (const Status s = check_extents(cols, cols); !s.ok()) return done(s);
  if (hessian == nullptr) return fail(Error::kBadArgument, "null pointer", "hessian");
  return done(rotate_hessian(std::span(hessian, static_cast<std::size_t>(cols * cols)), cols, order));
}

}  // namespace
}  // namespace fourge::capi

extern "C" {

fourge_status fourge_gptq(const fourge_gptq_spec* spec, const fourge_gptq_operands* operands,
                          fourge_gptq_report* report) {
  return fourge::capi::guarded([&] { return fourge::capi::run(spec, operands, report); });
}

fourge_status fourge_second_moment(const float* inputs, int64_t tokens, int64_t cols, double* moment) {
  return fourge::capi::guarded([&] { return fourge::capi::moment(inputs, tokens, cols, moment); });
}

fourge_status fourge_rotate_hessian(double* hessian, int64_t cols, int64_t order) {
  return fourge::capi::guarded([&] { return fourge::capi::rotate(hessian, cols, order); });
}

}  // extern "C"
