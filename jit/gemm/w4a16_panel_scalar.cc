// The W4A16 panel in portable C++: the kernel of machines that have no other.
#include <array>
#include <bit>
#include <cmath>
#include <cstring>

#include "fourge/formats.h"
#include "jit/element_io.h"
#include "jit/gemm/w4a16_gemm.h"

namespace fourge::jit {
namespace {

using simd::kPanelCodeBytes;
using simd::kPanelCols;
using simd::kStepK;
using simd::panel_scale_bytes;

constexpr std::array<float, 16> kElements = [] {
  std::array<float, 16> values{};
  for (unsigned code = 0; code < 16; ++code) values[code] = decode_f32(ElementFormat::e2m1, code);
  return values;
}();

// The element of every column at one k of a step.
void decode_elements(const std::uint8_t* codes, int k, float* elements) {
  const std::uint8_t* bytes = codes + 64 * (k / 8) + k % 4;
  const int shift = k % 8 < 4 ? 0 : 4;
  for (int column = 0; column < kPanelCols; ++column)
    elements[column] = kElements[bytes[4 * column] >> shift & 15];
}

// acc = fma(dot of one block, its scale, acc) for rows x 16 outputs.
template <Format kFormat>
void add_block(const W4a16PanelArgs& args, std::int64_t step, int block, float (*acc)[kPanelCols]) {
  constexpr int kBlock = info(kFormat).block;
  const std::uint8_t* codes = args.codes + step * kPanelCodeBytes;
  const std::uint8_t* scales = args.scales + step * panel_scale_bytes(kFormat) + block * kPanelCols;
  float dot[kW4a16MaxRows][kPanelCols];
  for (int i = 0; i < kBlock; ++i) {
    const int k = block * kBlock + i;
    float elements[kPanelCols];
    decode_elements(codes, k, elements);
    const float* a = args.a + (step * kStepK + k) * args.rows;
    for (std::int64_t r = 0; r < args.rows; ++r) {
      for (int column = 0; column < kPanelCols; ++column) {
        dot[r][column] = i == 0 ? a[r] * elements[column] : std::fma(a[r], elements[column], dot[r][column]);
      }
    }
  }
  for (int column = 0; column < kPanelCols; ++column) {
    const float scale = decode_f32(info(kFormat).scale, scales[column]);
    for (std::int64_t r = 0; r < args.rows; ++r)
      acc[r][column] = std::fma(dot[r][column], scale, acc[r][column]);
  }
}

template <ElementFormat kOutput>
void store(const W4a16PanelArgs& args, bool bias, const float (*acc)[kPanelCols]) {
  constexpr float kNan = std::bit_cast<float>(0x7fff'ffffu);
  for (std::int64_t r = 0; r < args.rows; ++r) {
    auto* d = static_cast<std::uint8_t*>(args.d) + r * args.d_stride;
    for (int column = 0; column < kPanelCols; ++column) {
      if ((args.columns >> column & 1) == 0) continue;
      const float x =
          bias ? std::fma(args.alpha, acc[r][column], args.bias[column]) : args.alpha * acc[r][column];
      store_element<kOutput>(d + column * plain_bytes(kOutput), std::isnan(x) ? kNan : x);
    }
  }
}

template <Format kFormat, ElementFormat kOutput, bool kBias>
void panel(const W4a16PanelArgs* args) {
  float acc[kW4a16MaxRows][kPanelCols] = {};
  for (std::int64_t r = 0; args->c != nullptr && r < args->rows; ++r) {
    const auto* c = reinterpret_cast<const std::uint8_t*>(args->c) + r * args->c_stride;
    for (int column = 0; column < kPanelCols; ++column) {
      if ((args->columns >> column & 1) != 0) std::memcpy(&acc[r][column], c + 4 * column, 4);
    }
  }
  for (std::int64_t step = 0; step < args->steps; ++step) {
    for (int block = 0; block < kStepK / info(kFormat).block; ++block)
      add_block<kFormat>(*args, step, block, acc);
  }
  store<kOutput>(*args, kBias, acc);
}

template <Format kFormat, bool kBias>
W4a16PanelFunction of_output(OutputType output) {
  switch (output) {
    case OutputType::f32:
      return panel<kFormat, ElementFormat::f32, kBias>;
    case OutputType::bf16:
      return panel<kFormat, ElementFormat::bf16, kBias>;
    case OutputType::f16:
      return panel<kFormat, ElementFormat::f16, kBias>;
  }
  return nullptr;
}

template <Format kFormat>
W4a16PanelFunction of_format(const GemmSpec& spec) {
  return spec.bias ? of_output<kFormat, true>(spec.output) : of_output<kFormat, false>(spec.output);
}

}  // namespace

W4a16PanelFunction w4a16_panel_scalar(const GemmSpec& spec) {
  switch (spec.format) {
    case Format::nvfp4:
      return of_format<Format::nvfp4>(spec);
    case Format::mxfp4:
      return of_format<Format::mxfp4>(spec);
    case Format::mxfp4_b16:
      return of_format<Format::mxfp4_b16>(spec);
  }
  return nullptr;
}

}  // namespace fourge::jit
