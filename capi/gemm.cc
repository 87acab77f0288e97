// fourge_gemm_...: the GEMM and its reference.
#include "fourge/gemm.h"

#include "capi/convert.h"
#include "reference/gemm.h"

struct fourge_gemm : fourge::capi::Handle<fourge::Gemm> {
  using Handle::Handle;
};

struct fourge_packed_weights {
  fourge::PackedWeights weights;
};

namespace fourge::capi {
namespace {

static_assert(FOURGE_FAST == static_cast<int>(Numerics::fast));
static_assert(FOURGE_ACTIVATIONS_F32 == static_cast<int>(Activations::f32));

Status take_output(fourge_element_format value, OutputType& out) {
  switch (value) {
    case FOURGE_F32:
      out = OutputType::f32;
      return {};
    case FOURGE_BF16:
      out = OutputType::bf16;
      return {};
    case FOURGE_F16:
      out = OutputType::f16;
      return {};
    default:
      return {Error::kUnsupportedFormat, "expected f32, bf16 or f16", "output " + std::to_string(value)};
  }
}

Status take_spec(const fourge_gemm_spec* given, GemmSpec& spec) {
  const Input<fourge_gemm_spec> c(given, FOURGE_GEMM_SPEC_INIT, "spec");
  if (!c.ok()) return c.failure();
  spec.m = c->m;
  spec.n = c->n;
  spec.k = c->k;
  if (const Status s = take_format(c->format, spec.format); !s.ok()) return s;
  if (const Status s = take(c->numerics, Numerics::fast, "numerics", spec.numerics); !s.ok()) return s;
  if (const Status s = take(c->activations, Activations::f32, "activations", spec.activations); !s.ok())
    return s;
  if (const Status s = take_output(c->output, spec.output); !s.ok()) return s;
  if (const Status s = take_flag(c->bias, "bias", spec.bias); !s.ok()) return s;
  spec.blocking = {.mc = c->mc, .kc = c->kc};
  return take_flag(c->accumulate, "accumulate", spec.accumulate);
}

GemmOperands operands_of(const fourge_gemm_operands& c) {
  return {
      .c = c.c, .c_stride = c.c_stride, .bias = c.bias, .alpha = c.alpha, .d = c.d, .d_stride = c.d_stride};
}

fourge_status give_stats(fourge_gemm_stats* out, const RunStats& stats) {
  if (out == nullptr) return FOURGE_OK;
  return give(out,
              fourge_gemm_stats{sizeof(fourge_gemm_stats), stats.vectors, stats.segment_vectors,
                                stats.general_vectors},
              "stats");
}

// Both kinds of activations.
template <class View>
fourge_status run_with(const fourge_gemm* gemm, const View& view, const fourge_packed_weights* weights,
                       const fourge_gemm_operands* operands, std::int32_t threads, fourge_gemm_stats* stats) {
  if (gemm == nullptr || weights == nullptr)
    return fail(Error::kBadArgument, "null pointer", gemm == nullptr ? "gemm" : "weights");
  const Input<fourge_gemm_operands> given(operands, FOURGE_GEMM_OPERANDS_INIT, "operands");
  if (!given.ok()) return given.fail();
  RunStats counted;
  const Status status = gemm->operation.run(view, weights->weights, operands_of(*given), {threads}, &counted);
  return status.ok() ? give_stats(stats, counted) : done(status);
}

fourge_status run(const fourge_gemm* gemm, const fourge_matrix* a, const fourge_packed_weights* weights,
                  const fourge_gemm_operands* operands, std::int32_t threads, fourge_gemm_stats* stats) {
  const Input<fourge_matrix> matrix(a, FOURGE_MATRIX_INIT, "a");
  if (!matrix.ok()) return matrix.fail();
  QuantizedView view;
  if (const Status s = take_matrix(*matrix, "a", view); !s.ok()) return done(s);
  return run_with(gemm, view, weights, operands, threads, stats);
}

fourge_status run_plain(const fourge_gemm* gemm, const fourge_plain* a, const fourge_packed_weights* weights,
                        const fourge_gemm_operands* operands, std::int32_t threads,
                        fourge_gemm_stats* stats) {
  const Input<fourge_plain> plain(a, FOURGE_PLAIN_INIT, "a");
  if (!plain.ok()) return plain.fail();
  const PlainView view{
      .data = plain->data, .rows = plain->rows, .cols = plain->cols, .stride = plain->stride};
  return run_with(gemm, view, weights, operands, threads, stats);
}

// `where` names the item.
Status take_item(const fourge_gemm_batch_item* c, Activations activations, const std::string& where,
                 GemmBatchItem& item) {
  const Input<fourge_gemm_batch_item> given(c, FOURGE_GEMM_BATCH_ITEM_INIT, where.c_str());
  if (!given.ok()) return given.failure();
  item.m = given->m;
  if (item.m == 0) return {};
  if (activations == Activations::same) {
    const Input<fourge_matrix> a(given->a, FOURGE_MATRIX_INIT, where.c_str());
    if (!a.ok()) return a.failure();
    if (const Status s = take_matrix(*a, where.c_str(), item.a); !s.ok()) return s;
  } else {
    const Input<fourge_plain> plain(given->plain, FOURGE_PLAIN_INIT, where.c_str());
    if (!plain.ok()) return plain.failure();
    item.plain = {.data = plain->data, .rows = plain->rows, .cols = plain->cols, .stride = plain->stride};
  }
  if (given->weights == nullptr) return {Error::kBadArgument, "null weights", where};
  item.weights = &given->weights->weights;
  const Input<fourge_gemm_operands> operands(given->operands, FOURGE_GEMM_OPERANDS_INIT, where.c_str());
  if (!operands.ok()) return operands.failure();
  item.operands = operands_of(*operands);
  return {};
}

fourge_status run_batch(const fourge_gemm* gemm, const fourge_gemm_batch_item* items, std::int64_t count,
                        std::int32_t threads, fourge_gemm_stats* stats) {
  if (gemm == nullptr || (items == nullptr && count != 0))
    return fail(Error::kBadArgument, "null pointer", gemm == nullptr ? "gemm" : "items");
  if (count < 0) return fail(Error::kBadArgument, "expected a count of at least 0", "items");
  const std::size_t stride = count == 0 ? 0 : items->struct_size;
  std::vector<GemmBatchItem> batch(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < batch.size(); ++i) {
    const auto* item = reinterpret_cast<const fourge_gemm_batch_item*>(
        reinterpret_cast<const std::uint8_t*>(items) + i * stride);
    const std::string where = "item " + std::to_string(i);
    if (item->struct_size != stride)
      return fail({Error::kBadArgument, "all items must have the struct_size of the first", where});
    if (const Status s = take_item(item, gemm->operation.spec().activations, where, batch[i]); !s.ok())
      return done(s);
  }
  RunStats counted;
  const Status status = gemm->operation.run_batch(batch, {threads}, &counted);
  return status.ok() ? give_stats(stats, counted) : done(status);
}

fourge_status pack(const fourge_gemm* gemm, const fourge_matrix* weights, fourge_packed_weights** packed) {
  if (gemm == nullptr || packed == nullptr)
    return fail(Error::kBadArgument, "null pointer", gemm == nullptr ? "gemm" : "packed");
  const Input<fourge_matrix> matrix(weights, FOURGE_MATRIX_INIT, "weights");
  if (!matrix.ok()) return matrix.fail();
  QuantizedView view;
  if (const Status s = take_matrix(*matrix, "weights", view); !s.ok()) return done(s);
  Result<PackedWeights> result = gemm->operation.pack(view);
  if (!result.ok()) return fail(result.failure());
  *packed = new fourge_packed_weights{std::move(*result)};
  return FOURGE_OK;
}

fourge_status reference_gemm(const fourge_gemm_spec* c_spec, const fourge_matrix* a, const fourge_matrix* b,
                             const fourge_gemm_operands* operands) {
  GemmSpec spec;
  if (const Status s = take_spec(c_spec, spec); !s.ok()) return done(s);
  const Input<fourge_matrix> given_a(a, FOURGE_MATRIX_INIT, "a"), given_b(b, FOURGE_MATRIX_INIT, "b");
  if (!given_a.ok()) return given_a.fail();
  if (!given_b.ok()) return given_b.fail();
  const Input<fourge_gemm_operands> given(operands, FOURGE_GEMM_OPERANDS_INIT, "operands");
  if (!given.ok()) return given.fail();
  QuantizedView view_a, view_b;
  if (const Status s = take_matrix(*given_a, "a", view_a); !s.ok()) return done(s);
  if (const Status s = take_matrix(*given_b, "b", view_b); !s.ok()) return done(s);
  return done(reference::gemm(spec, view_a, view_b, operands_of(*given)));
}

fourge_status alpha_of(const fourge_matrix* a, const fourge_matrix* b, float* alpha) {
  const Input<fourge_matrix> given_a(a, FOURGE_MATRIX_INIT, "a"), given_b(b, FOURGE_MATRIX_INIT, "b");
  if (!given_a.ok()) return given_a.fail();
  if (!given_b.ok()) return given_b.fail();
  if (alpha == nullptr) return fail(Error::kBadArgument, "null pointer", "alpha");
  QuantizedView view_a, view_b;
  if (const Status s = take_matrix(*given_a, "a", view_a); !s.ok()) return done(s);
  if (const Status s = take_matrix(*given_b, "b", view_b); !s.ok()) return done(s);
  *alpha = gemm_alpha(view_a.tensor_scale, view_b.tensor_scale);
  return FOURGE_OK;
}

}  // namespace
}  // namespace fourge::capi

