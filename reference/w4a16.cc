#include "reference/w4a16.h"

#include <bit>
#include <cstring>
#include <string>

#include "fourge/formats.h"
#include "fourge/rounding.h"
#include "reference/arithmetic.h"

namespace fourge::reference {
namespace {

Status check_call(const GemmSpec& spec, const PlainView& a, const QuantizedView& b,
                  const GemmOperands& operands, const GemmRange& range) {
  if (spec.numerics != Numerics::fast || spec.activations == Activations::same) {
    return {Error::kUnsupportedFormat, "expected numerics fast with bf16 or f32 activations",
            std::string(name_of(spec.numerics)) + ", activations " + name_of(spec.activations)};
  }
  if (spec.m < 1 || spec.n < 1 || spec.k < 1 || spec.k % info(spec.format).block != 0)
    return {Error::kBadShape, "expected sizes of at least 1, k a multiple of the scale block"};
  if (b.format != spec.format) return {Error::kUnsupportedFormat, "expected the format of the spec", "B"};
  if (a.rows != spec.m || a.cols != spec.k || b.rows != spec.n || b.cols != spec.k)
    return {Error::kBadShape, "expected the sizes of the spec"};
  if (a.data == nullptr || b.codes == nullptr || b.scales == nullptr || operands.d == nullptr ||
      spec.bias != (operands.bias != nullptr) || spec.accumulate != (operands.c != nullptr)) {
    return {Error::kBadArgument, "expected the pointers that the spec asks for"};
  }
  if (range.m_begin < 0 || range.m_end > spec.m || range.n_begin < 0 || range.n_end > spec.n)
    return {Error::kBadShape, "expected a range inside D"};
  return {};
}

// a[row, k] as f32 bits.
std::uint32_t activation(const GemmSpec& spec, const PlainView& a, std::int64_t row, std::int64_t k) {
  const std::int64_t index = row * (a.stride != 0 ? a.stride : a.cols) + k;
  if (spec.activations == Activations::bf16) {
    std::uint16_t code;
    std::memcpy(&code, static_cast<const std::uint8_t*>(a.data) + 2 * index, 2);
    return f32_bits_of(decode(ElementFormat::bf16, code));
  }
  std::uint32_t bits;
  std::memcpy(&bits, static_cast<const std::uint8_t*>(a.data) + 4 * index, 4);
  return bits;
}

void store(OutputType type, void* d, std::int64_t index, std::uint32_t f32_bits) {
  if (type == OutputType::f32) {
    std::memcpy(static_cast<std::uint8_t*>(d) + 4 * index, &f32_bits, 4);
    return;
  }
  const ElementFormat format = type == OutputType::bf16 ? ElementFormat::bf16 : ElementFormat::f16;
  const auto code =
      static_cast<std::uint16_t>(encode_bits(format, f32_bits, Rounding::rne, Overflow::infinity));
  std::memcpy(static_cast<std::uint8_t*>(d) + 2 * index, &code, 2);
}

}  // namespace

std::uint32_t w4a16_accumulator(const GemmSpec& spec, const PlainView& a, const QuantizedView& b,
                                std::int64_t row, std::int64_t column, std::uint32_t c) {
  const BlockInfo block = info(spec.format);
  std::uint32_t acc = c;
  for (std::int64_t k = 0; k < spec.k; k += block.block) {
    std::uint32_t dot = 0;
    for (std::int64_t i = k; i < k + block.block; ++i) {
      const std::uint32_t x = activation(spec, a, row, i);
      const std::uint32_t e = f32_bits_of(decode(ElementFormat::e2m1, b.code(column, i)));
      dot = i == k ? multiply(ElementFormat::f32, x, e) : fused_multiply_add(ElementFormat::f32, x, e, dot);
    }
    const std::uint32_t scale = f32_bits_of(decode(block.scale, b.scale(column, k / block.block)));
    acc = fused_multiply_add(ElementFormat::f32, dot, scale, acc);
  }
  return acc;
}

Status gemm_w4a16(const GemmSpec& spec, const PlainView& a, const QuantizedView& b,
                  const GemmOperands& operands) {
  return gemm_w4a16_part(spec, a, b, operands, {0, spec.m, 0, spec.n});
}

Status gemm_w4a16_part(const GemmSpec& spec, const PlainView& a, const QuantizedView& b,
                       const GemmOperands& operands, const GemmRange& range) {
  if (Status status = check_call(spec, a, b, operands, range); !status.ok()) return status;
  const std::int64_t c_stride = operands.c_stride != 0 ? operands.c_stride : spec.n;
  const std::int64_t d_stride = operands.d_stride != 0 ? operands.d_stride : spec.n;
  for (std::int64_t i = range.m_begin; i < range.m_end; ++i) {
    for (std::int64_t j = range.n_begin; j < range.n_end; ++j) {
      const std::uint32_t c =
          spec.accumulate ? std::bit_cast<std::uint32_t>(operands.c[i * c_stride + j]) : 0;
      const std::uint32_t acc = w4a16_accumulator(spec, a, b, i, j, c);
      const float* bias = spec.bias ? &operands.bias[j] : nullptr;
      store(spec.output, operands.d, i * d_stride + j, epilogue(acc, operands.alpha, bias));
    }
  }
  return {};
}

}  // namespace fourge::reference
