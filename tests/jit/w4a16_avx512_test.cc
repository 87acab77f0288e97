// The AVX-512 W4A16 kernel from the inside: memory, registers, and mutants that must be caught.
#if defined(__x86_64__)

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <random>

#include "jit/cpu.h"
#include "jit/gemm/exact_operands.h"
#include "jit/gemm/w4a16_gemm.h"
#include "jit/x86/gemm_w4a16.h"
#include "tests/support/abi_check.h"
#include "tests/support/guarded_buffer.h"
#include "tests/support/mutants.h"
#include "tests/support/w4a16_problem.h"

namespace fourge::tests {
namespace {

using jit::W4a16PanelArgs;
using jit::W4a16PanelFunction;
using Rng = std::mt19937_64;

class W4a16Avx512 : public testing::Test {
 protected:
  void SetUp() override {
    const char* missing = jit::host_features().missing_for(jit::Isa::avx512);
    if (missing != nullptr) GTEST_SKIP() << "this machine cannot run it: " << missing;
  }
};

TEST_F(W4a16Avx512, PoisonedRegistersChangeNothing) {
  Rng rng(11);
  for (int i = 0; i < 120; ++i) {
    const W4a16Problem problem = random_w4a16(i, 14, rng);
    const auto kernel = jit::make_w4a16_avx512_poisoned(problem.spec());
    ASSERT_TRUE(kernel.ok());
    ASSERT_EQ(first_difference(problem.base, reference_answer(problem), answer(**kernel, problem, 1)), "");
  }
}

TEST_F(W4a16Avx512, StaysInsideGuardPages) {
  Rng rng(14);
  for (const auto place : {GuardedBuffer::Place::kAtBegin, GuardedBuffer::Place::kAtEnd}) {
    for (int i = 0; i < 60; ++i) {
      W4a16Problem problem = random_w4a16(i, 20, rng);
      const GemmSpec& spec = problem.spec();
      // The last row ends with its last element, not with its stride.
      const std::int64_t width = spec.activations == Activations::bf16 ? 2 : 4;
      problem.a.resize(static_cast<std::size_t>(((spec.m - 1) * problem.stride + spec.k) * width));
      const auto kernel = jit::make_w4a16_avx512(spec);
      ASSERT_TRUE(kernel.ok());
      GuardedBuffer a(problem.a, place);
      GuardedBuffer c(bytes_of_span(std::span<const float>(problem.base.c)), place);
      GuardedBuffer bias(bytes_of_span(std::span<const float>(problem.base.bias)), place);
      GuardedBuffer packed(static_cast<std::size_t>((*kernel)->packed_bytes(spec.n, spec.k)), place);
      GuardedBuffer d(output_of(spec).size(), place);
      GemmOperands operands = problem.base.operands(d.data());
      if (spec.accumulate) operands.c = c.as<float>();
      if (spec.bias) operands.bias = bias.as<float>();
      (*kernel)->pack(problem.base.b.view(), packed.data());
      const PlainView view{a.data(), spec.m, spec.k, problem.stride};
      ASSERT_TRUE((*kernel)->run_plain(spec, view, packed.data(), operands, 2).ok());
      const std::vector<std::uint8_t> got(d.data(), d.data() + d.size());
      ASSERT_EQ(first_difference(problem.base, reference_answer(problem), got), "");
    }
  }
}

// The panel function itself, called with canaries in the saved registers and with odd floating-point modes.
TEST_F(W4a16Avx512, KeepsCalleeSavedRegistersAndIgnoresTheCallersMxcsr) {
  Rng rng(15);
  for (std::int64_t rows : {1, 3, 5, 12}) {
    GemmSpec spec{.m = rows, .n = 16, .k = 192, .format = Format::mxfp4};
    spec.activations = Activations::f32;
    const W4a16Problem problem = make_w4a16(spec, DataKind::random_bits, Values::wide, rng);
    const auto kernel = jit::make_w4a16_avx512(problem.spec());
    ASSERT_TRUE(kernel.ok());
    std::vector<std::uint8_t> packed(static_cast<std::size_t>((*kernel)->packed_bytes(spec.n, spec.k)));
    (*kernel)->pack(problem.base.b.view(), packed.data());
    const jit::PanelStreams streams = jit::PanelStreams::of(spec.format, spec.n, spec.k);
    std::vector<float> a;
    for (std::int64_t k = 0; k < spec.k; ++k) {
      for (std::int64_t r = 0; r < rows; ++r) a.push_back(problem.activation(r, k));
    }
    // Default; flush to zero, denormals are zero, round toward zero; round up.
    for (const std::uint32_t mxcsr : {0x1f80u, 0xffc0u, 0x5f80u}) {
      std::vector<std::uint8_t> d = output_of(problem.spec());
      W4a16PanelArgs args{};
      args.a = a.data();
      args.codes = packed.data();
      args.scales = packed.data() + streams.scales_offset;
      args.steps = streams.steps;
      args.rows = rows;
      args.d = d.data();
      args.d_stride = spec.n * 4;
      args.alpha = problem.base.alpha;
      args.columns = 0xffff;
      const auto entry =
          reinterpret_cast<void (*)(void*)>(reinterpret_cast<std::uintptr_t>((*kernel)->code().bytes.data()));
      EXPECT_EQ(abi_violations(entry, &args, mxcsr), "") << std::hex << mxcsr;
      EXPECT_EQ(first_difference(problem.base, reference_answer(problem), d), "") << std::hex << mxcsr;
    }
  }
}

// ---- mutants: one instruction or constant replaced; the differential test must notice every one ----

// Of the kernel for two rows.
const std::vector<Mutant>& mutants() {
  using Gen = Xbyak::CodeGenerator;
  const Xbyak::Zmm dot(1), acc(13), elements(28), scale(30), table(31), codes(24);
  static const std::vector<Mutant> list = {
      {"NaN scales of ue4m3 are not noticed", Format::nvfp4, constant(0xffffffff), constant(0)},
      {"ue4m3 scales keep bit 7", Format::nvfp4, constant(0x7f), constant(0xff)},
      {"ue4m3 scales half as large", Format::nvfp4, constant(0x7b800000), constant(0x7b000000)},
      {"byte 0 of ue8m0 is 2^-126", Format::mxfp4, constant(0x00400000), constant(0x00800000)},
      {"rare scales of ue8m0 are not noticed", Format::mxfp4, constant(0xfefefefe), constant(0xffffffff)},
      {"NaN is not canonical", Format::nvfp4, constant(0x7fffffff), constant(0x7fbfffff)},
      {"4 is 3", Format::mxfp4, constant(0x40800000), constant(0x40400000)},
      {"-0 is -0.5", Format::nvfp4, constant(0x80000000), constant(0xbf000000)},
      {"the second nibble for the first", Format::mxfp4, [=](Gen& g) { g.vpermps(elements, codes, table); },
       [=](Gen& g) { g.vpermps(elements, elements, table); }},
      {"a scale for its neighbour", Format::mxfp4, [=](Gen& g) { g.vmovaps(scale, g.zword[g.rsp + 64]); },
       [=](Gen& g) { g.vmovaps(scale, g.zword[g.rsp + 128]); }},
      {"a row's first product is added to an old dot", Format::nvfp4,
       [=](Gen& g) { g.vmulps(dot, elements, g.ptr_b[g.rsi + 4]); },
       [=](Gen& g) { g.vaddps(dot, elements, g.ptr_b[g.rsi + 4]); }},
      {"dots are not added to what is there", Format::nvfp4, [=](Gen& g) { g.vfmadd231ps(acc, dot, scale); },
       [=](Gen& g) { g.vfmadd132ps(acc, dot, scale); }},
  };
  return list;
}

TEST_F(W4a16Avx512, EveryMutantIsCaught) {
  for (const Mutant& mutant : mutants()) {
    GemmSpec spec{.m = 2, .format = mutant.format};
    spec.numerics = Numerics::fast;
    spec.activations = Activations::f32;
    const auto kernel = jit::make_w4a16_avx512(spec);
    ASSERT_TRUE(kernel.ok());
    const auto bytes = (*kernel)->code().bytes;
    std::vector<std::uint8_t> code(bytes.begin(), bytes.end());
    const auto from = emitted(mutant.original), to = emitted(mutant.mutated);
    ASSERT_EQ(from.size(), to.size()) << mutant.name;
    ASSERT_GE(replace_all(code, from, to), 1) << mutant.name << ": the original is not in the kernel";
    auto executable = jit::ExecutableCode::create(code, "mutant");
    ASSERT_TRUE(executable.ok());
    const auto broken = jit::make_w4a16_from_function(mutant.format, executable->entry<W4a16PanelFunction>());

    Rng rng(16);
    constexpr Values values[] = {Values::normal, Values::special, Values::wide};
    int caught_at = -1;
    for (int i = 0; i < 600 && caught_at < 0; ++i) {
      const auto k = static_cast<std::int64_t>(64 * (1 + rng() % 4));
      const W4a16Problem problem = make_w4a16(
          {.m = 2, .n = 1 + i % 20, .k = k, .format = mutant.format, .accumulate = i % 2 == 0},
          kDataKinds[static_cast<std::size_t>(i) % std::size(kDataKinds)], values[i / 12 % 3], rng);
      if (answer(*broken, problem, 1) != reference_answer(problem)) caught_at = i;
    }
    EXPECT_GE(caught_at, 0) << "survived: " << mutant.name;
  }
}

}  // namespace
}  // namespace fourge::tests

#endif
