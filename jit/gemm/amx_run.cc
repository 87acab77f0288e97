#include "jit/gemm/amx_run.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <mutex>
#include <utility>
#include <vector>

#include "jit/gemm/exact_gemm.h"
#include "jit/gemm/exact_operands.h"
#include "jit/workspace.h"

namespace fourge::jit {
namespace {

constexpr std::int64_t kMaxRows = 512;                                                   // of a block
constexpr std::int64_t kSegmentTileBytes = kSegmentSteps * kHalfSteps * 2 * kTileBytes;  // B, two panels

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
        plan_(AmxPlan::of(spec)),
        streams_(PanelStreams::of(spec.format, spec.n, spec.k)) {}

  Status allocate() {
    const std::int64_t segments = segments_of(plan_.kc);
    tiles_ = static_cast<std::uint8_t*>(workspace(Workspace::kTiles, plan_.mc * plan_.kc * kStepK * 2));
    bounds_ = static_cast<float*>(workspace(Workspace::kBounds, plan_.mc * (kRowBounds * segments * 4 + 8)));
    acc_ = static_cast<float*>(workspace(Workspace::kAccumulators, plan_.column_blocks * 2 * plan_.mc * 64));
    exact_steps_ = static_cast<ActivationStep*>(workspace(
        Workspace::kActivations, plan_.mc * plan_.kc * static_cast<std::int64_t>(sizeof(ActivationStep))));
    if (needs_copy()) {
      copy_ = static_cast<std::uint8_t*>(
          workspace(Workspace::kRows, plan_.mc * plan_.kc * (kStepK / 2 + scales())));
      if (copy_ == nullptr) return {Error::kOutOfMemory, "no scratch memory for the activations"};
    }
    if (tiles_ == nullptr || bounds_ == nullptr || acc_ == nullptr || exact_steps_ == nullptr) {
      return {Error::kOutOfMemory, "no scratch memory for tiles and accumulators"};
    }
    exact_ready_ = std::vector<std::atomic<std::uint8_t>>(static_cast<std::size_t>(plan_.mc * segments));
    return {};
  }

