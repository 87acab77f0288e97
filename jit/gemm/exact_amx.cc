#include "jit/gemm/exact_amx.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <mutex>
#include <utility>
#include <vector>

#include "jit/cache.h"
#include "jit/gemm/amx_operands.h"
#include "jit/gemm/exact_gemm.h"
#include "jit/workspace.h"
#include "jit/x86/amx_block.h"
#include "jit/x86/amx_decode.h"
#include "jit/x86/amx_prepare.h"

namespace fourge::jit {
namespace {

// The three generated functions; prepare and decode depend on the format only.
struct AmxKernels {
  ExecutableCode prepare, decode, block;
  KernelNotes notes;
};

Result<std::shared_ptr<const AmxKernels>> generate_kernels(Format format) {
  AmxPrepareGenerator prepare(format);
  AmxDecodeGenerator decode(format);
  AmxBlockGenerator block;
  AmxKernels kernels;
  const std::string suffix =
      std::string("_") + name_of(info(format).scale) + "b" + std::to_string(info(format).block);
  struct Part {
    X86Generator& generator;
    std::string name;
    ExecutableCode& code;
  };
  for (const Part& part : {Part{prepare, "amx_prepare" + suffix, kernels.prepare},
                           Part{decode, "amx_decode" + suffix, kernels.decode},
                           Part{block, "amx_block" + suffix, kernels.block}}) {
    Result<ExecutableCode> code = part.generator.assemble(part.name);
    if (!code.ok()) return code.failure();
    if (const Status dumped = dump_if_asked(*code); !dumped.ok()) return dumped.failure();
    part.code = std::move(*code);
  }
  kernels.notes = block.notes();
  kernels.notes.budget += "\ndecode: " + decode.notes().budget + "\nprepare: " + prepare.notes().budget;
  return std::shared_ptr<const AmxKernels>(std::make_shared<AmxKernels>(std::move(kernels)));
}

// How a problem is cut. The A tiles of a block (mc x kc bf16) stay in half the L2 cache of every thread while
// all column blocks pass; each weight is decoded once per mc rows.
struct Plan {
  std::int64_t mc;  // rows of a block, a multiple of 16
  std::int64_t kc;  // steps of a block, a multiple of kSegmentSteps (or all of them)
  std::int64_t steps, panels, column_blocks;

  static Plan of(const GemmSpec& spec) {
    constexpr std::int64_t kMaxRows = 512;
    Plan plan{};
    const PanelStreams streams = PanelStreams::of(spec.format, spec.n, spec.k);
    plan.steps = streams.steps;
    plan.panels = streams.panels;
    plan.column_blocks = (streams.panels + 1) / 2;
    plan.mc = std::min(round_up(spec.m, kTileRows), kMaxRows);
    const std::int64_t fitting =
        host_caches().l2 / 2 / (plan.mc * kStepK * 2) / kSegmentSteps * kSegmentSteps;
    plan.kc = std::min(plan.steps, std::max<std::int64_t>(fitting, kSegmentSteps));
    return plan;
  }
};

// One run's buffers and the work on them; every method is called by all threads of one parallel region.
class AmxRun {
 public:
  AmxRun(const GemmSpec& spec, const QuantizedView& a, const std::uint8_t* packed,
         const GemmOperands& operands, const AmxKernels& kernels, ExactPanelFunction panel_kernel)
      : spec_(spec),
        a_(a),
        packed_(packed),
        operands_(operands),
        kernels_(kernels),
        panel_kernel_(panel_kernel),
        plan_(Plan::of(spec)),
        streams_(PanelStreams::of(spec.format, spec.n, spec.k)) {}

