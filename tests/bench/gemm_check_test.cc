// What benchmarks and the demonstration rest on: a wrong output is found, a right one is not, errors are what
// the definition says.
#include <gtest/gtest.h>

#include <cmath>

#include "bench/peaks/timing.h"
#include "bench/support/gemm_check.h"
#include "bench/support/gemm_data.h"
#include "bench/support/gemm_run.h"
#include "bench/support/roofline.h"

namespace fourge::tests {
namespace {

using bench::CheckExtent;
using bench::CheckResult;
using bench::GemmData;

struct Product {
  GemmSpec spec;
  GemmData data;
  std::vector<std::uint8_t> d;

  GemmOperands operands() {
    GemmOperands operands;
    operands.alpha = data.alpha();
    operands.d = d.data();
    return operands;
  }
  CheckResult check(CheckExtent extent) {
    const Result<CheckResult> result =
        bench::check_gemm(spec, data.a.view(), data.b.view(), operands(), {.extent = extent, .threads = 2});
    EXPECT_TRUE(result.ok());
    return result.ok() ? *result : CheckResult{};
  }
};

Product make_product(const GemmSpec& spec) {
  const QuantizeSpec quantize{.format = spec.format, .rule = bench::default_rule(spec.format)};
  Product product{
      spec,
      *bench::quantize_both(bench::random_activations(spec.m, spec.k, 1),
                            bench::random_weights(spec.n, spec.k, 2), quantize),
      std::vector<std::uint8_t>(static_cast<std::size_t>(spec.m * spec.n * bytes_of(spec.output)))};
  const Result<Gemm> gemm = Gemm::create(spec);
  EXPECT_TRUE(gemm.ok());
  const Result<PackedWeights> packed = gemm->pack(product.data.b.view());
  EXPECT_TRUE(packed.ok());
  EXPECT_TRUE(gemm->run(product.data.a.view(), *packed, product.operands()).ok());
  return product;
}

TEST(CheckGemm, FindsOneWrongBitAnywhere) {
  for (const OutputType output : {OutputType::f32, OutputType::bf16}) {
    Product product = make_product({.m = 33, .n = 65, .k = 96, .format = Format::mxfp4, .output = output});
    EXPECT_EQ(product.check(CheckExtent::all).outputs, 33 * 65);
    EXPECT_EQ(product.check(CheckExtent::all).mismatches, 0);
    for (const std::size_t byte : {std::size_t{0}, product.d.size() / 2, product.d.size() - 1}) {
      product.d[byte] ^= 1;
      const CheckResult wrong = product.check(CheckExtent::all);
      EXPECT_EQ(wrong.mismatches, 1);
      EXPECT_EQ(wrong.outputs, 33 * 65);
      const std::size_t index = byte / static_cast<std::size_t>(bytes_of(output));
      EXPECT_EQ(wrong.first.find("D[" + std::to_string(index / 65) + ", " + std::to_string(index % 65) + "]"),
                0u)
          << wrong.first;
      product.d[byte] ^= 1;
    }
  }
}

TEST(CheckGemm, SamplesHoldTheCorners) {
  Product product = make_product({.m = 100, .n = 200, .k = 64});
  EXPECT_EQ(product.check(CheckExtent::sample).outputs, 64 * 64);
  EXPECT_EQ(bench::outputs_to_check(product.spec, CheckExtent::sample), 64 * 64);
  for (const std::size_t corner : {0u, 199u, 99u * 200u, 99u * 200u + 199u}) {
    product.d[4 * corner] ^= 1;
    EXPECT_EQ(product.check(CheckExtent::sample).mismatches, 1) << corner;
    product.d[4 * corner] ^= 1;
  }
  EXPECT_EQ(product.check(CheckExtent::none).outputs, 0);
}

TEST(CheckGemm, SamplesOfSmallProductsAreWhole) {
  Product product = make_product({.m = 3, .n = 15, .k = 64});
  EXPECT_EQ(product.check(CheckExtent::sample).outputs, 3 * 15);
}

TEST(RelativeError, IsTheNormOfTheDifference) {
  // X = (3, 4), W = rows (1, 0), (0, 1): X W^T = (3, 4), norm 5; D = (3, 9): difference 5.
  const bench::Values x{1, 2, {3, 4}}, w{2, 2, {1, 0, 0, 1}};
  const std::vector<float> d = {3, 9};
  const bench::RelativeError error = bench::relative_error({.m = 1, .n = 2, .k = 2}, x, w, d.data());
  EXPECT_DOUBLE_EQ(error.value, 1.0);
  EXPECT_EQ(error.outputs, 2);
}

TEST(RelativeError, SamplesWhenAskedForLess) {
  const Product product = make_product({.m = 16, .n = 64, .k = 64});
  const bench::RelativeError all =
      bench::relative_error(product.spec, product.data.x, product.data.w, product.d.data());
  const bench::RelativeError some =
      bench::relative_error(product.spec, product.data.x, product.data.w, product.d.data(), 64 * 256);
  EXPECT_EQ(all.outputs, 16 * 64);
  EXPECT_EQ(some.outputs, 256);
  EXPECT_GT(all.value, 0.02);
  EXPECT_LT(all.value, 0.3);
  EXPECT_NEAR(some.value, all.value, 0.5 * all.value);
}

TEST(GemmData, RowsDependOnTheSeedAndTheRowAlone) {
  const bench::Values few = bench::random_activations(2, 50, 3), many = bench::random_activations(9, 50, 3);
  EXPECT_TRUE(std::equal(few.data.begin(), few.data.end(), many.data.begin()));
  EXPECT_NE(bench::random_activations(2, 50, 4).data, few.data);
  EXPECT_NE(std::vector<float>(few.data.begin(), few.data.begin() + 50),
            std::vector<float>(few.data.begin() + 50, few.data.end()));
}

TEST(Times, BestMedianWorst) {
  bench::Times times;
  for (const double seconds : {3.0, 1.0, 2.0}) times.add(seconds);
  EXPECT_EQ(times.best(), 1.0);
  EXPECT_EQ(times.median(), 2.0);
  EXPECT_EQ(times.worst(), 3.0);
}

TEST(GemmBound, IsTheLargerOfArithmeticAndReading) {
  bench::MachinePeaks peaks(0.001);
  const GemmSpec one{.m = 1, .n = 4096, .k = 4096}, many{.m = 4096, .n = 4096, .k = 4096};
  const auto reading = bench::gemm_bound(one, "avx512", 10 << 20, 1, peaks);
  ASSERT_TRUE(reading.has_value());
  if (reading->unit_gops == 0) GTEST_SKIP() << "this machine has no VNNI";
  const auto arithmetic = bench::gemm_bound(many, "avx512", 10 << 20, 1, peaks);
  ASSERT_TRUE(arithmetic.has_value());
  EXPECT_EQ(reading->by, "read_bandwidth");
  EXPECT_NEAR(reading->seconds, (10 << 20) / (reading->weight_gbps * 1e9), 1e-9);
  EXPECT_EQ(arithmetic->by, "vnni_int8");
  EXPECT_NEAR(arithmetic->gflops, arithmetic->unit_gops, 1e-6 * arithmetic->gflops);
}

}  // namespace
}  // namespace fourge::tests
