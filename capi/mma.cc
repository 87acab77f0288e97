// fourge_mma_...: tensor-core instructions by the normative model.
#include <iterator>

#include "capi/convert.h"
#include "reference/mma/tiles.h"

struct fourge_mma {
  fourge::reference::MmaTile tile;
};

namespace fourge::capi {
namespace {

using reference::MmaTile;
using reference::NarrowSubnormals;
using reference::ZeroRule;

static_assert(FOURGE_ZEROS_MMA_SIM == static_cast<int>(ZeroRule::mma_sim));
static_assert(FOURGE_NORMALISED == static_cast<int>(NarrowSubnormals::normalised));

Status take_spec(const fourge_mma_spec& c, MmaTile& tile) {
  if (c.model == nullptr) return {Error::kBadArgument, "null pointer", "model"};
  const Result<reference::MmaModel> model = reference::find_model(c.model);
  if (!model.ok()) return model.failure();
  tile.model = *model;
  tile.shape.m = c.m;
  tile.shape.n = c.n;
  tile.shape.k = c.k;
  if (const Status s = take_element_format(c.a_format, "a_format", tile.shape.a_format); !s.ok()) return s;
  if (const Status s = take_element_format(c.b_format, "b_format", tile.shape.b_format); !s.ok()) return s;
  if (const Status s = take(c.zero_rule, ZeroRule::mma_sim, "zero_rule", tile.policy.zeros); !s.ok())
    return s;
  if (const Status s = take(c.narrow_subnormals, NarrowSubnormals::normalised, "narrow_subnormals",
                            tile.policy.narrow_subnormals);
      !s.ok())
    return s;
  return check(tile);
}

fourge_status create_mma(const fourge_mma_spec* spec, fourge_mma** mma) {
  if (mma == nullptr) return fail(Error::kBadArgument, "null pointer", "mma");
  const Input<fourge_mma_spec> given(spec, FOURGE_MMA_SPEC_INIT, "spec");
  if (!given.ok()) return given.fail();
  MmaTile tile;
  if (const Status s = take_spec(*given, tile); !s.ok()) return done(s);
  *mma = new fourge_mma{tile};
  return FOURGE_OK;
}

fourge_status run(const fourge_mma* mma, const fourge_mma_operands* operands) {
  if (mma == nullptr) return fail(Error::kBadArgument, "null pointer", "mma");
  const Input<fourge_mma_operands> c(operands, FOURGE_MMA_OPERANDS_INIT, "operands");
  if (!c.ok()) return c.fail();
  return done(reference::mma_tiles(mma->tile, c->tiles, {c->a, c->b, c->a_scales, c->b_scales, c->c, c->d}));
}

}  // namespace
}  // namespace fourge::capi

extern "C" {

int32_t fourge_mma_model_count(void) {
  return static_cast<int32_t>(std::size(fourge::reference::kMmaModels));
}

const char* fourge_mma_model_name(int32_t index) {
  if (index < 0 || index >= fourge_mma_model_count()) return nullptr;
  return fourge::reference::kMmaModels[index].name.data();  // a literal: ends with a zero
}

fourge_status fourge_mma_create(const fourge_mma_spec* spec, fourge_mma** mma) {
  return fourge::capi::guarded([&] { return fourge::capi::create_mma(spec, mma); });
}

void fourge_mma_free(fourge_mma* mma) { delete mma; }

fourge_status fourge_mma_sizes_of(const fourge_mma* mma, fourge_mma_sizes* sizes) {
  if (mma == nullptr) return fourge::capi::fail(fourge::Error::kBadArgument, "null pointer", "mma");
  const fourge::reference::MmaTile& tile = mma->tile;
  return fourge::capi::give(
      sizes,
      fourge_mma_sizes{sizeof(fourge_mma_sizes), tile.a_row_bytes(), tile.b_row_bytes(), tile.scales(),
                       static_cast<fourge_element_format>(tile.model.c_format())},
      "sizes");
}

fourge_status fourge_mma_run(const fourge_mma* mma, const fourge_mma_operands* operands) {
  return fourge::capi::guarded([&] { return fourge::capi::run(mma, operands); });
}

}  // extern "C"
