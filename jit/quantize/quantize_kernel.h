// What every quantise kernel of the registry offers to the dispatcher.
//
// Kernels work on groups of 256 elements of a row: 16 blocks of 16 or 8 blocks of 32. The driver fills a
// row's last group with zeros.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>

#include "fourge/quantizer.h"
#include "jit/registry.h"

namespace fourge::jit {

inline constexpr int kGroup = 256;  // elements
inline constexpr int kPhiloxRounds = 10;

/// Rotations done inside a group; other orders are rotated beforehand.
constexpr bool rotates_in_group(std::int64_t order) {
  return order >= 16 && order <= kGroup && (order & (order - 1)) == 0;
}

/// A run of groups, one row or with block_2d the rows that share scales: what the generated code reads.
struct StripArgs {
  const void* x;
  std::int64_t x_stride;  // bytes from row to row
  std::int64_t rows;      // 1, or up to the block with block_2d
  std::int64_t groups;    // >= 1
  std::uint8_t* codes;
  std::int64_t codes_stride;  // bytes from row to row
  std::uint8_t* scales;       // of the first row
  std::int64_t scale_step;    // bytes from four scales to the next four
  std::uint16_t* flags;       // one a group: bit b: block b is to be done again by redo_blocks()

  // Rotation: sign words in the order of sign_word_index(), 256 of them; the factor at the end.
  const std::uint32_t* sign_words;
  float rotation_scale;

  // nvfp4 (quant/nvfp4.h): amax of the tensor and what follows from it.
  float amax, encode, decode;
  float error_scale;  // amax / denominator, rounded once: close to the factor from code * scale to value

  // Stochastic rounding: number of the first 16 elements of x, that of a row further, and the keys of the
  // ten rounds.
  std::uint64_t first_run;
  std::int64_t run_step;
  std::array<std::uint32_t, 2 * kPhiloxRounds> keys;
};

/// Whole groups of one row.
struct AmaxArgs {
  const void* x;
  std::int64_t groups;  // >= 1
  const std::uint32_t* sign_words;
  float rotation_scale;
  float amax;       // result: largest |x|, NaN not counted
  float lanes[16];  // scratch of generated code
};

/// Kernels see a group as 8 pairs of 16-lane vectors: pair v holds blocks of 16 number 2v (lanes 0..7) and
/// 2v + 1 (lanes 8..15), even elements in the first vector, odd ones in the second. The position of element i
/// in that order.
constexpr int sign_word_index(int element) {
  const int pair = element / 32, half = element / 16 % 2, odd = element % 2;
  return (2 * pair + odd) * 16 + half * 8 + element % 16 / 2;
}

class QuantizeKernel {
 public:
  virtual ~QuantizeKernel() = default;
  virtual KernelCode code() const = 0;
  virtual void strip(const StripArgs& args) const = 0;
  virtual void amax(AmaxArgs& args) const = 0;
};

using QuantizeKernelEntry = KernelEntry<QuantizerSpec, QuantizeKernel>;

/// Every quantise kernel, best first.
std::span<const QuantizeKernelEntry> quantize_kernels();

Result<std::shared_ptr<const QuantizeKernel>> make_quantize_scalar(const QuantizerSpec& spec);
const char* quantize_scalar_refusal(const QuantizerSpec& spec);
#if defined(__x86_64__)
Result<std::shared_ptr<const QuantizeKernel>> make_quantize_avx512(const QuantizerSpec& spec);
const char* quantize_avx512_refusal(const QuantizerSpec& spec);
/// For tests: every vector register filled with ones first.
Result<std::shared_ptr<const QuantizeKernel>> make_quantize_avx512_poisoned(const QuantizerSpec& spec);
#endif

}  // namespace fourge::jit