  Status allocate() {
    const std::int64_t segments = segments_of(plan_.kc), pairs = (plan_.mc + 31) / 32;
    tiles_ = static_cast<std::uint8_t*>(workspace(Workspace::kTiles, plan_.mc * plan_.kc * kStepK * 2));
    bounds_ = static_cast<float*>(workspace(Workspace::kBounds, plan_.mc * (2 * segments * 4 + 8)));
    acc_ = static_cast<float*>(workspace(Workspace::kAccumulators, plan_.column_blocks * 2 * plan_.mc * 64));
    exact_steps_ = static_cast<ActivationStep*>(workspace(
        Workspace::kActivations, pairs * 32 * plan_.kc * static_cast<std::int64_t>(sizeof(ActivationStep))));
    if (needs_copy()) {
      copy_ = static_cast<std::uint8_t*>(
          workspace(Workspace::kRows, plan_.mc * plan_.kc * (kStepK / 2 + scales())));
      if (copy_ == nullptr) return {Error::kOutOfMemory, "no scratch memory for the activations"};
    }
    if (tiles_ == nullptr || bounds_ == nullptr || acc_ == nullptr || exact_steps_ == nullptr) {
      return {Error::kOutOfMemory, "no scratch memory for tiles and accumulators"};
    }
    exact_ready_ = std::vector<std::atomic<std::uint8_t>>(static_cast<std::size_t>(pairs * segments));
    return {};
  }

  void run(int threads, RunStats& stats) {
    std::atomic<std::int64_t> general = 0, segment_certified = 0;
    std::atomic<bool> no_memory = false;
#pragma omp parallel num_threads(threads)
    {
      auto* b_tiles = static_cast<std::uint8_t*>(
          workspace(Workspace::kPanels, kSegmentSteps * kHalfSteps * 2 * kTileBytes));
      if (b_tiles == nullptr) no_memory = true;
      Counts counts;
#pragma omp barrier
      for (std::int64_t row = 0; row < spec_.m && !no_memory; row += plan_.mc) {
        for (std::int64_t step = 0; step < plan_.steps; step += plan_.kc) {
          const Block block{row, std::min(plan_.mc, spec_.m - row), step,
                            std::min(plan_.kc, plan_.steps - step)};
#pragma omp for schedule(static)
          for (std::int64_t t = 0; t < block.row_tiles(); ++t) prepare_rows(block, t);
#pragma omp single
          for (auto& ready : exact_ready_) ready.store(0, std::memory_order_relaxed);
#pragma omp for schedule(static)
          for (std::int64_t c = 0; c < plan_.column_blocks; ++c) column_block(block, c, b_tiles, counts);
        }
      }
      general += counts.general;
      segment_certified += counts.segment;
    }
    out_of_memory_ = no_memory;
    stats.vectors += spec_.m * plan_.panels * plan_.steps;
    stats.general_vectors += general;
    stats.segment_vectors += segment_certified;
  }

  bool out_of_memory() const { return out_of_memory_; }

 private:
  struct Block {
    std::int64_t row, rows, step, steps;
    std::int64_t row_tiles() const { return (rows + kTileRows - 1) / kTileRows; }
  };
  struct Counts {
    std::int64_t general = 0, segment = 0;
  };

  int scales() const { return stored_scales(spec_.format); }
  bool needs_copy() const { return a_.layout != ScaleLayout::linear || spec_.k % kStepK != 0; }

  float* norms(std::int64_t segment) { return bounds_ + 2 * segment * plan_.mc; }
  float* units(std::int64_t segment) { return bounds_ + (2 * segment + 1) * plan_.mc; }
  double* unit_exponents() {
    return reinterpret_cast<double*>(bounds_ + 2 * segments_of(plan_.kc) * plan_.mc);
  }
  float* accumulators(std::int64_t panel) { return acc_ + panel * plan_.mc * kPanelCols; }

