#include "jit/gemm/w4a16_gemm.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <memory>
#include <utility>

#include "jit/cache.h"
#include "jit/element_io.h"
#include "jit/gemm/exact_operands.h"
#include "jit/workspace.h"
#include "simd/w4a16_panel.h"
#if defined(__x86_64__)
#include "jit/x86/gemm_w4a16.h"
#endif

namespace fourge::jit {
namespace {

// How the rows of A are cut: blocks of nearly equal size that one call of a kernel takes, and chunks of
// blocks that stay in half the L2 cache, prepared, while every panel of B passes by.
struct RowPlan {
  std::int64_t m, blocks, blocks_in_chunk;

  static RowPlan of(std::int64_t m, std::int64_t steps) {
    const std::int64_t blocks = (m + kW4a16MaxRows - 1) / kW4a16MaxRows;
    const std::int64_t rows = (m + blocks - 1) / blocks;
    const std::int64_t fitting = host_caches().l2 / 2 / (rows * steps * kStepK * 4);
    return {m, blocks, std::max<std::int64_t>(fitting, 2)};
  }
  std::int64_t begin(std::int64_t block) const { return block * (m / blocks) + std::min(block, m % blocks); }
  std::int64_t rows(std::int64_t block) const { return begin(block + 1) - begin(block); }
};

// out[k][row] <- one step of `rows` rows as f32, zeros beyond the last column.
template <ElementFormat kInput>
void prepare_step(const PlainView& a, std::int64_t row, std::int64_t rows, std::int64_t step, float* out) {
  const std::int64_t stride = a.stride != 0 ? a.stride : a.cols;
  const std::int64_t begin = step * kStepK, count = std::min<std::int64_t>(kStepK, a.cols - begin);
  for (std::int64_t r = 0; r < rows; ++r) {
    const auto* from =
        static_cast<const std::uint8_t*>(a.data) + ((row + r) * stride + begin) * plain_bytes(kInput);
    for (std::int64_t k = 0; k < count; ++k)
      out[k * rows + r] = load_element<kInput>(from + k * plain_bytes(kInput));
    for (std::int64_t k = count; k < kStepK; ++k) out[k * rows + r] = 0.0f;
  }
}

class W4a16Gemm : public GemmKernel {
 public:
  explicit W4a16Gemm(Format format) : format_(format) {}

  const char* layout() const override { return kPanelLayout; }
  std::int64_t packed_bytes(std::int64_t n, std::int64_t k) const override {
    return PanelStreams::of(format_, n, k).bytes;
  }
  void pack(const QuantizedView& weights, std::uint8_t* packed) const override {
    const std::int64_t panels = PanelStreams::of(format_, weights.rows, weights.cols).panels;
#pragma omp parallel for schedule(static)
    for (std::int64_t panel = 0; panel < panels; ++panel) pack_panel(weights, panel, packed);
  }
  Status run(const GemmSpec&, const QuantizedView&, const std::uint8_t*, const GemmOperands&, int,
             RunStats&) const override {
    return {Error::kUnsupportedFormat, "the kernel takes plain activations"};
  }
  Status run_plain(const GemmSpec& spec, const PlainView& a, const std::uint8_t* packed,
                   const GemmOperands& operands, int threads) const override;

 protected:
  virtual Result<W4a16PanelFunction> function(const GemmSpec& spec, std::int64_t rows) const = 0;

