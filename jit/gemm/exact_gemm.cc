#include "jit/gemm/exact_gemm.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <utility>

#include "jit/cache.h"
#include "jit/gemm/exact_operands.h"
#include "jit/gemm/exact_panel_scalar.h"
#include "jit/parallel.h"
#include "jit/workspace.h"
#include "simd/exact_panel.h"
#include "simd/fast_panel.h"
#if defined(__x86_64__)
#define FOURGE_EXACT_GENERATOR
#include "jit/x86/gemm_exact_vnni.h"
#elif defined(__aarch64__) && defined(FOURGE_HAVE_VIXL)
#define FOURGE_EXACT_GENERATOR
#include "jit/aarch64/gemm_exact_dotprod.h"
#include "jit/aarch64/gemm_fast_dotprod.h"
#endif

namespace fourge::jit {
namespace {

// Rows of A whose prepared steps stay in half the L2 cache while every panel of B passes by.
std::int64_t row_block(const GemmSpec& spec) {
  constexpr std::int64_t kLargest = 128, kSmallest = 16;
  if (spec.blocking.mc != 0) return std::min(spec.m, spec.blocking.mc);
  const std::int64_t steps = (spec.k + kStepK - 1) / kStepK;
  const std::int64_t fitting =
      host_caches().l2 / 2 / (steps * static_cast<std::int64_t>(sizeof(ActivationStep)));
  return std::min(spec.m, std::clamp(fitting, kSmallest, kLargest));
}

// D at (row, column), in bytes.
std::uint8_t* output_at(const GemmSpec& spec, const GemmOperands& operands, std::int64_t row,
                        std::int64_t column) {
  const std::int64_t stride = operands.d_stride != 0 ? operands.d_stride : spec.n;
  return static_cast<std::uint8_t*>(operands.d) + (row * stride + column) * bytes_of(spec.output);
}

// acc [rows][16] <- C, or zero.
void load_accumulators(const GemmSpec& spec, const GemmOperands& operands, std::int64_t row,
                       std::int64_t rows, std::int64_t column, std::int64_t columns, float* acc) {
  std::memset(acc, 0, static_cast<std::size_t>(rows * kPanelCols) * sizeof(float));
  if (!spec.accumulate) return;
  const std::int64_t stride = operands.c_stride != 0 ? operands.c_stride : spec.n;
  for (std::int64_t r = 0; r < rows; ++r) {
    std::memcpy(acc + r * kPanelCols, operands.c + (row + r) * stride + column,
                static_cast<std::size_t>(columns) * sizeof(float));
  }
}

// The driver: row blocks outermost, panels over threads. Every output is computed by one thread in one order,
// so the bits do not depend on the thread count.
Status run_panels(const GemmSpec& spec, const QuantizedView& a, const std::uint8_t* packed,
                  const GemmOperands& operands, int threads, ExactPanelFunction kernel,
                  std::int32_t dot_start, RunStats& stats) {
  const PanelStreams streams = PanelStreams::of(spec.format, spec.n, spec.k);
  const std::int64_t block = row_block(spec);
  auto* a_steps = static_cast<ActivationStep*>(workspace(
      Workspace::kActivations, block * streams.steps * static_cast<std::int64_t>(sizeof(ActivationStep))));
  std::atomic<std::int64_t> general_vectors = 0;
  std::atomic<bool> no_memory = a_steps == nullptr;
  if (no_memory) return {Error::kOutOfMemory, "no scratch memory for the activations"};

  for_each_thread(threads, [&](int thread, int team) {
    auto* acc = static_cast<float*>(workspace(Workspace::kAccumulators, block * kPanelCols * 4));
    if (acc == nullptr) no_memory = true;
    std::int64_t general = 0;
    const TaskRange steps = tasks_of(thread, team, streams.steps);
    const TaskRange panels = tasks_of(thread, team, streams.panels);
    team_barrier(team);
    for (std::int64_t row = 0; row < spec.m && !no_memory; row += block) {
      const std::int64_t rows = std::min(block, spec.m - row);
      for (std::int64_t step = steps.begin; step < steps.end; ++step) {
        prepare_activations(a, row, rows, step, a_steps + step * block, dot_start);
      }
      team_barrier(team);
      for (std::int64_t panel = panels.begin; panel < panels.end; ++panel) {
        const std::int64_t column = panel * kPanelCols,
                           columns = std::min<std::int64_t>(kPanelCols, spec.n - column);
        load_accumulators(spec, operands, row, rows, column, columns, acc);
        float bias[kPanelCols] = {};
        if (spec.bias)
          std::memcpy(bias, operands.bias + column, static_cast<std::size_t>(columns) * sizeof(float));
        ExactPanelArgs args{};
        args.a = a_steps;
        args.a_stride = block * static_cast<std::int64_t>(sizeof(ActivationStep));
        args.codes = packed + panel * streams.steps * kPanelCodeBytes;
        args.scales = packed + streams.scales_offset + panel * streams.steps * panel_scale_bytes(spec.format);
        args.certificates = reinterpret_cast<const PanelCertificate*>(packed + streams.certificates_offset) +
                            panel * streams.steps;
        args.acc = acc;
        args.rows = rows;
        args.steps = streams.steps;
        args.bias = bias;
        args.d = output_at(spec, operands, row, column);
        args.d_stride = (operands.d_stride != 0 ? operands.d_stride : spec.n) * bytes_of(spec.output);
        args.alpha = operands.alpha;
        args.columns = (1u << columns) - 1;
        kernel(&args);
        general += args.general_vectors;
      }
      team_barrier(team);
    }
    general_vectors += general;
  });
  stats.vectors += spec.m * streams.panels * streams.steps;
  stats.general_vectors += general_vectors;
  if (no_memory) return {Error::kOutOfMemory, "no scratch memory for the accumulators"};
  return {};
}

// Shared by the kernels of this family: they differ in the function that computes a panel.
class ExactGemm : public GemmKernel {
 public:
  explicit ExactGemm(Format format) : format_(format) {}