  // Rows whose scales are swizzled or whose last step is partial are copied: linear, filled up with zeros.
  void copy_rows(const Block& block, std::int64_t tile, std::int64_t rows, AmxPrepareArgs& args) {
    const std::int64_t code_bytes = block.steps * (kStepK / 2), scale_count = block.steps * scales();
    const int block_size = info(spec_.format).block;
    std::uint8_t* codes = copy_ + tile * kTileRows * (code_bytes + scale_count);
    std::uint8_t* scale_bytes = codes + kTileRows * code_bytes;
    std::memset(codes, 0, static_cast<std::size_t>(kTileRows * (code_bytes + scale_count)));
    for (std::int64_t r = 0; r < rows; ++r) {
      const std::int64_t row = block.row + tile * kTileRows + r, begin = block.step * kStepK;
      const std::int64_t count = std::min(block.steps * kStepK, spec_.k - begin);
      std::memcpy(codes + r * code_bytes, a_.codes + (row * spec_.k + begin) / 2,
                  static_cast<std::size_t>(count / 2));
      for (std::int64_t s = 0; s < count / block_size; ++s) {
        scale_bytes[r * scale_count + s] = a_.scale(row, begin / block_size + s);
      }
    }
    args.codes = codes;
    args.codes_stride = code_bytes;
    args.scales = scale_bytes;
    args.scales_stride = scale_count;
  }

  void prepare_rows(const Block& block, std::int64_t tile) {
    const std::int64_t rows = std::min<std::int64_t>(kTileRows, block.rows - tile * kTileRows);
    AmxPrepareArgs args{};
    if (needs_copy()) {
      copy_rows(block, tile, rows, args);
    } else {
      const std::int64_t row = block.row + tile * kTileRows;
      args.codes = a_.codes + (row * spec_.k + block.step * kStepK) / 2;
      args.codes_stride = spec_.k / 2;
      args.scales = a_.scales + row * a_.scale_cols() + block.step * scales();
      args.scales_stride = a_.scale_cols();
    }
    args.tiles = tiles_ + tile * block.steps * kHalfSteps * kTileBytes;
    args.rows = rows;
    args.steps = block.steps;
    args.unit_exponent = unit_exponents() + tile * kTileRows;
    args.norms = norms(0) + tile * kTileRows;
    args.units = units(0) + tile * kTileRows;
    args.bounds_stride = 2 * plan_.mc * static_cast<std::int64_t>(sizeof(float));
    if (block.step == 0) std::fill_n(args.unit_exponent, kTileRows, static_cast<double>(kNoUnitExponent));
    if (rows < kTileRows) {  // rows that do not exist: zeros, always certified
      std::memset(args.tiles, 0, static_cast<std::size_t>(block.steps * kHalfSteps * kTileBytes));
      for (std::int64_t s = 0; s < segments_of(block.steps); ++s) {
        std::fill_n(norms(s) + tile * kTileRows, kTileRows, 0.0f);
        std::fill_n(units(s) + tile * kTileRows, kTileRows, std::ldexp(1.0f, kNoUnitExponent));
      }
    }
    kernels_.prepare.entry<AmxPrepareFunction>()(&args);
  }

  void decode_panels(const Block& block, std::int64_t column_block, std::int64_t segment, std::int64_t steps,
                     std::uint8_t* b_tiles) {
    for (std::int64_t side = 0; side < 2; ++side) {
      const std::int64_t panel = 2 * column_block + side;
      if (panel >= plan_.panels) {
        for (std::int64_t h = 0; h < steps * kHalfSteps; ++h)
          std::memset(b_tiles + (2 * h + side) * kTileBytes, 0, kTileBytes);
        continue;
      }
      const std::int64_t index = panel * plan_.steps + block.step + segment * kSegmentSteps;
      AmxDecodeArgs args{};
      args.codes = packed_ + index * kPanelCodeBytes;
      args.scales = packed_ + streams_.scales_offset + index * panel_scale_bytes(spec_.format);
      args.steps = steps;
      args.tiles = b_tiles + side * kTileBytes;
      kernels_.decode.entry<AmxDecodeFunction>()(&args);
    }
  }

  SegmentBound segment_bound(std::int64_t panel, std::int64_t segment) const {
    if (panel >= plan_.panels) return {0.0f, std::ldexp(1.0f, kNoUnitExponent)};
    const auto* bounds = reinterpret_cast<const SegmentBound*>(packed_ + streams_.segments_offset);
    return bounds[panel * segments_of(plan_.steps) + segment];
  }

