// fourge_decoder_...
#include "capi/convert.h"
#include "fourge/decode.h"

struct fourge_decoder : fourge::capi::Handle<fourge::Decoder> {
  using Handle::Handle;
};

namespace fourge::capi {
namespace {

fourge_status run(const fourge_decoder* decoder, const fourge_matrix* matrix, void* y, std::int64_t y_stride,
                  std::int32_t threads) {
  if (decoder == nullptr) return fail(Error::kBadArgument, "null pointer", "decoder");
  const Input<fourge_matrix> given(matrix, FOURGE_MATRIX_INIT, "matrix");
  if (!given.ok()) return given.fail();
  QuantizedView view;
  if (const Status s = take_matrix(*given, "matrix", view); !s.ok()) return done(s);
  return done(decoder->operation.run(view, y, y_stride, {threads}));
}

}  // namespace
}  // namespace fourge::capi

extern "C" {

fourge_status fourge_decoder_create(const fourge_decoder_spec* spec, const fourge_kernel_options* options,
                                    fourge_decoder** decoder) {
  using namespace fourge;
  return capi::guarded([&] {
    if (decoder == nullptr) return capi::fail(Error::kBadArgument, "null pointer", "decoder");
    const capi::Input<fourge_decoder_spec> given(spec, FOURGE_DECODER_SPEC_INIT, "spec");
    if (!given.ok()) return given.fail();
    DecodeSpec known;
    if (const Status s = capi::take_format(given->format, known.format); !s.ok()) return capi::done(s);
    if (const Status s = capi::take_element_format(given->output, "output", known.output); !s.ok())
      return capi::done(s);
    return capi::create<Decoder>(known, options, decoder);
  });
}

void fourge_decoder_free(fourge_decoder* decoder) { delete decoder; }

fourge_status fourge_decoder_kernel(const fourge_decoder* decoder, fourge_kernel* kernel) {
  if (decoder == nullptr) return fourge::capi::fail(fourge::Error::kBadArgument, "null pointer", "decoder");
  return decoder->texts.give_to(kernel);
}

fourge_status fourge_decoder_run(const fourge_decoder* decoder, const fourge_matrix* matrix, void* y,
                                 int64_t y_stride, int32_t threads) {
  return fourge::capi::guarded([&] { return fourge::capi::run(decoder, matrix, y, y_stride, threads); });
}

}  // extern "C"
