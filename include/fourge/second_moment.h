// Second moments of activations, the Hessians of GPTQ: sums over tokens of x x^T or y x^T, in exact integers.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "fourge/error.h"
#include "fourge/kernel.h"

namespace fourge {

namespace jit {
class SecondMomentKernel;
}

struct SecondMomentSpec {
  std::int64_t rows = 0, cols = 0;  // of the sum; equal when symmetric
  bool symmetric = true;            // x x^T; else y x^T

  bool operator==(const SecondMomentSpec&) const = default;
};

Status check(const SecondMomentSpec& spec);
/// "second_moment_f64_f32".
std::string kernel_name(const SecondMomentSpec& spec);

/// The sum of y x^T over tokens, the same bits on every machine, for every number of threads, in whatever
/// order calls come and however tokens are dealt to processes, as long as the calls are the same:
///
/// A call's tokens are taken in chunks of kChunk. In a chunk, every column has a scale, the power of two 2^e
/// that puts its amax between 16,319.5 and 32,639 (= 127 * 257: two signed bytes): q = rne(x / 2^e). A column
/// whose amax is below 2^-60 is zero; one with a value that is not finite makes all its sums NaN. The integer
/// sum of q_y q_x over the chunk is exact (below 2^40), so is its product with both scales; that is rounded
/// (rne) to a multiple of 2^-34 and added to coarse + fine, without error as long as |coarse| stays below
/// 2^57 (multiples of 2^4) and |fine| below 2^19 (multiples of 2^-34: 65,536 chunks). Beyond those limits the
/// last bits depend on the order.
class SecondMoment {
 public:
  static constexpr std::int64_t kChunk = 1024;

  /// kBadShape; kUnsupportedIsa, kBadArgument as every operation's create(); kOutOfMemory.
  static Result<SecondMoment> create(const SecondMomentSpec& spec, const KernelOptions& options = {});

  /// x: tokens x cols, y: tokens x rows, row-major without gaps; y is null when the spec is symmetric. The
  /// values are taken now, their products with later ones: finish(). kBadArgument, kOutOfMemory.
  Status add(const float* y, const float* x, std::int64_t tokens, const RunOptions& options = {});
  /// Completes the sums.
  Status finish(const RunOptions& options = {});

  /// rows x cols, complete after finish(); their sum is the second moment. Symmetric: the upper triangle
  /// only.
  std::span<double> coarse() { return coarse_; }
  std::span<double> fine() { return fine_; }

  const SecondMomentSpec& spec() const { return spec_; }
  KernelCode code() const;
  const std::vector<std::string>& decisions() const { return decisions_; }

 private:
  struct Free {
    void operator()(std::uint8_t* bytes) const;
  };
  using Memory = std::unique_ptr<std::uint8_t[], Free>;
  struct Chunk {
    std::int64_t tokens = 0, bytes = 0;  // bytes: of `panels`
    Memory panels;                       // of y, unless symmetric, then of x
  };

  Status pack(const float* y, const float* x, std::int64_t tokens, int threads);
  void multiply_block(std::int64_t first_row, std::int64_t first_col, std::int64_t side);
  void multiply_edge(const Chunk& chunk, std::int64_t row_panel, std::int64_t col_panel);
  const std::uint8_t* y_panel(const Chunk& chunk, std::int64_t panel) const;
  const std::uint8_t* x_panel(const Chunk& chunk, std::int64_t panel) const;

  SecondMomentSpec spec_;
  std::shared_ptr<const jit::SecondMomentKernel> kernel_;
  std::vector<std::string> decisions_;
  std::vector<double> coarse_, fine_;
  std::vector<Chunk> chunks_;
  std::size_t waiting_ = 0;  // chunks packed and not multiplied
};

}  // namespace fourge
