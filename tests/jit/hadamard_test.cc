// Every registered Hadamard kernel that this machine can run, against reference/, bit for bit.
#include "fourge/hadamard.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <random>
#include <utility>

#include "jit/hadamard/hadamard_kernel.h"
#include "reference/hadamard.h"
#include "tests/support/abi_check.h"
#include "tests/support/guarded_buffer.h"
#include "tests/support/kernel_names.h"
#include "tests/support/plain_matrix.h"

namespace fourge::tests {
namespace {

using jit::HadamardKernelEntry;

struct Problem {
  HadamardSpec spec;
  std::int64_t rows = 1, cols = 0, x_stride = 0, y_stride = 0;
  std::vector<std::uint8_t> x = {}, signs = {};
  float scale = 1.0f;

  std::int64_t y_bytes() const { return matrix_bytes(spec.output, rows, cols, y_stride); }
  HadamardOperands operands(const void* x_data, void* y_data) const {
    return {.x = x_data,
            .y = y_data,
            .rows = rows,
            .cols = cols,
            .x_stride = x_stride,
            .y_stride = y_stride,
            .signs = spec.signs ? signs.data() : nullptr,
            .scale = scale};
  }
  std::string describe() const {
    return kernel_name(spec) + " " + std::to_string(rows) + " x " + std::to_string(cols) + ", strides " +
           std::to_string(x_stride) + " " + std::to_string(y_stride);
  }
};

Problem make_problem(const HadamardSpec& spec, std::int64_t rows, std::int64_t blocks, bool strided,
                     PlainData data, std::mt19937_64& rng) {
  Problem problem{.spec = spec, .rows = rows, .cols = blocks * spec.order};
  if (strided) {
    problem.x_stride = problem.cols + static_cast<std::int64_t>(rng() % 40);
    problem.y_stride = problem.cols + static_cast<std::int64_t>(rng() % 40);
  }
  problem.x = plain_matrix(spec.input, matrix_elements(rows, problem.cols, problem.x_stride), data, rng);
  problem.signs.resize(static_cast<std::size_t>((spec.order + 7) / 8));
  for (auto& byte : problem.signs) byte = static_cast<std::uint8_t>(rng());
  problem.scale = rng() % 4 == 0 ? 0.3f : 1.0f / std::sqrt(static_cast<float>(spec.order));
  return problem;
}

std::vector<std::uint8_t> reference_answer(const Problem& problem) {
  std::vector<std::uint8_t> y(static_cast<std::size_t>(problem.y_bytes()), 0xa5);
  EXPECT_TRUE(reference::hadamard(problem.spec, problem.operands(problem.x.data(), y.data())).ok());
  return y;
}

constexpr std::int64_t kOrders[] = {2,    4,    8,    16,   32,    64,    128, 256,  512,
                                    1024, 2048, 4096, 8192, 16384, 32768, 12,  24,   192,
                                    384,  20,   320,  5120, 28,    448,   896, 7168, 3072};
constexpr ElementFormat kPlain[] = {ElementFormat::f32, ElementFormat::bf16, ElementFormat::f16};

class HadamardKernelTest : public testing::TestWithParam<HadamardKernelEntry> {
 protected:
  void SetUp() override {
    const char* missing = jit::host_features().missing_for(GetParam().isa);
    if (missing != nullptr) GTEST_SKIP() << "this machine cannot run it: " << missing;
  }

  bool takes(const HadamardSpec& spec) { return GetParam().refusal(spec) == nullptr; }

  Hadamard make(const HadamardSpec& spec) {
    const std::string name = GetParam().name(spec);
    Result<Hadamard> made =
        Hadamard::create(spec, {.kernel = name.c_str(), .max_isa = name_of(GetParam().isa)});
    EXPECT_TRUE(made.ok()) << made.failure().message();
    EXPECT_EQ(made->code().name, name);
    return *made;
  }