  const char* layout() const override { return kPanelLayout; }
  std::int64_t packed_bytes(std::int64_t n, std::int64_t k) const override {
    return PanelStreams::of(format_, n, k).bytes;
  }
  void pack(const QuantizedView& weights, std::uint8_t* packed) const override {
    const std::int64_t panels = PanelStreams::of(format_, weights.rows, weights.cols).panels;
#pragma omp parallel for schedule(static)
    for (std::int64_t panel = 0; panel < panels; ++panel) pack_panel(weights, panel, packed);
  }
  Status run(const GemmSpec& spec, const QuantizedView& a, const std::uint8_t* packed,
             const GemmOperands& operands, int threads, RunStats& stats) const override {
    return run_panels(spec, a, packed, operands, threads, function(spec), dot_start(), stats);
  }

 protected:
  virtual ExactPanelFunction function(const GemmSpec& spec) const = 0;
  virtual std::int32_t dot_start() const { return 0; }  // what the function expects in ActivationStep::bias
  std::string exactness() const { return std::string("bit_exact(") + tensor_core_model(format_) + ")"; }

 private:
  Format format_;
};

constexpr const char* kFastExactness = "within(gamma_n sum |a b|, n = k / 16 + 1)";

class PanelScalar final : public ExactGemm {
 public:
  explicit PanelScalar(const GemmSpec& spec) : ExactGemm(spec.format), spec_(spec) {}
  KernelCode code() const override {
    return {gemm_kernel_name(spec_, "1x16x64", is_fast() ? "scalar_fast" : "scalar"),
            "scalar",
            is_fast() ? kFastExactness : exactness(),
            {},
            {},
            "portable C++, compiled"};
  }

 protected:
  ExactPanelFunction function(const GemmSpec& spec) const override {
    return is_fast() ? fast_panel_scalar(spec) : exact_panel_scalar(spec);
  }

 private:
  bool is_fast() const { return spec_.numerics == Numerics::fast; }

  GemmSpec spec_;
};

class ExactFunction final : public ExactGemm {
 public:
  ExactFunction(Format format, ExactPanelFunction panel, std::int32_t dot_start)
      : ExactGemm(format), function_(panel), dot_start_(dot_start) {}
  KernelCode code() const override { return {"given_function", "", "", {}, {}, ""}; }

