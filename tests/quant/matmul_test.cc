#include "quant/model/matmul.h"

#include <gtest/gtest.h>
#include <omp.h>

#include <cmath>
#include <random>
#include <vector>

#include "fourge/quantize.h"
#include "quant/model/vector_kernels.h"
#include "quant/model/weight.h"

namespace fourge::quant {
namespace {

std::vector<float> random_values(std::int64_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(static_cast<std::size_t>(count));
  for (float& v : values) v = normal(random);
  return values;
}

struct Shape {
  std::int64_t m, n, k;
};
constexpr Shape kShapes[] = {{1, 1, 1},   {12, 32, 256}, {13, 33, 257}, {5, 70, 600},
                             {40, 16, 3}, {97, 64, 512}, {1, 96, 64},   {200, 130, 300}};

TEST(Multiply, MatchesF64OnEveryShape) {
  for (const Shape s : kShapes) {
    const std::vector<float> a = random_values(s.m * s.k, 1), b = random_values(s.n * s.k, 2);
    std::vector<float> c(static_cast<std::size_t>(s.m * (s.n + 3)), -7.0f);
    multiply({a.data(), s.k, 1}, StridedSource(b.data(), 1, s.k),
             {.m = s.m, .n = s.n, .k = s.k, .c = c.data(), .c_stride = s.n + 3});
    for (std::int64_t i = 0; i < s.m; ++i) {
      for (std::int64_t j = 0; j < s.n + 3; ++j) {
        const float got = c[static_cast<std::size_t>(i * (s.n + 3) + j)];
        if (j >= s.n) {
          ASSERT_EQ(got, -7.0f);  // beyond the product nothing is written
          continue;
        }
        double expected = 0.0;
        for (std::int64_t t = 0; t < s.k; ++t) {
          expected += static_cast<double>(a[static_cast<std::size_t>(i * s.k + t)]) *
                      static_cast<double>(b[static_cast<std::size_t>(j * s.k + t)]);
        }
        ASSERT_NEAR(got, expected, 3e-6 * std::sqrt(static_cast<double>(s.k)) * 4)
            << s.m << " " << s.n << " " << s.k << " at " << i << ", " << j;
      }
    }
  }
}

TEST(Multiply, TransposedOperandsGiveTheSameBits) {
  const Shape s{50, 45, 300};
  const std::vector<float> a = random_values(s.m * s.k, 1), b = random_values(s.n * s.k, 2);
  std::vector<float> a_t(a.size()), b_t(b.size()), c(static_cast<std::size_t>(s.m * s.n)), d(c.size());
  for (std::int64_t t = 0; t < s.k; ++t) {
    for (std::int64_t i = 0; i < s.m; ++i)
      a_t[static_cast<std::size_t>(t * s.m + i)] = a[static_cast<std::size_t>(i * s.k + t)];
    for (std::int64_t j = 0; j < s.n; ++j)
      b_t[static_cast<std::size_t>(t * s.n + j)] = b[static_cast<std::size_t>(j * s.k + t)];
  }
  multiply({a.data(), s.k, 1}, StridedSource(b.data(), 1, s.k),
           {.m = s.m, .n = s.n, .k = s.k, .c = c.data(), .c_stride = s.n});
  multiply({a_t.data(), 1, s.m}, StridedSource(b_t.data(), s.n, 1),
           {.m = s.m, .n = s.n, .k = s.k, .c = d.data(), .c_stride = s.n});
  EXPECT_EQ(c, d);
}

TEST(Multiply, UpperTrianglesAreComplete) {
  const std::int64_t n = 150, k = 90;
  const std::vector<float> x = random_values(n * k, 4);
  std::vector<float> full(static_cast<std::size_t>(n * n)), upper(full.size());
  multiply({x.data(), 1, n}, StridedSource(x.data(), n, 1),
           {.m = n, .n = n, .k = k, .c = full.data(), .c_stride = n});
  multiply({x.data(), 1, n}, StridedSource(x.data(), n, 1),
           {.m = n, .n = n, .k = k, .c = upper.data(), .c_stride = n, .only_upper = true});
  for (std::int64_t i = 0; i < n; ++i) {
    for (std::int64_t j = i; j < n; ++j) {
      const auto at = static_cast<std::size_t>(i * n + j);
      ASSERT_EQ(full[at], upper[at]) << i << ", " << j;
    }
  }
}

TEST(Multiply, BitsDoNotDependOnThreads) {
  const Shape s{300, 260, 700};
  const std::vector<float> a = random_values(s.m * s.k, 1), b = random_values(s.n * s.k, 2);
  std::vector<float> c[2];
  const int threads = omp_get_max_threads();
  for (int i = 0; i < 2; ++i) {
    omp_set_num_threads(i == 0 ? 1 : 5);
    c[i].resize(static_cast<std::size_t>(s.m * s.n));
    multiply({a.data(), s.k, 1}, StridedSource(b.data(), 1, s.k),
             {.m = s.m, .n = s.n, .k = s.k, .c = c[i].data(), .c_stride = s.n});
  }
  omp_set_num_threads(threads);
  EXPECT_EQ(c[0], c[1]);
}

TEST(Weight, FourBitPanelsAreTheDequantisedValues) {
  const std::int64_t rows = 37, cols = 320;
  const std::vector<float> values = random_values(rows * cols, 9);
  for (const Format format : {Format::nvfp4, Format::mxfp4}) {
    const ScaleRule rule = format == Format::nvfp4 ? ScaleRule::static_6 : ScaleRule::floor;
    Result<QuantizedMatrix> matrix = quantize(values, rows, cols, {.format = format, .rule = rule});
    ASSERT_TRUE(matrix.ok());
    std::vector<float> expected(values.size());
    QuantizedView unscaled = matrix->view();
    unscaled.tensor_scale = {};
    ASSERT_TRUE(dequantize(unscaled, expected).ok());
    const Weight weight = Weight::of_quantized(std::move(*matrix));
    std::vector<float> panel(static_cast<std::size_t>(kDepth * kPanelWidth), 5.0f);
    weight.fill(8, 100, 30, 7, panel.data());  // starts and ends inside a block
    for (std::int64_t t = 0; t < 100; ++t) {
      for (std::int64_t j = 0; j < 7; ++j) {
        EXPECT_EQ(panel[static_cast<std::size_t>(t * kPanelWidth + j)],
                  expected[static_cast<std::size_t>((30 + j) * cols + 8 + t)]);
      }
    }
  }
}

TEST(VectorKernels, MatchF64) {
  for (const std::int64_t count : {1, 3, 16, 37, 256, 1000}) {
    const std::vector<float> x = random_values(count, 5), y = random_values(count, 6);
    double squares = 0.0, exponentials = 0.0, scaled = 0.0;
    for (const float v : x) {
      squares += static_cast<double>(v) * static_cast<double>(v);
      exponentials += std::exp(static_cast<double>(v));
      scaled += std::exp(0.25 * static_cast<double>(v));
    }
    std::vector<float> norm(x.size()), soft = x, silu = x, sum = x;
    rms_norm(x.data(), y.data(), 1e-5f, count, norm.data());
    softmax(soft.data(), 0.25f, count);
    silu_times(silu.data(), y.data(), count);
    add_to(sum.data(), y.data(), count);
    EXPECT_NEAR(log_sum_exp(x.data(), count), std::log(exponentials), 2e-6 * 4);
    for (std::size_t i = 0; i < x.size(); ++i) {
      const double v = static_cast<double>(x[i]), w = static_cast<double>(y[i]);
      EXPECT_NEAR(norm[i], v / std::sqrt(squares / static_cast<double>(count) + 1e-5) * w, 4e-6);
      EXPECT_NEAR(soft[i], std::exp(0.25 * v) / scaled, 1e-6);
      EXPECT_NEAR(silu[i], v / (1.0 + std::exp(-v)) * w, 4e-6);
      EXPECT_EQ(sum[i], x[i] + y[i]);
    }
  }
}

}  // namespace
}  // namespace fourge::quant
