// The AArch64 generators on a host that is not an Arm: their code in VIXL's simulator, bit for bit against
// reference/. On an Arm the same kernels are tested through the registry.
#if defined(FOURGE_HAVE_SIMULATOR)

#include <gtest/gtest.h>

#include <random>

#include "fourge/quantize.h"
#include "jit/aarch64/decode.h"
#include "jit/aarch64/gemm_exact_dotprod.h"
#include "jit/aarch64/gemm_fast_dotprod.h"
#include "jit/aarch64/hadamard.h"
#include "jit/aarch64/quantize.h"
#include "jit/decode/decode_kernel.h"
#include "jit/gemm/exact_gemm.h"
#include "jit/quantize/strips.h"
#include "reference/hadamard.h"
#include "tests/support/aarch64_offender.h"
#include "tests/support/aarch64_simulator.h"
#include "tests/support/fast_gemm_check.h"
#include "tests/support/gemm_problem.h"
#include "tests/support/plain_matrix.h"
#include "tests/support/quantize_problem.h"

namespace fourge::tests {
namespace {

using jit::ExactDotprodGenerator;
using jit::ExactDotprodSpec;
using jit::ExactPanelArgs;

// A panel function is a plain pointer: what it runs and what it found stand here.
struct Simulation {
  std::vector<std::uint8_t> code;
  std::uint64_t fpcr = 0;
  std::string violations;
  std::int64_t instructions = 0, panels = 0;
} simulation;

void simulated_panel(ExactPanelArgs* args) {
  const SimulatedCall call = simulate(simulation.code, args, simulation.fpcr);
  simulation.violations += call.violations;
  simulation.instructions += call.instructions;
  ++simulation.panels;
}

std::vector<std::uint8_t> exact_dotprod(const GemmSpec& spec, bool poison, bool only_general) {
  return ExactDotprodGenerator({.format = spec.format,
                                .output = spec.output,
                                .bias = spec.bias,
                                .poison = poison,
                                .only_general = only_general})
      .bytes();
}

// D through the driver, one thread.
std::vector<std::uint8_t> run_simulated(const GemmProblem& problem, std::vector<std::uint8_t> code,
                                        RunStats* stats = nullptr) {
  simulation = {.code = std::move(code), .fpcr = simulation.fpcr, .violations = {}};
  const auto kernel = jit::make_exact_from_function(problem.spec.format, simulated_panel);
  auto d = answer(*kernel, problem, 1, stats);
  EXPECT_EQ(simulation.violations, "");
  return d;
}

GemmProblem small_problem(int i, std::mt19937_64& rng) {
  GemmSpec spec = random_spec(rng, 9);
  spec.n = 1 + static_cast<std::int64_t>(rng() % 20);
  spec.k = std::min<std::int64_t>(spec.k, 160);
  return make_problem(spec, kDataKinds[static_cast<std::size_t>(i) % std::size(kDataKinds)], rng);
}

TEST(AArch64Simulator, ExactGemmIsBitExact) {
  std::mt19937_64 rng(41);
  for (int i = 0; i < 220; ++i) {
    const GemmProblem problem = small_problem(i, rng);
    const auto got = run_simulated(problem, exact_dotprod(problem.spec, i % 2 == 0, false));
    ASSERT_EQ(first_difference(problem, reference_answer(problem), got), "");
  }
}

TEST(AArch64Simulator, ExactGemmsGeneralPathAloneIsBitExact) {
  std::mt19937_64 rng(42);
  for (int i = 0; i < 110; ++i) {
    const GemmProblem problem = small_problem(i, rng);
    RunStats stats;
    const auto got = run_simulated(problem, exact_dotprod(problem.spec, i % 2 == 0, true), &stats);
    ASSERT_EQ(first_difference(problem, reference_answer(problem), got), "");
    EXPECT_EQ(stats.general_vectors, stats.vectors);
  }
}

TEST(AArch64Simulator, ExactGemmCertifiesGaussianDataAndCountsGeneralRows) {
  std::mt19937_64 rng(43);
  for (Format format : kFormats) {
    const GemmProblem problem =
        make_problem({.m = 4, .n = 16, .k = 1024, .format = format}, DataKind::gaussian, rng);
    RunStats stats;
    run_simulated(problem, exact_dotprod(problem.spec, false, false), &stats);
    EXPECT_GE(stats.certified_fraction(), 0.99) << name_of(format);
    EXPECT_EQ(stats.vectors, 4 * 16);
  }
}

std::vector<std::uint8_t> fast_dotprod(const GemmSpec& spec, bool poison) {
  return jit::FastDotprodGenerator(
             {.format = spec.format, .output = spec.output, .bias = spec.bias, .poison = poison})
      .bytes();
}

// The epilogue is that of the exact kernel, instruction for instruction: random epilogues only have to run.
TEST(AArch64Simulator, FastGemmStaysInsideItsBound) {
  std::mt19937_64 rng(46);
  for (int i = 0; i < 120; ++i) {
    const GemmProblem problem = small_problem(i, rng), plain = without_epilogue(problem);
    run_simulated(problem, fast_dotprod(problem.spec, true));
    const auto got = run_simulated(plain, fast_dotprod(plain.spec, i % 2 == 0));
    ASSERT_EQ(outside_bound(plain, got, plain.spec.k / 16 + 1), "");
  }
}

// Instructions for 1,024 products (one row, 16 columns, K = 64) of certified data. tools/arm_cost.sh prints
// them and, with FOURGE_JIT_DUMP, estimates cycles from the inner steps that this leaves there.
struct BudgetCase {
  Format format;
  std::int64_t m;
  double exact, fast;
};

TEST(AArch64Simulator, GemmsStayInsideTheirInstructionBudget) {
  std::mt19937_64 rng(45);
  for (const BudgetCase& c : {BudgetCase{Format::nvfp4, 1, 450, 405}, BudgetCase{Format::nvfp4, 2, 360, 350},
                              BudgetCase{Format::nvfp4, 32, 215, 190}, BudgetCase{Format::mxfp4, 1, 362, 322},
                              BudgetCase{Format::mxfp4, 32, 176, 150}}) {
    const GemmProblem problem =
        make_problem({.m = c.m, .n = 16, .k = 1024, .format = c.format}, DataKind::gaussian, rng);
    for (const bool is_fast : {false, true}) {
      RunStats stats;
      run_simulated(problem,
                    is_fast ? fast_dotprod(problem.spec, false) : exact_dotprod(problem.spec, false, false),
                    &stats);
      const double instructions =
          static_cast<double>(simulation.instructions) / static_cast<double>(stats.vectors);
      std::printf("%s %s, m %d: %.0f instructions for 1,024 products\n", is_fast ? "fast" : "exact",
                  name_of(c.format), static_cast<int>(c.m), instructions);
      EXPECT_LE(instructions, is_fast ? c.fast : c.exact) << name_of(c.format) << " m " << c.m;
    }
  }
}

// Leaves a generator's inner step in FOURGE_JIT_DUMP, if that is set.
template <class Generator>
void dump_inner_step(Generator generator, const std::string& name) {
  const auto bytes = generator.bytes();
  const auto [begin, end] = generator.inner_step();
  ASSERT_LT(begin, end);
  ASSERT_LE(end, static_cast<std::int64_t>(bytes.size()));
  const auto step =
      std::span(bytes).subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin));
  const auto code = jit::ExecutableCode::create(step, "inner_step_" + name);
  ASSERT_TRUE(code.ok());
  EXPECT_TRUE(jit::dump_if_asked(*code).ok());
}

