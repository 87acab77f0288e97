// What every decode kernel of the registry offers to the dispatcher.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "fourge/decode.h"
#include "jit/registry.h"
#include "simd/decode.h"

namespace fourge::jit {

using simd::DecodeArgs;

/// Every product there is: 16 outputs, one a code, for every scale; 64-byte aligned. nvfp4 has 128 scales
/// (bit 7 of a byte is ignored), mxfp4 256: 4 to 16 KiB, of which a tensor uses a few rows.
class DecodeTable {
 public:
  DecodeTable(const DecodeSpec& spec, float tensor_scale);
  const std::uint8_t* data() const { return data_.get(); }
  bool is_for(const DecodeSpec& spec, float tensor_scale) const;

 private:
  DecodeSpec spec_;
  float tensor_scale_;
  std::unique_ptr<std::uint8_t, void (*)(void*)> data_;
};
constexpr int scale_codes(Format format) { return info(format).scale == ElementFormat::ue4m3 ? 128 : 256; }

/// Rows whose scales lie at fixed distances: what the AVX-512 code reads.
struct DecodeRows {
  DecodeArgs first;             // the first row; scales four at a time
  std::int64_t rows;            // >= 1
  std::int64_t code_step;       // bytes from row to row: no gaps
  std::int64_t y_step;          // bytes from row to row
  std::int64_t scale_step;      // bytes from four scales to the next four
  std::int64_t scale_row_step;  // bytes from row to row
  std::uint8_t* scratch;        // scales of a row, rounded up to four
};

class DecodeKernel {
 public:
  virtual ~DecodeKernel() = default;
  virtual KernelCode code() const = 0;
  virtual void run(const DecodeArgs& args) const = 0;
  /// Row after row by run(), their scales gathered in `scratch` where they have gaps.
  virtual void run_rows(const DecodeRows& rows) const;
};

using DecodeKernelEntry = KernelEntry<DecodeSpec, DecodeKernel>;

/// Every decode kernel, best first.
std::span<const DecodeKernelEntry> decode_kernels();

Result<std::shared_ptr<const DecodeKernel>> make_decode_scalar(const DecodeSpec& spec);
const char* decode_scalar_refusal(const DecodeSpec& spec);
Result<std::shared_ptr<const DecodeKernel>> make_decode_simd(const DecodeSpec& spec, simd::Target target);
template <simd::Target kTarget>
Result<std::shared_ptr<const DecodeKernel>> make_decode_simd(const DecodeSpec& spec) {
  return make_decode_simd(spec, kTarget);
}
constexpr const char* decode_simd_refusal(const DecodeSpec&) { return nullptr; }
#if defined(__aarch64__)
Result<std::shared_ptr<const DecodeKernel>> make_decode_neon(const DecodeSpec& spec);
const char* decode_neon_refusal(const DecodeSpec& spec);
#endif
#if defined(__x86_64__)
Result<std::shared_ptr<const DecodeKernel>> make_decode_avx512(const DecodeSpec& spec);
const char* decode_avx512_refusal(const DecodeSpec& spec);
/// For tests: every vector register filled with ones first.
Result<std::shared_ptr<const DecodeKernel>> make_decode_avx512_poisoned(const DecodeSpec& spec);
#endif

}  // namespace fourge::jit
