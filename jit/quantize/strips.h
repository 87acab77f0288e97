// How a matrix is cut for the quantise kernels: strips of rows, whole groups, a padded last group.
#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

#include "fourge/quantizer.h"
#include "jit/quantize/quantize_kernel.h"

namespace fourge::jit {

/// One call of Quantizer::run on checked operands with at least one element.
class StripPass {
 public:
  StripPass(const QuantizerSpec& spec, const QuantizeKernel& kernel, const QuantizeOperands& operands,
            int threads);

  /// Largest |x| of the rotated tensor, NaN not counted. kOutOfMemory, or what a rotation beforehand says.
  Status find_amax(float& amax);
  /// `tensor` holds what is the same for every strip. Adds to outcome.blocks and .redone_blocks.
  Status quantize(const StripArgs& tensor, QuantizeOutcome& outcome);
  /// Codes and scales of a tensor of zeros.
  void write_zeros();

 private:
  // A task: some rows, or some groups of the one long row of a matrix without gaps.
  struct Task {
    std::int64_t row, rows, first_col, cols;
  };
  // Where a task's rows lie as the kernel wants them.
  struct Source {
    const std::uint8_t* data = nullptr;
    std::int64_t stride = 0;  // bytes
  };

  void plan_tasks();
  Task task_at(std::int64_t index) const;
  Source source_of(const Task& task, Status& status) const;
  Source staged(const Task& task, Status& status) const;
  std::vector<std::uint32_t> kernel_sign_words() const;
  StripArgs strip_args(const StripArgs& tensor, const Task& task, const Source& source) const;
  void run_task(const StripArgs& tensor, const Task& task, const Source& source);
  void run_strip(const StripArgs& args, std::int64_t cols);
  void run_tail(const StripArgs& args, std::int64_t done, std::int64_t cols);
  void redo(const StripArgs& args);
  void replicate_scales(const Task& task);

  const QuantizerSpec& spec_;
  const QuantizeKernel& kernel_;
  const QuantizeOperands& operands_;
  int threads_;
  QuantizerSpec kernel_spec_;  // of what the kernel itself does
  std::int64_t rows_, cols_;   // of the quantised matrix
  std::int64_t rows_per_strip_;
  bool is_flat_ = false;
  std::int64_t tasks_ = 0, rows_per_task_ = 0, cols_per_task_ = 0;
  float rotation_scale_ = 1.0f;
  std::vector<std::uint32_t> sign_words_;
  std::atomic<std::int64_t> redone_blocks_ = 0;
};

/// What a kernel for `spec` does itself: transposition, and rotations of other orders than
/// rotates_in_group(), happen beforehand, the latter to f32.
QuantizerSpec inner_spec(const QuantizerSpec& spec);

}  // namespace fourge::jit