  void run(int threads, RunStats& stats) {
    std::atomic<std::int64_t> general = 0, segment_certified = 0;
    std::atomic<bool> no_memory = false;
#pragma omp parallel num_threads(threads)
    {
      auto* b_tiles =
          static_cast<std::uint8_t*>(workspace(Workspace::kPanels, kRunSegments * kSegmentTileBytes));
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
  // Steps [first, first + steps) of a block, for the 32 columns of column block c.
  struct Segment {
    std::int64_t c, index, steps;
    bool first;  // the chains start here, from zero
  };
  // Of a column block's two panels over one segment.
  struct ColumnBounds {
    float norm[2], unit[2], reach[2], emax[2], emin[2];
  };
  // Consecutive segments with their B tiles.
  struct Run {
    std::int64_t count;
    std::array<Segment, kRunSegments> segments;
    std::array<ColumnBounds, kRunSegments> bounds;
    const std::uint8_t* tiles;

    Run part(std::int64_t first, std::int64_t end) const {
      Run out{end - first, {}, {}, tiles + first * kSegmentTileBytes};
      std::copy(segments.begin() + first, segments.begin() + end, out.segments.begin());
      std::copy(bounds.begin() + first, bounds.begin() + end, out.bounds.begin());
      return out;
    }
  };
  struct Counts {
    std::int64_t general = 0, segment = 0;
  };
  using Pending = std::array<std::uint8_t, kMaxRows / (2 * kTileRows)>;  // by pair of row tiles: 1 to be done

  static bool any(const Pending& pending) {
    return std::find(pending.begin(), pending.end(), 1) != pending.end();
  }
  static std::int64_t pairs_of(const Block& block) { return (block.row_tiles() + 1) / 2; }

  int scales() const { return stored_scales(spec_.format); }
  bool needs_copy() const { return a_.layout != ScaleLayout::linear || spec_.k % kStepK != 0; }
  bool exact() const { return spec_.numerics == Numerics::blackwell; }

  // [segment][bound][row]
  float* bounds(std::int64_t segment) { return bounds_ + kRowBounds * segment * plan_.mc; }
  std::int64_t bound_stride() const { return plan_.mc * static_cast<std::int64_t>(sizeof(float)); }
  double* unit_exponents() { return reinterpret_cast<double*>(bounds(segments_of(plan_.kc))); }
  float* accumulators(std::int64_t panel) { return acc_ + panel * plan_.mc * kPanelCols; }
  std::int64_t panels_of(std::int64_t c) const { return std::min<std::int64_t>(2, plan_.panels - 2 * c); }

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
    args.bounds = bounds(0) + tile * kTileRows;
    args.bound_stride = bound_stride();
    args.segment_stride = kRowBounds * bound_stride();
    // With a given C a row of zeros is no row of zero accumulators: one below kNoUnitExponent says so.
    if (block.step == 0) {
      std::fill_n(args.unit_exponent, kTileRows,
                  static_cast<double>(kNoUnitExponent - (spec_.accumulate ? 1 : 0)));
    }
    if (rows < kTileRows) {  // rows that do not exist: zeros, always certified
      std::memset(args.tiles, 0, static_cast<std::size_t>(block.steps * kHalfSteps * kTileBytes));
      constexpr float kInfinity = std::numeric_limits<float>::infinity();
      const float of_no_row[kRowBounds] = {0.0f, std::ldexp(1.0f, kNoUnitExponent), 0.0f, -kInfinity,
                                           kInfinity};
      for (std::int64_t s = 0; s < segments_of(block.steps); ++s) {
        for (std::int64_t bound = 0; bound < kRowBounds; ++bound)
          std::fill_n(bounds(s) + bound * plan_.mc + tile * kTileRows, kTileRows, of_no_row[bound]);
      }
    }
    kernels_.prepare.entry<AmxPrepareFunction>()(&args);
  }

  std::int64_t step_index(const Block& block, const Segment& segment, std::int64_t side) const {
    return (2 * segment.c + side) * plan_.steps + block.step + segment.index * kSegmentSteps;
  }

  // One call for each panel: a call costs as much as two of its steps.
  void decode_panels(const Block& block, const Run& run, std::uint8_t* b_tiles) {
    const Segment& first = run.segments[0];
    std::int64_t steps = 0;
    for (std::int64_t s = 0; s < run.count; ++s) steps += run.segments[static_cast<std::size_t>(s)].steps;
    for (std::int64_t side = 0; side < 2; ++side) {
      if (side >= panels_of(first.c)) {
        for (std::int64_t h = 0; h < steps * kHalfSteps; ++h)
          std::memset(b_tiles + (2 * h + side) * kTileBytes, 0, kTileBytes);
        continue;
      }
      const std::int64_t index = step_index(block, first, side);
      AmxDecodeArgs args{};
      args.codes = packed_ + index * kPanelCodeBytes;
      args.scales = packed_ + streams_.scales_offset + index * panel_scale_bytes(spec_.format);
      args.steps = steps;
      args.tiles = b_tiles + side * kTileBytes;
      kernels_.decode.entry<AmxDecodeFunction>()(&args);
    }
  }

  const PanelCertificate* certificates(std::int64_t index) const {
    return reinterpret_cast<const PanelCertificate*>(packed_ + streams_.certificates_offset) + index;
  }

  ColumnBounds column_bounds(const Block& block, const Segment& segment) const {
    constexpr float kInfinity = std::numeric_limits<float>::infinity();
    ColumnBounds bounds;
    for (std::int64_t side = 0; side < 2; ++side) {
      float norm = 0, unit = std::ldexp(1.0f, kNoUnitExponent), reach = 0, emax = -kInfinity,
            emin = kInfinity;
      if (side < panels_of(segment.c)) {
        const PanelCertificate* certificate = certificates(step_index(block, segment, side));
        norm = certificate->segment_norm;
        unit = certificate->unit_exponent == kNeverUnit ? 0.0f : std::ldexp(1.0f, certificate->unit_exponent);
        for (std::int64_t s = 0; s < segment.steps; ++s, ++certificate) {
          reach = std::max(reach, certificate->reach);
          const int largest = *std::max_element(certificate->emax, certificate->emax + kPanelCols) - 128;
          emax = std::max(emax, static_cast<float>(largest));
          if (certificate->emin != kNoEmin) emin = std::min(emin, static_cast<float>(certificate->emin));
        }
      }
      bounds.norm[side] = norm;
      bounds.unit[side] = unit;
      bounds.reach[side] = reach;
      bounds.emax[side] = emax;
      bounds.emin[side] = emin;
    }
    return bounds;
  }

  // All rows of the block by the 32 columns of c.
  void column_block(const Block& block, std::int64_t c, std::uint8_t* b_tiles, Counts& counts) {
    if (block.step == 0 && spec_.accumulate) read_accumulators(block, c);
    const std::int64_t segments = segments_of(block.steps);
    for (std::int64_t index = 0; index < segments; index += kRunSegments) {
      Run run{};
      run.count = std::min(kRunSegments, segments - index);
      run.tiles = b_tiles;
      for (std::int64_t s = 0; s < run.count; ++s) {
        const auto i = static_cast<std::size_t>(s);
        run.segments[i] = segment_of(block, c, index + s);
        run.bounds[i] = column_bounds(block, run.segments[i]);
      }
      decode_panels(block, run, b_tiles);
      Pending pending{};
      std::fill_n(pending.begin(), pairs_of(block), std::uint8_t{1});
      multiply(block, run, pending, counts);
    }
    if (block.step + block.steps == plan_.steps) write_outputs(block, c);
  }

  // In one go where theorem 2 certifies the whole run; what is left in halves; single segments step by step.
  void multiply(const Block& block, const Run& run, Pending& pending, Counts& counts) {
    multiply_run(block, run, pending, counts);
    if (!any(pending)) return;
    if (run.count == 1) {
      counts.general += step_by_step(block, run, pending);
      return;
    }
    const std::int64_t half = (run.count + 1) / 2;
    for (const auto& [first, end] : {std::pair{std::int64_t{0}, half}, std::pair{half, run.count}}) {
      Pending of_half = pending;
      multiply(block, run.part(first, end), of_half, counts);
    }
  }

  Segment segment_of(const Block& block, std::int64_t c, std::int64_t index) const {
    return {c, index, std::min<std::int64_t>(kSegmentSteps, block.steps - index * kSegmentSteps),
            block.step == 0 && index == 0 && !spec_.accumulate};
  }

  const std::uint8_t* a_tiles(const Segment& segment) const {
    return tiles_ + segment.index * kSegmentSteps * kHalfSteps * kTileBytes;
  }

  // The run in tiles, for the pairs of row tiles that are certified over all of it.
  void multiply_run(const Block& block, const Run& run, Pending& pending, Counts& counts) {
    if (!may_try(run)) return;
    const Segment& last = run.segments[static_cast<std::size_t>(run.count - 1)];
    const Pending before = pending;
    AmxBlockArgs args{};
    args.a = a_tiles(run.segments[0]);
    args.a_stride = block.steps * kHalfSteps * kTileBytes;
    args.b = run.tiles;
    args.acc = accumulators(2 * last.c);
    args.acc_stride = plan_.mc * 64;
    args.row_tiles = block.row_tiles();
    std::copy_n(run.bounds[0].unit, 2, args.b_unit);
    for (std::size_t s = 0; s < kRunSegments; ++s) {
      const bool of_run = static_cast<std::int64_t>(s) < run.count;
      args.bounds[s] = bounds((of_run ? run.segments[s] : last).index);
      if (!of_run) continue;
      args.half_steps += run.segments[s].steps * kHalfSteps;
      std::copy_n(run.bounds[s].norm, 2, args.b_norm[s]);
      for (int side = 0; side < 2; ++side)
        args.b_unit[side] = std::min(args.b_unit[side], run.bounds[s].unit[side]);
    }
    args.bound_stride = bound_stride();
    fetch_ahead(block, run, args);
    args.pending = pending.data();
    args.first = run.segments[0].first ? 1 : 0;
    kernels_.block.entry<AmxBlockFunction>()(&args);
    for (std::int64_t pair = 0; pair < pairs_of(block); ++pair) {
      if (before[static_cast<std::size_t>(pair)] == pending[static_cast<std::size_t>(pair)]) continue;
      const std::int64_t rows = std::min<std::int64_t>(2 * kTileRows, block.rows - 2 * kTileRows * pair);
      counts.segment += rows * args.half_steps / kHalfSteps * panels_of(last.c);
    }
  }

  // The packed codes behind the run and, spread over the runs of the block, the accumulators of the next
  // column block and, at the last steps, the outputs of this one.
  void fetch_ahead(const Block& block, const Run& run, AmxBlockArgs& args) {
    const Segment& last = run.segments[static_cast<std::size_t>(run.count - 1)];
    for (std::int64_t side = 0; side < 2; ++side) {
      const std::int64_t next = step_index(block, last, std::min(side, panels_of(last.c) - 1)) + last.steps;
      args.upcoming[side] = packed_ + next * kPanelCodeBytes;
    }
    const std::int64_t done =
        run.segments[0].index * pairs_of(block) * kSegmentSteps * kHalfSteps;  // rounds of K = 32
    const auto* acc = reinterpret_cast<const std::uint8_t*>(args.acc);
    args.upcoming_acc = acc + 2 * args.acc_stride + done % (2 * plan_.mc) * 128;
    args.upcoming_d = acc;
    if (block.step + block.steps != plan_.steps) return;
    const std::int64_t stride =
        (operands_.d_stride != 0 ? operands_.d_stride : spec_.n) * bytes_of(spec_.output);
    args.upcoming_d = static_cast<const std::uint8_t*>(operands_.d) +
                      (block.row + done % block.rows) * stride +
                      2 * last.c * kPanelCols * bytes_of(spec_.output);
    args.upcoming_d_stride = stride;
  }

  // Theorem 2 needs chains that start from zero, and tiles flush a given C that is subnormal; without
  // certificates they still need scales that they can hold.
  bool may_try(const Run& run) const {
    if (spec_.accumulate) return false;
    return exact() ||
           std::all_of(run.bounds.begin(), run.bounds.begin() + run.count, [](const ColumnBounds& b) {
             return std::isfinite(b.reach[0]) && std::isfinite(b.reach[1]);
           });
  }

  // Pairs of row tiles that are not certified over the segment: step by step on tiles, and rows that are not
  // certified there either on the AVX-512 kernel, which certifies single vectors or takes the general path.
  std::int64_t step_by_step(const Block& block, const Run& run, const Pending& pending) {
    const Segment& segment = run.segments[0];
    const ColumnBounds& bounds_of_b = run.bounds[0];
    std::uint16_t refused[kMaxRows / kTileRows][2];
    AmxStepsArgs args{};
    args.a = a_tiles(segment);
    args.a_stride = block.steps * kHalfSteps * kTileBytes;
    args.b = run.tiles;
    args.acc = accumulators(2 * segment.c);
    args.acc_stride = plan_.mc * 64;
    args.row_tiles = block.row_tiles();
    args.panels = panels_of(segment.c);
    args.steps = segment.steps;
    args.pending = pending.data();
    args.bounds = bounds(segment.index);
    args.bound_stride = bound_stride();
    args.refused = refused[0];
    args.first = segment.first ? 1 : 0;
    for (std::int64_t side = 0; side < 2; ++side) {
      args.b_norm[side] = bounds_of_b.norm[side];
      args.b_reach[side] = bounds_of_b.reach[side];
      args.b_emax[side] = bounds_of_b.emax[side];
      args.b_emin[side] = bounds_of_b.emin[side];
    }
    for (std::int64_t side = 0; side < args.panels; ++side) {
      const std::int64_t columns = spec_.n - (2 * segment.c + side) * kPanelCols;
      args.dead[side] = columns >= kPanelCols ? 0 : static_cast<std::uint16_t>(0xffff << columns);
    }
    kernels_.steps.entry<AmxStepsFunction>()(&args);
    std::int64_t general = 0;
    for (std::int64_t t = 0; t < args.row_tiles; ++t) {
      if (pending[static_cast<std::size_t>(t / 2)] == 0) continue;
      const std::int64_t first_row = kTileRows * t;
      const auto rows = static_cast<int>(std::min<std::int64_t>(kTileRows, block.rows - first_row));
      for (std::int64_t side = 0; side < args.panels; ++side) {
        for (unsigned left = refused[t][side] & ((1u << rows) - 1); left != 0; left &= left - 1)
          general += exact_row(block, segment, side, first_row + std::countr_zero(left));
      }
    }
    return general;
  }

  // The operands of one row are made once for all column blocks.
  const ActivationStep* exact_operands(const Block& block, const Segment& segment, std::int64_t row) {
    ActivationStep* steps = exact_steps_ + row * plan_.kc + segment.index * kSegmentSteps;
    std::atomic<std::uint8_t>& ready =
        exact_ready_[static_cast<std::size_t>(row * segments_of(plan_.kc) + segment.index)];
    if (ready.load(std::memory_order_acquire) == 0) {
      const std::lock_guard lock(exact_mutex_);
      if (ready.load(std::memory_order_relaxed) == 0) {
        for (std::int64_t s = 0; s < segment.steps; ++s) {
          prepare_activations(a_, block.row + row, 1, block.step + segment.index * kSegmentSteps + s,
                              steps + s, kDotAsFloat);
        }
        ready.store(1, std::memory_order_release);
      }
    }
    return steps;
  }

  std::int64_t exact_row(const Block& block, const Segment& segment, std::int64_t side, std::int64_t row) {
    float* acc = accumulators(2 * segment.c + side) + row * kPanelCols;
    if (segment.first) std::memset(acc, 0, 64);
    const std::int64_t index = step_index(block, segment, side);
    static constexpr float kNoBias[kPanelCols] = {};
    ExactPanelArgs args{};
    args.acc = acc;
    args.rows = 1;
    args.bias = kNoBias;
    args.d = operands_.d;
    args.alpha = operands_.alpha;
    args.a = exact_operands(block, segment, row);
    args.a_stride = static_cast<std::int64_t>(sizeof(ActivationStep));
    args.codes = packed_ + index * kPanelCodeBytes;
    args.scales = packed_ + streams_.scales_offset + index * panel_scale_bytes(spec_.format);
    args.certificates = certificates(index);
    args.steps = segment.steps;
    panel_kernel_(&args);
    return args.general_vectors;
  }

  void read_accumulators(const Block& block, std::int64_t c) {
    const std::int64_t stride = operands_.c_stride != 0 ? operands_.c_stride : spec_.n;
    for (std::int64_t panel = 2 * c; panel < 2 * c + panels_of(c); ++panel) {
      const std::int64_t column = panel * kPanelCols,
                         columns = std::min<std::int64_t>(kPanelCols, spec_.n - column);
      std::memset(accumulators(panel), 0, static_cast<std::size_t>(plan_.mc * 64));
      for (std::int64_t row = 0; row < block.rows; ++row) {
        std::memcpy(accumulators(panel) + row * kPanelCols, operands_.c + (block.row + row) * stride + column,
                    static_cast<std::size_t>(columns) * sizeof(float));
      }
    }
  }

  void write_outputs(const Block& block, std::int64_t c) {
    const std::int64_t stride = operands_.d_stride != 0 ? operands_.d_stride : spec_.n;
    const std::int64_t column = 2 * c * kPanelCols;
    AmxOutputArgs args{};
    args.acc = accumulators(2 * c);
    args.acc_stride = plan_.mc * 64;
    args.rows = block.rows;
    args.d = static_cast<std::uint8_t*>(operands_.d) + (block.row * stride + column) * bytes_of(spec_.output);
    args.d_stride = stride * bytes_of(spec_.output);
    args.bias = spec_.bias ? operands_.bias + column : nullptr;
    args.panels = static_cast<std::int32_t>(panels_of(c));
    args.alpha = operands_.alpha;
    for (std::int64_t side = 0; side < args.panels; ++side) {
      const std::int64_t columns = std::min<std::int64_t>(kPanelCols, spec_.n - column - side * kPanelCols);
      args.columns[side] = static_cast<std::uint16_t>((1u << columns) - 1);
    }
    kernels_.output.entry<AmxOutputFunction>()(&args);
  }

  const GemmSpec& spec_;
  const QuantizedView& a_;
  const std::uint8_t* packed_;
  const GemmOperands& operands_;
  const AmxKernels& kernels_;
  ExactPanelFunction panel_kernel_;
  AmxPlan plan_;
  PanelStreams streams_;
  std::uint8_t *tiles_ = nullptr, *copy_ = nullptr;
  float *bounds_ = nullptr, *acc_ = nullptr;
  ActivationStep* exact_steps_ = nullptr;
  std::vector<std::atomic<std::uint8_t>> exact_ready_;
  std::mutex exact_mutex_;
  bool out_of_memory_ = false;
};

}  // namespace

AmxPlan AmxPlan::of(const GemmSpec& spec) {
  AmxPlan plan{};
  const PanelStreams streams = PanelStreams::of(spec.format, spec.n, spec.k);
  plan.steps = streams.steps;
  plan.panels = streams.panels;
  plan.column_blocks = (streams.panels + 1) / 2;
  const std::int64_t rows = spec.blocking.mc != 0 ? round_up(spec.blocking.mc, 2 * kTileRows) : kMaxRows;
  plan.mc = std::min({round_up(spec.m, kTileRows), rows, kMaxRows});
  const std::int64_t asked = (spec.blocking.kc + kStepK - 1) / kStepK,
                     fitting = host_caches().l2 / 2 / (plan.mc * kStepK * 2) / kRunSteps * kRunSteps;
  plan.kc = std::max<std::int64_t>(asked != 0 ? round_up(asked, kRunSteps) : fitting, kRunSteps);
  plan.kc = std::min(plan.steps, plan.kc);
  return plan;
}

Status run_amx(const GemmSpec& spec, const QuantizedView& a, const std::uint8_t* packed,
               const GemmOperands& operands, const AmxKernels& kernels, ExactPanelFunction panel_kernel,
               int threads, RunStats& stats) {
  AmxRun run(spec, a, packed, operands, kernels, panel_kernel);
  if (Status allocated = run.allocate(); !allocated.ok()) return allocated;
  run.run(threads, stats);
  if (run.out_of_memory()) return {Error::kOutOfMemory, "no scratch memory for decoded weights"};
  return {};
}

}  // namespace fourge::jit
