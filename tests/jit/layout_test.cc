// Every registered layout kernel that this machine can run, against scale_offset() and the definition of
// nibble orders.
#include "fourge/layout.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <random>

#include "jit/layout/layout_kernel.h"
#include "tests/support/abi_check.h"
#include "tests/support/guarded_buffer.h"
#include "tests/support/kernel_names.h"

namespace fourge::tests {
namespace {

using jit::LayoutKernelEntry;
using Bytes = std::vector<std::uint8_t>;

constexpr ByteLayout kScaleLayouts[] = {ByteLayout::linear, ByteLayout::swizzled_128x4,
                                        ByteLayout::swizzled_8x4};
constexpr LayoutSpec kCodeSpecs[] = {{ByteLayout::pairs, ByteLayout::halves_16},
                                     {ByteLayout::pairs, ByteLayout::halves_32},
                                     {ByteLayout::halves_16, ByteLayout::pairs},
                                     {ByteLayout::halves_32, ByteLayout::pairs}};

Bytes random_bytes(std::int64_t count, std::mt19937_64& rng) {
  Bytes bytes(static_cast<std::size_t>(count));
  for (auto& byte : bytes) byte = static_cast<std::uint8_t>(rng());
  return bytes;
}

std::int64_t scale_count(ByteLayout layout, std::int64_t rows, std::int64_t columns) {
  return scale_bytes(jit::scale_layout_of(layout), rows, columns);
}

Bytes converted_scales(const LayoutSpec& spec, const Bytes& from, std::int64_t rows, std::int64_t columns) {
  Bytes to(static_cast<std::size_t>(scale_count(spec.to, rows, columns)));
  convert_scales(jit::scale_layout_of(spec.from), from.data(), jit::scale_layout_of(spec.to), to.data(), rows,
                 columns);
  return to;
}

// Nibble of element i of a block, two a byte.
std::size_t nibble_of(ByteLayout layout, std::size_t i) {
  if (layout == ByteLayout::pairs) return i;
  const std::size_t half = layout == ByteLayout::halves_16 ? 8 : 16;
  return i % half * 2 + i / half;
}

Bytes converted_codes(const LayoutSpec& spec, const Bytes& from) {
  const bool wide = spec.from == ByteLayout::halves_32 || spec.to == ByteLayout::halves_32;
  const std::size_t block = wide ? 32 : 16;
  Bytes to(from.size());
  for (std::size_t i = 0; i < 2 * from.size(); ++i) {
    const std::size_t first = i / block * block;
    const std::size_t source = first + nibble_of(spec.from, i % block),
                      target = first + nibble_of(spec.to, i % block);
    const unsigned code = from[source / 2] >> (source % 2 * 4) & 15u;
    to[target / 2] = static_cast<std::uint8_t>(to[target / 2] | code << (target % 2 * 4));
  }
  return to;
}

class LayoutKernelTest : public testing::TestWithParam<LayoutKernelEntry> {
 protected:
  void SetUp() override {
    const char* missing = jit::host_features().missing_for(GetParam().isa);
    if (missing != nullptr) GTEST_SKIP() << "this machine cannot run it: " << missing;
  }

  LayoutConverter make(const LayoutSpec& spec) {
    const std::string name = GetParam().name(spec);
    Result<LayoutConverter> made =
        LayoutConverter::create(spec, {.kernel = name.c_str(), .max_isa = name_of(GetParam().isa)});
    EXPECT_TRUE(made.ok()) << made.failure().message();
    EXPECT_EQ(made->code().name, name);
    return *made;
  }

