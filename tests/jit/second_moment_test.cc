// Every registered second-moment kernel that this machine can run (AMX in software, where it must), against
// the definition in fourge/second_moment.h; the operation's own rules; its error against f64.
#include "fourge/second_moment.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <random>

#include "jit/second_moment/second_moment_kernel.h"
#include "tests/support/abi_check.h"
#include "tests/support/amx_emulator.h"
#include "tests/support/guarded_buffer.h"
#include "tests/support/kernel_names.h"

namespace fourge::tests {
namespace {

using jit::kMomentPanel;
using jit::SecondMomentKernel;
using jit::SecondMomentKernelEntry;

struct TokenValues {
  std::int64_t tokens = 0, cols = 0;
  std::vector<float> values;
  float& at(std::int64_t t, std::int64_t c) { return values[static_cast<std::size_t>(t * cols + c)]; }
  float at(std::int64_t t, std::int64_t c) const { return values[static_cast<std::size_t>(t * cols + c)]; }
};

struct Sums {
  std::vector<double> coarse, fine;
};

bool same_bits(const Sums& a, const Sums& b) {
  const auto same = [](const std::vector<double>& u, const std::vector<double>& v) {
    if (u.size() != v.size()) return false;
    for (std::size_t i = 0; i < u.size(); ++i)
      if (u[i] != v[i] && !(std::isnan(u[i]) && std::isnan(v[i]))) return false;
    return true;
  };
  return same(a.coarse, b.coarse) && same(a.fine, b.fine);
}

// Columns of every magnitude, some of zeros, one with values at both ends of the codes.
TokenValues random_values(std::int64_t tokens, std::int64_t cols, std::uint64_t seed) {
  std::mt19937_64 rng(seed);
  std::normal_distribution<float> normal;
  TokenValues x{tokens, cols, std::vector<float>(static_cast<std::size_t>(tokens * cols))};
  for (std::int64_t c = 0; c < cols; ++c) {
    const int exponent = static_cast<int>(rng() % 24) - 12;
    for (std::int64_t t = 0; t < tokens; ++t) {
      x.at(t, c) = std::ldexp(normal(rng), exponent);
      if (c % 7 == 3) x.at(t, c) = 0.0f;
      if (c % 7 == 5) x.at(t, c) = rng() % 4 != 0 ? 32639.0f : -32639.0f;
    }
  }
  return x;
}

// The definition: the header's words, column by column.
Sums definition(const TokenValues& y, const TokenValues& x) {
  struct Column {
    std::vector<std::int64_t> codes;
    double scale;
  };
  const auto column_of = [](const TokenValues& a, std::int64_t c) {
    Column column{std::vector<std::int64_t>(static_cast<std::size_t>(a.tokens)), 0.0};
    double amax = 0.0;
    bool finite = true;
    for (std::int64_t t = 0; t < a.tokens; ++t) {
      finite = finite && std::isfinite(a.at(t, c));
      amax = std::max(amax, std::fabs(static_cast<double>(a.at(t, c))));
    }
    if (!finite) column.scale = std::nan("");
    if (!finite || amax < 0x1p-60) return column;
    int e = -200;
    while (std::ldexp(amax, -e) > 32639.0) ++e;
    column.scale = std::ldexp(1.0, e);
    for (std::int64_t t = 0; t < a.tokens; ++t)
      column.codes[static_cast<std::size_t>(t)] =
          std::llrint(std::ldexp(static_cast<double>(a.at(t, c)), -e));
    return column;
  };
  std::vector<Column> ys, xs;
  for (std::int64_t i = 0; i < y.cols; ++i) ys.push_back(column_of(y, i));
  for (std::int64_t j = 0; j < x.cols; ++j) xs.push_back(column_of(x, j));
  Sums sums;
  for (const Column& a : ys) {
    for (const Column& b : xs) {
      std::int64_t dot = 0;
      for (std::size_t t = 0; t < a.codes.size(); ++t) dot += a.codes[t] * b.codes[t];
      const double sum = static_cast<double>(dot) * a.scale * b.scale;
      const double coarse = 16.0 * std::nearbyint(sum / 16.0);
      sums.coarse.push_back(coarse);
      sums.fine.push_back(std::ldexp(std::nearbyint(std::ldexp(sum - coarse, 34)), -34));
    }
  }
  return sums;
}

std::int64_t panels_of(std::int64_t cols) { return (cols + kMomentPanel - 1) / kMomentPanel; }

struct Panels {
  std::int64_t steps, bytes;
  std::vector<std::uint8_t> storage;
  std::uint8_t* first;
};

Panels packed(const SecondMomentKernel& kernel, const TokenValues& x, GuardedBuffer::Place place) {
  const std::int64_t steps = (x.tokens + jit::kMomentStep - 1) / jit::kMomentStep;
  Panels panels{steps, kernel.panel_bytes(steps), {}, nullptr};
  panels.storage.assign(static_cast<std::size_t>(panels_of(x.cols) * panels.bytes + 64), 0xa5);
  panels.first = panels.storage.data() + (64 - reinterpret_cast<std::uintptr_t>(panels.storage.data()) % 64);
  std::vector<std::uint8_t> bytes(x.values.size() * sizeof(float));
  std::memcpy(bytes.data(), x.values.data(), bytes.size());
  GuardedBuffer source(bytes, place);
  for (std::int64_t p = 0; p < panels_of(x.cols); p += simd::kPackPanels)
    kernel.pack(
        {.x = reinterpret_cast<const float*>(source.data()) + p * kMomentPanel,
         .stride = x.cols * 4,
         .tokens = x.tokens,
         .columns = std::min<std::int64_t>(simd::kPackPanels * kMomentPanel, x.cols - p * kMomentPanel),
         .panel = panels.first + p * panels.bytes,
         .panel_bytes = panels.bytes});
  return panels;
}

// One chunk by one kernel, without the driver.
Sums by_kernel(const SecondMomentKernel& kernel, const TokenValues& y, const TokenValues& x,
               GuardedBuffer::Place place = GuardedBuffer::Place::kAtEnd) {
  const Panels ys = packed(kernel, y, place), xs = packed(kernel, x, place);
  const std::int64_t width = panels_of(x.cols) * kMomentPanel, height = panels_of(y.cols) * kMomentPanel;
  std::vector<double> coarse(static_cast<std::size_t>(width * height)), fine(coarse.size());
  for (std::int64_t p = 0; p < panels_of(y.cols); ++p)
    kernel.block({.y = ys.first + p * ys.bytes,
                  .x = xs.first,
                  .panel_bytes = xs.bytes,
                  .panels = panels_of(x.cols),
                  .steps = xs.steps,
                  .coarse = coarse.data() + p * kMomentPanel * width,
                  .fine = fine.data() + p * kMomentPanel * width,
                  .stride = width * 8});
  Sums sums;
  for (std::int64_t i = 0; i < y.cols; ++i) {
    for (std::int64_t j = 0; j < x.cols; ++j) {
      sums.coarse.push_back(coarse[static_cast<std::size_t>(i * width + j)]);
      sums.fine.push_back(fine[static_cast<std::size_t>(i * width + j)]);
    }
  }
  return sums;
}

class SecondMomentKernelTest : public testing::TestWithParam<SecondMomentKernelEntry> {
 protected:
  void SetUp() override {
    const char* missing = jit::host_features().missing_for(GetParam().isa);
    if (missing != nullptr && !(GetParam().isa == jit::Isa::amx && enable_amx_or_emulate()))
      GTEST_SKIP() << "this machine cannot run it: " << missing;
    auto made = GetParam().make({});
    ASSERT_TRUE(made.ok()) << made.failure().message();
    kernel_ = *made;
    EXPECT_EQ(kernel_->code().name, GetParam().name({}));
  }