 private:
  Format format_;
};

// What does not depend on the row block. Strides in bytes.
W4a16PanelArgs panel_args(const GemmSpec& spec, const std::uint8_t* packed, const PanelStreams& streams,
                          std::int64_t panel, const GemmOperands& operands) {
  const std::int64_t columns = std::min<std::int64_t>(kPanelCols, spec.n - panel * kPanelCols);
  W4a16PanelArgs args{};
  args.codes = packed + panel * streams.steps * kPanelCodeBytes;
  args.scales = packed + streams.scales_offset + panel * streams.steps * panel_scale_bytes(spec.format);
  args.steps = streams.steps;
  args.c_stride = (operands.c_stride != 0 ? operands.c_stride : spec.n) * 4;
  args.d_stride = (operands.d_stride != 0 ? operands.d_stride : spec.n) * bytes_of(spec.output);
  args.alpha = operands.alpha;
  args.columns = (1u << columns) - 1;
  return args;
}

// Chunks of row blocks outermost, panels over threads, row blocks innermost. Every output is computed by one
// thread in one order.
Status W4a16Gemm::run_plain(const GemmSpec& spec, const PlainView& a, const std::uint8_t* packed,
                            const GemmOperands& operands, [[maybe_unused]] int threads) const {
  const PanelStreams streams = PanelStreams::of(spec.format, spec.n, spec.k);
  const RowPlan plan = RowPlan::of(spec.m, streams.steps);
  const std::int64_t step_floats = kStepK * plan.rows(0);
  auto* prepared =
      static_cast<float*>(workspace(Workspace::kActivations, std::min(plan.blocks, plan.blocks_in_chunk) *
                                                                 streams.steps * step_floats * 4));
  if (prepared == nullptr) return {Error::kOutOfMemory, "no scratch memory for the activations"};
  // Blocks have plan.rows(0) rows or one fewer.
  const std::int64_t more_rows = plan.rows(0), fewer_rows = plan.rows(plan.blocks - 1);
  const Result<W4a16PanelFunction> more = function(spec, more_rows), fewer = function(spec, fewer_rows);
  if (!more.ok()) return more.failure();
  if (!fewer.ok()) return fewer.failure();

#pragma omp parallel num_threads(threads)
  for (std::int64_t first = 0; first < plan.blocks; first += plan.blocks_in_chunk) {
    const std::int64_t last = std::min(plan.blocks, first + plan.blocks_in_chunk);
#pragma omp for schedule(static)
    for (std::int64_t task = 0; task < (last - first) * streams.steps; ++task) {
      const std::int64_t block = task / streams.steps, step = task % streams.steps;
      const std::int64_t rows = plan.rows(first + block);
      float* out = prepared + block * streams.steps * step_floats + step * kStepK * rows;
      if (spec.activations == Activations::bf16) {
        prepare_step<ElementFormat::bf16>(a, plan.begin(first + block), rows, step, out);
      } else {
        prepare_step<ElementFormat::f32>(a, plan.begin(first + block), rows, step, out);
      }
    }
#pragma omp for schedule(static)
    for (std::int64_t panel = 0; panel < streams.panels; ++panel) {
      W4a16PanelArgs args = panel_args(spec, packed, streams, panel, operands);
      const std::int64_t column = panel * kPanelCols;
      float bias[kPanelCols] = {};
      if (spec.bias)
        std::copy_n(operands.bias + column, std::min<std::int64_t>(kPanelCols, spec.n - column), bias);
      args.bias = bias;
      for (std::int64_t block = first; block < last; ++block) {
        const std::int64_t row = plan.begin(block);
        args.a = prepared + (block - first) * streams.steps * step_floats;
        args.rows = plan.rows(block);
        args.c = spec.accumulate ? operands.c + row * args.c_stride / 4 + column : nullptr;
        args.d =
            static_cast<std::uint8_t*>(operands.d) + row * args.d_stride + column * bytes_of(spec.output);
        (args.rows == more_rows ? *more : *fewer)(&args);
      }
    }
  }
  return {};
}

constexpr const char* kTile = "12x16x64";
constexpr const char* kExactness = "bit_exact(w4a16)";

class W4a16Scalar final : public W4a16Gemm {
 public:
  explicit W4a16Scalar(const GemmSpec& spec) : W4a16Gemm(spec.format), spec_(spec) {}
  KernelCode code() const override {
    return {gemm_kernel_name(spec_, kTile, "scalar"), "scalar", kExactness, {}, {}, "portable C++, compiled"};
  }

 protected:
  Result<W4a16PanelFunction> function(const GemmSpec& spec, std::int64_t) const override {
    return w4a16_panel_scalar(spec);
  }

 private:
  GemmSpec spec_;
};

class W4a16Simd final : public W4a16Gemm {
 public:
  W4a16Simd(const GemmSpec& spec, simd::Target target, W4a16PanelFunction panel)
      : W4a16Gemm(spec.format), spec_(spec), target_(target), panel_(panel) {}
  KernelCode code() const override {
    return {gemm_kernel_name(spec_, kTile, kernel_variant_of(target_)),
            level_name_of(target_),
            kExactness,
            {},
            {},
            "compiled from simd/w4a16_panel.cc"};
  }

 protected:
  Result<W4a16PanelFunction> function(const GemmSpec&, std::int64_t) const override { return panel_; }

 private:
  GemmSpec spec_;
  simd::Target target_;
  W4a16PanelFunction panel_;
};

class W4a16Function final : public W4a16Gemm {
 public:
  W4a16Function(Format format, W4a16PanelFunction panel) : W4a16Gemm(format), function_(panel) {}
  KernelCode code() const override { return {"given_function", "", "", {}, {}, ""}; }

