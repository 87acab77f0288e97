#include "jit/gemm/amx_gemm.h"

#include <utility>

#include "jit/cache.h"
#include "jit/gemm/amx_run.h"
#include "jit/gemm/exact_gemm.h"
#include "jit/x86/amx_block.h"
#include "jit/x86/amx_decode.h"
#include "jit/x86/amx_output.h"
#include "jit/x86/amx_prepare.h"
#include "jit/x86/amx_steps.h"

namespace fourge::jit {
namespace {

struct AmxKey {
  Format format;
  bool certified;
  OutputType output;
  bool bias;
  bool operator==(const AmxKey&) const = default;
};

Result<std::shared_ptr<const AmxKernels>> generate_kernels(const AmxKey& key) {
  AmxPrepareGenerator prepare(key.format);
  AmxDecodeGenerator decode(key.format);
  AmxBlockGenerator block(key.certified);
  AmxStepsGenerator steps(key.format);
  AmxOutputGenerator output(key.output, key.bias);
  AmxKernels kernels;
  const BlockInfo scales = info(key.format);
  const std::string suffix = std::string("_") + name_of(scales.scale) + "b" + std::to_string(scales.block);
  struct Part {
    X86Generator& generator;
    std::string name;
    ExecutableCode& code;
  };
  for (const Part& part : {Part{prepare, "amx_prepare" + suffix, kernels.prepare},
                           Part{decode, "amx_decode" + suffix, kernels.decode},
                           Part{block, key.certified ? "amx_block_certified" : "amx_block", kernels.block},
                           Part{steps, "amx_steps" + suffix, kernels.steps},
                           Part{output, std::string("amx_output_") + name_of(key.output), kernels.output}}) {
    Result<ExecutableCode> code = part.generator.assemble(part.name);
    if (!code.ok()) return code.failure();
    if (const Status dumped = dump_if_asked(*code); !dumped.ok()) return dumped.failure();
    part.code = std::move(*code);
  }
  kernels.notes = block.notes();
  if (key.certified) kernels.notes.budget += "\nsteps: " + steps.notes().budget;
  kernels.notes.budget += "\ndecode: " + decode.notes().budget + "\nprepare: " + prepare.notes().budget;
  return std::shared_ptr<const AmxKernels>(std::make_shared<AmxKernels>(std::move(kernels)));
}

class AmxGemm final : public GemmKernel {
 public:
  AmxGemm(const GemmSpec& spec, std::shared_ptr<const AmxKernels> kernels,
          std::shared_ptr<const GemmKernel> panels)
      : spec_(spec), kernels_(std::move(kernels)), panels_(std::move(panels)) {}

  KernelCode code() const override {
    const bool fast = spec_.numerics == Numerics::fast;
    return {gemm_kernel_name(spec_, "32x32x512", fast ? "amx_bf16_fast" : "amx_bf16"),
            "amx",
            fast ? "fast" : std::string("bit_exact(") + tensor_core_model(spec_.format) + ")",
            kernels_->block.bytes(),
            kernels_->notes.registers,
            kernels_->notes.budget,
            plan_text(),
            kernels_->notes.ports};
  }
  std::string plan_text() const {
    const AmxPlan plan = AmxPlan::of(spec_);
    return "mc " + std::to_string(plan.mc) + ", kc " + std::to_string(plan.kc * kStepK) + ": A tiles " +
           std::to_string(plan.mc * plan.kc * kStepK * 2 / 1024) + " KiB in half of the L2 cache (" +
           std::to_string(host_caches().l2 / 1024) +
           " KiB); B tiles of 32 columns by K 512, 32 KiB, in L1; threads share " +
           std::to_string(plan.column_blocks) + " column blocks";
  }
  const char* layout() const override { return panels_->layout(); }
  std::int64_t packed_bytes(std::int64_t n, std::int64_t k) const override {
    return panels_->packed_bytes(n, k);
  }
  void pack(const QuantizedView& weights, std::uint8_t* packed) const override {
    panels_->pack(weights, packed);
  }

  Status run(const GemmSpec& spec, const QuantizedView& a, const std::uint8_t* packed,
             const GemmOperands& operands, int threads, RunStats& stats) const override {
    return run_amx(spec, a, packed, operands, *kernels_, exact_vnni_function(*panels_), threads, stats);
  }

 private:
  GemmSpec spec_;
  std::shared_ptr<const AmxKernels> kernels_;
  std::shared_ptr<const GemmKernel> panels_;
};

}  // namespace

const char* amx_refusal(const GemmSpec& spec) {
  if (spec.activations != Activations::same) return "takes quantised activations only";
  return nullptr;
}

Result<std::shared_ptr<const GemmKernel>> make_amx(const GemmSpec& spec) {
  static KernelCache<AmxKey, AmxKernels> cache;
  auto kernels = cache.get({spec.format, spec.numerics == Numerics::blackwell, spec.output, spec.bias},
                           generate_kernels);
  if (!kernels.ok()) return kernels.failure();
  auto panels = spec.numerics == Numerics::fast ? make_fast_vnni(spec) : make_exact_vnni(spec);
  if (!panels.ok()) return panels.failure();
  return std::shared_ptr<const GemmKernel>(
      std::make_shared<AmxGemm>(spec, std::move(*kernels), std::move(*panels)));
}

}  // namespace fourge::jit
