// Batches of products: the bits of single runs, for every number of threads; what is refused.
#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <functional>
#include <random>

#include "tests/support/w4a16_problem.h"

namespace fourge::tests {
namespace {

using Rng = std::mt19937_64;

Gemm make_gemm(const GemmSpec& spec) {
  Result<Gemm> gemm = Gemm::create(spec);
  EXPECT_TRUE(gemm.ok()) << (gemm.ok() ? "" : gemm.failure().message());
  return *gemm;
}

// Items of one spec but m with their own data, weights and outputs.
struct Batch {
  GemmSpec spec;
  std::deque<W4a16Problem> problems;
  std::deque<PackedWeights> weights;
  std::deque<std::vector<std::uint8_t>> outputs;
  std::vector<GemmBatchItem> items;

  Batch(const GemmSpec& batch_spec, const Gemm& gemm, const std::vector<std::int64_t>& rows, Rng& rng)
      : spec(batch_spec) {
    for (std::size_t i = 0; i < rows.size(); ++i) {
      GemmSpec item_spec = spec;
      item_spec.m = std::max<std::int64_t>(rows[i], 1);
      W4a16Problem& p = problems.emplace_back(
          make_w4a16(item_spec, kDataKinds[i % std::size(kDataKinds)], Values::wide, rng));
      p.base.spec.activations = spec.activations;
      p.base.spec.numerics = spec.numerics;
      weights.push_back(*gemm.pack(p.base.b.view()));
      outputs.push_back(output_of(item_spec));
      items.push_back({.m = rows[i],
                       .a = p.base.a.view(),
                       .plain = p.view(),
                       .weights = &weights.back(),
                       .operands = p.base.operands(outputs.back().data())});
    }
  }
};

void expect_single_bits(const GemmSpec& spec, const std::vector<std::int64_t>& rows) {
  Rng rng(21);
  const Gemm gemm = make_gemm(spec);
  Batch batch(spec, gemm, rows, rng);
  std::vector<std::vector<std::uint8_t>> want;
  RunStats single;
  const std::string kernel = gemm.code().name;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    std::vector<std::uint8_t> d = output_of(batch.problems[i].spec());
    if (rows[i] > 0) {
      const GemmBatchItem& item = batch.items[i];
      GemmOperands operands = item.operands;
      operands.d = d.data();
      GemmSpec item_spec = spec;
      item_spec.m = rows[i];
      const Result<Gemm> one = Gemm::create(item_spec, {.kernel = kernel.c_str()});
      ASSERT_TRUE(one.ok()) << one.failure().message();
      const Status ran = spec.activations == Activations::same
                             ? one->run(item.a, *item.weights, operands, {.threads = 1}, &single)
                             : one->run(item.plain, *item.weights, operands, {.threads = 1}, &single);
      ASSERT_TRUE(ran.ok()) << ran.failure().message();
    }
    want.push_back(std::move(d));
  }
  for (int threads : {1, 2, 3}) {
    for (auto& d : batch.outputs) std::fill(d.begin(), d.end(), std::uint8_t{0xcd});
    RunStats stats;
    const Status ran = gemm.run_batch(batch.items, {.threads = threads}, &stats);
    ASSERT_TRUE(ran.ok()) << ran.failure().message();
    for (std::size_t i = 0; i < rows.size(); ++i)
      EXPECT_EQ(batch.outputs[i], want[i]) << i << " on " << threads;
    EXPECT_EQ(stats.vectors, single.vectors);
    EXPECT_EQ(stats.general_vectors, single.general_vectors);
  }
}

TEST(GemmBatch, GivesTheBitsOfSingleRuns) {
  const std::vector<std::int64_t> rows = {3, 0, 1, 40, 1, 7, 0, 16, 2, 1, 1, 5, 12, 1, 30, 1, 2, 3, 1, 1, 64};
  for (const Activations activations : {Activations::same, Activations::bf16, Activations::f32}) {
    for (const Format format : kFormats) {
      expect_single_bits({.m = 4,
                          .n = 50,
                          .k = 160,
                          .format = format,
                          .numerics = activations == Activations::same ? Numerics::blackwell : Numerics::fast,
                          .activations = activations,
                          .bias = format == Format::mxfp4,
                          .accumulate = format == Format::mxfp4_b16},
                         rows);
    }
  }
}

TEST(GemmBatch, NothingToDoIsNoError) {
  const GemmSpec spec{.m = 1, .n = 16, .k = 64};
  const Gemm gemm = make_gemm(spec);
  EXPECT_TRUE(gemm.run_batch({}).ok());
  const std::vector<GemmBatchItem> empty(3);
  EXPECT_TRUE(gemm.run_batch(empty, {.threads = 2}).ok());
}

TEST(GemmBatch, ABadItemIsNamedAndNothingIsWritten) {
  Rng rng(22);
  const GemmSpec spec{.m = 2, .n = 20, .k = 64, .numerics = Numerics::fast, .activations = Activations::f32};
  const Gemm gemm = make_gemm(spec);
  const auto refused = [&](const std::function<void(GemmBatchItem&)>& spoil, Error error) {
    Batch batch(spec, gemm, {2, 1, 3}, rng);
    spoil(batch.items[2]);
    const Status ran = gemm.run_batch(batch.items);
    ASSERT_FALSE(ran.ok());
    EXPECT_EQ(ran.failure().error, error);
    EXPECT_EQ(ran.failure().where.substr(0, 6), "item 2") << ran.failure().message();
    for (const auto& d : batch.outputs) {
      EXPECT_TRUE(std::all_of(d.begin(), d.end(), [](std::uint8_t byte) { return byte == 0xcd; }));
    }
  };
  refused([](GemmBatchItem& item) { item.m = -1; }, Error::kBadShape);
  refused([](GemmBatchItem& item) { item.m = 4; }, Error::kBadShape);
  refused([](GemmBatchItem& item) { item.weights = nullptr; }, Error::kBadArgument);
  refused([](GemmBatchItem& item) { item.plain.data = nullptr; }, Error::kBadArgument);
  refused([](GemmBatchItem& item) { item.plain.stride = 63; }, Error::kBadShape);
  refused([](GemmBatchItem& item) { item.operands.d = nullptr; }, Error::kBadArgument);
  const float bias = 0;
  refused([&](GemmBatchItem& item) { item.operands.bias = &bias; }, Error::kBadArgument);
}

// Weights packed by any kernel serve W4A4 and W4A16.
TEST(GemmBatch, OnePackingServesBothKindsOfActivations) {
  Rng rng(23);
  const GemmSpec plain{
      .m = 3, .n = 33, .k = 96, .numerics = Numerics::fast, .activations = Activations::bf16};
  const W4a16Problem problem = make_w4a16(plain, DataKind::gaussian, Values::normal, rng);
  const PackedWeights weights = *make_gemm({.m = 3, .n = 33, .k = 96}).pack(problem.base.b.view());
  std::vector<std::uint8_t> d = output_of(plain);
  const Status ran = make_gemm(plain).run(problem.view(), weights, problem.base.operands(d.data()));
  ASSERT_TRUE(ran.ok()) << ran.failure().message();
  EXPECT_EQ(first_difference(problem.base, reference_answer(problem), d), "");
}

TEST(GemmPlain, TheWrongKindOfActivationsIsRefused) {
  Rng rng(24);
  const GemmSpec plain{
      .m = 3, .n = 33, .k = 96, .numerics = Numerics::fast, .activations = Activations::bf16};
  const W4a16Problem problem = make_w4a16(plain, DataKind::gaussian, Values::normal, rng);
  std::vector<std::uint8_t> d = output_of(plain);
  const GemmOperands operands = problem.base.operands(d.data());
  const Gemm w4a16 = make_gemm(plain), w4a4 = make_gemm({.m = 3, .n = 33, .k = 96});
  const PackedWeights weights = *w4a16.pack(problem.base.b.view());
  const Status quantised = w4a16.run(problem.base.a.view(), weights, operands);
  ASSERT_FALSE(quantised.ok());
  EXPECT_EQ(quantised.failure().error, Error::kUnsupportedFormat);
  const Status as_plain = w4a4.run(problem.view(), weights, operands);
  ASSERT_FALSE(as_plain.ok());
  EXPECT_EQ(as_plain.failure().error, Error::kUnsupportedFormat);
  EXPECT_FALSE(check({.activations = Activations::bf16}).ok());
}

}  // namespace
}  // namespace fourge::tests