 protected:
  Result<W4a16PanelFunction> function(const GemmSpec&, std::int64_t) const override { return function_; }

 private:
  W4a16PanelFunction function_;
};

#if defined(__x86_64__)
struct Generated {
  ExecutableCode code;
  KernelNotes notes;
};

Result<std::shared_ptr<const Generated>> generate(const W4a16Spec& spec) {
  GemmSpec names;
  names.format = spec.format;
  names.numerics = Numerics::fast;
  names.activations = Activations::f32;
  names.output = spec.output;
  names.bias = spec.bias;
  const std::string tile = std::to_string(spec.rows) + "x16x64";
  W4a16Generator generator(spec);
  Result<ExecutableCode> code = generator.assemble(gemm_kernel_name(names, tile.c_str(), "avx512_fma"));
  if (!code.ok()) return code.failure();
  if (const Status dumped = dump_if_asked(*code); !dumped.ok()) return dumped.failure();
  return std::shared_ptr<const Generated>(
      std::make_shared<Generated>(Generated{std::move(*code), generator.notes()}));
}

// One generated function for every number of rows, made when first needed.
class W4a16Avx512 final : public W4a16Gemm {
 public:
  W4a16Avx512(const GemmSpec& spec, bool poison) : W4a16Gemm(spec.format), spec_(spec), poison_(poison) {}

  Status prepare() {
    const RowPlan plan = RowPlan::of(spec_.m, 1);
    auto made = generated(spec_, plan.rows(0));
    if (!made.ok()) return made.failure();
    shown_ = std::move(*made);
    return {};
  }
  KernelCode code() const override {
    return {gemm_kernel_name(spec_, kTile, "avx512_fma"),
            "avx512",
            kExactness,
            shown_->code.bytes(),
            shown_->notes.registers,
            shown_->notes.budget,
            {},
            shown_->notes.ports};
  }

 protected:
  Result<W4a16PanelFunction> function(const GemmSpec& spec, std::int64_t rows) const override {
    const auto made = generated(spec, rows);
    if (!made.ok()) return made.failure();
    return (*made)->code.entry<W4a16PanelFunction>();
  }

 private:
  // The cache lives as long as the process, and so do its functions.
  Result<std::shared_ptr<const Generated>> generated(const GemmSpec& spec, std::int64_t rows) const {
    static KernelCache<W4a16Spec, Generated> cache;
    return cache.get({.format = spec.format,
                      .output = spec.output,
                      .bias = spec.bias,
                      .rows = static_cast<int>(rows),
                      .poison = poison_},
                     generate);
  }

  GemmSpec spec_;
  bool poison_;
  std::shared_ptr<const Generated> shown_;  // for the spec's m
};

Result<std::shared_ptr<const GemmKernel>> make_avx512(const GemmSpec& spec, bool poison) {
  auto kernel = std::make_shared<W4a16Avx512>(spec, poison);
  if (const Status prepared = kernel->prepare(); !prepared.ok()) return prepared.failure();
  return std::shared_ptr<const GemmKernel>(std::move(kernel));
}
#endif

}  // namespace

const char* w4a16_refusal(const GemmSpec& spec) {
  return spec.activations == Activations::same ? "takes bf16 or f32 activations only" : nullptr;
}

Result<std::shared_ptr<const GemmKernel>> make_w4a16_scalar(const GemmSpec& spec) {
  return std::shared_ptr<const GemmKernel>(std::make_shared<W4a16Scalar>(spec));
}

Result<std::shared_ptr<const GemmKernel>> make_w4a16_simd(const GemmSpec& spec, simd::Target target) {
  const W4a16PanelFunction panel = simd::w4a16_panel(target, spec);
  if (panel == nullptr)
    return {Error::kUnsupportedIsa, "simd/ was not compiled for this target", simd::name_of(target)};
  return std::shared_ptr<const GemmKernel>(std::make_shared<W4a16Simd>(spec, target, panel));
}

#if defined(__x86_64__)
Result<std::shared_ptr<const GemmKernel>> make_w4a16_avx512(const GemmSpec& spec) {
  return make_avx512(spec, false);
}

Result<std::shared_ptr<const GemmKernel>> make_w4a16_avx512_poisoned(const GemmSpec& spec) {
  return make_avx512(spec, true);
}
#endif

std::shared_ptr<const GemmKernel> make_w4a16_from_function(Format format, W4a16PanelFunction function) {
  return std::make_shared<W4a16Function>(format, function);
}

}  // namespace fourge::jit
