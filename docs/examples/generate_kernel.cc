// Generates a kernel for one shape at run time, packs weights for it, runs it, and reads what it is.
#include <cstdio>
#include <vector>

#include "fourge/gemm.h"
#include "fourge/quantize.h"

int main() {
  using namespace fourge;
  constexpr std::int64_t kTokens = 4, kOutputs = 48, kInputs = 128;
  std::vector<float> weights(kOutputs * kInputs), activations(kTokens * kInputs);
  for (std::size_t i = 0; i < weights.size(); ++i) weights[i] = static_cast<float>(i % 17) / 8 - 1;
  for (std::size_t i = 0; i < activations.size(); ++i) activations[i] = static_cast<float>(i % 5) - 2;

  // Quantise both sides: e2m1 elements, a ue4m3 scale per 16, one f32 for the tensor.
  const Result<QuantizedMatrix> w = quantize(weights, kOutputs, kInputs, {.format = Format::nvfp4});
  const Result<QuantizedMatrix> a = quantize(activations, kTokens, kInputs, {.format = Format::nvfp4});
  if (!w || !a) return 1;

  // One kernel for this spec: generated now, or found in the cache. A refusal says why.
  const GemmSpec spec{.m = kTokens, .n = kOutputs, .k = kInputs, .format = Format::nvfp4};
  const Result<Gemm> gemm = Gemm::create(spec);
  if (!gemm) {
    std::fprintf(stderr, "%s\n", gemm.failure().message().c_str());
    return 1;
  }

  // Weights are packed once, into the layout that this kernel reads.
  const Result<PackedWeights> packed = gemm->pack(w->view());
  if (!packed) return 1;

  std::vector<float> d(kTokens * kOutputs);
  const GemmOperands operands{.alpha = gemm_alpha(a->tensor_scale, w->tensor_scale), .d = d.data()};
  if (const Status done = gemm->run(a->view(), *packed, operands); !done) return 1;

  // What ran: its name, what it promises, the roles of its registers, every other kernel and why not.
  const KernelCode code = gemm->code();
  std::printf("%s\n%s, %zu bytes of code\n", code.name.c_str(), code.exactness.c_str(), code.bytes.size());
  for (const auto& [registers, role] : code.registers)
    std::printf("  %-26s %s\n", registers.c_str(), role.c_str());
  for (const std::string& decision : gemm->decisions()) std::printf("  %s\n", decision.c_str());
  std::printf("d[0][0..3] = %g %g %g %g\n", d[0], d[1], d[2], d[3]);
  return 0;
}
