// Decoding in portable C++: the kernel of machines that have no other.
#include <cstring>
#include <memory>

#include "jit/decode/decode_kernel.h"
#include "jit/element_io.h"

namespace fourge::jit {
namespace {

class DecodeScalar final : public DecodeKernel {
 public:
  explicit DecodeScalar(const DecodeSpec& spec) : spec_(spec) {}

  KernelCode code() const override {
    return {kernel_name(spec_) + "__scalar", "scalar", "bit_exact(decode)", {}, {}, "compiled C++"};
  }

  void run(const DecodeArgs& args) const override {
    if (spec_.output == ElementFormat::f32) {
      look_up<std::uint32_t>(args);
    } else {
      look_up<std::uint16_t>(args);
    }
  }

 private:
  template <class Element>
  void look_up(const DecodeArgs& args) const {
    const int half = info(spec_.format).block / 2;
    const unsigned scale_mask = static_cast<unsigned>(scale_codes(spec_.format) - 1);
    for (std::int64_t b = 0; b < args.blocks; ++b) {
      Element row[16], values[32];
      std::memcpy(row, args.table + (args.scales[b] & scale_mask) * sizeof row, sizeof row);
      for (int i = 0; i < half; ++i) {
        const unsigned pair = args.codes[b * half + i];
        values[2 * i] = row[pair & 15];
        values[2 * i + 1] = row[pair >> 4];
      }
      const std::size_t bytes = static_cast<std::size_t>(2 * half) * sizeof(Element);
      std::memcpy(args.y + static_cast<std::size_t>(b) * bytes, values, bytes);
    }
  }

  DecodeSpec spec_;
};

}  // namespace

const char* decode_scalar_refusal(const DecodeSpec&) { return nullptr; }

Result<std::shared_ptr<const DecodeKernel>> make_decode_scalar(const DecodeSpec& spec) {
  return std::shared_ptr<const DecodeKernel>(std::make_shared<DecodeScalar>(spec));
}

}  // namespace fourge::jit
