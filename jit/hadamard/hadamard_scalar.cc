// The rotation in portable C++: the kernel of machines that have no other.
#include <array>
#include <memory>

#include "fourge/hadamard_matrix.h"
#include "jit/element_io.h"
#include "jit/hadamard/hadamard_kernel.h"

namespace fourge::jit {
namespace {

void butterflies(float* run, std::int64_t length) {
  for (std::int64_t half = 1; half < length; half *= 2) {
    for (std::int64_t group = 0; group < length; group += 2 * half) {
      for (std::int64_t i = group; i < group + half; ++i) {
        const float a = run[i], b = run[i + half];
        run[i] = a + b;
        run[i + half] = a - b;
      }
    }
  }
}

// Four columns of one element, then every row's signed sum of the fours: t(s1, s2, s3) of hadamard.h.
void combine(const PaleyMatrix& h, float* block, std::int64_t power, std::int64_t element) {
  std::array<std::array<float, 8>, kLargestPaleyOrder / 4> fours;
  for (int j = 0; j < h.order(); j += 4) {
    const float* x = block + j * power + element;
    const float low[2] = {x[0] + x[power], x[0] - x[power]};
    const float high[2] = {x[2 * power] + x[3 * power], x[2 * power] - x[3 * power]};
    for (std::size_t i = 0; i < 8; ++i)
      fours[static_cast<std::size_t>(j) / 4][i] =
          (i & 4) != 0 ? low[i & 1] - high[i >> 1 & 1] : low[i & 1] + high[i >> 1 & 1];
  }
  for (int i = 0; i < h.order(); ++i) {
    float sum = 0.0f;
    for (int j = 0; j < h.order(); j += 4) {
      const int s0 = h(i, j), s1 = s0 * h(i, j + 1), s2 = s0 * h(i, j + 2), s3 = s0 * h(i, j + 3);
      const unsigned index = (s1 < 0 ? 1u : 0u) | (s2 * s3 < 0 ? 2u : 0u) | (s2 < 0 ? 4u : 0u);
      const float t = fours[static_cast<std::size_t>(j) / 4][index];
      sum = j == 0 ? t : s0 > 0 ? sum + t : sum - t;
    }
    block[i * power + element] = sum;
  }
}

class HadamardScalar final : public HadamardKernel {
 public:
  explicit HadamardScalar(const HadamardSpec& spec) : spec_(spec), factors_(hadamard_factors(spec.order)) {}

  KernelCode code() const override {
    return {kernel_name(spec_) + "__scalar", "scalar", "bit_exact(hadamard)", {}, {}, "compiled C++"};
  }

  void run(const HadamardArgs& args) const override {
    for (std::int64_t b = 0; b < args.count; ++b) {
      load_elements(spec_.input, static_cast<const std::uint8_t*>(args.x) + b * args.x_step, spec_.order,
                    args.work);
      rotate(args, args.work);
      store_elements(spec_.output, args.work, spec_.order,
                     static_cast<std::uint8_t*>(args.y) + b * args.y_step);
    }
  }

 private:
  void rotate(const HadamardArgs& args, float* block) const {
    if (spec_.signs) {
      for (std::int64_t i = 0; i < spec_.order; ++i)
        block[i] = std::bit_cast<float>(std::bit_cast<std::uint32_t>(block[i]) ^ args.sign_words[i]);
    }
    for (std::int64_t run = 0; run < spec_.order; run += factors_.power)
      butterflies(block + run, factors_.power);
    if (factors_.paley > 1) {
      const PaleyMatrix h(static_cast<int>(factors_.paley));
      for (std::int64_t e = 0; e < factors_.power; ++e) combine(h, block, factors_.power, e);
    }
    if (!spec_.scaled) return;
    for (std::int64_t i = 0; i < spec_.order; ++i) block[i] *= args.scale;
  }

  HadamardSpec spec_;
  HadamardFactors factors_;
};

}  // namespace

const char* hadamard_scalar_refusal(const HadamardSpec&) { return nullptr; }

Result<std::shared_ptr<const HadamardKernel>> make_hadamard_scalar(const HadamardSpec& spec) {
  return std::shared_ptr<const HadamardKernel>(std::make_shared<HadamardScalar>(spec));
}

}  // namespace fourge::jit