 protected:
  ExactPanelFunction function(const GemmSpec&) const override { return function_; }
  std::int32_t dot_start() const override { return dot_start_; }

 private:
  ExactPanelFunction function_;
  std::int32_t dot_start_;
};

class PanelSimd final : public ExactGemm {
 public:
  PanelSimd(const GemmSpec& spec, simd::Target target, ExactPanelFunction panel)
      : ExactGemm(spec.format), spec_(spec), target_(target), panel_(panel) {}
  KernelCode code() const override {
    const bool fast = spec_.numerics == Numerics::fast;
    const std::string variant = kernel_variant_of(target_) + std::string(fast ? "_fast" : "");
    return {gemm_kernel_name(spec_, fast ? "2x16x64" : "1x16x64", variant.c_str()),
            level_name_of(target_),
            fast ? kFastExactness : exactness(),
            {},
            {},
            fast ? "compiled from simd/fast_panel.cc" : "compiled from simd/exact_panel.cc"};
  }

 protected:
  ExactPanelFunction function(const GemmSpec&) const override { return panel_; }

 private:
  GemmSpec spec_;
  simd::Target target_;
  ExactPanelFunction panel_;
};

#if defined(FOURGE_EXACT_GENERATOR)
// The generator of a spec, and what its kernels' names and numbers need.
template <class Spec>
struct GeneratorOf;
#if defined(__x86_64__)
template <>
struct GeneratorOf<ExactVnniSpec> {
  using Type = ExactVnniGenerator;
};
constexpr const char *kTile = "1x16x64", *kIsa = "avx512";
constexpr std::int32_t kDotStart = kDotAsFloat;
constexpr Numerics numerics_of(const ExactVnniSpec& spec) { return spec.numerics; }
constexpr const char* variant_of(const ExactVnniSpec& spec) {
  return spec.numerics == Numerics::fast ? "avx512_vnni_fast" : "avx512_vnni";
}
#else
template <>
struct GeneratorOf<ExactDotprodSpec> {
  using Type = ExactDotprodGenerator;
};
template <>
struct GeneratorOf<FastDotprodSpec> {
  using Type = FastDotprodGenerator;
};
constexpr const char *kTile = "2x16x64", *kIsa = "dotprod";
constexpr std::int32_t kDotStart = 0;
constexpr Numerics numerics_of(const ExactDotprodSpec&) { return Numerics::blackwell; }
constexpr Numerics numerics_of(const FastDotprodSpec&) { return Numerics::fast; }
constexpr const char* variant_of(const ExactDotprodSpec&) { return "dotprod"; }
constexpr const char* variant_of(const FastDotprodSpec&) { return "dotprod_fast"; }
#endif

class ExactGenerated final : public ExactGemm {
 public:
  ExactGenerated(Format format, Numerics numerics, const char* isa, ExecutableCode code, KernelNotes notes)
      : ExactGemm(format), numerics_(numerics), isa_(isa), code_(std::move(code)), notes_(std::move(notes)) {}
  KernelCode code() const override {
    return {code_.name(),
            isa_,
            numerics_ == Numerics::fast ? kFastExactness : exactness(),
            code_.bytes(),
            notes_.registers,
            notes_.budget,
            {},
            notes_.ports};
  }

 protected:
  ExactPanelFunction function(const GemmSpec&) const override { return code_.entry<ExactPanelFunction>(); }
  std::int32_t dot_start() const override { return kDotStart; }

