// fourge_hadamard_...
#include "fourge/hadamard.h"

#include "capi/convert.h"

struct fourge_hadamard : fourge::capi::Handle<fourge::Hadamard> {
  using Handle::Handle;
};

namespace fourge::capi {
namespace {

Status take_spec(const fourge_hadamard_spec* given, HadamardSpec& spec) {
  const Input<fourge_hadamard_spec> c(given, FOURGE_HADAMARD_SPEC_INIT, "spec");
  if (!c.ok()) return c.failure();
  spec.order = c->order;
  if (const Status s = take_element_format(c->input, "input", spec.input); !s.ok()) return s;
  if (const Status s = take_element_format(c->output, "output", spec.output); !s.ok()) return s;
  if (const Status s = take_flag(c->signs, "signs", spec.signs); !s.ok()) return s;
  return take_flag(c->scaled, "scaled", spec.scaled);
}

fourge_status run(const fourge_hadamard* hadamard, const fourge_hadamard_operands* operands,
                  std::int32_t threads) {
  if (hadamard == nullptr) return fail(Error::kBadArgument, "null pointer", "hadamard");
  const Input<fourge_hadamard_operands> c(operands, FOURGE_HADAMARD_OPERANDS_INIT, "operands");
  if (!c.ok()) return c.fail();
  return done(hadamard->operation.run({.x = c->x,
                                       .y = c->y,
                                       .rows = c->rows,
                                       .cols = c->cols,
                                       .x_stride = c->x_stride,
                                       .y_stride = c->y_stride,
                                       .signs = c->signs,
                                       .scale = c->scale},
                                      {threads}));
}

}  // namespace
}  // namespace fourge::capi

extern "C" {

fourge_status fourge_hadamard_create(const fourge_hadamard_spec* spec, const fourge_kernel_options* options,
                                     fourge_hadamard** hadamard) {
  using namespace fourge;
  return capi::guarded([&] {
    if (hadamard == nullptr) return capi::fail(Error::kBadArgument, "null pointer", "hadamard");
    HadamardSpec known;
    if (const Status s = capi::take_spec(spec, known); !s.ok()) return capi::done(s);
    return capi::create<Hadamard>(known, options, hadamard);
  });
}

void fourge_hadamard_free(fourge_hadamard* hadamard) { delete hadamard; }

fourge_status fourge_hadamard_kernel(const fourge_hadamard* hadamard, fourge_kernel* kernel) {
  if (hadamard == nullptr) return fourge::capi::fail(fourge::Error::kBadArgument, "null pointer", "hadamard");
  return hadamard->texts.give_to(kernel);
}

fourge_status fourge_hadamard_run(const fourge_hadamard* hadamard, const fourge_hadamard_operands* operands,
                                  int32_t threads) {
  return fourge::capi::guarded([&] { return fourge::capi::run(hadamard, operands, threads); });
}

float fourge_orthonormal_scale(int64_t order) { return fourge::orthonormal_scale(order); }

}  // extern "C"