  void expect_scales(const LayoutSpec& spec, std::int64_t rows, std::int64_t columns,
                     GuardedBuffer::Place place, int threads, std::mt19937_64& rng) {
    const Bytes from = random_bytes(scale_count(spec.from, rows, columns), rng);
    const Bytes want = converted_scales(spec, from, rows, columns);
    GuardedBuffer source(from, place), target(Bytes(want.size(), 0xa5), place);
    const Status done = make(spec).run(
        {.from = source.data(), .to = target.data(), .rows = rows, .columns = columns}, {.threads = threads});
    ASSERT_TRUE(done.ok()) << done.failure().message();
    ASSERT_EQ(std::memcmp(want.data(), target.data(), want.size()), 0)
        << kernel_name(spec) << " " << rows << " x " << columns;
  }
};

TEST_P(LayoutKernelTest, ScalesOfEveryShapeBetweenGuardPages) {
  std::mt19937_64 rng(1);
  for (const ByteLayout from : kScaleLayouts) {
    for (const ByteLayout to : kScaleLayouts) {
      if (from == to) continue;
      for (const std::int64_t rows : {1, 7, 31, 128, 129, 144, 300}) {
        for (const std::int64_t columns : {1, 3, 4, 63, 64, 65, 200}) {
          expect_scales({from, to}, rows, columns,
                        rng() % 2 == 0 ? GuardedBuffer::Place::kAtBegin : GuardedBuffer::Place::kAtEnd,
                        1 + static_cast<int>(rng() % 3), rng);
          if (HasFatalFailure()) return;
        }
      }
    }
  }
}

TEST_P(LayoutKernelTest, CodesOfEveryLengthAndInPlace) {
  std::mt19937_64 rng(2);
  for (const LayoutSpec& spec : kCodeSpecs) {
    for (std::int64_t blocks = 1; blocks <= 70; ++blocks) {
      const Bytes from = random_bytes(blocks * 16, rng), want = converted_codes(spec, from);
      GuardedBuffer source(from, GuardedBuffer::Place::kAtEnd),
          target(want.size(), GuardedBuffer::Place::kAtEnd);
      const LayoutConverter converter = make(spec);
      const LayoutOperands apart{.from = source.data(), .to = target.data(), .rows = blocks, .columns = 16};
      ASSERT_TRUE(converter.run(apart).ok());
      ASSERT_EQ(std::memcmp(want.data(), target.data(), want.size()), 0)
          << kernel_name(spec) << " " << blocks;
      ASSERT_TRUE(
          converter.run({.from = source.data(), .to = source.data(), .rows = blocks, .columns = 16}).ok());
      ASSERT_EQ(std::memcmp(want.data(), source.data(), want.size()), 0)
          << kernel_name(spec) << " " << blocks;
    }
  }
}

TEST_P(LayoutKernelTest, ManyTasksOfCodes) {
  std::mt19937_64 rng(3);
  for (const LayoutSpec& spec : kCodeSpecs) {
    const Bytes from = random_bytes(3 * (1 << 16) + 8 * 14, rng), want = converted_codes(spec, from);
    Bytes to(from.size());
    const LayoutOperands operands{
        .from = from.data(), .to = to.data(), .rows = 1, .columns = static_cast<std::int64_t>(from.size())};
    ASSERT_TRUE(make(spec).run(operands, {.threads = 3}).ok());
    EXPECT_EQ(want, to) << kernel_name(spec);
  }
}

TEST_P(LayoutKernelTest, NothingToDoTouchesNothing) {
  EXPECT_TRUE(make({}).run({.rows = 0, .columns = 64}).ok());
  EXPECT_TRUE(make({}).run({.rows = 5, .columns = 0}).ok());
}

INSTANTIATE_TEST_SUITE_P(Registry, LayoutKernelTest,
                         testing::ValuesIn(jit::layout_kernels().begin(), jit::layout_kernels().end()),
                         [](const auto& kernel) { return std::string(kernel.param.isa_variant); });

TEST(LayoutConverter, BadArgumentsAreRefusedWithAReason) {
  EXPECT_EQ(LayoutConverter::create({ByteLayout::linear, ByteLayout::linear}).error(), Error::kBadArgument);
  EXPECT_EQ(LayoutConverter::create({ByteLayout::linear, ByteLayout::pairs}).error(), Error::kBadArgument);
  EXPECT_EQ(LayoutConverter::create({ByteLayout::halves_16, ByteLayout::halves_32}).error(),
            Error::kBadArgument);
  Bytes a(4096), b(4096);
  const auto error_of = [](const LayoutSpec& spec, const LayoutOperands& operands) {
    const Result<LayoutConverter> converter = LayoutConverter::create(spec);
    EXPECT_TRUE(converter.ok());
    return converter->run(operands).error();
  };
  const LayoutSpec scales{}, codes{ByteLayout::pairs, ByteLayout::halves_32};
  EXPECT_EQ(error_of(scales, {a.data(), b.data(), 4, 4}), Error::kOk);
  EXPECT_EQ(error_of(scales, {a.data(), a.data(), 4, 4}), Error::kBadArgument);
  EXPECT_EQ(error_of(scales, {nullptr, b.data(), 4, 4}), Error::kBadArgument);
  EXPECT_EQ(error_of(scales, {a.data(), b.data(), -1, 4}), Error::kBadShape);
  EXPECT_EQ(error_of(codes, {a.data(), b.data(), 3, 8}), Error::kBadShape);
}

#if defined(__x86_64__)
TEST(LayoutAvx512, KeepsTheAbiWithPoisonedVectors) {
  const char* missing = jit::host_features().missing_for(jit::Isa::avx512);
  if (missing != nullptr) GTEST_SKIP() << "this machine cannot run it: " << missing;
  std::mt19937_64 rng(4);
  std::vector<LayoutSpec> specs(std::begin(kCodeSpecs), std::end(kCodeSpecs));
  for (const ByteLayout from : kScaleLayouts) {
    for (const ByteLayout to : kScaleLayouts) {
      if (from != to) specs.push_back({from, to});
    }
  }
  for (const LayoutSpec& spec : specs) {
    const auto kernel = jit::make_layout_avx512_poisoned(spec);
    ASSERT_TRUE(kernel.ok());
    const Bytes from = random_bytes(128 * 64, rng);
    Bytes to(from.size());
    jit::LayoutArgs args{from.data(), to.data(), 64, 16 * 32, 1};
    const auto entry =
        reinterpret_cast<void (*)(void*)>(reinterpret_cast<std::uintptr_t>((*kernel)->code().bytes.data()));
    EXPECT_EQ(abi_violations(entry, &args, 0x1f80), "") << kernel_name(spec);
  }
}
#endif

}  // namespace
}  // namespace fourge::tests
