// Quantisation shared over ranks, here threads that meet at barriers.
#include "quant/gptq/ranks.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <barrier>
#include <random>
#include <thread>
#include <vector>

#include "quant/export/quantize_model.h"
#include "quant/gptq/gram.h"
#include "tests/support/run_program.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/tiny_model.h"

namespace fourge::quant {
namespace {

using tests::TemporaryFolder;

/// What the ranks of one job share.
struct Meeting {
  explicit Meeting(int size) : barrier(size), spans(static_cast<std::size_t>(size)) {}

  std::barrier<> barrier;
  std::vector<std::span<std::uint8_t>> spans;  // what each rank brought
};

class ThreadRank final : public Ranks {
 public:
  ThreadRank(Meeting& meeting, int rank) : meeting_(meeting), rank_(rank) {}
  int rank() const override { return rank_; }
  int size() const override { return static_cast<int>(meeting_.spans.size()); }
  // Backwards: the sum must not depend on the order.
  void sum(std::span<double> values) override {
    combine(values, [](double a, double b) { return b + a; });
  }
  void largest(std::span<float> values) override {
    combine(values, [](float a, float b) { return std::max(a, b); });
  }
  void gather(std::span<std::uint8_t> bytes, std::span<const std::int64_t> first) override {
    bring(bytes);
    for (std::size_t r = 0; r < meeting_.spans.size(); ++r) {
      if (static_cast<int>(r) == rank_) continue;
      std::copy(meeting_.spans[r].begin() + first[r], meeting_.spans[r].begin() + first[r + 1],
                bytes.begin() + first[r]);
    }
    meeting_.barrier.arrive_and_wait();
  }
  void broadcast(std::span<std::uint8_t> bytes) override {
    bring(bytes);
    if (rank_ != 0) std::copy(meeting_.spans[0].begin(), meeting_.spans[0].end(), bytes.begin());
    meeting_.barrier.arrive_and_wait();
  }
  Status agree(Status status) override {
    float failed = status.ok() ? 0.0f : 1.0f;
    largest(std::span(&failed, 1));
    if (failed == 0.0f || !status.ok()) return status;
    return {Error::kIo, "another rank failed"};
  }

 private:
  void bring(std::span<std::uint8_t> bytes) {
    meeting_.spans[static_cast<std::size_t>(rank_)] = bytes;
    meeting_.barrier.arrive_and_wait();
  }
  template <class T, class Combine>
  void combine(std::span<T> values, Combine combine_two) {
    bring({reinterpret_cast<std::uint8_t*>(values.data()), values.size_bytes()});
    std::vector<T> total(values.size());
    for (std::size_t r = meeting_.spans.size(); r-- > 0;) {
      const T* part = reinterpret_cast<const T*>(meeting_.spans[r].data());
      for (std::size_t i = 0; i < total.size(); ++i) total[i] = combine_two(total[i], part[i]);
    }
    meeting_.barrier.arrive_and_wait();
    std::copy(total.begin(), total.end(), values.begin());
    meeting_.barrier.arrive_and_wait();
  }

  Meeting& meeting_;
  int rank_;
};

class SharedQuantisation : public testing::Test {
 protected:
  void SetUp() override {
    tests::write_tiny_model(folder_ / "model", config_, tests::tiny_tensors(config_, 5), 1);
    std::mt19937 random(3);
    for (int s = 0; s < 7; ++s) {
      sequences_.emplace_back();
      for (int t = 0; t < 48; ++t) sequences_.back().push_back(static_cast<std::uint32_t>(random() % 256));
    }
  }

