// The AVX-512 exact kernel from the inside: memory, registers, certificates, and mutants that must be caught.
#if defined(__x86_64__)

#include <gtest/gtest.h>

#include <random>

#include "jit/cpu.h"
#include "jit/gemm/exact_gemm.h"
#include "jit/x86/gemm_exact_vnni.h"
#include "tests/support/abi_check.h"
#include "tests/support/gemm_problem.h"
#include "tests/support/guarded_buffer.h"
#include "tests/support/mutants.h"

namespace fourge::tests {
namespace {

using jit::ExactPanelArgs;
using jit::ExactPanelFunction;
using jit::GemmKernel;

class ExactVnni : public testing::Test {
 protected:
  void SetUp() override {
    const char* missing = jit::host_features().missing_for(jit::Isa::avx512);
    if (missing != nullptr) GTEST_SKIP() << "this machine cannot run it: " << missing;
  }
};

TEST_F(ExactVnni, PoisonedRegistersChangeNothing) {
  std::mt19937_64 rng(11);
  for (int i = 0; i < 150; ++i) {
    const GemmProblem problem = make_problem(
        random_spec(rng, 24), kDataKinds[static_cast<std::size_t>(i) % std::size(kDataKinds)], rng);
    const auto kernel = jit::make_exact_vnni_debug(problem.spec, true, false);
    ASSERT_TRUE(kernel.ok());
    ASSERT_EQ(first_difference(problem, reference_answer(problem), answer(**kernel, problem, 1)), "");
  }
}

TEST_F(ExactVnni, GeneralPathAloneIsExact) {
  std::mt19937_64 rng(12);
  for (int i = 0; i < 330; ++i) {
    const GemmProblem problem = make_problem(
        random_spec(rng, 24), kDataKinds[static_cast<std::size_t>(i) % std::size(kDataKinds)], rng);
    const auto kernel = jit::make_exact_vnni_debug(problem.spec, false, true);
    ASSERT_TRUE(kernel.ok());
    RunStats stats;
    ASSERT_EQ(first_difference(problem, reference_answer(problem), answer(**kernel, problem, 1, &stats)), "");
    EXPECT_EQ(stats.general_vectors, stats.vectors);
  }
}

TEST_F(ExactVnni, GaussianDataIsCertified) {
  std::mt19937_64 rng(13);
  for (Format format : kFormats) {
    const GemmProblem problem =
        make_problem({.m = 64, .n = 64, .k = 4096, .format = format}, DataKind::gaussian, rng);
    const auto kernel = jit::make_exact_vnni(problem.spec);
    ASSERT_TRUE(kernel.ok());
    RunStats stats;
    answer(**kernel, problem, 1, &stats);
    EXPECT_GE(stats.certified_fraction(), 0.999) << name_of(format);
    EXPECT_EQ(stats.vectors, 64 * 4 * 64);
  }
}

TEST_F(ExactVnni, StaysInsideGuardPages) {
  std::mt19937_64 rng(14);
  for (const auto place : {GuardedBuffer::Place::kAtBegin, GuardedBuffer::Place::kAtEnd}) {
    for (int i = 0; i < 120; ++i) {
      GemmProblem problem = make_problem(
          random_spec(rng, 40), kDataKinds[static_cast<std::size_t>(i) % std::size(kDataKinds)], rng);
      const GemmSpec& spec = problem.spec;
      const auto kernel = jit::make_exact_vnni(spec);
      ASSERT_TRUE(kernel.ok());
      GuardedBuffer a_codes(problem.a.codes, place), a_scales(problem.a.scales, place);
      GuardedBuffer b_codes(problem.b.codes, place), b_scales(problem.b.scales, place);
      GuardedBuffer c(bytes_of_span(std::span<const float>(problem.c)), place);
      GuardedBuffer bias(bytes_of_span(std::span<const float>(problem.bias)), place);
      GuardedBuffer packed(static_cast<std::size_t>((*kernel)->packed_bytes(spec.n, spec.k)), place);
      GuardedBuffer d(static_cast<std::size_t>(spec.m * spec.n * bytes_of(spec.output)), place);
      QuantizedView a = problem.a.view(), b = problem.b.view();
      a.codes = a_codes.data(), a.scales = a_scales.data(), b.codes = b_codes.data(),
      b.scales = b_scales.data();
      GemmOperands operands = problem.operands(d.data());
      if (spec.accumulate) operands.c = c.as<float>();
      if (spec.bias) operands.bias = bias.as<float>();
      (*kernel)->pack(b, packed.data());
      RunStats stats;
      ASSERT_TRUE((*kernel)->run(spec, a, packed.data(), operands, 2, stats).ok());
      const std::vector<std::uint8_t> got(d.data(), d.data() + d.size());
      ASSERT_EQ(first_difference(problem, reference_answer(problem), got), "");
    }
  }
}

// The panel function itself, called with canaries in the saved registers and with odd floating-point modes.
TEST_F(ExactVnni, KeepsCalleeSavedRegistersAndIgnoresTheCallersMxcsr) {
  std::mt19937_64 rng(15);
  const GemmSpec spec{.m = 5, .n = 16, .k = 192, .format = Format::nvfp4, .accumulate = true};
  for (DataKind kind : {DataKind::gaussian, DataKind::random_bits, DataKind::special_c}) {
    const GemmProblem problem = make_problem(spec, kind, rng);
    const auto kernel = jit::make_exact_vnni(spec);
    ASSERT_TRUE(kernel.ok());
    std::vector<std::uint8_t> packed(static_cast<std::size_t>((*kernel)->packed_bytes(spec.n, spec.k)));
    (*kernel)->pack(problem.b.view(), packed.data());
    const jit::PanelStreams streams = jit::PanelStreams::of(spec.format, spec.n, spec.k);
    std::vector<jit::ActivationStep> steps(static_cast<std::size_t>(spec.m * streams.steps));
    for (std::int64_t s = 0; s < streams.steps; ++s) {
      jit::prepare_activations(problem.a.view(), 0, spec.m, s, steps.data() + s * spec.m, jit::kDotAsFloat);
    }
    // Default; flush to zero, denormals are zero, round toward zero; round up.
    for (const std::uint32_t mxcsr : {0x1f80u, 0xffc0u, 0x5f80u}) {
      alignas(64) float acc[5 * 16];
      std::copy(problem.c.begin(), problem.c.end(), acc);
      std::vector<std::uint8_t> d(static_cast<std::size_t>(spec.m * spec.n * 4));
      ExactPanelArgs args{};
      args.a = steps.data();
      args.a_stride = spec.m * static_cast<std::int64_t>(sizeof(jit::ActivationStep));
      args.codes = packed.data();
      args.scales = packed.data() + streams.scales_offset;
      args.certificates =
          reinterpret_cast<const jit::PanelCertificate*>(packed.data() + streams.certificates_offset);
      args.acc = acc;
      args.rows = spec.m;
      args.steps = streams.steps;
      args.d = d.data();
      args.d_stride = spec.n * 4;
      args.alpha = problem.alpha;
      args.columns = 0xffff;
      const auto entry =
          reinterpret_cast<void (*)(void*)>(reinterpret_cast<std::uintptr_t>((*kernel)->code().bytes.data()));
      EXPECT_EQ(abi_violations(entry, &args, mxcsr), "") << std::hex << mxcsr;
      EXPECT_EQ(first_difference(problem, reference_answer(problem), d), "") << std::hex << mxcsr;
    }
  }
}

// ---- mutants: one instruction or constant replaced; the differential test must notice every one
// ---------------

const std::vector<Mutant>& mutants() {
  using Gen = Xbyak::CodeGenerator;
  const Xbyak::Zmm sum(24), c(25), t0(28), t2(30), t3(31);
  static const std::vector<Mutant> list = {
      {"short sum rounds to nearest", Format::nvfp4, [=](Gen& g) { g.vaddps(sum | g.T_rz_sae, sum, c); },
       [=](Gen& g) { g.vaddps(sum | g.T_rn_sae, sum, c); }},
      {"general result rounds to nearest", Format::mxfp4,
       [=](Gen& g) { g.vcvtqq2ps(Xbyak::Ymm(30) | g.T_rz_sae, t2); },
       [=](Gen& g) { g.vcvtqq2ps(Xbyak::Ymm(30) | g.T_rn_sae, t2); }},
      {"second half rounds down", Format::nvfp4,
       [=](Gen& g) { g.vcvtqq2ps(Xbyak::Ymm(31) | g.T_rz_sae, t3); },
       [=](Gen& g) { g.vcvtqq2ps(Xbyak::Ymm(31) | g.T_rd_sae, t3); }},
      {"subnormal results round to nearest", Format::mxfp4,
       [=](Gen& g) { g.vscalefps(sum | g.T_rz_sae, t2, t0); },
       [=](Gen& g) { g.vscalefps(sum | g.T_rn_sae, t2, t0); }},
      {"largest exponent ignores c", Format::nvfp4, [=](Gen& g) { g.vgetexpps(t0, c); },
       [=](Gen& g) { g.vgetexpps(t0, t2); }},
      {"overflow is not looked for", Format::mxfp4, constant(0x428c0000), constant(0x43480000)},
      {"34 aligned bits", Format::nvfp4, constant(0x420c0000), constant(0x42080000)},
      {"36 aligned bits", Format::mxfp4, constant(0x420c0000), constant(0x42100000)},
      {"zero c counts as -125", Format::mxfp4, constant(0xc2fc0000), constant(0xc2fa0000)},
      {"subnormal scale exponent -7", Format::nvfp4, constant(0xc0c00000), constant(0xc0e00000)},
      {"bound one binade too wide below", Format::nvfp4,
       [=](Gen& g) { g.vpslld(Xbyak::Zmm(26), Xbyak::Zmm(26), 23); },
       [=](Gen& g) { g.vpslld(Xbyak::Zmm(26), Xbyak::Zmm(26), 22); }},
      {"bound too wide above", Format::nvfp4, constant(28u << 23), constant(60u << 23)},
      {"key limit doubled", Format::nvfp4, [](Gen& g) { g.cmp(g.eax, jit::kKeyLimit); },
       [](Gen& g) { g.cmp(g.eax, 2 * jit::kKeyLimit); }},
      {"NaN is not canonical", Format::nvfp4, constant(0x7fffffff), constant(0x7fbfffff)},
      {"one quad of codes skipped", Format::nvfp4,
       [](Gen& g) { g.vpdpbusd(Xbyak::Zmm(17), Xbyak::Zmm(6), g.ptr_b[g.rsi + 24]); },
       [](Gen& g) { g.vpdpbusd(Xbyak::Zmm(17), Xbyak::Zmm(5), g.ptr_b[g.rsi + 24]); }},
  };
  return list;
}

TEST_F(ExactVnni, EveryMutantIsCaught) {
  for (const Mutant& mutant : mutants()) {
    GemmSpec spec;
    spec.format = mutant.format;
    const auto kernel = jit::make_exact_vnni(spec);
    ASSERT_TRUE(kernel.ok());
    const auto bytes = (*kernel)->code().bytes;
    std::vector<std::uint8_t> code(bytes.begin(), bytes.end());
    const auto from = emitted(mutant.original), to = emitted(mutant.mutated);
    ASSERT_EQ(from.size(), to.size()) << mutant.name;
    ASSERT_GE(replace_all(code, from, to), 1) << mutant.name << ": the original is not in the kernel";
    auto executable = jit::ExecutableCode::create(code, "mutant");
    ASSERT_TRUE(executable.ok());
    const auto broken = jit::make_exact_from_function(mutant.format, executable->entry<ExactPanelFunction>(),
                                                      jit::kDotAsFloat);

    std::mt19937_64 rng(16);
    int caught_at = -1;
    for (int i = 0; i < 2200 && caught_at < 0; ++i) {
      GemmSpec problem_spec = random_spec(rng, 24);
      problem_spec.format = mutant.format;
      problem_spec.k = round_up(problem_spec.k, 32);
      problem_spec.output = OutputType::f32;
      problem_spec.bias = false;
      const GemmProblem problem =
          make_problem(problem_spec, kDataKinds[static_cast<std::size_t>(i) % std::size(kDataKinds)], rng);
      if (answer(*broken, problem, 1) != reference_answer(problem)) caught_at = i;
    }
    EXPECT_GE(caught_at, 0) << "survived: " << mutant.name;
  }
}

}  // namespace
}  // namespace fourge::tests

#endif
