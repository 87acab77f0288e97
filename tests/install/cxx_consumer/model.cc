// fourge::reference alone: 1 * 1 + 1 in one NVFP4 instruction.
#include <bit>
#include <cstdio>

#include "reference/mma/tiles.h"

int main() {
  using namespace fourge;
  const auto model = reference::find_model("blackwell.mxf4nvf4.ue4m3.block16");
  if (!model.ok()) return 1;
  const std::uint8_t row[32] = {0x02}, scales[4] = {0x38, 0x38, 0x38, 0x38};
  const float c = 1.0f;
  float d = 0.0f;
  const auto status = reference::mma_tiles({*model, {}, {}}, 1, {row, row, scales, scales, &c, &d});
  std::printf("%g\n", static_cast<double>(d));
  return status.ok() && d == 2.0f ? 0 : 1;
}
