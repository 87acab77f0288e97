#include "jit/quantize/strips.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <mutex>

#include "fourge/hadamard.h"
#include "jit/element_io.h"
#include "jit/parallel.h"
#include "jit/quantize/quantize_scalar.h"
#include "jit/quantize/transpose.h"
#include "jit/workspace.h"

namespace fourge::jit {
namespace {

constexpr std::int64_t kElementsPerTask = std::int64_t{1} << 16;
// Below it the errors of Four Over Six come too near the smallest numbers for the kernels' bounds on them.
constexpr float kSmallestErrorAmax = 0x1p-36f;
constexpr std::int64_t kStagedRows = 16;  // rows of x^T made at once: a cache line of x each

template <class T>
T* scratch(Workspace purpose, std::int64_t count, Status& status) {
  auto* memory = static_cast<T*>(workspace(purpose, count * static_cast<std::int64_t>(sizeof(T))));
  if (memory == nullptr) status = Status(Error::kOutOfMemory, "no scratch memory for a strip");
  return memory;
}

}  // namespace

QuantizerSpec inner_spec(const QuantizerSpec& spec) {
  QuantizerSpec inner = spec;
  inner.transpose = false;
  if (spec.rotate != 0 && !rotates_in_group(spec.rotate)) {
    inner.rotate = 0;
    inner.signs = false;
    inner.input = ElementFormat::f32;
  }
  return inner;
}

StripPass::StripPass(const QuantizerSpec& spec, const QuantizeKernel& kernel,
                     const QuantizeOperands& operands, int threads)
    : spec_(spec),
      kernel_(kernel),
      operands_(operands),
      threads_(threads),
      kernel_spec_(inner_spec(spec)),
      rows_(spec.transpose ? operands.cols : operands.rows),
      cols_(spec.transpose ? operands.rows : operands.cols),
      rows_per_strip_(spec.quantize.block_2d ? info(spec.quantize.format).block : 1) {
  if (spec.rotate != 0) rotation_scale_ = operands.rotation_scale.value_or(orthonormal_scale(spec.rotate));
  if (kernel_spec_.signs) sign_words_ = kernel_sign_words();
  plan_tasks();
}

std::vector<std::uint32_t> StripPass::kernel_sign_words() const {
  std::vector<std::uint32_t> words(kGroup);
  for (int i = 0; i < kGroup; ++i) {
    const std::int64_t element = i % spec_.rotate;
    words[static_cast<std::size_t>(sign_word_index(i))] = (operands_.signs[element / 8] >> (element % 8) & 1u)
                                                          << 31;
  }
  return words;
}

void StripPass::plan_tasks() {
  const bool has_gaps = operands_.x_stride != 0 && operands_.x_stride != operands_.cols;
  is_flat_ = kernel_spec_ == spec_ && !has_gaps && rows_per_strip_ == 1 &&
             spec_.quantize.layout == ScaleLayout::linear;
  if (is_flat_) {
    rows_per_task_ = 1;
    cols_per_task_ = kElementsPerTask;
    tasks_ = (rows_ * cols_ + cols_per_task_ - 1) / cols_per_task_;
    return;
  }
  const std::int64_t unit = spec_.transpose ? std::max(kStagedRows, rows_per_strip_) : rows_per_strip_;
  rows_per_task_ = std::max<std::int64_t>(unit, kElementsPerTask / cols_ / unit * unit);
  cols_per_task_ = cols_;
  tasks_ = (rows_ + rows_per_task_ - 1) / rows_per_task_;
}

StripPass::Task StripPass::task_at(std::int64_t index) const {
  if (is_flat_) {
    const std::int64_t first = index * cols_per_task_;
    return {0, 1, first, std::min(cols_per_task_, rows_ * cols_ - first)};
  }
  const std::int64_t row = index * rows_per_task_;
  return {row, std::min(rows_per_task_, rows_ - row), 0, cols_};
}

StripPass::Source StripPass::source_of(const Task& task, Status& status) const {
  if (kernel_spec_ != spec_) return staged(task, status);
  const std::int64_t bytes = plain_bytes(spec_.input);
  const std::int64_t stride = operands_.x_stride != 0 ? operands_.x_stride : operands_.cols;
  return {static_cast<const std::uint8_t*>(operands_.x) + (task.row * stride + task.first_col) * bytes,
          stride * bytes};
}

// Rows of x, or columns where the spec transposes, copied without gaps; rotated where the kernel does not.
StripPass::Source StripPass::staged(const Task& task, Status& status) const {
  const std::int64_t bytes = plain_bytes(spec_.input);
  const std::int64_t stride = operands_.x_stride != 0 ? operands_.x_stride : operands_.cols;
  const auto* x = static_cast<const std::uint8_t*>(operands_.x);
  Source source{x + task.row * stride * bytes, stride * bytes};
  if (spec_.transpose) {
    auto* columns = scratch<std::uint8_t>(Workspace::kTransposed, task.rows * cols_ * bytes, status);
    if (columns == nullptr) return {};
    transpose_elements(x + task.row * bytes, cols_, task.rows, stride * bytes, bytes, columns);
    source = {columns, cols_ * bytes};
  }
  if (kernel_spec_.rotate == spec_.rotate) return source;
  auto* rotated = scratch<float>(Workspace::kRotated, task.rows * cols_, status);
  if (rotated == nullptr) return {};
  const Result<Hadamard> hadamard = Hadamard::create(
      {.order = spec_.rotate, .input = spec_.input, .output = ElementFormat::f32, .signs = spec_.signs});
  status = !hadamard.ok() ? Status(hadamard.failure())
                          : hadamard->run({.x = source.data,
                                           .y = rotated,
                                           .rows = task.rows,
                                           .cols = cols_,
                                           .x_stride = source.stride / bytes,
                                           .signs = operands_.signs,
                                           .scale = rotation_scale_},
                                          {.threads = 1});
  return {reinterpret_cast<const std::uint8_t*>(rotated), cols_ * 4};
}

Status StripPass::find_amax(float& amax) {
  std::atomic<std::uint32_t> largest = 0;
  Status failed;
  std::mutex failed_mutex;
  const std::int64_t bytes = plain_bytes(kernel_spec_.input);
  for_each_task(threads_, tasks_, [&](std::int64_t index) {
    const Task task = task_at(index);
    Status status;
    const Source source = source_of(task, status);
    alignas(64) std::uint8_t tail[kGroup * 4];
    float task_amax = 0.0f;
    for (std::int64_t r = 0; r < task.rows && status.ok(); ++r) {
      const std::uint8_t* row = source.data + r * source.stride;
      AmaxArgs args{row, task.cols / kGroup, sign_words_.data(), rotation_scale_, 0.0f, {}};
      if (args.groups > 0) {
        kernel_.amax(args);
        task_amax = std::max(task_amax, args.amax);
      }
      if (const std::int64_t left = task.cols % kGroup; left != 0) {
        std::memset(tail, 0, sizeof tail);
        std::memcpy(tail, row + (task.cols - left) * bytes, static_cast<std::size_t>(left * bytes));
        args = {tail, 1, sign_words_.data(), rotation_scale_, 0.0f, {}};
        kernel_.amax(args);
        task_amax = std::max(task_amax, args.amax);
      }
    }
    if (!status.ok()) {
      const std::lock_guard lock(failed_mutex);
      failed = status;
    }
    const auto found = std::bit_cast<std::uint32_t>(task_amax);  // magnitudes are ordered like their bits
    std::uint32_t so_far = largest;
    while (found > so_far && !largest.compare_exchange_weak(so_far, found)) {
    }
  });
  amax = std::bit_cast<float>(largest.load());
  return failed;
}

Status StripPass::quantize(const StripArgs& tensor, QuantizeOutcome& outcome) {
  const QuantizeSpec& q = spec_.quantize;
  const std::int64_t block = info(q.format).block;
  if (q.layout != ScaleLayout::linear)  // padding; the strips write the rest
    std::memset(operands_.scales, 0, static_cast<std::size_t>(scale_bytes(q.layout, rows_, cols_ / block)));
  Status failed;
  std::mutex failed_mutex;
  for_each_task(threads_, tasks_, [&](std::int64_t index) {
    const Task task = task_at(index);
    Status status;
    const Source source = source_of(task, status);
    if (status.ok()) {
      run_task(tensor, task, source);
    } else {
      const std::lock_guard lock(failed_mutex);
      failed = status;
    }
  });
  outcome.blocks = (rows_ + rows_per_strip_ - 1) / rows_per_strip_ * (cols_ / block);
  outcome.redone_blocks = redone_blocks_;
  return failed;
}

StripArgs StripPass::strip_args(const StripArgs& tensor, const Task& task, const Source& source) const {
  const QuantizeSpec& q = spec_.quantize;
  const std::int64_t block = info(q.format).block, scale_cols = cols_ / block;
  StripArgs args = tensor;
  args.x = source.data;
  args.x_stride = source.stride;
  args.rows = task.rows;
  args.codes = operands_.codes + (task.row * cols_ + task.first_col) / 2;
  args.codes_stride = cols_ / 2;
  args.scales = operands_.scales +
                (is_flat_ ? task.first_col / block : scale_offset(q.layout, task.row, 0, scale_cols));
  args.scale_step = q.layout == ScaleLayout::linear ? 4 : q.layout == ScaleLayout::swizzled_128x4 ? 512 : 32;
  args.sign_words = sign_words_.data();
  args.rotation_scale = rotation_scale_;
  args.first_run = static_cast<std::uint64_t>((task.row * cols_ + task.first_col) / 16);
  args.run_step = cols_ / 16;
  return args;
}

void StripPass::run_task(const StripArgs& tensor, const Task& task, const Source& source) {
  for (std::int64_t r = 0; r < task.rows; r += rows_per_strip_) {
    const Task strip{task.row + r, std::min(rows_per_strip_, task.rows - r), task.first_col, task.cols};
    run_strip(strip_args(tensor, strip, {source.data + r * source.stride, source.stride}), strip.cols);
    if (strip.rows > 1) replicate_scales(strip);
  }
}

// Flags live on the stack, so a long row goes in pieces.
void StripPass::run_strip(const StripArgs& strip, std::int64_t cols) {
  constexpr std::int64_t kMostGroups = 256;
  const std::int64_t width = info(spec_.quantize.format).block, groups = cols / kGroup;
  for (std::int64_t done = 0; done < groups; done += kMostGroups) {
    std::uint16_t flags[kMostGroups];
    StripArgs args = strip;
    args.groups = std::min(kMostGroups, groups - done);
    args.x = static_cast<const std::uint8_t*>(strip.x) + done * kGroup * plain_bytes(kernel_spec_.input);
    args.codes += done * kGroup / 2;
    args.scales += done * kGroup / width / 4 * strip.scale_step;
    args.first_run += static_cast<std::uint64_t>(done * kGroup / 16);
    args.flags = flags;
    kernel_.strip(args);
    redo(args);
  }
  if (cols % kGroup != 0) run_tail(strip, groups * kGroup, cols - groups * kGroup);
}

// The last `cols` < 256 columns, through buffers filled up with zeros.
void StripPass::run_tail(const StripArgs& strip, std::int64_t done, std::int64_t cols) {
  const std::int64_t bytes = plain_bytes(kernel_spec_.input), width = info(spec_.quantize.format).block;
  alignas(64) std::uint8_t x[32 * kGroup * 4];
  alignas(64) std::uint8_t codes[32 * kGroup / 2];
  std::uint8_t scales[16];
  std::uint16_t flags[1];
  for (std::int64_t r = 0; r < strip.rows; ++r) {
    std::uint8_t* row = x + r * kGroup * bytes;
    std::memcpy(row, static_cast<const std::uint8_t*>(strip.x) + r * strip.x_stride + done * bytes,
                static_cast<std::size_t>(cols * bytes));
    std::memset(row + cols * bytes, 0, static_cast<std::size_t>((kGroup - cols) * bytes));
  }
  StripArgs args = strip;
  args.x = x;
  args.x_stride = kGroup * bytes;
  args.groups = 1;
  args.codes = codes;
  args.codes_stride = kGroup / 2;
  args.scales = scales;
  args.scale_step = 4;
  args.flags = flags;
  args.first_run += static_cast<std::uint64_t>(done / 16);
  kernel_.strip(args);
  redo(args);
  for (std::int64_t r = 0; r < strip.rows; ++r) {
    std::memcpy(strip.codes + r * strip.codes_stride + done / 2, codes + r * args.codes_stride,
                static_cast<std::size_t>(cols / 2));
  }
  for (std::int64_t b = 0; b < cols / width; ++b) {
    const std::int64_t column = done / width + b;
    strip.scales[column / 4 * strip.scale_step + column % 4] = scales[b];
  }
}

void StripPass::redo(const StripArgs& args) {
  if (is_four_over_six(spec_.quantize.rule) && args.amax < kSmallestErrorAmax)
    std::fill_n(args.flags, args.groups,
                static_cast<std::uint16_t>((1u << blocks_of_group(spec_.quantize.format)) - 1));
  for (std::int64_t group = 0; group < args.groups; ++group) {
    if (args.flags[group] == 0) continue;
    redo_blocks(kernel_spec_, args, group, args.flags[group]);
    redone_blocks_ += std::popcount(args.flags[group]);
  }
}

// One scale a square: the first row's bytes for every row of the strip.
void StripPass::replicate_scales(const Task& strip) {
  const ScaleLayout layout = spec_.quantize.layout;
  const std::int64_t columns = cols_ / info(spec_.quantize.format).block;
  for (std::int64_t r = 1; r < strip.rows; ++r) {
    for (std::int64_t c = 0; c < columns; ++c) {
      operands_.scales[scale_offset(layout, strip.row + r, c, columns)] =
          operands_.scales[scale_offset(layout, strip.row, c, columns)];
    }
  }
}

void StripPass::write_zeros() {
  const std::int64_t columns = cols_ / info(spec_.quantize.format).block;
  std::memset(operands_.codes, 0, static_cast<std::size_t>(rows_ * cols_ / 2));
  std::memset(operands_.scales, 0,
              static_cast<std::size_t>(scale_bytes(spec_.quantize.layout, rows_, columns)));
}

}  // namespace fourge::jit
