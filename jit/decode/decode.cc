#include "fourge/decode.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstdlib>
#include <cstring>

#include "jit/decode/decode_kernel.h"
#include "jit/element_io.h"
#include "jit/parallel.h"
#include "jit/verbose.h"
#include "jit/workspace.h"

namespace fourge {
namespace {

constexpr std::int64_t kMaxExtent = std::int64_t{1} << 40;
constexpr std::int64_t kElementsPerTask = std::int64_t{1} << 16;

std::string shape(std::int64_t rows, std::int64_t cols) {
  return std::to_string(rows) + " x " + std::to_string(cols);
}

Status check_operands(const DecodeSpec& spec, const QuantizedView& matrix, const void* y,
                      std::int64_t y_stride) {
  const std::string where = shape(matrix.rows, matrix.cols);
  if (matrix.format != spec.format) {
    return {Error::kUnsupportedFormat, "the matrix is not in the spec's format",
            std::string(name_of(matrix.format)) + ", expected " + name_of(spec.format)};
  }
  if (matrix.rows < 0 || matrix.cols < 0 || matrix.rows > kMaxExtent || matrix.cols > kMaxExtent)
    return {Error::kBadShape, "expected extents from 0 to 2^40", where};
  if (matrix.cols % info(spec.format).block != 0)
    return {Error::kBadShape, "expected columns in multiples of the scale block", where};
  if (y_stride != 0 && (y_stride < matrix.cols || y_stride > kMaxExtent))
    return {Error::kBadShape, "expected a stride of at least cols, or 0", std::to_string(y_stride)};
  if (matrix.rows == 0 || matrix.cols == 0) return {};
  if (matrix.codes == nullptr || matrix.scales == nullptr || y == nullptr)
    return {Error::kBadArgument, "null codes, scales or output"};
  return {};
}

// The calling thread's last table: models decode many tensors of few scales, activations one after another.
const jit::DecodeTable* table_for(const DecodeSpec& spec, float tensor_scale) {
  thread_local std::unique_ptr<jit::DecodeTable> last;
  if (last == nullptr || !last->is_for(spec, tensor_scale))
    last = std::make_unique<jit::DecodeTable>(spec, tensor_scale);
  return last->data() != nullptr ? last.get() : nullptr;
}

// How the scales of rows lie from `row` on, and for how many rows that holds.
struct ScaleSteps {
  std::int64_t four, row, rows;
};
ScaleSteps scale_steps(const QuantizedView& matrix, std::int64_t row) {
  switch (matrix.layout) {
    case ScaleLayout::swizzled_128x4:
      return {512, 16, 32 - row % 32};
    case ScaleLayout::swizzled_8x4:
      return {32, 4, 8 - row % 8};
    case ScaleLayout::linear:
      break;
  }
  return {4, matrix.scale_cols(), matrix.rows - row};
}

}  // namespace

Status check(const DecodeSpec& spec) {
  if (!jit::is_plain(spec.output))
    return {Error::kUnsupportedFormat, "expected f32, bf16 or f16", name_of(spec.output)};
  return {};
}

std::string kernel_name(const DecodeSpec& spec) {
  return std::string("decode_") + name_of(spec.output) + "_" + name_of(spec.format);
}

Result<Decoder> Decoder::create(const DecodeSpec& spec, const KernelOptions& options) {
  if (const Status valid = check(spec); !valid.ok()) return valid.failure();
  auto choice = jit::choose(jit::decode_kernels(), spec, options);
  if (!choice.ok()) return choice.failure();
  Decoder decoder;
  decoder.spec_ = spec;
  decoder.kernel_ = std::move(choice->kernel);
  decoder.decisions_ = std::move(choice->decisions);
  return decoder;
}

KernelCode Decoder::code() const { return kernel_->code(); }

Status Decoder::run(const QuantizedView& matrix, void* y, std::int64_t y_stride,
                    const RunOptions& options) const {
  if (const Status valid = check_operands(spec_, matrix, y, y_stride); !valid.ok()) return valid;
  if (options.threads < 0) return {Error::kBadArgument, "threads must not be negative"};
  if (matrix.rows == 0 || matrix.cols == 0) return {};
  const jit::ExecTimer timer(
      [&] { return code().name + ": " + std::to_string(matrix.rows) + " x " + std::to_string(matrix.cols); });
  const jit::DecodeTable* table = table_for(spec_, matrix.tensor_scale.as_decode_multiplier());
  if (table == nullptr) return {Error::kOutOfMemory, "no memory for the table of products"};

  const std::int64_t bytes = jit::plain_bytes(spec_.output), block = info(spec_.format).block;
  const std::int64_t stride = y_stride != 0 ? y_stride : matrix.cols;
  const bool is_flat = matrix.layout == ScaleLayout::linear && stride == matrix.cols;  // one long row
  const std::int64_t rows = is_flat ? 1 : matrix.rows,
                     cols = is_flat ? matrix.rows * matrix.cols : matrix.cols;
  const std::int64_t rows_per_task = std::max<std::int64_t>(1, kElementsPerTask / cols);
  const std::int64_t cols_per_task = is_flat ? kElementsPerTask : cols;
  const std::int64_t tasks =
      is_flat ? (cols + cols_per_task - 1) / cols_per_task : (rows + rows_per_task - 1) / rows_per_task;
  std::atomic<bool> no_memory = false;
  jit::for_each_task(options.threads, tasks, [&](std::int64_t task) {
    auto* scratch =
        static_cast<std::uint8_t*>(jit::workspace(jit::Workspace::kScales, round_up(matrix.scale_cols(), 4)));
    if (scratch == nullptr) {
      no_memory = true;
      return;
    }
    auto* const out = static_cast<std::uint8_t*>(y);
    if (is_flat) {
      const std::int64_t col = task * cols_per_task;
      kernel_->run({matrix.codes + col / 2, matrix.scales + col / block, out + col * bytes, table->data(),
                    std::min(cols_per_task, cols - col) / block});
      return;
    }
    const std::int64_t last_row = std::min(rows, (task + 1) * rows_per_task);
    for (std::int64_t row = task * rows_per_task; row < last_row;) {
      const ScaleSteps steps = scale_steps(matrix, row);
      const std::int64_t count = std::min(steps.rows, last_row - row);
      kernel_->run_rows({.first = {matrix.codes + row * cols / 2,
                                   matrix.scales + scale_offset(matrix.layout, row, 0, matrix.scale_cols()),
                                   out + row * stride * bytes, table->data(), cols / block},
                         .rows = count,
                         .code_step = cols / 2,
                         .y_step = stride * bytes,
                         .scale_step = steps.four,
                         .scale_row_step = steps.row,
                         .scratch = scratch});
      row += count;
    }
  });
  if (no_memory) return {Error::kOutOfMemory, "no scratch memory for a row of scales"};
  return {};
}

namespace jit {

DecodeTable::DecodeTable(const DecodeSpec& spec, float tensor_scale)
    : spec_(spec), tensor_scale_(tensor_scale), data_(nullptr, &std::free) {
  const std::int64_t row_bytes = 16 * plain_bytes(spec.output);
  const auto bytes = static_cast<std::size_t>(scale_codes(spec.format) * row_bytes);
  data_.reset(static_cast<std::uint8_t*>(std::aligned_alloc(64, bytes)));
  if (data_ == nullptr) return;
  float elements[16];
  for (std::uint32_t code = 0; code < 16; ++code) elements[code] = decode_f32(ElementFormat::e2m1, code);
  for (int scale_code = 0; scale_code < scale_codes(spec.format); ++scale_code) {
    const float scale = decode_f32(info(spec.format).scale, static_cast<std::uint32_t>(scale_code));
    float row[16];
    for (int i = 0; i < 16; ++i) row[i] = elements[i] * scale * tensor_scale;
    store_elements(spec.output, row, 16, data_.get() + scale_code * row_bytes);
  }
}

bool DecodeTable::is_for(const DecodeSpec& spec, float tensor_scale) const {
  return spec == spec_ &&
         std::bit_cast<std::uint32_t>(tensor_scale) == std::bit_cast<std::uint32_t>(tensor_scale_);
}

void DecodeKernel::run_rows(const DecodeRows& rows) const {
  DecodeArgs args = rows.first;
  for (std::int64_t row = 0; row < rows.rows; ++row) {
    const std::uint8_t* scales = rows.first.scales + row * rows.scale_row_step;
    args.scales = scales;
    if (rows.scale_step != 4) {
      for (std::int64_t four = 0; four < (args.blocks + 3) / 4; ++four)
        std::memcpy(rows.scratch + 4 * four, scales + four * rows.scale_step, 4);
      args.scales = rows.scratch;
    }
    run(args);
    args.codes += rows.code_step;
    args.y += rows.y_step;
  }
}

std::span<const DecodeKernelEntry> decode_kernels() {
  static constexpr DecodeKernelEntry kKernels[] = {
#define FOURGE_DECODE_KERNEL(isa_variant, isa, refusal, make) {isa_variant, isa, refusal, make},
#include "jit/kernels.inc"
  };
  return kKernels;
}

}  // namespace jit
}  // namespace fourge