  jit::SecondMomentKernelPtr kernel_;
};

TEST_P(SecondMomentKernelTest, MatchesTheDefinitionForEveryShape) {
  std::uint64_t seed = 1;
  for (const std::int64_t tokens : {1, 2, 3, 5, 63, 64, 65, 200, 256, 1000, 1024}) {
    for (const auto& [rows, cols] : {std::pair{1, 1}, {16, 16}, {5, 33}, {17, 20}, {64, 70}}) {
      if (tokens > 65 && rows > 16) continue;
      const TokenValues y = random_values(tokens, rows, ++seed), x = random_values(tokens, cols, ++seed);
      const auto place = seed % 4 < 2 ? GuardedBuffer::Place::kAtEnd : GuardedBuffer::Place::kAtBegin;
      ASSERT_TRUE(same_bits(by_kernel(*kernel_, y, x, place), definition(y, x)))
          << tokens << " tokens, " << rows << " x " << cols;
    }
  }
}

// Sums as large as they get: every code at an end, all of one sign or of two.
TEST_P(SecondMomentKernelTest, LargestCodesOverTheLongestChunk) {
  TokenValues x{1024, 16, std::vector<float>(1024 * 16)};
  const float ends[] = {32639.0f, -32639.0f, 32512.0f + 127.0f, -32640.0f + 1.0f, 128.0f, -129.0f};
  for (std::int64_t t = 0; t < x.tokens; ++t)
    for (std::int64_t c = 0; c < x.cols; ++c)
      x.at(t, c) = c < 4 ? ends[c] : t == 0 ? 32639.0f : ends[static_cast<std::size_t>((t * c) % 6)];
  EXPECT_TRUE(same_bits(by_kernel(*kernel_, x, x), definition(x, x)));
}

TEST_P(SecondMomentKernelTest, ScalesAtTheirEdges) {
  const float edges[] = {32639.0f,     std::nextafter(32639.0f, 4e4f),
                         32640.0f,     16319.5f,
                         0x1p-60f,     std::nextafter(0x1p-60f, 0.0f),
                         0x1p-149f,    0x1p127f,
                         3.4e38f,      1.0f,
                         0x1.fdfep14f, 0x1.fe02p-20f,
                         0.0f,         -0.0f,
                         -5e-3f,       0x1.fdfep-61f};
  TokenValues x{6, 16, std::vector<float>(6 * 16)};
  for (std::int64_t t = 0; t < x.tokens; ++t)
    for (std::int64_t c = 0; c < x.cols; ++c)
      x.at(t, c) = edges[c] * (t == 0 ? 1.0f : static_cast<float>(t % 3 - 1) * 0.37f);
  TokenValues ones{6, 16, std::vector<float>(6 * 16, 1.0f)};
  EXPECT_TRUE(same_bits(by_kernel(*kernel_, ones, x), definition(ones, x)));
  EXPECT_TRUE(same_bits(by_kernel(*kernel_, x, ones), definition(x, ones)));
}

TEST_P(SecondMomentKernelTest, ValuesThatAreNotFiniteMakeTheirSumsNaN) {
  for (const float bad : {INFINITY, -INFINITY, NAN, -NAN}) {
    TokenValues x = random_values(70, 20, 77);
    x.at(66, 4) = bad;
    const Sums sums = by_kernel(*kernel_, x, x);
    EXPECT_TRUE(same_bits(sums, definition(x, x)));
    for (std::size_t i = 0; i < sums.fine.size(); ++i)
      ASSERT_EQ(std::isnan(sums.coarse[i] + sums.fine[i]), i / 20 == 4 || i % 20 == 4) << i;
  }
}

INSTANTIATE_TEST_SUITE_P(Registry, SecondMomentKernelTest,
                         testing::ValuesIn(jit::second_moment_kernels().begin(),
                                           jit::second_moment_kernels().end()),
                         [](const auto& kernel) { return std::string(kernel.param.isa_variant); });

#if defined(__x86_64__)
TEST(SecondMomentX86, KeepsTheAbiWithPoisonedVectors) {
  if (!enable_amx_or_emulate()) GTEST_SKIP() << "no AVX-512";
  for (const bool amx : {false, true}) {
    const auto kernel = jit::make_second_moment_poisoned(amx);
    ASSERT_TRUE(kernel.ok());
    const TokenValues x = random_values(130, 16, 5);
    EXPECT_TRUE(same_bits(by_kernel(**kernel, x, x), definition(x, x)));
    const Panels panels = packed(**kernel, x, GuardedBuffer::Place::kAtEnd);
    alignas(64) double coarse[256] = {}, fine[256] = {};
    jit::MomentBlockArgs args{panels.first, panels.first, panels.bytes, 1, panels.steps, coarse, fine, 128};
    const auto entry =
        reinterpret_cast<void (*)(void*)>(reinterpret_cast<std::uintptr_t>((*kernel)->code().bytes.data()));
    EXPECT_EQ(abi_violations(entry, &args, 0x7f80), "") << (*kernel)->code().name;
    EXPECT_TRUE(same_bits({{coarse, coarse + 256}, {fine, fine + 256}}, definition(x, x)))
        << "under the caller's rounding toward zero";
  }
}
#endif

// --- The operation ---

Sums sums_of(SecondMoment& moment) {
  EXPECT_TRUE(moment.finish().ok());
  return {{moment.coarse().begin(), moment.coarse().end()}, {moment.fine().begin(), moment.fine().end()}};
}

TEST(SecondMoment, ChunksThreadsAndOrderDoNotShow) {
  constexpr std::int64_t kCols = 150;
  std::vector<TokenValues> calls;
  for (std::uint64_t c = 0; c < 11; ++c)
    calls.push_back(random_values(c == 5 ? 2500 : 20 + static_cast<std::int64_t>(c), kCols, c));
  Sums want{std::vector<double>(kCols * kCols), std::vector<double>(kCols * kCols)};
  for (const TokenValues& call : calls) {
    for (std::int64_t first = 0; first < call.tokens; first += SecondMoment::kChunk) {
      const std::int64_t count = std::min(SecondMoment::kChunk, call.tokens - first);
      const TokenValues part{
          count, kCols, {call.values.begin() + first * kCols, call.values.begin() + (first + count) * kCols}};
      const Sums one = definition(part, part);
      for (std::size_t i = 0; i < one.fine.size(); ++i)
        want.coarse[i] += one.coarse[i], want.fine[i] += one.fine[i];
    }
  }
  std::mt19937 rng(3);
  for (const int threads : {1, 2, 3}) {
    auto moment = SecondMoment::create({.rows = kCols, .cols = kCols});
    ASSERT_TRUE(moment.ok());
    std::shuffle(calls.begin(), calls.end(), rng);
    for (const TokenValues& call : calls)
      ASSERT_TRUE(moment->add(nullptr, call.values.data(), call.tokens, {.threads = threads}).ok());
    const Sums got = sums_of(*moment);
    for (std::size_t i = 0; i < kCols; ++i) {
      for (std::size_t j = i; j < kCols; ++j) {
        ASSERT_EQ(got.coarse[i * kCols + j], want.coarse[i * kCols + j]);
        ASSERT_EQ(got.fine[i * kCols + j], want.fine[i * kCols + j]);
      }
    }
  }
}

TEST(SecondMoment, CrossSumsAreTheDefinition) {
  const TokenValues y = random_values(90, 40, 1), x = random_values(90, 150, 2);
  auto moment = SecondMoment::create({.rows = 40, .cols = 150, .symmetric = false});
  ASSERT_TRUE(moment.ok());
  ASSERT_TRUE(moment->add(y.values.data(), x.values.data(), 90, {.threads = 2}).ok());
  EXPECT_TRUE(same_bits(sums_of(*moment), definition(y, x)));
}

TEST(SecondMoment, EveryLevelIsChosenAndGivesTheSameBits) {
  const TokenValues x = random_values(300, 37, 9);
  std::vector<Sums> all;
  for (const jit::Isa cap : jit::kIsas) {
    auto moment = SecondMoment::create({.rows = 37, .cols = 37}, {.max_isa = name_of(cap)});
    ASSERT_TRUE(moment.ok());
    ASSERT_TRUE(moment->add(nullptr, x.values.data(), x.tokens).ok());
    all.push_back(sums_of(*moment));
    for (std::size_t i = 0; i < 37 * 37; ++i)
      if (i / 37 > i % 37) all.back().coarse[i] = all.back().fine[i] = 0;
    EXPECT_TRUE(same_bits(all.front(), all.back())) << name_of(cap) << ": " << moment->code().name;
  }
}

TEST(SecondMoment, BadArgumentsAreRefusedWithAReason) {
  EXPECT_EQ(SecondMoment::create({.rows = 2, .cols = 3}).error(), Error::kBadShape);
  EXPECT_EQ(SecondMoment::create({.rows = -1, .cols = -1}).error(), Error::kBadShape);
  EXPECT_EQ(SecondMoment::create({.rows = 1, .cols = 1}, {.max_isa = "mmx"}).error(), Error::kBadArgument);
  EXPECT_EQ(SecondMoment::create({.rows = 1, .cols = 1}, {.kernel = "none"}).error(), Error::kUnsupportedIsa);
  auto moment = SecondMoment::create({.rows = 1, .cols = 1});
  const float one = 1.0f;
  EXPECT_EQ(moment->add(nullptr, nullptr, 1).error(), Error::kBadArgument);
  EXPECT_EQ(moment->add(&one, &one, 1).error(), Error::kBadArgument);
  EXPECT_EQ(moment->add(nullptr, &one, -1).error(), Error::kBadArgument);
  EXPECT_EQ(moment->add(nullptr, &one, 1, {.threads = -1}).error(), Error::kBadArgument);
  EXPECT_EQ(sums_of(*moment).coarse, std::vector<double>{0.0});
}

// --- The error of 15 bits below the column's amax ---

enum class Tokens { normal, heavy_tailed, one_massive };

TokenValues activations_of(Tokens kind, std::uint64_t seed) {
  std::mt19937_64 rng(seed);
  std::normal_distribution<float> normal;
  std::student_t_distribution<float> heavy(3.0f);
  constexpr std::int64_t kCols = 32;
  TokenValues x{1024, kCols, std::vector<float>(1024 * kCols)};
  for (std::int64_t t = 0; t < x.tokens; ++t) {
    const float shared = normal(rng);  // neighbours are correlated
    for (std::int64_t c = 0; c < kCols; ++c) {
      x.at(t, c) = 0.5f * shared + (kind == Tokens::heavy_tailed ? heavy(rng) : normal(rng));
      if (kind == Tokens::one_massive && t == 0 && c % 4 == 0) x.at(t, c) = 1000.0f;
    }
  }
  return x;
}

struct Errors {
  double integers = 0, f32 = 0;  // largest |error| of an entry (i, j) / sqrt(H_ii H_jj)
};

Errors errors_of(const TokenValues& x) {
  const auto cols = static_cast<std::size_t>(x.cols);
  std::vector<double> exact(cols * cols);
  std::vector<float> single(exact.size());
  for (std::int64_t t = 0; t < x.tokens; ++t) {
    for (std::size_t i = 0; i < cols; ++i) {
      for (std::size_t j = 0; j < cols; ++j) {
        const float a = x.at(t, static_cast<std::int64_t>(i)), b = x.at(t, static_cast<std::int64_t>(j));
        exact[i * cols + j] += static_cast<double>(a) * b;
        single[i * cols + j] += a * b;
      }
    }
  }
  auto moment = SecondMoment::create({.rows = x.cols, .cols = x.cols});
  EXPECT_TRUE(moment->add(nullptr, x.values.data(), x.tokens).ok());
  const Sums sums = sums_of(*moment);
  Errors errors;
  for (std::size_t i = 0; i < cols; ++i) {
    for (std::size_t j = i; j < cols; ++j) {
      const std::size_t at = i * cols + j;
      const double norm = std::sqrt(exact[i * (cols + 1)] * exact[j * (cols + 1)]);
      errors.integers =
          std::max(errors.integers, std::fabs(sums.coarse[at] + sums.fine[at] - exact[at]) / norm);
      errors.f32 = std::max(errors.f32, std::fabs(static_cast<double>(single[at]) - exact[at]) / norm);
    }
  }
  return errors;
}

TEST(SecondMoment, ErrorAgainstF64) {
  const struct {
    Tokens kind;
    const char* name;
    double bound;
  } kinds[] = {{Tokens::normal, "normal", 1.5e-5},
               {Tokens::heavy_tailed, "heavy_tailed", 1e-4},
               {Tokens::one_massive, "one_massive", 5e-5}};
  for (const auto& kind : kinds) {
    const Errors errors = errors_of(activations_of(kind.kind, 11));
    EXPECT_LT(errors.integers, kind.bound) << kind.name;
    RecordProperty(std::string(kind.name) + "_integers", std::to_string(errors.integers * 1e6) + "e-6");
    RecordProperty(std::string(kind.name) + "_f32", std::to_string(errors.f32 * 1e6) + "e-6");
  }
}

}  // namespace
}  // namespace fourge::tests
