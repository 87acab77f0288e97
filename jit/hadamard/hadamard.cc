#include "fourge/hadamard.h"

#include <algorithm>
#include <atomic>
#include <cmath>

#include "jit/cpu.h"
#include "jit/element_io.h"
#include "jit/hadamard/hadamard_kernel.h"
#include "jit/parallel.h"
#include "jit/verbose.h"
#include "jit/workspace.h"

namespace fourge {
namespace {

constexpr std::int64_t kMaxExtent = std::int64_t{1}
                                    << 40;  // rows, cols and strides; products stay in 64 bits
constexpr std::int64_t kElementsPerTask = std::int64_t{1} << 16;

std::string shape(std::int64_t rows, std::int64_t cols) {
  return std::to_string(rows) + " x " + std::to_string(cols);
}

// Rows of blocks in memory; where nothing lies between rows, one long row.
struct Blocks {
  std::int64_t rows, per_row;
  std::int64_t x_row, y_row, x_step, y_step;  // bytes
};

Blocks blocks_of(const HadamardSpec& spec, const HadamardOperands& operands) {
  const std::int64_t x_bytes = jit::plain_bytes(spec.input), y_bytes = jit::plain_bytes(spec.output);
  const std::int64_t x_stride = operands.x_stride != 0 ? operands.x_stride : operands.cols;
  const std::int64_t y_stride = operands.y_stride != 0 ? operands.y_stride : operands.cols;
  Blocks blocks{operands.rows,      operands.cols / spec.order, x_stride * x_bytes,
                y_stride * y_bytes, spec.order * x_bytes,       spec.order * y_bytes};
  if (blocks.per_row == 1 && spec.order >= 16) {
    blocks = {1, operands.rows, 0, 0, blocks.x_row, blocks.y_row};
  } else if (x_stride == operands.cols && y_stride == operands.cols) {
    blocks.per_row *= blocks.rows, blocks.rows = 1;
  }
  return blocks;
}

// Beyond half of a cache, what the call reads first is gone at its end.
jit::Footprint footprint_of(const HadamardSpec& spec, const HadamardOperands& o) {
  const std::int64_t sides = o.x == o.y ? 0 : jit::plain_bytes(spec.input);
  const std::int64_t bytes = o.rows * o.cols * (sides + jit::plain_bytes(spec.output));
  const jit::CacheSizes& caches = jit::host_caches();
  return bytes > caches.l3 / 2   ? jit::Footprint::in_memory
         : bytes > caches.l2 / 2 ? jit::Footprint::in_l3
                                 : jit::Footprint::in_l2;
}

Status check_operands(const HadamardSpec& spec, const HadamardOperands& o) {
  const std::string where = shape(o.rows, o.cols);
  if (o.rows < 0 || o.cols < 0 || o.rows > kMaxExtent || o.cols > kMaxExtent)
    return {Error::kBadShape, "expected extents from 0 to 2^40", where};
  if (o.cols % spec.order != 0)
    return {Error::kBadShape, "expected columns in multiples of the order",
            where + ", order " + std::to_string(spec.order)};
  for (const std::int64_t stride : {o.x_stride, o.y_stride}) {
    if (stride != 0 && (stride < o.cols || stride > kMaxExtent))
      return {Error::kBadShape, "expected a stride of at least cols, or 0", std::to_string(stride)};
  }
  if (o.rows == 0 || o.cols == 0) return {};
  if (o.x == nullptr || o.y == nullptr) return {Error::kBadArgument, "null matrix"};
  if (spec.signs != (o.signs != nullptr))
    return {Error::kBadArgument, "signs must be given exactly when the spec has them"};
  if (o.x == o.y) {
    const std::int64_t x_stride = o.x_stride != 0 ? o.x_stride : o.cols;
    const std::int64_t y_stride = o.y_stride != 0 ? o.y_stride : o.cols;
    if (spec.input != spec.output || x_stride != y_stride)
      return {Error::kBadArgument, "in place needs the same format and stride on both sides"};
  }
  return {};
}

// One word an element; a vector of 16 for orders below that.
bool expand_signs(const HadamardSpec& spec, const std::uint8_t* signs, std::uint32_t* words) {
  if (words == nullptr) return false;
  for (std::int64_t i = 0; i < spec.order; ++i) words[i] = (signs[i / 8] >> (i % 8) & 1u) << 31;
  for (std::int64_t i = spec.order; i < 16; ++i) words[i] = words[i - spec.order];
  return true;
}

}  // namespace

Status check(const HadamardSpec& spec) {
  if (spec.order < 2 || spec.order > kLargestHadamardOrder || hadamard_factors(spec.order).paley == 0) {
    return {Error::kBadArgument, "expected a power of two from 2 to 32768, or 12, 20 or 28 times one",
            "order " + std::to_string(spec.order)};
  }
  if (!jit::is_plain(spec.input) || !jit::is_plain(spec.output)) {
    return {Error::kUnsupportedFormat, "expected f32, bf16 or f16",
            std::string(name_of(spec.input)) + " to " + name_of(spec.output)};
  }
  return {};
}

std::string kernel_name(const HadamardSpec& spec) {
  std::string name = std::string("hadamard_") + name_of(spec.output) + "_" + name_of(spec.input) + "_" +
                     std::to_string(spec.order);
  if (spec.signs) name += "_signs";
  if (spec.scaled) name += "_scaled";
  return name;
}

float orthonormal_scale(std::int64_t order) {
  return static_cast<float>(1.0 / std::sqrt(static_cast<double>(order)));
}

Result<Hadamard> Hadamard::create(const HadamardSpec& spec, const KernelOptions& options) {
  if (const Status valid = check(spec); !valid.ok()) return valid.failure();
  auto choice = jit::choose(jit::hadamard_kernels(), spec, options);
  if (!choice.ok()) return choice.failure();
  Hadamard hadamard;
  hadamard.spec_ = spec;
  hadamard.kernel_ = std::move(choice->kernel);
  hadamard.decisions_ = std::move(choice->decisions);
  return hadamard;
}

KernelCode Hadamard::code() const { return kernel_->code(); }

Status Hadamard::run(const HadamardOperands& operands, const RunOptions& options) const {
  if (const Status valid = check_operands(spec_, operands); !valid.ok()) return valid;
  if (options.threads < 0) return {Error::kBadArgument, "threads must not be negative"};
  if (operands.rows == 0 || operands.cols == 0) return {};
  const jit::ExecTimer timer([&] { return code().name + ": " + shape(operands.rows, operands.cols); });
  std::uint32_t* sign_words = nullptr;
  if (spec_.signs) {
    sign_words = static_cast<std::uint32_t*>(
        jit::workspace(jit::Workspace::kSigns, std::max<std::int64_t>(spec_.order, 16) * 4));
    if (!expand_signs(spec_, operands.signs, sign_words))
      return {Error::kOutOfMemory, "no scratch memory for the signs"};
  }
  const Blocks blocks = blocks_of(spec_, operands);
  const jit::Footprint footprint = footprint_of(spec_, operands);
  const std::int64_t per_task = std::max<std::int64_t>(1, kElementsPerTask / spec_.order);
  const std::int64_t tasks_per_row = (blocks.per_row + per_task - 1) / per_task;
  const std::int64_t tasks = blocks.rows * tasks_per_row;
  std::atomic<bool> no_memory = false;
  jit::for_each_task(options.threads, tasks, [&](std::int64_t task) {
    const std::int64_t row = task / tasks_per_row, first = task % tasks_per_row * per_task;
    jit::HadamardArgs args{};
    args.x = static_cast<const std::uint8_t*>(operands.x) + row * blocks.x_row + first * blocks.x_step;
    args.y = static_cast<std::uint8_t*>(operands.y) + row * blocks.y_row + first * blocks.y_step;
    args.work = static_cast<float*>(jit::workspace(jit::Workspace::kRotation, spec_.order * 4));
    args.sign_words = sign_words;
    args.count = std::min(per_task, blocks.per_row - first);
    args.x_step = blocks.x_step;
    args.y_step = blocks.y_step;
    args.scale = operands.scale;
    args.footprint = footprint;
    if (args.work == nullptr) {
      no_memory = true;
    } else {
      kernel_->run(args);
    }
  });
  if (no_memory) return {Error::kOutOfMemory, "no scratch memory for the rotation"};
  return {};
}

namespace jit {

std::span<const HadamardKernelEntry> hadamard_kernels() {
  static constexpr HadamardKernelEntry kKernels[] = {
#define FOURGE_HADAMARD_KERNEL(isa_variant, isa, refusal, make) {isa_variant, isa, refusal, make},
#include "jit/kernels.inc"
  };
  return kKernels;
}

}  // namespace jit
}  // namespace fourge