  QuantizeJob job(const Recipe& recipe, const std::string& out) const {
    QuantizeJob job;
    job.model = folder_ / "model";
    job.out = folder_ / out;
    job.recipe = recipe;
    job.sequences = sequences_;
    return job;
  }
  /// The bytes of every shard of the folder that `size` ranks make.
  std::vector<std::string> shards_of(const Recipe& recipe, int size, const std::string& out) {
    Meeting meeting(size);
    std::vector<std::thread> threads;
    std::vector<Status> status(static_cast<std::size_t>(size));
    for (int r = 0; r < size; ++r) {
      threads.emplace_back([&, r] {
        ThreadRank rank(meeting, r);
        QuantizeJob own = job(recipe, out);
        own.ranks = &rank;
        const Result<QuantizeOutcome> outcome = quantize_model(own);
        if (!outcome.ok()) status[static_cast<std::size_t>(r)] = outcome.failure();
      });
    }
    for (std::thread& thread : threads) thread.join();
    for (const Status& s : status) EXPECT_TRUE(s.ok()) << s.failure().message();
    std::vector<std::string> shards;
    for (const char* shard : {"model-00001-of-00003.safetensors", "model-00002-of-00003.safetensors"})
      shards.push_back(tests::read_text(folder_ / out / shard));
    return shards;
  }

  ModelConfig config_ = tests::tiny_config(Architecture::llama);
  std::vector<std::vector<std::uint32_t>> sequences_;
  TemporaryFolder folder_;
};

TEST_F(SharedQuantisation, AnyNumberOfRanksMakesTheSameFiles) {
  for (const auto& [name, format] : {std::pair{"mr-gptq", Format::nvfp4}, std::pair{"best", Format::nvfp4},
                                     std::pair{"best", Format::mxfp4}}) {
    Recipe recipe = *named_recipe(name, format, true);
    recipe.rotations = {32};
    const std::string prefix = std::string(name) + name_of(format);
    const std::vector<std::string> alone = shards_of(recipe, 1, prefix + "1");
    ASSERT_GT(alone[0].size(), 1000u);
    const int ranks = format == Format::nvfp4 ? 2 : 3;
    const auto together = shards_of(recipe, ranks, prefix + std::to_string(ranks));
    EXPECT_TRUE(alone == together) << prefix << ", " << ranks << " ranks";
  }
}

TEST_F(SharedQuantisation, OneRanksFailureEndsAll) {
  Meeting meeting(2);
  std::vector<std::thread> threads;
  std::array<Error, 2> errors{};
  const Recipe recipe = *named_recipe("rtn", Format::nvfp4, true);
  tests::write_text(folder_ / "taken", "a file");
  for (int r = 0; r < 2; ++r) {
    threads.emplace_back([&, r] {
      ThreadRank rank(meeting, r);
      QuantizeJob own = job(recipe, "taken");  // only rank 0 looks at the output
      own.ranks = &rank;
      errors[static_cast<std::size_t>(r)] = quantize_model(own).error();
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(errors[0], Error::kBadArgument);
  EXPECT_EQ(errors[1], Error::kIo);
}

TEST(Gram, SumsHaveTheSameBitsInEveryOrder) {
  constexpr std::int64_t kCols = 24, kTokens = 40;
  std::mt19937 random(8);
  std::normal_distribution<float> normal;
  std::vector<std::vector<float>> calls(9);
  for (std::size_t c = 0; c < calls.size(); ++c)
    for (std::int64_t i = 0; i < kCols * kTokens; ++i)
      calls[c].push_back(std::ldexp(normal(random), static_cast<int>(c) * 2 - 8));
  const auto sums_in = [&](const std::vector<std::size_t>& order) {
    Gram gram(kCols);
    for (const std::size_t c : order) EXPECT_TRUE(gram.add(calls[c], kTokens).ok());
    return *gram.sums();
  };
  std::vector<std::size_t> order = {0, 1, 2, 3, 4, 5, 6, 7, 8};
  const std::vector<double> first = sums_in(order);
  for (int trial = 0; trial < 5; ++trial) {
    std::shuffle(order.begin(), order.end(), random);
    EXPECT_EQ(sums_in(order), first);
  }
  double direct = 0.0;
  for (const auto& call : calls)
    for (std::int64_t t = 0; t < kTokens; ++t)
      direct += static_cast<double>(call[static_cast<std::size_t>(t * kCols + 2)]) *
                static_cast<double>(call[static_cast<std::size_t>(t * kCols + 5)]);
  EXPECT_NEAR(first[2 * kCols + 5], direct, 3e-5 * std::fabs(first[2 * kCols + 2]));
}

}  // namespace
}  // namespace fourge::quant
