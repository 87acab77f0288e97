#include "reference/hadamard.h"

#include <cstring>
#include <vector>

#include "fourge/hadamard_matrix.h"
#include "fourge/rounding.h"

namespace fourge::reference {

namespace {

std::int64_t bytes_of(ElementFormat format) { return info(format).storage_bits / 8; }

float load(ElementFormat format, const std::uint8_t* address) {
  std::uint32_t code = 0;
  std::memcpy(&code, address, static_cast<std::size_t>(bytes_of(format)));
  return format == ElementFormat::f32 ? std::bit_cast<float>(code) : decode_f32(format, code);
}

void store(ElementFormat format, std::uint8_t* address, float value) {
  const std::uint32_t code = format == ElementFormat::f32
                                 ? std::bit_cast<std::uint32_t>(value)
                                 : encode(format, value, Rounding::rne, Overflow::infinity);
  std::memcpy(address, &code, static_cast<std::size_t>(bytes_of(format)));
}

bool is_negated(const std::uint8_t* signs, std::size_t i) {
  return signs != nullptr && (signs[i / 8] >> (i % 8) & 1) != 0;
}

}  // namespace

void sylvester_butterflies(std::span<float> run) {
  for (std::size_t half = 1; half < run.size(); half *= 2) {
    for (std::size_t i = 0; i < run.size(); ++i) {
      if ((i & half) != 0) continue;
      const float a = run[i], b = run[i + half];
      run[i] = a + b;
      run[i + half] = a - b;
    }
  }
}

void paley_combine(std::span<float> x, std::int64_t paley, std::int64_t power) {
  const PaleyMatrix h(static_cast<int>(paley));
  std::vector<float> column(static_cast<std::size_t>(paley));
  for (std::int64_t e = 0; e < power; ++e) {
    const auto at = [&](std::int64_t run) -> float& { return x[static_cast<std::size_t>(run * power + e)]; };
    for (std::int64_t j = 0; j < paley; ++j) column[static_cast<std::size_t>(j)] = at(j);
    for (int i = 0; i < h.order(); ++i) {
      float sum = 0.0f;
      for (int j = 0; j < h.order(); j += 4) {
        const auto term = [&](int k) { return column[static_cast<std::size_t>(j + k)]; };
        const auto with_sign = [](int sign, float value) { return sign > 0 ? value : -value; };
        const int s0 = h(i, j), s1 = s0 * h(i, j + 1), s2 = s0 * h(i, j + 2), s3 = s0 * h(i, j + 3);
        const float low = term(0) + with_sign(s1, term(1)), high = term(2) + with_sign(s2 * s3, term(3));
        const float t = low + with_sign(s2, high);
        sum = j == 0 ? t : sum + with_sign(s0, t);
      }
      at(i) = sum;
    }
  }
}

void hadamard_block(std::span<float> block, const std::uint8_t* signs, const float* scale) {
  const auto order = static_cast<std::int64_t>(block.size());
  const HadamardFactors factors = hadamard_factors(order);
  for (std::size_t i = 0; i < block.size(); ++i) {
    if (is_negated(signs, i)) block[i] = -block[i];
  }
  const auto power = static_cast<std::size_t>(factors.power);
  for (std::size_t run = 0; run < block.size(); run += power)
    sylvester_butterflies(block.subspan(run, power));
  if (factors.paley > 1) paley_combine(block, factors.paley, factors.power);
  if (scale == nullptr) return;
  for (float& y : block) y *= *scale;
}

Status hadamard(const HadamardSpec& spec, const HadamardOperands& operands) {
  const std::int64_t x_stride = operands.x_stride != 0 ? operands.x_stride : operands.cols;
  const std::int64_t y_stride = operands.y_stride != 0 ? operands.y_stride : operands.cols;
  if (hadamard_factors(spec.order).paley == 0 || operands.cols % spec.order != 0)
    return {Error::kBadShape, "expected columns in multiples of a Hadamard order"};
  std::vector<float> block(static_cast<std::size_t>(spec.order));
  for (std::int64_t row = 0; row < operands.rows; ++row) {
    for (std::int64_t first = 0; first < operands.cols; first += spec.order) {
      const auto* x =
          static_cast<const std::uint8_t*>(operands.x) + (row * x_stride + first) * bytes_of(spec.input);
      auto* y = static_cast<std::uint8_t*>(operands.y) + (row * y_stride + first) * bytes_of(spec.output);
      for (std::int64_t i = 0; i < spec.order; ++i)
        block[static_cast<std::size_t>(i)] = load(spec.input, x + i * bytes_of(spec.input));
      hadamard_block(block, spec.signs ? operands.signs : nullptr, spec.scaled ? &operands.scale : nullptr);
      for (std::int64_t i = 0; i < spec.order; ++i)
        store(spec.output, y + i * bytes_of(spec.output), block[static_cast<std::size_t>(i)]);
    }
  }
  return {};
}

}  // namespace fourge::reference