TEST(AArch64Simulator, InnerStepsAreStraightLines) {
  for (const Format format : {Format::nvfp4, Format::mxfp4}) {
    const std::string name = name_of(format);
    dump_inner_step(ExactDotprodGenerator({.format = format}), "gemm_exact_" + name);
    dump_inner_step(jit::FastDotprodGenerator({.format = format}), "gemm_fast_" + name);
    for (const ElementFormat output : {ElementFormat::f32, ElementFormat::bf16}) {
      dump_inner_step(jit::AArch64DecodeGenerator({format, output}, false),
                      std::string("decode_") + name_of(output) + "_" + name);
    }
  }
}

// Round up, flush subnormals to zero, default NaN: none of it is the kernel's business.
TEST(AArch64Simulator, ExactGemmIgnoresAndKeepsTheCallersFpcr) {
  std::mt19937_64 rng(44);
  for (const std::uint64_t fpcr : {0x0040'0000u, 0x0300'0000u, 0x00c0'0000u}) {
    simulation.fpcr = fpcr;
    const GemmProblem problem = small_problem(1, rng);
    const auto got = run_simulated(problem, exact_dotprod(problem.spec, false, false));
    EXPECT_EQ(first_difference(problem, reference_answer(problem), got), "");
  }
  simulation.fpcr = 0;
}

void expect_exact_hadamard(const HadamardSpec& spec, std::int64_t rows, PlainData data,
                           std::mt19937_64& rng) {
  const auto x = plain_matrix(spec.input, rows * spec.order, data, rng);
  std::vector<std::uint8_t> signs(static_cast<std::size_t>((spec.order + 7) / 8));
  for (auto& byte : signs) byte = static_cast<std::uint8_t>(rng());
  HadamardOperands operands{.x = x.data(), .rows = rows, .cols = spec.order};
  operands.signs = spec.signs ? signs.data() : nullptr;
  operands.scale = orthonormal_scale(spec.order);
  const std::int64_t x_bytes = spec.input == ElementFormat::f32 ? 4 : 2;
  const std::int64_t y_bytes = spec.output == ElementFormat::f32 ? 4 : 2;
  std::vector<std::uint8_t> want(static_cast<std::size_t>(rows * spec.order * y_bytes)), got(want.size());
  operands.y = want.data();
  ASSERT_TRUE(reference::hadamard(spec, operands).ok());

  std::vector<std::uint32_t> sign_words(static_cast<std::size_t>(spec.order));
  for (std::size_t i = 0; i < sign_words.size(); ++i) sign_words[i] = (signs[i / 8] >> (i % 8) & 1u) << 31;
  std::vector<float> work(static_cast<std::size_t>(spec.order));
  simd::HadamardArgs args{x.data(), got.data(),           work.data(),          sign_words.data(),
                          rows,     spec.order * x_bytes, spec.order * y_bytes, operands.scale};
  const auto code = jit::AArch64HadamardGenerator(spec, true).bytes();
  EXPECT_EQ(simulate(code, &args).violations, "");
  ASSERT_EQ(first_difference(spec.output, want, got), "") << kernel_name(spec);
}

TEST(AArch64Simulator, HadamardIsBitExactForEveryOrderAndFormat) {
  std::mt19937_64 rng(51);
  for (std::int64_t order = 16; order <= kLargestHadamardOrder; order *= 2) {
    for (const ElementFormat input : kPlain) {
      for (const ElementFormat output : kPlain) {
        if (order > 512 && (input == ElementFormat::f16) != (output == ElementFormat::bf16)) continue;
        HadamardSpec spec{.order = order, .input = input, .output = output};
        spec.signs = rng() % 2 == 0;
        spec.scaled = rng() % 4 != 0;
        expect_exact_hadamard(spec, order > 512 ? 1 : 3, PlainData::gaussian, rng);
        if (HasFatalFailure()) return;
      }
    }
  }
}

TEST(AArch64Simulator, HadamardIsBitExactOnEveryKindOfData) {
  std::mt19937_64 rng(52);
  for (const std::int64_t order : {16, 128}) {
    for (const PlainData data : kPlainData) {
      for (const ElementFormat format : {ElementFormat::f32, ElementFormat::bf16, ElementFormat::f16}) {
        expect_exact_hadamard({.order = order, .input = format, .output = format, .signs = true}, 2, data,
                              rng);
        if (HasFatalFailure()) return;
      }
    }
  }
}

TEST(AArch64Simulator, DecodeIsBitExactForEveryCodeUnderEveryScale) {
  for (const Format format : {Format::nvfp4, Format::mxfp4, Format::mxfp4_b16}) {
    const std::int64_t block = info(format).block, blocks = 256;
    QuantizedMatrix matrix;
    matrix.format = format, matrix.rows = 1, matrix.cols = blocks * block;
    for (std::int64_t i = 0; i < blocks * block / 2; ++i)
      matrix.codes.push_back(static_cast<std::uint8_t>((2 * i) % 16 | (2 * i + 3 * (i / 8)) % 16 << 4));
    for (std::int64_t b = 0; b < blocks; ++b) matrix.scales.push_back(static_cast<std::uint8_t>(b));
    for (const float tensor_scale : {1.0f, 0.37f, 1e-38f, 1e38f}) {
      matrix.tensor_scale = TensorScale::decode_multiplier(tensor_scale);
      std::vector<float> values(static_cast<std::size_t>(matrix.cols));
      ASSERT_TRUE(dequantize(matrix.view(), values).ok());
      for (const ElementFormat output : {ElementFormat::f32, ElementFormat::bf16, ElementFormat::f16}) {
        const DecodeSpec spec{format, output};
        const jit::DecodeTable table(spec, tensor_scale);
        const std::vector<std::uint8_t> want = from_f32(output, values);
        std::vector<std::uint8_t> got(want.size());
        simd::DecodeArgs args{matrix.codes.data(), matrix.scales.data(), got.data(), table.data(), blocks};
        const auto code = jit::AArch64DecodeGenerator(spec, true).bytes();
        EXPECT_EQ(simulate(code, &args).violations, "");
        ASSERT_EQ(first_difference(output, want, got), "") << kernel_name(spec);
      }
    }
  }
}

// A quantise kernel whose code runs in the simulator.
class SimulatedQuantize final : public jit::QuantizeKernel {
 public:
  explicit SimulatedQuantize(const QuantizerSpec& spec, std::uint64_t fpcr = 0)
      : strip_(jit::AArch64QuantizeGenerator(jit::inner_spec(spec), true).bytes()),
        amax_(jit::AArch64AmaxGenerator(jit::inner_spec(spec), true).bytes()),
        fpcr_(fpcr) {}
  KernelCode code() const override { return {}; }
  void strip(const jit::StripArgs& args) const override {
    jit::StripArgs copy = args;
    note(simulate(strip_, &copy, fpcr_));
    groups += args.groups;
  }
  void amax(jit::AmaxArgs& args) const override { note(simulate(amax_, &args, fpcr_)); }

  mutable std::string violations;
  mutable std::int64_t instructions = 0, groups = 0;

 private:
  void note(const SimulatedCall& call) const {
    violations += call.violations;
    instructions += call.instructions;
  }

  std::vector<std::uint8_t> strip_, amax_;
  std::uint64_t fpcr_;
};

QuantizeAnswer answer(const SimulatedQuantize& kernel, const QuantizeProblem& problem) {
  QuantizeAnswer got{std::vector<std::uint8_t>(problem.code_bytes(), 0xa5),
                     std::vector<std::uint8_t>(problem.scale_count(), 0xa5),
                     0.0f,
                     {}};
  const auto outcome =
      jit::quantize_with(kernel, problem.spec, problem.operands(got.codes.data(), got.scales.data()), 1);
  EXPECT_TRUE(outcome.ok());
  EXPECT_EQ(kernel.violations, "");
  if (!outcome.ok()) return got;
  got.amax = outcome->amax, got.tensor_scale = outcome->tensor_scale, got.outcome = *outcome;
  return got;
}

std::vector<QuantizeSpec> simulated_quantize_specs() {
  std::vector<QuantizeSpec> specs;
  for (const QuantizeSpec& spec : every_quantize_spec()) {
    if (jit::aarch64_quantize_refusal({.quantize = spec}) == nullptr) specs.push_back(spec);
  }
  return specs;
}

// Rules in turn over the kinds of data.
TEST(AArch64Simulator, QuantiseIsBitExactForEveryRuleAndKindOfData) {
  std::mt19937_64 rng(61);
  std::size_t kind = 0;
  for (const QuantizeSpec& quantize : simulated_quantize_specs()) {
    for (int i = 0; i < 4; ++i) {
      const QuantizerSpec spec{.quantize = quantize, .input = kPlain[rng() % 3]};
      const auto problem = quantize_problem(spec, 1, 32 * (1 + static_cast<std::int64_t>(rng() % 18)), false,
                                            kPlainData[kind++ % std::size(kPlainData)], rng);
      ASSERT_EQ(first_difference(problem, truth(problem), answer(SimulatedQuantize(spec), problem)), "");
    }
  }
}

TEST(AArch64Simulator, RotatedQuantiseIsBitExactForEveryOrderAndInput) {
  std::mt19937_64 rng(62);
  std::size_t kind = 0;
  for (const std::int64_t order : {16, 32, 64, 128, 256}) {
    for (const QuantizeSpec& quantize : simulated_quantize_specs()) {
      if (order % info(quantize.format).block != 0) continue;
      QuantizerSpec spec{.quantize = quantize, .input = kPlain[rng() % 3], .rotate = order};
      spec.signs = rng() % 2 == 0;
      const PlainData data = kPlainData[kind++ % std::size(kPlainData)];
      auto problem =
          quantize_problem(spec, 1, order * (1 + static_cast<std::int64_t>(rng() % 3)), false, data, rng);
      if (data == PlainData::huge) problem.amax = 0x1p127f;  // sums overflow
      ASSERT_EQ(first_difference(problem, truth(problem), answer(SimulatedQuantize(spec), problem)), "");
    }
  }
}

// A given amax below the data saturates codes and scales; one far above makes scales zero.
TEST(AArch64Simulator, QuantiseIsBitExactUnderAnyAmax) {
  std::mt19937_64 rng(63);
  for (const ScaleRule rule : kNvfp4Rules) {
    const QuantizerSpec spec{.quantize = {.rule = rule}};
    if (jit::aarch64_quantize_refusal(spec) != nullptr) continue;
    for (const float amax : {1e-3f, 3.0f, 1e4f, 1e7f, 1e-39f, 3e38f, 0.0f}) {
      auto problem = quantize_problem(spec, 1, 272, false, PlainData::lognormal, rng);
      problem.amax = amax;
      ASSERT_EQ(first_difference(problem, truth(problem), answer(SimulatedQuantize(spec), problem)), "");
    }
  }
}

TEST(AArch64Simulator, QuantiseIsBitExactAtEdgesOfScalesAndChoices) {
  for (const QuantizeProblem& problem : edge_problems()) {
    if (jit::aarch64_quantize_refusal(problem.spec) != nullptr) continue;
    ASSERT_EQ(first_difference(problem, truth(problem), answer(SimulatedQuantize(problem.spec), problem)),
              "");
  }
}

TEST(AArch64Simulator, QuantiseStoresScalesInEveryLayout) {
  std::mt19937_64 rng(66);
  for (const Format format : kFormats) {
    for (const ScaleLayout layout : {ScaleLayout::swizzled_128x4, ScaleLayout::swizzled_8x4}) {
      const ScaleRule rule = format == Format::nvfp4 ? ScaleRule::static_6 : ScaleRule::rceil;
      const QuantizerSpec spec{.quantize = {.format = format, .rule = rule, .layout = layout}};
      const auto problem = quantize_problem(spec, 3, 544, false, PlainData::gaussian, rng);
      ASSERT_EQ(first_difference(problem, truth(problem), answer(SimulatedQuantize(spec), problem)), "");
    }
  }
}

TEST(AArch64Simulator, QuantiseIgnoresAndKeepsTheCallersFpcr) {
  std::mt19937_64 rng(64);
  for (const std::uint64_t fpcr : {0x0040'0000u, 0x0300'0000u, 0x00c0'0000u}) {
    const QuantizerSpec spec{.quantize = {.rule = ScaleRule::mse_4_6}, .rotate = 128, .signs = true};
    const auto problem = quantize_problem(spec, 1, 512, false, PlainData::gaussian, rng);
    EXPECT_EQ(first_difference(problem, truth(problem), answer(SimulatedQuantize(spec, fpcr), problem)), "");
  }
}

// What every test here relies on.
TEST(AArch64Simulator, BrokenPromisesOfTheAbiAreFound) {
  for_each_offender([](AArch64Offender& offender) {
    const auto code = offender.bytes();
    EXPECT_EQ(simulate(code, nullptr).violations, offender.name() + " ");
  });
}

// Instructions for 256 elements of Gaussian data, the search for amax not counted.
struct QuantizeBudget {
  const char* name;
  QuantizerSpec spec;
  double limit;
};

TEST(AArch64Simulator, QuantisersStayInsideTheirInstructionBudget) {
  std::mt19937_64 rng(65);
  constexpr auto kBf16 = ElementFormat::bf16;
  const QuantizeSpec static_nv{}, rceil{.format = Format::mxfp4, .rule = ScaleRule::rceil};
  const QuantizeSpec four_six{.rule = ScaleRule::mse_4_6},
      quest{.format = Format::mxfp4, .rule = ScaleRule::quest};
  for (const QuantizeBudget& budget :
       {QuantizeBudget{"nvfp4 static_6", {.quantize = static_nv, .input = kBf16}, 1120},
        {"mxfp4 rceil", {.quantize = rceil, .input = kBf16}, 1120},
        {"nvfp4 mse", {.quantize = four_six, .input = kBf16}, 3000},
        {"nvfp4 static_6, rotated by 16", {.quantize = static_nv, .input = kBf16, .rotate = 16}, 1450},
        {"nvfp4 static_6, rotated by 128", {.quantize = static_nv, .input = kBf16, .rotate = 128}, 2100},
        {"mxfp4 quest, rotated by 32, signs",
         {.quantize = quest, .input = kBf16, .rotate = 32, .signs = true},
         2000}}) {
    auto problem = quantize_problem(budget.spec, 1, 256 * 16, false, PlainData::gaussian, rng);
    problem.amax = 4.0f;
    const SimulatedQuantize kernel(budget.spec);
    ASSERT_EQ(first_difference(problem, truth(problem), answer(kernel, problem)), "");
    const double instructions = static_cast<double>(kernel.instructions) / static_cast<double>(kernel.groups);
    std::printf("quantise %s: %.0f instructions for 256 elements\n", budget.name, instructions);
    EXPECT_LE(instructions, budget.limit) << budget.name;
  }
}

}  // namespace
}  // namespace fourge::tests

#endif
