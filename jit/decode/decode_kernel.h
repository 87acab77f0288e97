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

class DecodeKernel {
 public:
  virtual ~DecodeKernel() = default;
  virtual KernelCode code() const = 0;
  virtual void run(const DecodeArgs& args) const = 0;
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
