// fourge_layout_converter_...
#include "fourge/layout.h"

#include "capi/convert.h"

struct fourge_layout_converter : fourge::capi::Handle<fourge::LayoutConverter> {
  using Handle::Handle;
};

namespace fourge::capi {
namespace {

static_assert(FOURGE_BYTES_HALVES_32 == static_cast<int>(ByteLayout::halves_32));

Status take_spec(const fourge_layout_spec* given, LayoutSpec& spec) {
  const Input<fourge_layout_spec> c(given, FOURGE_LAYOUT_SPEC_INIT, "spec");
  if (!c.ok()) return c.failure();
  if (const Status s = take(c->from, ByteLayout::halves_32, "from", spec.from); !s.ok()) return s;
  return take(c->to, ByteLayout::halves_32, "to", spec.to);
}

fourge_status run(const fourge_layout_converter* converter, const fourge_layout_operands* operands,
                  std::int32_t threads) {
  if (converter == nullptr) return fail(Error::kBadArgument, "null pointer", "converter");
  const Input<fourge_layout_operands> c(operands, FOURGE_LAYOUT_OPERANDS_INIT, "operands");
  if (!c.ok()) return c.fail();
  return done(converter->operation.run({.from = c->from, .to = c->to, .rows = c->rows, .columns = c->columns},
                                       {threads}));
}

}  // namespace
}  // namespace fourge::capi

extern "C" {

fourge_status fourge_layout_converter_create(const fourge_layout_spec* spec,
                                             const fourge_kernel_options* options,
                                             fourge_layout_converter** converter) {
  using namespace fourge;
  return capi::guarded([&] {
    if (converter == nullptr) return capi::fail(Error::kBadArgument, "null pointer", "converter");
    LayoutSpec known;
    if (const Status s = capi::take_spec(spec, known); !s.ok()) return capi::done(s);
    return capi::create<LayoutConverter>(known, options, converter);
  });
}

void fourge_layout_converter_free(fourge_layout_converter* converter) { delete converter; }

fourge_status fourge_layout_converter_kernel(const fourge_layout_converter* converter,
                                             fourge_kernel* kernel) {
  if (converter == nullptr)
    return fourge::capi::fail(fourge::Error::kBadArgument, "null pointer", "converter");
  return converter->texts.give_to(kernel);
}

fourge_status fourge_layout_converter_run(const fourge_layout_converter* converter,
                                          const fourge_layout_operands* operands, int32_t threads) {
  return fourge::capi::guarded([&] { return fourge::capi::run(converter, operands, threads); });
}

}  // extern "C"
