// Every registered decode kernel that this machine can run, against quant/ and the one rounding, bit for bit.
#include "fourge/decode.h"

#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "fourge/quantize.h"
#include "fourge/rounding.h"
#include "jit/decode/decode_kernel.h"
#include "tests/support/abi_check.h"
#include "tests/support/guarded_buffer.h"
#include "tests/support/kernel_names.h"
#include "tests/support/plain_matrix.h"

namespace fourge::tests {
namespace {

using jit::DecodeKernelEntry;

constexpr ElementFormat kPlain[] = {ElementFormat::f32, ElementFormat::bf16, ElementFormat::f16};

// Any codes and any scale bytes, NaN and padding included.
QuantizedMatrix random_matrix(Format format, std::int64_t rows, std::int64_t cols, ScaleLayout layout,
                              std::mt19937_64& rng) {
  QuantizedMatrix matrix;
  matrix.format = format;
  matrix.rows = rows;
  matrix.cols = cols;
  matrix.layout = layout;
  matrix.codes.resize(static_cast<std::size_t>(rows * cols / 2));
  matrix.scales.resize(static_cast<std::size_t>(scale_bytes(layout, rows, cols / info(format).block)));
  for (auto& byte : matrix.codes) byte = static_cast<std::uint8_t>(rng());
  for (auto& byte : matrix.scales) byte = static_cast<std::uint8_t>(rng());
  const float scales[] = {1.0f, 0.0123f, 3e-5f, 1e30f, 0.3f};
  const float scale = scales[rng() % std::size(scales)];
  matrix.tensor_scale =
      rng() % 2 == 0 ? TensorScale::decode_multiplier(scale) : TensorScale::encode_multiplier(scale);
  return matrix;
}

// Rows `stride` elements apart over a background of 0xa5.
std::vector<std::uint8_t> truth(const QuantizedMatrix& matrix, ElementFormat output, std::int64_t stride) {
  std::vector<float> values(static_cast<std::size_t>(matrix.rows * matrix.cols));
  EXPECT_TRUE(dequantize(matrix.view(), values).ok());
  const std::vector<std::uint8_t> packed = from_f32(output, values);
  const auto bytes =
      static_cast<std::int64_t>(packed.size()) / std::max<std::int64_t>(1, matrix.rows * matrix.cols);
  std::vector<std::uint8_t> y(
      static_cast<std::size_t>(matrix_bytes(output, matrix.rows, matrix.cols, stride)), 0xa5);
  for (std::int64_t r = 0; r < matrix.rows; ++r)
    std::memcpy(y.data() + r * stride * bytes, packed.data() + r * matrix.cols * bytes,
                static_cast<std::size_t>(matrix.cols * bytes));
  return y;
}

class DecodeKernelTest : public testing::TestWithParam<DecodeKernelEntry> {
 protected:
  void SetUp() override {
    const char* missing = jit::host_features().missing_for(GetParam().isa);
    if (missing != nullptr) GTEST_SKIP() << "this machine cannot run it: " << missing;
  }

  Decoder make(const DecodeSpec& spec) {
    const std::string name = GetParam().name(spec);
    Result<Decoder> made =
        Decoder::create(spec, {.kernel = name.c_str(), .max_isa = name_of(GetParam().isa)});
    EXPECT_TRUE(made.ok()) << made.failure().message();
    EXPECT_EQ(made->code().name, name);
    return *made;
  }

