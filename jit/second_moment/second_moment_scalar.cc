// Second moments in portable C++: the kernel of machines that have no other.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "jit/second_moment/second_moment_kernel.h"
#include "simd/rounding_mode.h"

namespace fourge::jit {
namespace {

// int16 [tokens][kMomentPanel] behind the head.
std::int16_t* codes_of(std::uint8_t* panel) {
  return reinterpret_cast<std::int16_t*>(panel + sizeof(MomentHead));
}
const std::int16_t* codes_of(const std::uint8_t* panel) {
  return reinterpret_cast<const std::int16_t*>(panel + sizeof(MomentHead));
}
const MomentHead& head_of(const std::uint8_t* panel) { return *reinterpret_cast<const MomentHead*>(panel); }

const float* token_of(const MomentPackArgs& args, std::int64_t token) {
  return reinterpret_cast<const float*>(reinterpret_cast<const std::uint8_t*>(args.x) + token * args.stride);
}

[[gnu::noinline]] void pack_codes(const MomentPackArgs& args) {
  std::uint32_t amax[kMomentPanel] = {};
  for (std::int64_t t = 0; t < args.tokens; ++t)
    for (std::int64_t c = 0; c < args.columns; ++c)
      amax[c] = std::max(amax[c], std::bit_cast<std::uint32_t>(token_of(args, t)[c]) & 0x7fffffffu);
  float to_code[kMomentPanel];
  auto& head = *reinterpret_cast<MomentHead*>(args.panel);
  for (int c = 0; c < kMomentPanel; ++c) {
    const simd::ColumnScale scale = simd::column_scale(amax[c]);
    to_code[c] = scale.to_code;
    head.scale[c] = scale.scale;
  }
  std::int16_t* codes = codes_of(args.panel);
  for (std::int64_t t = 0; t < args.tokens; ++t)
    for (std::int64_t c = 0; c < args.columns; ++c)
      if (to_code[c] != 0.0f)
        codes[t * kMomentPanel + c] =
            static_cast<std::int16_t>(std::nearbyint(token_of(args, t)[c] * to_code[c]));
}

[[gnu::noinline]] void add_panel(const MomentBlockArgs& args, const std::uint8_t* x, double* coarse,
                                 double* fine) {
  std::int64_t sums[kMomentPanel][kMomentPanel] = {};
  const std::int16_t *y_codes = codes_of(args.y), *x_codes = codes_of(x);
  for (std::int64_t t = 0; t < args.steps * kMomentStep; ++t)
    for (int i = 0; i < kMomentPanel; ++i)
      for (int j = 0; j < kMomentPanel; ++j)
        sums[i][j] += y_codes[t * kMomentPanel + i] * x_codes[t * kMomentPanel + j];
  for (int i = 0; i < kMomentPanel; ++i) {
    const std::int64_t row = i * args.stride / static_cast<std::int64_t>(sizeof(double));
    for (int j = 0; j < kMomentPanel; ++j) {
      const double sum = static_cast<double>(sums[i][j]) * (head_of(args.y).scale[i] * head_of(x).scale[j]);
      const double to_coarse = (sum + simd::kMomentToCoarse) - simd::kMomentToCoarse;
      coarse[row + j] += to_coarse;
      fine[row + j] += ((sum - to_coarse) + simd::kMomentToFine) - simd::kMomentToFine;
    }
  }
}

class SecondMomentScalar final : public SecondMomentKernel {
 public:
  KernelCode code() const override {
    return {"second_moment_f64_f32__scalar", "scalar", "bit_exact(second_moment)", {}, {}, "compiled C++"};
  }
  std::int64_t panel_bytes(std::int64_t steps) const override { return simd::pair_panel_bytes(steps); }
  void pack(const MomentPackArgs& args) const override {
    const simd::RoundingMode nearest(simd::RoundingMode::to_nearest);
    const std::int64_t padded = (args.tokens + kMomentStep - 1) / kMomentStep * kMomentStep;
    for (std::int64_t panel = 0; panel * kMomentPanel < args.columns; ++panel) {
      const MomentPackArgs one = simd::one_panel(args, panel);
      std::memset(one.panel, 0, static_cast<std::size_t>(panel_bytes(padded / kMomentStep)));
      pack_codes(one);
    }
  }
  void block(const MomentBlockArgs& args) const override {
    const simd::RoundingMode nearest(simd::RoundingMode::to_nearest);
    for (std::int64_t p = 0; p < args.panels; ++p)
      add_panel(args, args.x + p * args.panel_bytes, args.coarse + p * kMomentPanel,
                args.fine + p * kMomentPanel);
  }
};

}  // namespace

Result<SecondMomentKernelPtr> make_second_moment_scalar(const SecondMomentSpec&) {
  return SecondMomentKernelPtr(std::make_shared<SecondMomentScalar>());
}

}  // namespace fourge::jit
