#include "reference/gemm.h"

#include <algorithm>
#include <bit>
#include <string>
#include <vector>

#include "fourge/rounding.h"
#include "reference/arithmetic.h"
#include "reference/mma/mxf4.h"

namespace fourge::reference {
namespace {

// Rows are decoded once per block of D; 32 x 64 outputs a block make that cost negligible.
constexpr std::int64_t kBlockRows = 32;
constexpr std::int64_t kBlockColumns = 64;

std::string shape(std::int64_t rows, std::int64_t cols) {
  return std::to_string(rows) + " x " + std::to_string(cols);
}

Status check_view(const QuantizedView& view, const GemmSpec& spec, std::int64_t rows, const char* name) {
  if (view.format != spec.format) {
    return {Error::kUnsupportedFormat, "expected the format of the spec",
            std::string(name) + " is " + name_of(view.format) + ", the spec says " + name_of(spec.format)};
  }
  if (view.rows != rows || view.cols != spec.k) {
    return {
        Error::kBadShape, "expected the sizes of the spec",
        std::string(name) + " is " + shape(view.rows, view.cols) + ", the spec says " + shape(rows, spec.k)};
  }
  if (view.codes == nullptr || view.scales == nullptr) {
    return {Error::kBadArgument, "expected codes and scales", name};
  }
  return {};
}

Status check_call(const GemmSpec& spec, const QuantizedView& a, const QuantizedView& b,
                  const GemmOperands& operands, const GemmRange& range) {
  if (spec.numerics != Numerics::blackwell || spec.activations != Activations::same) {
    return {Error::kUnsupportedFormat, "expected numerics blackwell with both operands quantised",
            std::string(name_of(spec.numerics)) + ", activations " + name_of(spec.activations)};
  }
  if (spec.m < 1 || spec.n < 1 || spec.k < 1) {
    return {Error::kBadShape, "expected m, n, k of at least 1",
            shape(spec.m, spec.n) + " x " + std::to_string(spec.k)};
  }
  if (spec.k % info(spec.format).block != 0) {
    return {Error::kBadShape, "expected a multiple of the scale block", "k = " + std::to_string(spec.k)};
  }
  if (Status status = check_view(a, spec, spec.m, "A"); !status.ok()) return status;
  if (Status status = check_view(b, spec, spec.n, "B"); !status.ok()) return status;
  if (operands.d == nullptr) return {Error::kBadArgument, "expected an output", "d"};
  if (spec.bias && operands.bias == nullptr) return {Error::kBadArgument, "the spec asks for it", "bias"};
  if (spec.accumulate && operands.c == nullptr) return {Error::kBadArgument, "the spec asks for it", "c"};
  if ((operands.d_stride != 0 && operands.d_stride < spec.n) ||
      (operands.c_stride != 0 && operands.c_stride < spec.n)) {
    return {
        Error::kBadShape, "expected a row stride of 0 or at least n",
        "d_stride " + std::to_string(operands.d_stride) + ", c_stride " + std::to_string(operands.c_stride)};
  }
  if (range.m_begin < 0 || range.m_end > spec.m || range.n_begin < 0 || range.n_end > spec.n) {
    return {Error::kBadShape, "expected a range inside D",
            "rows to " + std::to_string(range.m_end) + ", columns to " + std::to_string(range.n_end)};
  }
  return {};
}

// Rows [begin, end) as K = 64 steps: step s of row r at [(r - begin) * steps + s].
std::vector<Mxf4Operand> decode_rows(const QuantizedView& view, std::int64_t begin, std::int64_t end) {
  const std::int64_t steps = (view.cols + kMxf4Depth - 1) / kMxf4Depth;
  const int block = info(view.format).block;
  std::vector<Mxf4Operand> rows;
  rows.reserve(static_cast<std::size_t>((end - begin) * steps));
  for (std::int64_t row = begin; row < end; ++row) {
    for (std::int64_t k = 0; k < steps * kMxf4Depth; k += kMxf4Depth) {
      const std::int64_t elements = std::min<std::int64_t>(kMxf4Depth, view.cols - k);
      std::array<std::uint8_t, kMxf4Depth / 2> codes{};  // zero codes and zero scale bytes beyond the end
      std::array<std::uint8_t, kMxf4Groups> scales{};
      std::copy_n(view.codes + (row * view.cols + k) / 2, elements / 2, codes.begin());
      for (std::int64_t i = 0; i < elements / block; ++i) {
        scales[static_cast<std::size_t>(i)] = view.scale(row, k / block + i);
      }
      rows.push_back(decode_mxf4(view.format, codes, scales));
    }
  }
  return rows;
}

std::uint32_t chain(Format format, std::span<const Mxf4Operand> a, std::span<const Mxf4Operand> b,
                    std::uint32_t c) {
  std::uint32_t acc = c;
  for (std::size_t step = 0; step < a.size(); ++step) acc = mma_mxf4(format, a[step], b[step], acc);
  return acc;
}

void store(OutputType type, void* d, std::int64_t index, std::uint32_t f32_bits) {
  const auto narrow = [&](ElementFormat format) {
    return static_cast<std::uint16_t>(encode_bits(format, f32_bits, Rounding::rne, Overflow::infinity));
  };
  switch (type) {
    case OutputType::f32:
      static_cast<float*>(d)[index] = std::bit_cast<float>(f32_bits);
      return;
    case OutputType::bf16:
      static_cast<std::uint16_t*>(d)[index] = narrow(ElementFormat::bf16);
      return;
    case OutputType::f16:
      static_cast<std::uint16_t*>(d)[index] = narrow(ElementFormat::f16);
      return;
  }
}

void gemm_block(const GemmSpec& spec, const QuantizedView& a, const QuantizedView& b,
                const GemmOperands& operands, const GemmRange& block) {
  const std::vector<Mxf4Operand> a_rows = decode_rows(a, block.m_begin, block.m_end);
  const std::vector<Mxf4Operand> b_rows = decode_rows(b, block.n_begin, block.n_end);
  const std::size_t steps = a_rows.size() / static_cast<std::size_t>(block.m_end - block.m_begin);
  const std::int64_t c_stride = operands.c_stride != 0 ? operands.c_stride : spec.n;
  const std::int64_t d_stride = operands.d_stride != 0 ? operands.d_stride : spec.n;
  for (std::int64_t i = block.m_begin; i < block.m_end; ++i) {
    const Mxf4Operand* a_row = &a_rows[static_cast<std::size_t>(i - block.m_begin) * steps];
    for (std::int64_t j = block.n_begin; j < block.n_end; ++j) {
      const Mxf4Operand* b_row = &b_rows[static_cast<std::size_t>(j - block.n_begin) * steps];
      const std::uint32_t c =
          spec.accumulate ? std::bit_cast<std::uint32_t>(operands.c[i * c_stride + j]) : 0;
      const std::uint32_t acc = chain(spec.format, {a_row, steps}, {b_row, steps}, c);
      const float* bias = spec.bias ? &operands.bias[j] : nullptr;
      store(spec.output, operands.d, i * d_stride + j, epilogue(acc, operands.alpha, bias));
    }
  }
}

}  // namespace

std::uint32_t epilogue(std::uint32_t acc, float alpha, const float* bias) {
  const auto alpha_bits = std::bit_cast<std::uint32_t>(alpha);
  if (bias == nullptr) return multiply(ElementFormat::f32, alpha_bits, acc);
  return fused_multiply_add(ElementFormat::f32, alpha_bits, acc, std::bit_cast<std::uint32_t>(*bias));
}

Status gemm_part(const GemmSpec& spec, const QuantizedView& a, const QuantizedView& b,
                 const GemmOperands& operands, const GemmRange& range) {
  if (Status status = check_call(spec, a, b, operands, range); !status.ok()) return status;
  for (std::int64_t i = range.m_begin; i < range.m_end; i += kBlockRows) {
    for (std::int64_t j = range.n_begin; j < range.n_end; j += kBlockColumns) {
      gemm_block(spec, a, b, operands,
                 {i, std::min(i + kBlockRows, range.m_end), j, std::min(j + kBlockColumns, range.n_end)});
    }
  }
  return {};
}

Status gemm(const GemmSpec& spec, const QuantizedView& a, const QuantizedView& b,
            const GemmOperands& operands) {
  return gemm_part(spec, a, b, operands, {0, spec.m, 0, spec.n});
}

}  // namespace fourge::reference