  void column_block(const Block& block, std::int64_t c, std::uint8_t* b_tiles, Counts& counts) {
    std::uint8_t refused[512 / 32];
    for (std::int64_t segment = 0; segment < segments_of(block.steps); ++segment) {
      const std::int64_t steps = std::min<std::int64_t>(kSegmentSteps, block.steps - segment * kSegmentSteps);
      decode_panels(block, c, segment, steps, b_tiles);
      AmxBlockArgs args{};
      args.a = tiles_ + segment * kSegmentSteps * kHalfSteps * kTileBytes;
      args.a_stride = block.steps * kHalfSteps * kTileBytes;
      args.b = b_tiles;
      args.acc = accumulators(2 * c);
      args.acc_stride = plan_.mc * 64;
      args.row_tiles = block.row_tiles();
      args.half_steps = steps * kHalfSteps;
      args.norms = norms(segment);
      args.units = units(segment);
      for (std::int64_t side = 0; side < 2; ++side) {
        const SegmentBound bound = segment_bound(2 * c + side, block.step / kSegmentSteps + segment);
        args.b_norm[side] = bound.norm;
        args.b_unit[side] = bound.unit;
      }
      args.refused = refused;
      args.first = block.step == 0 && segment == 0 ? 1 : 0;
      kernels_.block.entry<AmxBlockFunction>()(&args);
      for (std::int64_t pair = 0; pair < (args.row_tiles + 1) / 2; ++pair) {
        const std::int64_t rows = std::min<std::int64_t>(32, block.rows - 32 * pair);
        const std::int64_t panels = std::min<std::int64_t>(2, plan_.panels - 2 * c);
        if (refused[pair] == 0) {
          counts.segment += rows * steps * panels;
        } else {
          counts.general += step_by_step(block, c, segment, steps, pair, rows, args.first != 0);
        }
      }
    }
    if (block.step + block.steps == plan_.steps) write_outputs(block, c);
  }

  // A pair of row tiles that is not certified over the segment: the AVX-512 kernel, which certifies step by
  // step or takes the general path. Its operands are made once for all column blocks.
  std::int64_t step_by_step(const Block& block, std::int64_t c, std::int64_t segment, std::int64_t steps,
                            std::int64_t pair, std::int64_t rows, bool first) {
    ActivationStep* exact = exact_steps_ + (pair * plan_.kc + segment * kSegmentSteps) * 32;
    std::atomic<std::uint8_t>& ready =
        exact_ready_[static_cast<std::size_t>(pair * segments_of(plan_.kc) + segment)];
    if (ready.load(std::memory_order_acquire) == 0) {
      const std::lock_guard lock(exact_mutex_);
      if (ready.load(std::memory_order_relaxed) == 0) {
        for (std::int64_t s = 0; s < steps; ++s) {
          prepare_activations(a_, block.row + 32 * pair, rows, block.step + segment * kSegmentSteps + s,
                              exact + 32 * s);
        }
        ready.store(1, std::memory_order_release);
      }
    }
    std::int64_t general = 0;
    for (std::int64_t panel = 2 * c; panel < std::min(plan_.panels, 2 * c + 2); ++panel) {
      float* acc = accumulators(panel) + 32 * pair * kPanelCols;
      if (first) std::memset(acc, 0, static_cast<std::size_t>(rows * 64));
      const std::int64_t index = panel * plan_.steps + block.step + segment * kSegmentSteps;
      ExactPanelArgs args = panel_args(panel, acc, rows);
      args.a = exact;
      args.a_stride = 32 * static_cast<std::int64_t>(sizeof(ActivationStep));
      args.codes = packed_ + index * kPanelCodeBytes;
      args.scales = packed_ + streams_.scales_offset + index * panel_scale_bytes(spec_.format);
      args.certificates =
          reinterpret_cast<const PanelCertificate*>(packed_ + streams_.certificates_offset) + index;
      args.steps = steps;
      panel_kernel_(&args);
      general += args.general_vectors;
    }
    return general;
  }

