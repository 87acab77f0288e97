#include "jit/gemm/exact_operands.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "jit/gemm/amx_operands.h"

namespace fourge::jit {
namespace {

// One row of a matrix over one step: 32 bytes of codes, four groups.
struct StepRow {
  std::uint8_t codes[kStepK / 2] = {};
  std::uint8_t scales[kGroups] = {};  // the scale byte of every group of 16, repeated for longer blocks
};

StepRow read_step(const QuantizedView& matrix, std::int64_t row, std::int64_t step) {
  StepRow out;
  const std::int64_t begin = step * kStepK, count = std::min<std::int64_t>(kStepK, matrix.cols - begin);
  std::memcpy(out.codes, matrix.codes + (row * matrix.cols + begin) / 2, static_cast<std::size_t>(count / 2));
  const int block = info(matrix.format).block;
  for (std::int64_t g = 0; g * 16 < count; ++g) out.scales[g] = matrix.scale(row, (begin + g * 16) / block);
  return out;
}

struct ByteTables {
  std::array<std::int8_t, 512> twice{};     // [2 * byte + nibble]
  std::array<std::int8_t, 256> sum{};       // of both
  std::array<std::int16_t, 256> squares{};  // of both
};

constexpr ByteTables make_tables() {
  ByteTables t;
  for (unsigned byte = 0; byte < 256; ++byte) {
    const int low = twice_e2m1(byte & 15), high = twice_e2m1(byte >> 4);
    t.twice[2 * byte] = static_cast<std::int8_t>(low);
    t.twice[2 * byte + 1] = static_cast<std::int8_t>(high);
    t.sum[byte] = static_cast<std::int8_t>(low + high);
    t.squares[byte] = static_cast<std::int16_t>(low * low + high * high);
  }
  return t;
}
constexpr ByteTables kTables = make_tables();

// Of twice the elements.
int squares_of_group(const StepRow& row, int group) {
  int sum = 0;
  for (int i = 0; i < 8; ++i) sum += kTables.squares[row.codes[8 * group + i]];
  return sum;
}

// What the certificates and the kernels ask of a scale byte.
struct ScaleFacts {
  bool nan = false, zero = false;
  int exponent = 0;    // the one that the tensor core aligns by
  int last_place = 0;  // of a' = element * scale: elements are multiples of 1/2
  double square = 0;   // of the scale
  float quarter = 0;   // scale / 4; 0 for NaN
};
using ScaleTable = std::array<ScaleFacts, 256>;

ScaleTable make_scale_table(ElementFormat format) {
  ScaleTable table;
  for (unsigned byte = 0; byte < 256; ++byte) {
    const Number scale = decode(format, byte);
    ScaleFacts& facts = table[byte];
    facts.nan = scale.kind != NumberKind::finite;
    if (facts.nan) continue;
    facts.zero = scale.is_zero();
    facts.exponent = format == ElementFormat::ue4m3 && facts.zero ? kZeroScaleExponent : scale.exponent;
    facts.last_place = scale.exponent - scale.fraction_bits + std::countr_zero(scale.significand) - 1;
    const double value = std::ldexp(scale.significand, scale.exponent - scale.fraction_bits);
    facts.square = value * value;
    facts.quarter = 0.25f * std::bit_cast<float>(f32_bits_of(scale));
  }
  return table;
}

const ScaleTable& scale_table(ElementFormat format) {
  static const ScaleTable ue4m3 = make_scale_table(ElementFormat::ue4m3),
                          ue8m0 = make_scale_table(ElementFormat::ue8m0);
  return format == ElementFormat::ue4m3 ? ue4m3 : ue8m0;
}

// ceil(8 log2 x), x > 0 and normal: how many of 2^(0/8), .., 2^(7/8) lie below the significand.
int eighths_of_log2(double x) {
  constexpr double kEighths[8] = {1.0,
                                  1.0905077326652577,
                                  1.189207115002721,
                                  1.2968395546510096,
                                  1.4142135623730951,
                                  1.5422108254079407,
                                  1.6817928305074290,
                                  1.8340080864093424};
  const auto bits = std::bit_cast<std::uint64_t>(x);
  const int exponent = static_cast<int>(bits >> 52) - 1023;
  const double significand = std::bit_cast<double>((bits & 0xfffff'ffff'ffff) | std::uint64_t{1023} << 52);
  int eighths = 0;
  for (const double step : kEighths) eighths += significand > step ? 1 : 0;
  return 8 * exponent + eighths;
}

struct Certificate {
  int emax = kZeroScaleExponent;
  std::int32_t key = 0;
};

Certificate certify(const StepRow& row, ElementFormat format) {
  const ScaleTable& table = scale_table(format);
  Certificate certificate;
  int emin = std::numeric_limits<int>::max();  // over groups whose products are not all zero
  double squares = 0;                          // of 2 a'
  for (int g = 0; g < kGroups; ++g) {
    const ScaleFacts& scale = table[row.scales[g]];
    if (scale.nan) return {127, kNeverKey};
    certificate.emax = std::max(certificate.emax, scale.exponent);
    const int group_squares = squares_of_group(row, g);
    if (group_squares == 0 || scale.zero) continue;
    emin = std::min(emin, scale.exponent);
    squares += group_squares * scale.square;
  }
  const bool zero = squares == 0;
  if (format == ElementFormat::ue8m0) {
    if (certificate.emax > kMaxUe8m0Exponent || (!zero && emin < -kMaxUe8m0Exponent)) return {127, kNeverKey};
  }
  // A zero row gives zero sums, whatever the other operand: any lower bound at or above the true one is
  // sound, and this one keeps ordinary accumulators inside.
  if (zero) return {std::max(certificate.emax, 0), 0};
  const int fraction_bits = info(format).fraction_bits;
  const int last_place = emin - fraction_bits - 1;  // elements are multiples of 1/2
  const int norm_key =
      eighths_of_log2(squares) - 16 * (1 + last_place);  // 16 log2(||a'|| / 2^last_place), rounded up
  const int spread_key = 16 * (certificate.emax - emin + (format == ElementFormat::ue4m3 ? 6 : 3));
  certificate.key = std::max(norm_key, spread_key);
  return certificate;
}

// What theorems 2 and 3 need to know of one row at one step.
struct StepBound {
  bool never = false;
  int emax = std::numeric_limits<int>::min() / 2;
  int emin = kNoEmin;                // over groups whose products are not all zero
  int last_place = kNoUnitExponent;  // 2^last_place divides every a'
  double squares = 0;                // of 2 a'
};

StepBound bound_of(const StepRow& row, ElementFormat format) {
  const ScaleTable& table = scale_table(format);
  StepBound bound;
  for (int g = 0; g < kGroups; ++g) {
    const ScaleFacts& scale = table[row.scales[g]];
    if (scale.nan) {
      bound.never = true;
      continue;
    }
    const int group_squares = squares_of_group(row, g);
    bound.emax = std::max(bound.emax, scale.exponent);
    if (format == ElementFormat::ue8m0 && scale.exponent > kMaxUe8m0Exponent) bound.never = true;
    if (group_squares == 0 || scale.zero) continue;
    if (format == ElementFormat::ue8m0 && scale.exponent < -kMaxUe8m0Exponent) bound.never = true;
    bound.emin = std::min(bound.emin, scale.exponent);
    bound.last_place = std::min(bound.last_place, scale.last_place);
    bound.squares += group_squares * scale.square;
  }
  return bound;
}

// sqrt(squares) / 2, rounded up: squares are of twice the values.
float norm_above(double squares) { return static_cast<float>(0.5 * (1 + 0x1p-12) * std::sqrt(squares)); }

// The segment fields of one panel's certificates.
void certify_segments(const QuantizedView& b, std::int64_t panel, std::int64_t steps,
                      PanelCertificate* certificates) {
  const ElementFormat format = info(b.format).scale;
  for (std::int64_t step = 0; step < steps; ++step) {
    certificates[step].unit_exponent = kNoUnitExponent;
    certificates[step].emin = kNoEmin;
  }
  for (std::int64_t row = panel * kPanelCols; row < std::min(b.rows, (panel + 1) * kPanelCols); ++row) {
    int unit_exponent = kNoUnitExponent;
    for (std::int64_t first = 0; first < steps; first += kSegmentSteps) {
      const std::int64_t end = std::min(steps, first + kSegmentSteps);
      double squares = 0;
      bool never = false;
      int emax = std::numeric_limits<int>::min() / 2;
      for (std::int64_t step = first; step < end; ++step) {
        const StepBound bound = bound_of(read_step(b, row, step), format);
        PanelCertificate& certificate = certificates[step];
        squares += bound.squares;
        never = never || bound.never;
        emax = std::max(emax, bound.emax);
        unit_exponent = std::min(unit_exponent, bound.last_place);
        if (bound.emin != kNoEmin)
          certificate.emin = static_cast<std::int8_t>(std::min<int>(certificate.emin, bound.emin));
        const float reach = norm_above(std::ldexp(bound.squares, -2 * bound.last_place));
        certificate.reach =
            std::max(certificate.reach, bound.never ? std::numeric_limits<float>::infinity() : reach);
      }
      never = never || emax - unit_exponent > kMaxSpread || unit_exponent < kMinUnitExponent;
      for (std::int64_t step = first; step < end; ++step) {
        PanelCertificate& certificate = certificates[step];
        certificate.segment_norm = std::max(certificate.segment_norm, norm_above(squares));
        const auto unit = never ? kNeverUnit : static_cast<std::int8_t>(unit_exponent);
        certificate.unit_exponent = std::min(certificate.unit_exponent, unit);
      }
    }
  }
}

}  // namespace

void pack_panel(const QuantizedView& b, std::int64_t panel, std::uint8_t* packed) {
  const PanelStreams streams = PanelStreams::of(b.format, b.rows, b.cols);
  const ElementFormat scale_format = info(b.format).scale;
  const int scales = stored_scales(b.format), groups_per_scale = kGroups / scales;
  auto* certificates =
      reinterpret_cast<PanelCertificate*>(packed + streams.certificates_offset) + panel * streams.steps;
  std::fill_n(certificates, streams.steps, PanelCertificate{});
  certify_segments(b, panel, streams.steps, certificates);
  for (std::int64_t step = 0; step < streams.steps; ++step) {
    const std::int64_t index = panel * streams.steps + step;
    std::uint8_t* codes = packed + index * kPanelCodeBytes;
    std::uint8_t* scale_bytes = packed + streams.scales_offset + index * panel_scale_bytes(b.format);
    PanelCertificate& certificate = certificates[step];
    for (int column = 0; column < kPanelCols; ++column) {
      const std::int64_t row = panel * kPanelCols + column;
      const StepRow source = row < b.rows ? read_step(b, row, step) : StepRow{};
      const Certificate column_certificate = row < b.rows ? certify(source, scale_format) : Certificate{};
      for (int vector = 0; vector < 8; ++vector) {
        for (int t = 0; t < 4; ++t) {
          const int low = 8 * vector + t, high = low + 4;
          const unsigned low_code = (source.codes[low / 2] >> 4 * (low & 1)) & 15u;
          const unsigned high_code = (source.codes[high / 2] >> 4 * (high & 1)) & 15u;
          codes[64 * vector + 4 * column + t] = static_cast<std::uint8_t>(low_code | high_code << 4);
        }
      }
      for (int s = 0; s < scales; ++s)
        scale_bytes[kPanelCols * s + column] = source.scales[s * groups_per_scale];
      certificate.emax[column] = static_cast<std::uint8_t>(column_certificate.emax + 128);
      certificate.key = std::max(certificate.key, column_certificate.key);
    }
  }
}

void prepare_activations(const QuantizedView& a, std::int64_t row, std::int64_t rows, std::int64_t step,
                         ActivationStep* steps, std::int32_t dot_start) {
  const ElementFormat scale_format = info(a.format).scale;
  const ScaleTable& table = scale_table(scale_format);
  for (std::int64_t r = 0; r < rows; ++r) {
    const StepRow source = read_step(a, row + r, step);
    ActivationStep& out = steps[r];
    out = {};
    for (int i = 0; i < kStepK / 2; ++i) {
      out.codes[2 * i] = kTables.twice[2u * source.codes[i]];
      out.codes[2 * i + 1] = kTables.twice[2u * source.codes[i] + 1];
    }
    for (int g = 0; g < kGroups; ++g) {
      int sum = 0;
      for (int i = 0; i < 8; ++i) sum += kTables.sum[source.codes[8 * g + i]];
      out.bias[g] = dot_start - 12 * sum;
      const ScaleFacts& scale = table[source.scales[g]];
      out.scale[g] = scale.quarter;
      out.exponent[g] = scale.nan ? kNanScaleExponent : static_cast<float>(scale.exponent);
    }
    const Certificate certificate = certify(source, scale_format);
    out.lower = (certificate.emax + 127 + kLowerBound - 128) * (1 << 23);
    out.key = certificate.key;
  }
}

}  // namespace fourge::jit