extern "C" {

fourge_status fourge_gemm_create(const fourge_gemm_spec* spec, const fourge_kernel_options* options,
                                 fourge_gemm** gemm) {
  using namespace fourge;
  return capi::guarded([&] {
    if (gemm == nullptr) return capi::fail(Error::kBadArgument, "null pointer", "gemm");
    GemmSpec known;
    if (const Status s = capi::take_spec(spec, known); !s.ok()) return capi::done(s);
    return capi::create<Gemm>(known, options, gemm);
  });
}

void fourge_gemm_free(fourge_gemm* gemm) { delete gemm; }

fourge_status fourge_gemm_kernel(const fourge_gemm* gemm, fourge_kernel* kernel) {
  if (gemm == nullptr) return fourge::capi::fail(fourge::Error::kBadArgument, "null pointer", "gemm");
  return gemm->texts.give_to(kernel);
}

fourge_status fourge_gemm_alpha(const fourge_matrix* a, const fourge_matrix* b, float* alpha) {
  return fourge::capi::guarded([&] { return fourge::capi::alpha_of(a, b, alpha); });
}

fourge_status fourge_gemm_pack(const fourge_gemm* gemm, const fourge_matrix* weights,
                               fourge_packed_weights** packed) {
  return fourge::capi::guarded([&] { return fourge::capi::pack(gemm, weights, packed); });
}

void fourge_packed_weights_free(fourge_packed_weights* packed) { delete packed; }

int64_t fourge_packed_weights_bytes(const fourge_packed_weights* packed) {
  return packed == nullptr ? 0 : packed->weights.bytes();
}

fourge_status fourge_gemm_run(const fourge_gemm* gemm, const fourge_matrix* a,
                              const fourge_packed_weights* weights, const fourge_gemm_operands* operands,
                              int32_t threads, fourge_gemm_stats* stats) {
  return fourge::capi::guarded([&] { return fourge::capi::run(gemm, a, weights, operands, threads, stats); });
}

fourge_status fourge_gemm_run_plain(const fourge_gemm* gemm, const fourge_plain* a,
                                    const fourge_packed_weights* weights,
                                    const fourge_gemm_operands* operands, int32_t threads,
                                    fourge_gemm_stats* stats) {
  return fourge::capi::guarded(
      [&] { return fourge::capi::run_plain(gemm, a, weights, operands, threads, stats); });
}

fourge_status fourge_gemm_run_batch(const fourge_gemm* gemm, const fourge_gemm_batch_item* items,
                                    int64_t count, int32_t threads, fourge_gemm_stats* stats) {
  return fourge::capi::guarded([&] { return fourge::capi::run_batch(gemm, items, count, threads, stats); });
}

fourge_status fourge_reference_gemm(const fourge_gemm_spec* spec, const fourge_matrix* a,
                                    const fourge_matrix* b, const fourge_gemm_operands* operands) {
  return fourge::capi::guarded([&] { return fourge::capi::reference_gemm(spec, a, b, operands); });
}

}  // extern "C"
