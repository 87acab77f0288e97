#include "quant/model/matmul.h"

#include <algorithm>
#include <cstring>
#include <vector>

#if defined(_OPENMP)
#include <omp.h>
#endif

#include "quant/model/vector_kernels.h"

namespace fourge::quant {
namespace {

constexpr std::int64_t kParallelOperations = std::int64_t{1} << 20;

/// tiles[i / kTileRows][t][i % kTileRows] = A(i, first_k + t); rows beyond m are zero.
void pack_rows(const LeftOperand& a, std::int64_t m, std::int64_t first_k, std::int64_t depth,
               std::int64_t tile, float* packed) {
  const std::int64_t first = tile * kTileRows, rows = std::min(kTileRows, m - first);
  if (rows < kTileRows) std::memset(packed, 0, static_cast<std::size_t>(depth * kTileRows) * sizeof(float));
  const float* corner = a.values + first * a.row_stride + first_k * a.k_stride;
  if (a.row_stride == 1) {
    for (std::int64_t t = 0; t < depth; ++t) {
      for (std::int64_t i = 0; i < rows; ++i) packed[t * kTileRows + i] = corner[t * a.k_stride + i];
    }
    return;
  }
  for (std::int64_t i = 0; i < rows; ++i) {
    const float* from = corner + i * a.row_stride;
    for (std::int64_t t = 0; t < depth; ++t) packed[t * kTileRows + i] = from[t * a.k_stride];
  }
}

/// One tile of C; where it hangs over the edge, through a buffer.
void multiply_edge(const Product& product, const float* a, const float* b, std::int64_t depth,
                   std::int64_t row, std::int64_t column, bool accumulate) {
  const std::int64_t rows = std::min(kTileRows, product.m - row),
                     columns = std::min(kPanelWidth, product.n - column);
  float* c = product.c + row * product.c_stride + column;
  if (rows == kTileRows && columns == kPanelWidth) {
    multiply_tile(a, b, depth, c, product.c_stride, accumulate);
    return;
  }
  float tile[kTileRows * kPanelWidth];
  multiply_tile(a, b, depth, tile, kPanelWidth, false);
  for (std::int64_t i = 0; i < rows; ++i) {
    for (std::int64_t j = 0; j < columns; ++j) {
      float& out = c[i * product.c_stride + j];
      out = accumulate ? out + tile[i * kPanelWidth + j] : tile[i * kPanelWidth + j];
    }
  }
}

/// Scratch that a thread keeps from product to product.
float* thread_panel() {
  thread_local std::vector<float> panel(static_cast<std::size_t>(kDepth * kPanelWidth));
  return panel.data();
}

/// Packed rows of A, shared by the threads of one product; nested products (attention heads in parallel) each
/// have their own.
std::vector<float>& packed_rows() {
  thread_local std::vector<float> rows;
  return rows;
}

bool runs_alone(const Product& product) {
#if defined(_OPENMP)
  return omp_in_parallel() != 0 || product.m * product.n * product.k < kParallelOperations;
#else
  static_cast<void>(product);
  return true;
#endif
}

}  // namespace

void StridedSource::fill(std::int64_t first_k, std::int64_t depth, std::int64_t first_n, std::int64_t columns,
                         float* panel) const {
  const float* from = values_ + first_k * k_stride_ + first_n * n_stride_;
  if (n_stride_ == 1) {
    for (std::int64_t t = 0; t < depth; ++t)
      std::memcpy(panel + t * kPanelWidth, from + t * k_stride_,
                  static_cast<std::size_t>(columns) * sizeof(float));
    return;
  }
  for (std::int64_t j = 0; j < columns; ++j)
    for (std::int64_t t = 0; t < depth; ++t) panel[t * kPanelWidth + j] = from[t * k_stride_ + j * n_stride_];
}

void multiply(const LeftOperand& a, const PanelSource& b, const Product& product) {
  const std::int64_t tiles = (product.m + kTileRows - 1) / kTileRows,
                     panels = (product.n + kPanelWidth - 1) / kPanelWidth;
  std::vector<float>& storage = packed_rows();
  const auto needed = static_cast<std::size_t>(tiles * kTileRows * std::min(kDepth, product.k));
  if (storage.size() < needed) storage.resize(needed);
  float* const packed = storage.data();
#pragma omp parallel if (!runs_alone(product))
  for (std::int64_t first_k = 0; first_k < product.k; first_k += kDepth) {
    const std::int64_t depth = std::min(kDepth, product.k - first_k);
#pragma omp for schedule(static)
    for (std::int64_t tile = 0; tile < tiles; ++tile) {
      pack_rows(a, product.m, first_k, depth, tile, packed + tile * kTileRows * depth);
    }
#pragma omp for schedule(dynamic)
    for (std::int64_t p = 0; p < panels; ++p) {
      const std::int64_t column = p * kPanelWidth, columns = std::min(kPanelWidth, product.n - column);
      float* panel = thread_panel();
      if (columns < kPanelWidth)
        std::memset(panel, 0, static_cast<std::size_t>(depth * kPanelWidth) * sizeof(float));
      b.fill(first_k, depth, column, columns, panel);
      for (std::int64_t tile = 0; tile < tiles; ++tile) {
        const std::int64_t row = tile * kTileRows;
        if (product.only_upper && row >= column + kPanelWidth) break;
        multiply_edge(product, packed + row * depth, panel, depth, row, column, first_k > 0);
      }
    }
  }
}

}  // namespace fourge::quant
