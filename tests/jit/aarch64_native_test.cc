// The AArch64 kernels on a 64-bit Arm (or under qemu) from the inside: memory, registers, floating-point
// mode. Their bits are tested through the registry.
#if defined(__aarch64__) && defined(FOURGE_HAVE_VIXL)

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "fourge/rounding.h"
#include "jit/cpu.h"
#include "jit/decode/decode_kernel.h"
#include "jit/gemm/exact_gemm.h"
#include "jit/hadamard/hadamard_kernel.h"
#include "jit/quantize/quantize_kernel.h"
#include "tests/support/aarch64_offender.h"
#include "tests/support/abi_check.h"
#include "tests/support/gemm_problem.h"
#include "tests/support/guarded_buffer.h"

namespace fourge::tests {
namespace {

using Entry = void (*)(void*);

// Round up; flush subnormals to zero with default NaN; toward zero.
constexpr std::uint64_t kModes[] = {0, 0x0040'0000, 0x0300'0000, 0x00c0'0000};

class AArch64Native : public testing::Test {
 protected:
  void SetUp() override {
    const char* missing = jit::host_features().missing_for(jit::Isa::dotprod);
    if (missing != nullptr) GTEST_SKIP() << "this machine cannot run it: " << missing;
  }
};

Entry entry_of(const KernelCode& code) {
  return reinterpret_cast<Entry>(reinterpret_cast<std::uintptr_t>(code.bytes.data()));
}

// What the trampoline calls and finds, for a panel function, which is a plain pointer.
struct Observed {
  Entry kernel = nullptr;
  std::uint64_t fpcr = 0;
  std::string violations;
} observed;

void observed_panel(jit::ExactPanelArgs* args) {
  observed.violations += abi_violations(observed.kernel, args, observed.fpcr);
}

TEST_F(AArch64Native, ExactGemmKeepsRegistersAndIgnoresTheCallersFpcr) {
  std::mt19937_64 rng(61);
  for (const std::uint64_t fpcr : kModes) {
    for (int i = 0; i < 22; ++i) {
      const GemmProblem problem = make_problem(
          random_spec(rng, 24), kDataKinds[static_cast<std::size_t>(i) % std::size(kDataKinds)], rng);
      const auto kernel = jit::make_exact_dotprod(problem.spec);
      ASSERT_TRUE(kernel.ok());
      observed = {entry_of((*kernel)->code()), fpcr, ""};
      const auto driver = jit::make_exact_from_function(problem.spec.format, observed_panel);
      const auto got = answer(*driver, problem, 1);
      ASSERT_EQ(observed.violations, "");
      ASSERT_EQ(first_difference(problem, reference_answer(problem), got), "");
    }
  }
}

TEST_F(AArch64Native, HadamardKeepsRegistersAndFpcr) {
  for (const std::uint64_t fpcr : kModes) {
    for (const std::int64_t order : {16, 64, 4096}) {
      const HadamardSpec spec{.order = order, .output = ElementFormat::bf16, .signs = true};
      const auto kernel = jit::make_hadamard_neon(spec);
      ASSERT_TRUE(kernel.ok());
      std::vector<float> x(static_cast<std::size_t>(order), 1.0f), work(x.size());
      std::vector<std::uint16_t> y(x.size());
      std::vector<std::uint32_t> signs(x.size());
      jit::HadamardArgs args{x.data(), y.data(), work.data(), signs.data(), 1, order * 4, order * 2, 1.0f};
      EXPECT_EQ(abi_violations(entry_of((*kernel)->code()), &args, fpcr), "") << order;
      EXPECT_EQ(y[0], static_cast<std::uint16_t>(encode(ElementFormat::bf16, static_cast<float>(order))));
      EXPECT_EQ(std::count(y.begin(), y.end(), 0), order - 1);
    }
  }
}

TEST_F(AArch64Native, FastGemmKeepsRegistersAndFpcr) {
  std::mt19937_64 rng(63);
  for (const std::uint64_t fpcr : kModes) {
    for (const Format format : kFormats) {
      GemmSpec spec = random_spec(rng, 24);
      spec.format = format;
      spec.numerics = Numerics::fast;
      const GemmProblem problem = make_problem(spec, DataKind::gaussian, rng);
      const auto kernel = jit::make_fast_dotprod(spec);
      ASSERT_TRUE(kernel.ok());
      observed = {entry_of((*kernel)->code()), fpcr, ""};
      answer(*jit::make_exact_from_function(format, observed_panel), problem, 1);
      ASSERT_EQ(observed.violations, "");
    }
  }
}

TEST_F(AArch64Native, DecodeKeepsRegistersAndFpcr) {
  for (const std::uint64_t fpcr : kModes) {
    for (const Format format : {Format::nvfp4, Format::mxfp4}) {
      const DecodeSpec spec{format, ElementFormat::f32};
      const auto kernel = jit::make_decode_neon(spec);
      ASSERT_TRUE(kernel.ok());
      const jit::DecodeTable table(spec, 1.0f);
      const std::uint8_t codes[16] = {0x72},
                         scales[1] = {static_cast<std::uint8_t>(format == Format::nvfp4 ? 56 : 127)};
      float y[32] = {};
      simd::DecodeArgs args{codes, scales, reinterpret_cast<std::uint8_t*>(y), table.data(), 1};
      EXPECT_EQ(abi_violations(entry_of((*kernel)->code()), &args, fpcr), "");
      EXPECT_EQ(y[0], 1.0f);
      EXPECT_EQ(y[1], 6.0f);
    }
  }
}

TEST_F(AArch64Native, QuantiseKeepsRegistersAndFpcr) {
  for (const std::uint64_t fpcr : kModes) {
    for (const Format format : {Format::nvfp4, Format::mxfp4}) {
      for (const std::int64_t order : {0, 16, 64, 256}) {
        const ScaleRule rule = format == Format::nvfp4 ? ScaleRule::mse_4_6 : ScaleRule::rceil;
        const QuantizerSpec spec{
            .quantize = {.format = format, .rule = rule}, .rotate = order, .signs = order != 0};
        const auto kernel = jit::make_quantize_neon(spec);
        ASSERT_TRUE(kernel.ok());
        std::vector<float> x(256);
        for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i % 16) - 7.5f;
        const std::vector<std::uint32_t> signs(256);
        std::vector<std::uint8_t> codes(128), scales(16);
        std::uint16_t flags = 0xffff;
        jit::StripArgs args{};
        args.x = x.data(), args.rows = args.groups = 1;
        args.codes = codes.data(), args.scales = scales.data(), args.scale_step = 4;
        args.flags = &flags, args.sign_words = signs.data();
        args.rotation_scale = args.encode = args.decode = 1.0f;
        args.amax = 8.0f;
        EXPECT_EQ(abi_violations(entry_of((*kernel)->code()), &args, fpcr), "") << kernel_name(spec);
        EXPECT_EQ(flags, 0);
        EXPECT_NE(std::count(codes.begin(), codes.end(), 0), 128);
      }
    }
  }
}

// What the tests above rely on.
TEST_F(AArch64Native, BrokenPromisesOfTheAbiAreFound) {
  for_each_offender([](AArch64Offender& offender) {
    const auto code = offender.assemble("offender");
    ASSERT_TRUE(code.ok());
    EXPECT_EQ(abi_violations(code->entry<void (*)(void*)>(), nullptr), offender.name() + " ");
  });
}

TEST_F(AArch64Native, ExactGemmStaysInsideGuardPages) {
  std::mt19937_64 rng(62);
  for (const auto place : {GuardedBuffer::Place::kAtBegin, GuardedBuffer::Place::kAtEnd}) {
    for (int i = 0; i < 55; ++i) {
      const GemmProblem problem = make_problem(
          random_spec(rng, 40), kDataKinds[static_cast<std::size_t>(i) % std::size(kDataKinds)], rng);
      const GemmSpec& spec = problem.spec;
      const auto kernel = jit::make_exact_dotprod(spec);
      ASSERT_TRUE(kernel.ok());
      GuardedBuffer packed(static_cast<std::size_t>((*kernel)->packed_bytes(spec.n, spec.k)), place);
      GuardedBuffer d(static_cast<std::size_t>(spec.m * spec.n * bytes_of(spec.output)), place);
      (*kernel)->pack(problem.b.view(), packed.data());
      RunStats stats;
      ASSERT_TRUE(
          (*kernel)->run(spec, problem.a.view(), packed.data(), problem.operands(d.data()), 1, stats).ok());
      const std::vector<std::uint8_t> got(d.data(), d.data() + d.size());
      ASSERT_EQ(first_difference(problem, reference_answer(problem), got), "");
    }
  }
}

}  // namespace
}  // namespace fourge::tests

#endif