  void expect_exact(const QuantizedMatrix& matrix, ElementFormat output, std::int64_t stride,
                    int threads = 1) {
    const std::vector<std::uint8_t> want = truth(matrix, output, stride);
    std::vector<std::uint8_t> got(want.size(), 0xa5);
    const Status status =
        make({matrix.format, output}).run(matrix.view(), got.data(), stride, {.threads = threads});
    ASSERT_TRUE(status.ok()) << status.failure().message();
    ASSERT_EQ(first_difference(output, want, got), "")
        << name_of(matrix.format) << " " << name_of(output) << " " << matrix.rows << " x " << matrix.cols;
  }
};

TEST_P(DecodeKernelTest, EveryFormatOutputLayoutAndTail) {
  std::mt19937_64 rng(1);
  for (const Format format : kFormats) {
    for (const ElementFormat output : kPlain) {
      for (const ScaleLayout layout :
           {ScaleLayout::linear, ScaleLayout::swizzled_128x4, ScaleLayout::swizzled_8x4}) {
        for (std::int64_t blocks = 1; blocks <= 19; ++blocks) {
          const std::int64_t cols = blocks * info(format).block,
                             rows = 1 + static_cast<std::int64_t>(rng() % 12);
          expect_exact(random_matrix(format, rows, cols, layout, rng), output,
                       cols + (rng() % 2 == 0 ? 0 : static_cast<std::int64_t>(rng() % 40)));
          if (HasFatalFailure()) return;
        }
      }
    }
  }
}

TEST_P(DecodeKernelTest, EveryCodeUnderEveryScale) {
  std::mt19937_64 rng(2);
  for (const Format format : kFormats) {
    const int width = info(format).block;
    QuantizedMatrix matrix = random_matrix(format, 256, width, ScaleLayout::linear, rng);
    for (std::size_t r = 0; r < 256; ++r) {
      matrix.scales[r] = static_cast<std::uint8_t>(r);
      for (int i = 0; i < width / 2; ++i)
        matrix.codes[r * static_cast<std::size_t>(width) / 2 + static_cast<std::size_t>(i)] =
            static_cast<std::uint8_t>((2 * i) % 16 | (2 * i + 1) % 16 << 4);
    }
    for (const float scale : {1.0f, 0.37f, 1e-38f, 1e38f}) {
      matrix.tensor_scale = TensorScale::decode_multiplier(scale);
      for (const ElementFormat output : kPlain) expect_exact(matrix, output, width);
    }
  }
}

TEST_P(DecodeKernelTest, ThreadCountDoesNotChangeABit) {
  std::mt19937_64 rng(3);
  for (const ScaleLayout layout : {ScaleLayout::linear, ScaleLayout::swizzled_128x4}) {
    const QuantizedMatrix matrix = random_matrix(Format::nvfp4, 300, 1008, layout, rng);
    for (const int threads : {1, 2, 5}) expect_exact(matrix, ElementFormat::bf16, 1010, threads);
    for (const int threads : {1, 2, 5}) expect_exact(matrix, ElementFormat::bf16, 1008, threads);
  }
}

TEST_P(DecodeKernelTest, StaysInsideGuardPages) {
  std::mt19937_64 rng(4);
  for (const auto place : {GuardedBuffer::Place::kAtBegin, GuardedBuffer::Place::kAtEnd}) {
    for (int i = 0; i < 150; ++i) {
      const Format format = kFormats[rng() % 3];
      const ElementFormat output = kPlain[rng() % 3];
      const std::int64_t cols = info(format).block * (1 + static_cast<std::int64_t>(rng() % 12));
      const QuantizedMatrix matrix = random_matrix(format, 1 + static_cast<std::int64_t>(rng() % 5), cols,
                                                   static_cast<ScaleLayout>(rng() % 3), rng);
      const std::int64_t stride = cols + static_cast<std::int64_t>(rng() % 9);
      const std::vector<std::uint8_t> want = truth(matrix, output, stride);
      GuardedBuffer codes(matrix.codes, place), scales(matrix.scales, place), y(want.size(), place);
      std::memset(y.data(), 0xa5, y.size());
      QuantizedView view = matrix.view();
      view.codes = codes.data(), view.scales = scales.data();
      ASSERT_TRUE(make({format, output}).run(view, y.data(), stride).ok());
      ASSERT_EQ(first_difference(output, want, {y.data(), y.data() + y.size()}), "");
    }
  }
}

TEST_P(DecodeKernelTest, NothingToDoTouchesNothing) {
  EXPECT_TRUE(make({}).run({.rows = 0, .cols = 64, .tensor_scale = {}}, nullptr).ok());
  EXPECT_TRUE(make({}).run({.rows = 5, .cols = 0, .tensor_scale = {}}, nullptr).ok());
}

INSTANTIATE_TEST_SUITE_P(Registry, DecodeKernelTest,
                         testing::ValuesIn(jit::decode_kernels().begin(), jit::decode_kernels().end()),
                         [](const auto& kernel) { return std::string(kernel.param.isa_variant); });

TEST(Decoder, BadArgumentsAreRefusedWithAReason) {
  EXPECT_EQ(Decoder::create({.output = ElementFormat::e4m3}).error(), Error::kUnsupportedFormat);
  const Result<Decoder> decoder = Decoder::create({});
  ASSERT_TRUE(decoder.ok());
  std::mt19937_64 rng(5);
  const QuantizedMatrix matrix = random_matrix(Format::nvfp4, 2, 64, ScaleLayout::linear, rng);
  std::vector<float> y(128);
  const auto error_of = [&](auto change, std::int64_t stride = 0) {
    QuantizedView view = matrix.view();
    change(view);
    return decoder->run(view, y.data(), stride).error();
  };
  EXPECT_EQ(error_of([](auto&) {}), Error::kOk);
  EXPECT_EQ(error_of([](auto& m) { m.format = Format::mxfp4; }), Error::kUnsupportedFormat);
  EXPECT_EQ(error_of([](auto& m) { m.cols = 40; }), Error::kBadShape);
  EXPECT_EQ(error_of([](auto& m) { m.rows = -1; }), Error::kBadShape);
  EXPECT_EQ(error_of([](auto& m) { m.codes = nullptr; }), Error::kBadArgument);
  EXPECT_EQ(error_of([](auto&) {}, 32), Error::kBadShape);
  EXPECT_EQ(decoder->run(matrix.view(), nullptr).error(), Error::kBadArgument);
  EXPECT_EQ(decoder->run(matrix.view(), y.data(), 0, {.threads = -1}).error(), Error::kBadArgument);
}

#if defined(__x86_64__)
TEST(DecodeAvx512, KeepsTheAbiWithPoisonedRegisters) {
  const char* missing = jit::host_features().missing_for(jit::Isa::avx512);
  if (missing != nullptr) GTEST_SKIP() << "this machine cannot run it: " << missing;
  std::mt19937_64 rng(6);
  for (const Format format : kFormats) {
    for (const ElementFormat output : kPlain) {
      QuantizedMatrix matrix = random_matrix(format, 1, 11 * info(format).block, ScaleLayout::linear, rng);
      matrix.tensor_scale = TensorScale::decode_multiplier(0.7f);
      const auto kernel = jit::make_decode_avx512_poisoned({format, output});
      ASSERT_TRUE(kernel.ok());
      const jit::DecodeTable table({format, output}, 0.7f);
      const std::vector<std::uint8_t> want = truth(matrix, output, matrix.cols);
      for (const std::uint32_t mxcsr : {0x1f80u, 0xffc0u}) {
        std::vector<std::uint8_t> y(want.size());
        jit::DecodeRows args{.first = {matrix.codes.data(), matrix.scales.data(), y.data(), table.data(), 11},
                             .rows = 1,
                             .code_step = 0,
                             .y_step = 0,
                             .scale_step = 4,
                             .scale_row_step = 0,
                             .scratch = nullptr};
        const auto entry = reinterpret_cast<void (*)(void*)>(
            reinterpret_cast<std::uintptr_t>((*kernel)->code().bytes.data()));
        EXPECT_EQ(abi_violations(entry, &args, mxcsr), "");
        EXPECT_EQ(first_difference(output, want, y), "");
      }
    }
  }
}
#endif

}  // namespace
}  // namespace fourge::tests
