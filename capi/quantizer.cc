// fourge_quantizer_... and fourge_quantize.
#include "fourge/quantizer.h"

#include <algorithm>

#include "capi/convert.h"

struct fourge_quantizer : fourge::capi::Handle<fourge::Quantizer> {
  using Handle::Handle;
};

namespace fourge::capi {
namespace {

static_assert(FOURGE_QUEST == static_cast<int>(ScaleRule::quest));
static_assert(FOURGE_FLOOR == static_cast<int>(ScaleRule::floor));
static_assert(FOURGE_STOCHASTIC == static_cast<int>(ElementRounding::stochastic));

Status take_spec(const fourge_quantizer_spec* given, QuantizerSpec& spec) {
  const Input<fourge_quantizer_spec> c(given, FOURGE_QUANTIZER_SPEC_INIT, "spec");
  if (!c.ok()) return c.failure();
  QuantizeSpec& q = spec.quantize;
  if (const Status s = take_format(c->format, q.format); !s.ok()) return s;
  if (const Status s = take(c->rule, ScaleRule::quest, "scale rule", q.rule); !s.ok()) return s;
  if (const Status s = take_flag(c->block_2d, "block_2d", q.block_2d); !s.ok()) return s;
  if (const Status s = take_layout(c->layout, q.layout); !s.ok()) return s;
  q.scale_max = c->scale_max;
  if (const Status s = take(c->rounding, ElementRounding::stochastic, "rounding", q.rounding); !s.ok())
    return s;
  if (const Status s = take_element_format(c->input, "input", spec.input); !s.ok()) return s;
  if (const Status s = take_flag(c->transpose, "transpose", spec.transpose); !s.ok()) return s;
  spec.rotate = c->rotate;
  return take_flag(c->signs, "signs", spec.signs);
}

QuantizeOperands operands_of(const fourge_quantize_operands& c) {
  QuantizeOperands operands{
      .x = c.x, .rows = c.rows, .cols = c.cols, .x_stride = c.x_stride, .signs = c.signs};
  if (c.rotation_scale != nullptr) operands.rotation_scale = *c.rotation_scale;
  if (c.amax != nullptr) operands.amax = *c.amax;
  operands.seed = c.seed;
  operands.codes = c.codes;
  operands.scales = c.scales;
  return operands;
}

fourge_status give_outcome(fourge_quantize_outcome* out, const QuantizeOutcome& outcome) {
  return give(
      out,
      fourge_quantize_outcome{sizeof(fourge_quantize_outcome), outcome.amax, outcome.tensor_scale.value,
                              static_cast<fourge_direction>(outcome.tensor_scale.direction), 0,
                              outcome.blocks, outcome.redone_blocks},
      "outcome");
}

fourge_status run(const fourge_quantizer* quantizer, const fourge_quantize_operands* operands,
                  std::int32_t threads, fourge_quantize_outcome* outcome) {
  if (quantizer == nullptr) return fail(Error::kBadArgument, "null pointer", "quantizer");
  const Input<fourge_quantize_operands> given(operands, FOURGE_QUANTIZE_OPERANDS_INIT, "operands");
  if (!given.ok()) return given.fail();
  const Result<QuantizeOutcome> result = quantizer->operation.run(operands_of(*given), {threads});
  return result.ok() ? give_outcome(outcome, *result) : fail(result.failure());
}

// What fourge_quantize() does not do.
Status check_plain(const QuantizerSpec& spec, const fourge_quantize_operands& o) {
  if (spec.input != ElementFormat::f32)
    return {Error::kUnsupportedFormat, "expected f32; a quantiser takes others", name_of(spec.input)};
  if (spec.transpose || spec.rotate != 0 || spec.signs || o.signs != nullptr || o.amax != nullptr ||
      o.rotation_scale != nullptr)
    return {Error::kBadArgument, "transposing, rotating and a given amax take a quantiser", "spec"};
  if (o.rows < 0 || o.cols < 0 || (o.cols != 0 && o.rows > (std::int64_t{1} << 60) / o.cols) ||
      (o.x_stride != 0 && o.x_stride != o.cols))
    return {Error::kBadShape, "expected extents of at least 0 and rows without gaps",
            std::to_string(o.rows) + " x " + std::to_string(o.cols)};
  if (o.rows * o.cols != 0 && (o.x == nullptr || o.codes == nullptr || o.scales == nullptr))
    return {Error::kBadArgument, "null matrix, codes or scales"};
  return {};
}

fourge_status quantize_plain(const fourge_quantizer_spec* c_spec, const fourge_quantize_operands* operands,
                             fourge_quantize_outcome* outcome) {
  QuantizerSpec spec;
  if (const Status s = take_spec(c_spec, spec); !s.ok()) return done(s);
  const Input<fourge_quantize_operands> o(operands, FOURGE_QUANTIZE_OPERANDS_INIT, "operands");
  if (!o.ok()) return o.fail();
  if (const Status s = check_plain(spec, *o); !s.ok()) return done(s);
  const std::span values(static_cast<const float*>(o->x), static_cast<std::size_t>(o->rows * o->cols));
  const Result<QuantizedMatrix> q = quantize(values, o->rows, o->cols, spec.quantize, o->seed);
  if (!q.ok()) return fail(q.failure());
  std::copy(q->codes.begin(), q->codes.end(), o->codes);
  std::copy(q->scales.begin(), q->scales.end(), o->scales);
  const int block = info(spec.quantize.format).block;
  return give_outcome(outcome, {.amax = q->amax,
                                .tensor_scale = q->tensor_scale,
                                .blocks = o->rows * o->cols / block / (spec.quantize.block_2d ? block : 1)});
}

}  // namespace
}  // namespace fourge::capi

extern "C" {

fourge_status fourge_quantizer_create(const fourge_quantizer_spec* spec, const fourge_kernel_options* options,
                                      fourge_quantizer** quantizer) {
  using namespace fourge;
  return capi::guarded([&] {
    if (quantizer == nullptr) return capi::fail(Error::kBadArgument, "null pointer", "quantizer");
    QuantizerSpec known;
    if (const Status s = capi::take_spec(spec, known); !s.ok()) return capi::done(s);
    return capi::create<Quantizer>(known, options, quantizer);
  });
}

void fourge_quantizer_free(fourge_quantizer* quantizer) { delete quantizer; }

fourge_status fourge_quantizer_kernel(const fourge_quantizer* quantizer, fourge_kernel* kernel) {
  if (quantizer == nullptr)
    return fourge::capi::fail(fourge::Error::kBadArgument, "null pointer", "quantizer");
  return quantizer->texts.give_to(kernel);
}

fourge_status fourge_quantizer_run(const fourge_quantizer* quantizer,
                                   const fourge_quantize_operands* operands, int32_t threads,
                                   fourge_quantize_outcome* outcome) {
  return fourge::capi::guarded([&] { return fourge::capi::run(quantizer, operands, threads, outcome); });
}

fourge_status fourge_quantize(const fourge_quantizer_spec* spec, const fourge_quantize_operands* operands,
                              fourge_quantize_outcome* outcome) {
  return fourge::capi::guarded([&] { return fourge::capi::quantize_plain(spec, operands, outcome); });
}

}  // extern "C"