 private:
  Numerics numerics_;
  const char* isa_;
  ExecutableCode code_;
  KernelNotes notes_;
};

template <class Spec>
Result<std::shared_ptr<const GemmKernel>> generate(const Spec& spec) {
  GemmSpec names;
  names.format = spec.format;
  names.output = spec.output;
  names.bias = spec.bias;
  typename GeneratorOf<Spec>::Type generator(spec);
  Result<ExecutableCode> code = generator.assemble(gemm_kernel_name(names, kTile, variant_of(spec)));
  if (!code.ok()) return code.failure();
  if (const Status dumped = dump_if_asked(*code); !dumped.ok()) return dumped.failure();
  return std::shared_ptr<const GemmKernel>(std::make_shared<ExactGenerated>(
      spec.format, numerics_of(spec), kIsa, std::move(*code), generator.notes()));
}

template <class Spec>
Result<std::shared_ptr<const GemmKernel>> cached(const Spec& spec) {
  static KernelCache<Spec, GemmKernel> cache;
  return cache.get(spec, generate<Spec>);
}
#endif

}  // namespace

const char* exact_refusal(const GemmSpec& spec) {
  return spec.activations != Activations::same ? "takes quantised activations only" : nullptr;
}

Result<std::shared_ptr<const GemmKernel>> make_exact_scalar(const GemmSpec& spec) {
  return std::shared_ptr<const GemmKernel>(std::make_shared<PanelScalar>(spec));
}
Result<std::shared_ptr<const GemmKernel>> make_fast_scalar(const GemmSpec& spec) {
  return std::shared_ptr<const GemmKernel>(std::make_shared<PanelScalar>(spec));
}

Result<std::shared_ptr<const GemmKernel>> make_exact_simd(const GemmSpec& spec, simd::Target target) {
  const ExactPanelFunction function = simd::exact_panel(target, spec);
  if (function == nullptr)
    return {Error::kUnsupportedIsa, "simd/ was not compiled for this target", simd::name_of(target)};
  return std::shared_ptr<const GemmKernel>(std::make_shared<PanelSimd>(spec, target, function));
}

Result<std::shared_ptr<const GemmKernel>> make_fast_simd(const GemmSpec& spec, simd::Target target) {
  const ExactPanelFunction function = simd::fast_panel(target, spec);
  if (function == nullptr)
    return {Error::kUnsupportedIsa, "simd/ was not compiled for this target", simd::name_of(target)};
  return std::shared_ptr<const GemmKernel>(std::make_shared<PanelSimd>(spec, target, function));
}

#if defined(__x86_64__)
Result<std::shared_ptr<const GemmKernel>> make_exact_vnni(const GemmSpec& spec) {
  return cached(ExactVnniSpec{
      .format = spec.format, .output = spec.output, .bias = spec.bias, .vbmi = host_features().avx512_vbmi});
}

Result<std::shared_ptr<const GemmKernel>> make_fast_vnni(const GemmSpec& spec) {
  return cached(ExactVnniSpec{.format = spec.format,
                              .output = spec.output,
                              .bias = spec.bias,
                              .numerics = Numerics::fast,
                              .vbmi = host_features().avx512_vbmi});
}

Result<std::shared_ptr<const GemmKernel>> make_exact_vnni_debug(const GemmSpec& spec, bool poison,
                                                                bool only_general) {
  return cached(ExactVnniSpec{.format = spec.format,
                              .output = spec.output,
                              .bias = spec.bias,
                              .vbmi = host_features().avx512_vbmi,
                              .poison = poison,
                              .only_general = only_general});
}
#endif

#if defined(__aarch64__) && defined(FOURGE_EXACT_GENERATOR)
Result<std::shared_ptr<const GemmKernel>> make_exact_dotprod(const GemmSpec& spec) {
  return cached(ExactDotprodSpec{.format = spec.format, .output = spec.output, .bias = spec.bias});
}
Result<std::shared_ptr<const GemmKernel>> make_fast_dotprod(const GemmSpec& spec) {
  return cached(FastDotprodSpec{.format = spec.format, .output = spec.output, .bias = spec.bias});
}
#endif

#if defined(__x86_64__)
ExactPanelFunction exact_vnni_function(const GemmKernel& kernel) {
  return reinterpret_cast<ExactPanelFunction>(reinterpret_cast<std::uintptr_t>(kernel.code().bytes.data()));
}
#endif

std::shared_ptr<const GemmKernel> make_exact_from_function(Format format, ExactPanelFunction function,
                                                           std::int32_t dot_start) {
  return std::make_shared<ExactFunction>(format, function, dot_start);
}

}  // namespace fourge::jit