  void expect_exact(const Problem& problem, int threads = 1) {
    std::vector<std::uint8_t> y(static_cast<std::size_t>(problem.y_bytes()), 0xa5);
    const Status status =
        make(problem.spec).run(problem.operands(problem.x.data(), y.data()), {.threads = threads});
    ASSERT_TRUE(status.ok()) << status.failure().message();
    ASSERT_EQ(first_difference(problem.spec.output, reference_answer(problem), y), "") << problem.describe();
  }
};

TEST_P(HadamardKernelTest, BitExactVsReferenceForEveryOrderAndFormat) {
  std::mt19937_64 rng(1);
  for (const std::int64_t order : kOrders) {
    for (const ElementFormat input : kPlain) {
      for (const ElementFormat output : kPlain) {
        HadamardSpec spec{.order = order, .input = input, .output = output};
        spec.signs = rng() % 2 == 0;
        spec.scaled = rng() % 4 != 0;
        if (!takes(spec)) continue;
        const std::int64_t blocks = order > 1024 ? 1 : 1 + static_cast<std::int64_t>(rng() % 5);
        expect_exact(make_problem(spec, 1 + static_cast<std::int64_t>(rng() % 3), blocks, rng() % 2 == 0,
                                  PlainData::gaussian, rng));
        if (HasFatalFailure()) return;
      }
    }
  }
}

TEST_P(HadamardKernelTest, BitExactOnEveryKindOfData) {
  std::mt19937_64 rng(2);
  for (const std::int64_t order : {4, 16, 64, 512, 4096, 192, 640, 448}) {
    for (const PlainData data : kPlainData) {
      for (const ElementFormat format : kPlain) {
        HadamardSpec spec{.order = order, .input = format, .output = format, .signs = rng() % 2 == 0};
        if (!takes(spec)) continue;
        expect_exact(make_problem(spec, 3, 2, false, data, rng));
        if (HasFatalFailure()) return;
      }
    }
  }
}

TEST_P(HadamardKernelTest, InPlaceEqualsOutOfPlace) {
  std::mt19937_64 rng(3);
  for (const std::int64_t order : kOrders) {
    for (const ElementFormat format : kPlain) {
      const HadamardSpec spec{.order = order, .input = format, .output = format};
      if (!takes(spec)) continue;
      Problem problem = make_problem(spec, 2, order > 1024 ? 1 : 3, false, PlainData::gaussian, rng);
      problem.x_stride = problem.y_stride = problem.cols;
      std::vector<std::uint8_t> y = problem.x;
      ASSERT_TRUE(make(spec).run(problem.operands(y.data(), y.data())).ok());
      ASSERT_EQ(first_difference(format, reference_answer(problem), y), "") << problem.describe();
    }
  }
}

TEST_P(HadamardKernelTest, EveryTailOfShortOrders) {
  std::mt19937_64 rng(4);
  for (const std::int64_t order : {2, 4, 8}) {
    if (!takes({.order = order, .output = ElementFormat::bf16})) continue;
    for (std::int64_t blocks = 1; blocks <= 20; ++blocks) {
      for (const bool strided : {false, true})
        expect_exact(make_problem({.order = order, .output = ElementFormat::bf16}, 3, blocks, strided,
                                  PlainData::gaussian, rng));
    }
  }
}

TEST_P(HadamardKernelTest, StaysInsideGuardPages) {
  std::mt19937_64 rng(5);
  for (const auto place : {GuardedBuffer::Place::kAtBegin, GuardedBuffer::Place::kAtEnd}) {
    for (const std::int64_t order : kOrders) {
      for (const ElementFormat format : kPlain) {
        const HadamardSpec spec{.order = order, .input = format, .output = format, .signs = true};
        if (!takes(spec)) continue;
        const Problem problem = make_problem(spec, 3, order < 16 ? 7 : 1, true, PlainData::gaussian, rng);
        GuardedBuffer x(problem.x, place), y(static_cast<std::size_t>(problem.y_bytes()), place);
        GuardedBuffer signs(problem.signs, place);
        std::memset(y.data(), 0xa5, y.size());
        HadamardOperands operands = problem.operands(x.data(), y.data());
        operands.signs = signs.data();
        ASSERT_TRUE(make(spec).run(operands).ok());
        ASSERT_EQ(first_difference(format, reference_answer(problem), {y.data(), y.data() + y.size()}), "")
            << problem.describe();
      }
    }
  }
}

TEST_P(HadamardKernelTest, ThreadCountDoesNotChangeABit) {
  std::mt19937_64 rng(6);
  for (const std::int64_t order : {2, 64, 8192, 192}) {
    const HadamardSpec spec{.order = order};
    if (!takes(spec)) continue;
    for (const bool strided : {false, true}) {
      const Problem problem = make_problem(spec, 5, (1 << 16) / order + 3, strided, PlainData::gaussian, rng);
      for (const int threads : {1, 2, 5}) expect_exact(problem, threads);
    }
  }
}

// Rounded as a number, a NaN of all ones would become -0 in bf16.
TEST_P(HadamardKernelTest, EveryNanAsScaleGivesNan) {
  std::mt19937_64 rng(9);
  for (const std::int64_t order : {8, 16, 64, 256, 4096, 192}) {
    for (const ElementFormat format : kPlain) {
      const HadamardSpec spec{.order = order, .input = format, .output = format};
      if (!takes(spec)) continue;
      Problem problem = make_problem(spec, 1, 2, false, PlainData::gaussian, rng);
      for (const std::uint32_t nan : {0x7fffffffu, 0xffffffffu, 0x7f800001u, 0x7fc00000u}) {
        problem.scale = std::bit_cast<float>(nan);
        expect_exact(problem);
        if (HasFatalFailure()) return;
      }
    }
  }
}

TEST_P(HadamardKernelTest, NothingToDoTouchesNothing) {
  const Hadamard hadamard = make({.order = 64});
  EXPECT_TRUE(hadamard.run({.rows = 0, .cols = 64}).ok());
  EXPECT_TRUE(hadamard.run({.rows = 5, .cols = 0}).ok());
}

INSTANTIATE_TEST_SUITE_P(Registry, HadamardKernelTest,
                         testing::ValuesIn(jit::hadamard_kernels().begin(), jit::hadamard_kernels().end()),
                         [](const auto& kernel) { return std::string(kernel.param.isa_variant); });

TEST(Hadamard, BadSpecsAreRefusedWithAReason) {
  for (const std::int64_t order : {0, 1, 3, 36, 65536, 11, -16, 28 * 2048}) {
    const Result<Hadamard> made = Hadamard::create({.order = order});
    ASSERT_FALSE(made.ok()) << order;
    EXPECT_EQ(made.error(), Error::kBadArgument);
    EXPECT_NE(made.failure().message().find(std::to_string(order)), std::string::npos);
  }
  EXPECT_EQ(Hadamard::create({.input = ElementFormat::e4m3}).error(), Error::kUnsupportedFormat);
  EXPECT_EQ(Hadamard::create({}, {.kernel = "no_such_kernel"}).error(), Error::kUnsupportedIsa);
  EXPECT_EQ(Hadamard::create({}, {.max_isa = "mmx"}).error(), Error::kBadArgument);
}

TEST(Hadamard, BadOperandsAreRefusedWithAReason) {
  const Result<Hadamard> hadamard = Hadamard::create({.order = 16});
  ASSERT_TRUE(hadamard.ok());
  float x[64] = {};
  const std::uint8_t signs[2] = {};
  EXPECT_EQ(hadamard->run({.x = x, .y = x, .rows = 1, .cols = 24}).error(), Error::kBadShape);
  EXPECT_EQ(hadamard->run({.x = x, .y = x, .rows = -1, .cols = 16}).error(), Error::kBadShape);
  EXPECT_EQ(hadamard->run({.x = x, .y = x, .rows = 2, .cols = 32, .x_stride = 16}).error(), Error::kBadShape);
  EXPECT_EQ(hadamard->run({.x = nullptr, .y = x, .rows = 1, .cols = 16}).error(), Error::kBadArgument);
  EXPECT_EQ(hadamard->run({.x = x, .y = x, .rows = 1, .cols = 16, .signs = signs}).error(),
            Error::kBadArgument);
  EXPECT_EQ(hadamard->run({.x = x, .y = x, .rows = 2, .cols = 16, .x_stride = 32}).error(),
            Error::kBadArgument);
  EXPECT_EQ(hadamard->run({.x = x, .y = x, .rows = 1, .cols = 16}, {.threads = -1}).error(),
            Error::kBadArgument);
}

TEST(Hadamard, ScalarLevelIsHonoured) {
  const Result<Hadamard> made = Hadamard::create({.order = 64}, {.max_isa = "scalar"});
  ASSERT_TRUE(made.ok());
  EXPECT_EQ(made->code().isa, "scalar");
}

#if defined(__x86_64__)

class HadamardAvx512 : public testing::Test {
 protected:
  void SetUp() override {
    const char* missing = jit::host_features().missing_for(jit::Isa::avx512);
    if (missing != nullptr) GTEST_SKIP() << "this machine cannot run it: " << missing;
  }
};

// Straight into the generated code: canaries in saved registers, odd floating-point modes, poisoned vectors.
TEST_F(HadamardAvx512, KeepsTheAbiAndIgnoresTheCallersMode) {
  std::mt19937_64 rng(7);
  for (const std::int64_t order : kOrders) {
    const HadamardSpec spec{.order = order, .input = ElementFormat::bf16, .output = ElementFormat::f16};
    if (jit::hadamard_avx512_refusal(spec) != nullptr) continue;
    const Problem problem = make_problem(spec, 1, 2, false, PlainData::gaussian, rng);
    const auto kernel = jit::make_hadamard_avx512_poisoned(spec);
    ASSERT_TRUE(kernel.ok());
    for (const std::uint32_t mxcsr : {0x1f80u, 0xffc0u, 0x5f80u}) {
      GuardedBuffer work(static_cast<std::size_t>(order) * 4, GuardedBuffer::Place::kAtBegin);
      std::vector<std::uint8_t> y(static_cast<std::size_t>(problem.y_bytes()));
      jit::HadamardArgs args{problem.x.data(), y.data(),  work.as<float>(), nullptr, 2,
                             order * 2,        order * 2, problem.scale};
      const auto entry =
          reinterpret_cast<void (*)(void*)>(reinterpret_cast<std::uintptr_t>((*kernel)->code().bytes.data()));
      EXPECT_EQ(abi_violations(entry, &args, mxcsr), "") << problem.describe();
      EXPECT_EQ(first_difference(spec.output, reference_answer(problem), y), "") << problem.describe();
    }
  }
}

// Prefetching reaches past the input's end, non-temporal stores need their alignment; neither changes a bit.
TEST_F(HadamardAvx512, EveryFootprintGivesTheSameBits) {
  std::mt19937_64 rng(8);
  for (const std::int64_t order : kOrders) {
    for (const auto& [input, output] : {std::pair(ElementFormat::f32, ElementFormat::f32),
                                        std::pair(ElementFormat::f32, ElementFormat::bf16),
                                        std::pair(ElementFormat::bf16, ElementFormat::bf16)}) {
      const HadamardSpec spec{.order = order, .input = input, .output = output};
      if (jit::hadamard_avx512_refusal(spec) != nullptr) continue;
      constexpr std::int64_t kBlocks = 3;
      const Problem problem = make_problem(spec, 1, kBlocks, false, PlainData::gaussian, rng);
      const std::vector<std::uint8_t> want = reference_answer(problem);
      const auto kernel = jit::make_hadamard_avx512(spec);
      ASSERT_TRUE(kernel.ok());
      GuardedBuffer x(problem.x, GuardedBuffer::Place::kAtEnd),
          y(want.size(), GuardedBuffer::Place::kAtBegin),
          work(static_cast<std::size_t>(order) * 4, GuardedBuffer::Place::kAtBegin);
      for (const auto footprint : {jit::Footprint::in_l2, jit::Footprint::in_l3, jit::Footprint::in_memory}) {
        std::memset(y.data(), 0xa5, y.size());
        (*kernel)->run({.x = x.data(),
                        .y = y.data(),
                        .work = work.as<float>(),
                        .sign_words = nullptr,
                        .count = kBlocks,
                        .x_step = static_cast<std::int64_t>(problem.x.size()) / kBlocks,
                        .y_step = static_cast<std::int64_t>(want.size()) / kBlocks,
                        .scale = problem.scale,
                        .footprint = footprint});
        EXPECT_EQ(first_difference(output, want, {y.data(), y.data() + y.size()}), "")
            << problem.describe() << " footprint " << static_cast<int>(footprint);
      }
      if (input != output) continue;
      (*kernel)->run({.x = x.data(),
                      .y = x.data(),
                      .work = work.as<float>(),
                      .sign_words = nullptr,
                      .count = kBlocks,
                      .x_step = static_cast<std::int64_t>(problem.x.size()) / kBlocks,
                      .y_step = static_cast<std::int64_t>(want.size()) / kBlocks,
                      .scale = problem.scale,
                      .footprint = jit::Footprint::in_memory});
      EXPECT_EQ(first_difference(output, want, {x.data(), x.data() + x.size()}), "") << problem.describe();
    }
  }
}

#endif

}  // namespace
}  // namespace fourge::tests
