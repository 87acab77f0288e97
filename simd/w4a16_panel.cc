#include "simd/w4a16_panel.h"

#include <algorithm>
#include <array>

#include "fourge/formats.h"
#include "simd/rounding_mode.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "simd/w4a16_panel.cc"
#include "simd/foreach_target.h"  // after HWY_TARGET_INCLUDE

#if FOURGE_SIMD_TARGET
#include "simd/epilogue-inl.h"

HWY_BEFORE_NAMESPACE();
namespace fourge::simd::HWY_NAMESPACE {

using W4a16F32 = hn::CappedTag<float, kPanelCols>;

// Byte `byte` of the f32 of every e2m1 code, for TableLookupBytes; bytes 0 and 1 are zero for all of them.
constexpr std::array<std::uint8_t, 16> element_bytes(int byte) {
  std::array<std::uint8_t, 16> bytes{};
  for (unsigned code = 0; code < 16; ++code) {
    const std::uint32_t bits = f32_bits_of(decode(ElementFormat::e2m1, code));
    bytes[code] = static_cast<std::uint8_t>(bits >> 8 * byte);
  }
  return bytes;
}

constexpr std::array<float, 256> scale_values(ElementFormat format) {
  std::array<float, 256> values{};
  for (unsigned code = 0; code < 256; ++code) values[code] = decode_f32(format, code);
  return values;
}

// elements[k][column] of a step. A column's dword holds k = 8 v + t in the low nibble of byte t and k = 8 v +
// 4 + t in the high one; a lookup in the dword's other bytes finds code 0, which is zero.
HWY_INLINE void decode_elements(const std::uint8_t* codes, float (*elements)[kPanelCols]) {
  const W4a16F32 d;
  const hn::RebindToUnsigned<W4a16F32> du;
  const hn::Repartition<std::uint8_t, decltype(du)> d8;
  HWY_ALIGN static constexpr std::array<std::uint8_t, 16> kUpper = element_bytes(3),
                                                          kSecond = element_bytes(2);
  const auto upper = hn::LoadDup128(d8, kUpper.data()), second = hn::LoadDup128(d8, kSecond.data());
  const auto nibble = hn::Set(du, 15u);
  for (int v = 0; v < 8; ++v) {
    for (std::size_t column = 0; column < kPanelCols; column += hn::Lanes(d)) {
      auto quads = hn::BitCast(du, hn::LoadU(d8, codes + 64 * v + 4 * static_cast<int>(column)));
      for (int i = 0; i < 8; ++i) {  // nibble i of the dword
        const auto code = hn::BitCast(d8, hn::And(quads, nibble));
        const auto high = hn::BitCast(du, hn::TableLookupBytes(upper, code));
        const auto low = hn::BitCast(du, hn::TableLookupBytes(second, code));
        const int k = 8 * v + i / 2 + (i % 2) * 4;
        hn::Store(hn::BitCast(d, hn::Or(hn::ShiftLeft<24>(high), hn::ShiftLeft<16>(low))), d,
                  elements[k] + column);
        quads = hn::ShiftRight<4>(quads);
      }
    }
  }
}

// acc = fma(dot, scale, acc) for one block: kRows rows from `row` on, 16 columns. a: the block's first k.
template <int kBlock, int kRows>
HWY_INLINE void add_block(const float* a, std::int64_t rows, const float (*elements)[kPanelCols],
                          const float* scale, float* acc) {
  const W4a16F32 d;
  for (std::size_t column = 0; column < kPanelCols; column += hn::Lanes(d)) {
    const auto e0 = hn::Load(d, elements[0] + column);
    auto dot0 = hn::Mul(hn::Set(d, a[0]), e0), dot1 = dot0, dot2 = dot0, dot3 = dot0;
    if constexpr (kRows == 4) {
      dot1 = hn::Mul(hn::Set(d, a[1]), e0);
      dot2 = hn::Mul(hn::Set(d, a[2]), e0);
      dot3 = hn::Mul(hn::Set(d, a[3]), e0);
    }
    for (int i = 1; i < kBlock; ++i) {
      const auto e = hn::Load(d, elements[i] + column);
      const float* at = a + i * rows;
      dot0 = fused_multiply_add(d, hn::Set(d, at[0]), e, dot0);
      if constexpr (kRows == 4) {
        dot1 = fused_multiply_add(d, hn::Set(d, at[1]), e, dot1);
        dot2 = fused_multiply_add(d, hn::Set(d, at[2]), e, dot2);
        dot3 = fused_multiply_add(d, hn::Set(d, at[3]), e, dot3);
      }
    }
    const auto s = hn::Load(d, scale + column);
    const auto accumulate = [&](int row, hn::Vec<W4a16F32> dot) HWY_ATTR {
      float* sum = acc + row * kPanelCols + column;
      hn::Store(fused_multiply_add(d, dot, s, hn::Load(d, sum)), d, sum);
    };
    accumulate(0, dot0);
    if constexpr (kRows == 4) {
      accumulate(1, dot1);
      accumulate(2, dot2);
      accumulate(3, dot3);
    }
  }
}

template <Format kFormat>
HWY_NOINLINE void w4a16_steps(const W4a16PanelArgs& args, float* acc) {
  constexpr int kBlock = info(kFormat).block, kScales = stored_scales(kFormat);
  static constexpr std::array<float, 256> kScaleValues = scale_values(info(kFormat).scale);
  HWY_ALIGN float elements[kStepK][kPanelCols];
  HWY_ALIGN float scales[kScales * kPanelCols];
  for (std::int64_t step = 0; step < args.steps; ++step) {
    decode_elements(args.codes + step * kPanelCodeBytes, elements);
    const std::uint8_t* bytes = args.scales + step * panel_scale_bytes(kFormat);
    for (int i = 0; i < kScales * kPanelCols; ++i) scales[i] = kScaleValues[bytes[i]];
    for (int block = 0; block < kScales; ++block) {
      const float* a = args.a + (step * kStepK + block * kBlock) * args.rows;
      std::int64_t row = 0;
      for (; row + 4 <= args.rows; row += 4) {
        add_block<kBlock, 4>(a + row, args.rows, elements + block * kBlock, scales + block * kPanelCols,
                             acc + row * kPanelCols);
      }
      for (; row < args.rows; ++row) {
        add_block<kBlock, 1>(a + row, args.rows, elements + block * kBlock, scales + block * kPanelCols,
                             acc + row * kPanelCols);
      }
    }
  }
}

template <OutputType kOutput, bool kBias>
HWY_NOINLINE void w4a16_store(const W4a16PanelArgs& args, const float* acc) {
  for (std::int64_t row = 0; row < args.rows; ++row) {
    store_epilogue<kOutput, kBias>(acc + row * kPanelCols, args.alpha, args.bias, args.columns,
                                   static_cast<std::uint8_t*>(args.d) + row * args.d_stride);
  }
}

template <Format kFormat, OutputType kOutput, bool kBias>
void w4a16_panel_of(const W4a16PanelArgs* args) {
  const RoundingMode mode(RoundingMode::to_nearest);
  HWY_ALIGN float acc[kW4a16MaxRows * kPanelCols] = {};
  const auto columns = static_cast<std::size_t>(__builtin_popcount(args->columns));
  for (std::int64_t row = 0; args->c != nullptr && row < args->rows; ++row) {
    __builtin_memcpy(acc + row * kPanelCols,
                     reinterpret_cast<const std::uint8_t*>(args->c) + row * args->c_stride, 4 * columns);
  }
  w4a16_steps<kFormat>(*args, acc);
  w4a16_store<kOutput, kBias>(*args, acc);
}

template <Format kFormat, bool kBias>
W4a16PanelFunction w4a16_of_output(OutputType output) {
  switch (output) {
    case OutputType::f32:
      return w4a16_panel_of<kFormat, OutputType::f32, kBias>;
    case OutputType::bf16:
      return w4a16_panel_of<kFormat, OutputType::bf16, kBias>;
    case OutputType::f16:
      return w4a16_panel_of<kFormat, OutputType::f16, kBias>;
  }
  return nullptr;
}

template <bool kBias>
W4a16PanelFunction w4a16_of_format(const GemmSpec& spec) {
  switch (spec.format) {
    case Format::nvfp4:
      return w4a16_of_output<Format::nvfp4, kBias>(spec.output);
    case Format::mxfp4:
      return w4a16_of_output<Format::mxfp4, kBias>(spec.output);
    case Format::mxfp4_b16:
      return w4a16_of_output<Format::mxfp4_b16, kBias>(spec.output);
  }
  return nullptr;
}

W4a16PanelFunction w4a16_panel_of_target(const GemmSpec& spec) {
  return spec.bias ? w4a16_of_format<true>(spec) : w4a16_of_format<false>(spec);
}

}  // namespace fourge::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif

#if HWY_ONCE
namespace fourge::simd {

W4a16PanelFunction w4a16_panel(Target target, const GemmSpec& spec) {
  switch (target) {
#define FOURGE_TARGET(name, space) \
  case Target::name:               \
    return space::w4a16_panel_of_target(spec);
#include "simd/targets.inc"
    default:
      return nullptr;
  }
}

}  // namespace fourge::simd
#endif
