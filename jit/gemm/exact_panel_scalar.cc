#include "jit/gemm/exact_panel_scalar.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "fourge/rounding.h"

namespace fourge::jit {
namespace {

constexpr std::uint32_t kNan = 0x7fff'ffffu;

// One panel's step, decoded.
template <Format kFormat>
struct PanelStep {
  std::int8_t codes[kPanelCols][kStepK];          // twice the element
  std::int32_t significand[kGroups][kPanelCols];  // of the scale; 1 for ue8m0
  std::int32_t exponent[kGroups][kPanelCols];     // of the scale
  bool nan[kPanelCols];

  PanelStep(const std::uint8_t* code_bytes, const std::uint8_t* scale_bytes) {
    constexpr ElementFormat kScale = info(kFormat).scale;
    for (int vector = 0; vector < 8; ++vector) {
      for (int i = 0; i < 64; ++i) {
        const unsigned byte = code_bytes[64 * vector + i];
        const int column = i / 4, k = 8 * vector + i % 4;
        codes[column][k] = static_cast<std::int8_t>(twice_e2m1(byte & 15));
        codes[column][k + 4] = static_cast<std::int8_t>(twice_e2m1(byte >> 4));
      }
    }
    for (int column = 0; column < kPanelCols; ++column) {
      nan[column] = false;
      for (int g = 0; g < kGroups; ++g) {
        const int stored = g * stored_scales(kFormat) / kGroups;
        const Number scale = decode(kScale, scale_bytes[kPanelCols * stored + column]);
        nan[column] |= scale.kind == NumberKind::nan;
        significand[g][column] = static_cast<std::int32_t>(scale.significand);
        exponent[g][column] =
            kScale == ElementFormat::ue4m3 && scale.is_zero() ? kZeroScaleExponent : scale.exponent;
      }
    }
  }
};

// value * 2^shift toward zero; shift <= 33 and |value| < 2^20, so nothing overflows.
std::int64_t shift_toward_zero(std::int64_t value, int shift) {
  if (shift >= 0) return value * (std::int64_t{1} << shift);
  if (shift <= -63) return 0;
  const std::int64_t magnitude = (value < 0 ? -value : value) >> -shift;
  return value < 0 ? -magnitude : magnitude;
}

// numerics.md 4.2, one output. dots: group sums in units of 1/4.
template <Format kFormat>
std::uint32_t step_output(const std::int32_t* dots, const ActivationStep& a, const PanelStep<kFormat>& b,
                          int column, std::uint32_t c_bits) {
  constexpr bool kUe4m3 = info(kFormat).scale == ElementFormat::ue4m3;
  const Number c = decode(ElementFormat::f32, c_bits);
  bool nan = b.nan[column] || c.kind == NumberKind::nan;
  int group_exponent[kGroups];
  int largest = c.is_zero() ? -126 : c.exponent;
  for (int g = 0; g < kGroups; ++g) {
    nan |= a.exponent[g] == kNanScaleExponent;
    group_exponent[g] = static_cast<int>(a.exponent[g]) + b.exponent[g][column];
    largest = std::max(largest, group_exponent[g]);
  }
  if (nan) return kNan;
  if (c.kind == NumberKind::infinity) return c_bits;

  std::int64_t sum = shift_toward_zero(c.negative ? -static_cast<std::int64_t>(c.significand) : c.significand,
                                       35 - 23 + c.exponent - largest);
  for (int g = 0; g < kGroups; ++g) {
    std::int64_t value = dots[g];
    int last_place = 2;
    if (kUe4m3) {
      // The stored f32 is scale / 4 = significand * 2^(exponent - 5); a zero scale has significand 0.
      const float a_significand =
          a.scale[g] == 0.0f ? 0.0f : std::ldexp(a.scale[g], 5 - static_cast<int>(a.exponent[g]));
      value *= static_cast<std::int64_t>(a_significand) * b.significand[g][column];
      last_place = 8;
    }
    sum += shift_toward_zero(value, 35 - last_place + group_exponent[g] - largest);
  }
  if (sum == 0) return 0;
  const std::uint64_t magnitude = static_cast<std::uint64_t>(sum < 0 ? -sum : sum);
  const std::uint32_t d =
      round_pack(ElementFormat::f32, sum < 0, magnitude, largest - 35, Rounding::rz, Overflow::infinity);
  return d == 0x8000'0000u ? 0 : d;
}

template <Format kFormat>
void run_step(ExactPanelArgs& args, std::int64_t step) {
  const PanelStep<kFormat> b(args.codes + step * kPanelCodeBytes,
                             args.scales + step * panel_scale_bytes(kFormat));
  const auto* a = reinterpret_cast<const ActivationStep*>(reinterpret_cast<const std::uint8_t*>(args.a) +
                                                          step * args.a_stride);
  for (std::int64_t row = 0; row < args.rows; ++row) {
    for (int column = 0; column < kPanelCols; ++column) {
      std::int32_t dots[kGroups];
      for (int g = 0; g < kGroups; ++g) {
        std::int32_t dot = 0;
        for (int i = 16 * g; i < 16 * (g + 1); ++i) dot += a[row].codes[i] * b.codes[column][i];
        dots[g] = dot;
      }
      float& c = args.acc[row * kPanelCols + column];
      c = std::bit_cast<float>(step_output(dots, a[row], b, column, std::bit_cast<std::uint32_t>(c)));
    }
  }
}

// Numerics::fast: group by group. f64 holds every term; a sum is rounded to f64 and then to f32.
template <Format kFormat>
void run_fast_step(ExactPanelArgs& args, std::int64_t step) {
  const PanelStep<kFormat> b(args.codes + step * kPanelCodeBytes,
                             args.scales + step * panel_scale_bytes(kFormat));
  const auto* a = reinterpret_cast<const ActivationStep*>(reinterpret_cast<const std::uint8_t*>(args.a) +
                                                          step * args.a_stride);
  constexpr int kFractionBits = info(info(kFormat).scale).fraction_bits;
  for (std::int64_t row = 0; row < args.rows; ++row) {
    for (int column = 0; column < kPanelCols; ++column) {
      float& acc = args.acc[row * kPanelCols + column];
      for (int g = 0; g < kGroups; ++g) {
        std::int32_t dot = 0;
        for (int i = 16 * g; i < 16 * (g + 1); ++i) dot += a[row].codes[i] * b.codes[column][i];
        const double b_scale = std::ldexp(b.significand[g][column], b.exponent[g][column] - kFractionBits);
        if (a[row].exponent[g] == kNanScaleExponent || b.nan[column]) acc = std::bit_cast<float>(kNan);
        acc = static_cast<float>(acc + dot * (static_cast<double>(a[row].scale[g]) * b_scale));
      }
    }
  }
}

void store(OutputType output, void* d, std::int64_t column, float x) {
  std::uint32_t bits = std::isnan(x) ? kNan : std::bit_cast<std::uint32_t>(x);
  if (output != OutputType::f32) {
    const ElementFormat format = output == OutputType::bf16 ? ElementFormat::bf16 : ElementFormat::f16;
    const auto half =
        static_cast<std::uint16_t>(encode_bits(format, bits, Rounding::rne, Overflow::infinity));
    std::memcpy(static_cast<std::uint8_t*>(d) + 2 * column, &half, 2);
  } else {
    std::memcpy(static_cast<std::uint8_t*>(d) + 4 * column, &bits, 4);
  }
}

template <Numerics kNumerics, Format kFormat, OutputType kOutput, bool kBias>
void panel(ExactPanelArgs* args) {
  for (std::int64_t step = 0; step < args->steps; ++step)
    kNumerics == Numerics::fast ? run_fast_step<kFormat>(*args, step) : run_step<kFormat>(*args, step);
  for (std::int64_t row = 0; row < args->rows; ++row) {
    for (int column = 0; column < kPanelCols; ++column) {
      if ((args->columns >> column & 1) == 0) continue;
      const float acc = args->acc[row * kPanelCols + column];
      const float x = kBias ? std::fma(args->alpha, acc, args->bias[column]) : args->alpha * acc;
      store(kOutput, static_cast<std::uint8_t*>(args->d) + row * args->d_stride, column, x);
    }
  }
  args->general_vectors = kNumerics == Numerics::fast ? 0 : args->rows * args->steps;
}

template <Numerics kNumerics, Format kFormat>
ExactPanelFunction of_format(OutputType output, bool bias) {
  switch (output) {
    case OutputType::f32:
      return bias ? panel<kNumerics, kFormat, OutputType::f32, true>
                  : panel<kNumerics, kFormat, OutputType::f32, false>;
    case OutputType::bf16:
      return bias ? panel<kNumerics, kFormat, OutputType::bf16, true>
                  : panel<kNumerics, kFormat, OutputType::bf16, false>;
    case OutputType::f16:
      return bias ? panel<kNumerics, kFormat, OutputType::f16, true>
                  : panel<kNumerics, kFormat, OutputType::f16, false>;
  }
  return nullptr;
}

template <Numerics kNumerics>
ExactPanelFunction of_numerics(const GemmSpec& spec) {
  switch (spec.format) {
    case Format::nvfp4:
      return of_format<kNumerics, Format::nvfp4>(spec.output, spec.bias);
    case Format::mxfp4:
      return of_format<kNumerics, Format::mxfp4>(spec.output, spec.bias);
    case Format::mxfp4_b16:
      return of_format<kNumerics, Format::mxfp4_b16>(spec.output, spec.bias);
  }
  return nullptr;
}

}  // namespace

ExactPanelFunction exact_panel_scalar(const GemmSpec& spec) { return of_numerics<Numerics::blackwell>(spec); }

ExactPanelFunction fast_panel_scalar(const GemmSpec& spec) { return of_numerics<Numerics::fast>(spec); }

}  // namespace fourge::jit
