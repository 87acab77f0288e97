#include "fourge/second_moment.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <new>

#include "jit/large_memory.h"
#include "jit/parallel.h"
#include "jit/second_moment/second_moment_kernel.h"

namespace fourge {
namespace {

using jit::kMomentPanel;

constexpr std::int64_t kMaxExtent = std::int64_t{1} << 24;
// Chunks wait so that coarse and fine pass through the caches once for many: 32 bytes an output each time,
// against 2 cycles of AMX for an output and a chunk.
constexpr std::size_t kWaiting = 8;
constexpr std::int64_t kWaitingBytes = std::int64_t{512} << 20;
constexpr std::int64_t kParallelProducts = std::int64_t{1} << 20;
// Panels on a side of a task: coarse, fine and both sides' codes of one chunk stay in L2.
constexpr std::int64_t kBlockPanels = 8;

std::int64_t panels_of(std::int64_t columns) { return (columns + kMomentPanel - 1) / kMomentPanel; }
std::int64_t steps_of(std::int64_t tokens) { return (tokens + jit::kMomentStep - 1) / jit::kMomentStep; }

std::string product_shape(const SecondMomentSpec& spec, std::int64_t tokens) {
  return std::to_string(spec.rows) + " x " + std::to_string(spec.cols) + ", " + std::to_string(tokens) +
         " tokens";
}

}  // namespace

Status check(const SecondMomentSpec& spec) {
  if (spec.rows < 0 || spec.cols < 0 || spec.rows > kMaxExtent || spec.cols > kMaxExtent ||
      (spec.symmetric && spec.rows != spec.cols)) {
    return {Error::kBadShape, "expected extents from 0 to 2^24, equal ones for a symmetric sum",
            std::to_string(spec.rows) + " x " + std::to_string(spec.cols)};
  }
  return {};
}

std::string kernel_name(const SecondMomentSpec&) { return "second_moment_f64_f32"; }

void SecondMoment::Free::operator()(std::uint8_t* bytes) const { std::free(bytes); }

Result<SecondMoment> SecondMoment::create(const SecondMomentSpec& spec, const KernelOptions& options) {
  if (const Status valid = check(spec); !valid.ok()) return valid.failure();
  auto choice = jit::choose(jit::second_moment_kernels(), spec, options);
  if (!choice.ok()) return choice.failure();
  SecondMoment moment;
  moment.spec_ = spec;
  moment.kernel_ = std::move(choice->kernel);
  moment.decisions_ = std::move(choice->decisions);
  try {
    moment.coarse_.resize(static_cast<std::size_t>(spec.rows * spec.cols));
    moment.fine_.resize(moment.coarse_.size());
    moment.chunks_.resize(kWaiting);
  } catch (const std::bad_alloc&) {
    return {Error::kOutOfMemory, "no memory for the sums", product_shape(spec, 0)};
  }
  return moment;
}

KernelCode SecondMoment::code() const { return kernel_->code(); }

Status SecondMoment::add(const float* y, const float* x, std::int64_t tokens, const RunOptions& options) {
  if (tokens < 0 || options.threads < 0)
    return {Error::kBadArgument, "tokens and threads must not be negative"};
  if (tokens == 0 || coarse_.empty()) return {};
  if (x == nullptr || spec_.symmetric != (y == nullptr))
    return {Error::kBadArgument, "expected x, and y exactly when the sum is not symmetric"};
  for (std::int64_t first = 0; first < tokens; first += kChunk) {
    const std::int64_t count = std::min(kChunk, tokens - first);
    if (const Status packed = pack(y == nullptr ? nullptr : y + first * spec_.rows, x + first * spec_.cols,
                                   count, options.threads);
        !packed.ok())
      return packed;
    const bool full = waiting_ == kWaiting ||
                      chunks_[waiting_ - 1].bytes * static_cast<std::int64_t>(waiting_) >= kWaitingBytes;
    if (!full) continue;
    if (const Status done = finish(options); !done.ok()) return done;
  }
  return {};
}

Status SecondMoment::pack(const float* y, const float* x, std::int64_t tokens, int threads) {
  Chunk& chunk = chunks_[waiting_];
  const std::int64_t y_panels = spec_.symmetric ? 0 : panels_of(spec_.rows),
                     panels = y_panels + panels_of(spec_.cols),
                     panel_bytes = kernel_->panel_bytes(steps_of(tokens));
  if (chunk.bytes < panels * panel_bytes) {
    chunk.panels.reset();
    chunk.bytes = 0;
    chunk.panels.reset(static_cast<std::uint8_t*>(jit::allocate_large(panels * panel_bytes)));
    if (chunk.panels == nullptr)
      return {Error::kOutOfMemory, "no memory for the codes of a chunk", product_shape(spec_, tokens)};
    chunk.bytes = panels * panel_bytes;
  }
  chunk.tokens = tokens;
  if (panels * kMomentPanel * tokens < kParallelProducts / 16) threads = 1;
  const auto groups_of = [](std::int64_t count) {
    return (count + simd::kPackPanels - 1) / simd::kPackPanels;
  };
  const std::int64_t y_groups = groups_of(y_panels), groups = y_groups + groups_of(panels - y_panels);
  jit::for_each_task(threads, groups, [&](std::int64_t task) {
    const bool of_y = task < y_groups;
    const std::int64_t first = (of_y ? task : task - y_groups) * simd::kPackPanels,
                       columns = of_y ? spec_.rows : spec_.cols, left = columns - first * kMomentPanel;
    kernel_->pack({.x = (of_y ? y : x) + first * kMomentPanel,
                   .stride = columns * static_cast<std::int64_t>(sizeof(float)),
                   .tokens = tokens,
                   .columns = std::min<std::int64_t>(simd::kPackPanels * kMomentPanel, left),
                   .panel = chunk.panels.get() + (of_y ? first : y_panels + first) * panel_bytes,
                   .panel_bytes = panel_bytes});
  });
  ++waiting_;
  return {};
}

const std::uint8_t* SecondMoment::y_panel(const Chunk& chunk, std::int64_t panel) const {
  return chunk.panels.get() + panel * kernel_->panel_bytes(steps_of(chunk.tokens));
}

const std::uint8_t* SecondMoment::x_panel(const Chunk& chunk, std::int64_t panel) const {
  return y_panel(chunk, panel + (spec_.symmetric ? 0 : panels_of(spec_.rows)));
}

// A block that hangs over the matrix: through a block of its own. Exact sums: the same bits.
void SecondMoment::multiply_edge(const Chunk& chunk, std::int64_t row_panel, std::int64_t col_panel) {
  alignas(64) double coarse[kMomentPanel * kMomentPanel] = {}, fine[kMomentPanel * kMomentPanel] = {};
  const std::int64_t steps = steps_of(chunk.tokens);
  kernel_->block({.y = y_panel(chunk, row_panel),
                  .x = x_panel(chunk, col_panel),
                  .panel_bytes = kernel_->panel_bytes(steps),
                  .panels = 1,
                  .steps = steps,
                  .coarse = coarse,
                  .fine = fine,
                  .stride = kMomentPanel * sizeof(double)});
  const std::int64_t row = row_panel * kMomentPanel, col = col_panel * kMomentPanel;
  for (std::int64_t i = 0; i < std::min<std::int64_t>(kMomentPanel, spec_.rows - row); ++i) {
    for (std::int64_t j = 0; j < std::min<std::int64_t>(kMomentPanel, spec_.cols - col); ++j) {
      const auto at = static_cast<std::size_t>((row + i) * spec_.cols + col + j);
      coarse_[at] += coarse[i * kMomentPanel + j];
      fine_[at] += fine[i * kMomentPanel + j];
    }
  }
}

// `side` by `side` panels, in panels; of a symmetric sum the upper triangle.
void SecondMoment::multiply_block(std::int64_t first_row, std::int64_t first_col, std::int64_t side) {
  const std::int64_t full_cols = spec_.cols / kMomentPanel,
                     row_end = std::min(first_row + side, panels_of(spec_.rows)),
                     col_end = std::min(first_col + side, panels_of(spec_.cols));
  for (std::size_t c = 0; c < waiting_; ++c) {
    const Chunk& chunk = chunks_[c];
    const std::int64_t steps = steps_of(chunk.tokens);
    for (std::int64_t row = first_row; row < row_end; ++row) {
      std::int64_t col = spec_.symmetric ? std::max(first_col, row) : first_col;
      const bool whole_rows = (row + 1) * kMomentPanel <= spec_.rows;
      if (whole_rows && col < std::min(col_end, full_cols)) {
        const std::int64_t panels = std::min(col_end, full_cols) - col,
                           at = row * kMomentPanel * spec_.cols + col * kMomentPanel;
        kernel_->block({.y = y_panel(chunk, row),
                        .x = x_panel(chunk, col),
                        .panel_bytes = kernel_->panel_bytes(steps),
                        .panels = panels,
                        .steps = steps,
                        .coarse = coarse_.data() + at,
                        .fine = fine_.data() + at,
                        .stride = spec_.cols * static_cast<std::int64_t>(sizeof(double))});
        col += panels;
      }
      for (; col < col_end; ++col) multiply_edge(chunk, row, col);
    }
  }
}

Status SecondMoment::finish(const RunOptions& options) {
  if (options.threads < 0) return {Error::kBadArgument, "threads must not be negative"};
  if (waiting_ == 0) return {};
  std::int64_t tokens = 0;
  for (std::size_t c = 0; c < waiting_; ++c) tokens += chunks_[c].tokens;
  const jit::ExecTimer timer([&] { return code().name + ": " + product_shape(spec_, tokens); });
  const std::int64_t row_panels = panels_of(spec_.rows), col_panels = panels_of(spec_.cols);
  int team = 1;
  if (tokens * spec_.rows * spec_.cols >= kParallelProducts)
    team = jit::team_size(options.threads, row_panels * col_panels);
  struct Block {
    std::int64_t row, col;
  };
  std::vector<Block> blocks;
  const auto split = [&](std::int64_t side) {
    blocks.clear();
    for (std::int64_t row = 0; row < row_panels; row += side)
      for (std::int64_t col = spec_.symmetric ? row : 0; col < col_panels; col += side)
        blocks.push_back({row, col});
  };
  std::int64_t side = kBlockPanels;
  split(side);
  while (side > 1 && team > 1 && blocks.size() < 4 * static_cast<std::size_t>(team)) split(side /= 2);
  std::atomic<std::size_t> next = 0;
  jit::for_each_thread(team, [&](int, int) {
    for (std::size_t b = next++; b < blocks.size(); b = next++)
      multiply_block(blocks[b].row, blocks[b].col, side);
  });
  waiting_ = 0;
  return {};
}

namespace jit {

const char* second_moment_refusal(const SecondMomentSpec&) { return nullptr; }

std::span<const SecondMomentKernelEntry> second_moment_kernels() {
  static constexpr SecondMomentKernelEntry kKernels[] = {
#define FOURGE_SECOND_MOMENT_KERNEL(isa_variant, isa, refusal, make) {isa_variant, isa, refusal, make},
#include "jit/kernels.inc"
  };
  return kKernels;
}

}  // namespace jit
}  // namespace fourge