  ExactPanelArgs panel_args(std::int64_t panel, float* acc, std::int64_t rows) const {
    static constexpr float kNoBias[kPanelCols] = {};
    ExactPanelArgs args{};
    args.acc = acc;
    args.rows = rows;
    args.bias = kNoBias;
    args.d = operands_.d;
    args.alpha = operands_.alpha;
    (void)panel;
    return args;
  }

  void write_outputs(const Block& block, std::int64_t c) {
    const std::int64_t stride = operands_.d_stride != 0 ? operands_.d_stride : spec_.n;
    for (std::int64_t panel = 2 * c; panel < std::min(plan_.panels, 2 * c + 2); ++panel) {
      const std::int64_t column = panel * kPanelCols,
                         columns = std::min<std::int64_t>(kPanelCols, spec_.n - column);
      float bias[kPanelCols] = {};
      if (spec_.bias)
        std::memcpy(bias, operands_.bias + column, static_cast<std::size_t>(columns) * sizeof(float));
      ExactPanelArgs args = panel_args(panel, accumulators(panel), block.rows);
      args.bias = bias;
      args.d =
          static_cast<std::uint8_t*>(operands_.d) + (block.row * stride + column) * bytes_of(spec_.output);
      args.d_stride = stride * bytes_of(spec_.output);
      args.columns = (1u << columns) - 1;
      panel_kernel_(&args);
    }
  }

  const GemmSpec& spec_;
  const QuantizedView& a_;
  const std::uint8_t* packed_;
  const GemmOperands& operands_;
  const AmxKernels& kernels_;
  ExactPanelFunction panel_kernel_;
  Plan plan_;
  PanelStreams streams_;
  std::uint8_t *tiles_ = nullptr, *copy_ = nullptr;
  float *bounds_ = nullptr, *acc_ = nullptr;
  ActivationStep* exact_steps_ = nullptr;
  std::vector<std::atomic<std::uint8_t>> exact_ready_;
  std::mutex exact_mutex_;
  bool out_of_memory_ = false;
};

class ExactAmx final : public GemmKernel {
 public:
  ExactAmx(const GemmSpec& spec, std::shared_ptr<const AmxKernels> kernels,
           std::shared_ptr<const GemmKernel> panels)
      : spec_(spec), kernels_(std::move(kernels)), panels_(std::move(panels)) {}

  KernelCode code() const override {
    return {gemm_kernel_name(spec_, "32x32x512", "amx_bf16"),
            "amx",
            std::string("bit_exact(") + tensor_core_model(spec_.format) + ")",
            kernels_->block.bytes(),
            kernels_->notes.registers,
            kernels_->notes.budget};
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
    AmxRun run(spec, a, packed, operands, *kernels_, exact_vnni_function(*panels_));
    if (Status allocated = run.allocate(); !allocated.ok()) return allocated;
    run.run(threads, stats);
    if (run.out_of_memory()) return {Error::kOutOfMemory, "no scratch memory for decoded weights"};
    return {};
  }

 private:
  GemmSpec spec_;
  std::shared_ptr<const AmxKernels> kernels_;
  std::shared_ptr<const GemmKernel> panels_;
};

}  // namespace

const char* exact_amx_refusal(const GemmSpec& spec) {
  if (spec.activations != Activations::same) return "takes quantised activations only";
  // A given C need not be a multiple of the products' unit, which the segment certificate rests on.
  if (spec.accumulate) return "its certificates hold for chains that start from zero";
  return nullptr;
}

Result<std::shared_ptr<const GemmKernel>> make_exact_amx(const GemmSpec& spec) {
  static KernelCache<Format, AmxKernels> cache;
  auto kernels = cache.get(spec.format, generate_kernels);
  if (!kernels.ok()) return kernels.failure();
  auto panels = make_exact_vnni(spec);
  if (!panels.ok()) return panels.failure();
  return std::shared_ptr<const GemmKernel>(
      std::make_shared<ExactAmx>(spec, std::move(*kernels), std::move(*panels)));
}

}  // namespace fourge::jit
