// The C interface gives what the C++ interface and the reference give, bit for bit.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>

#include "fourge.h"
#include "fourge/decode.h"
#include "fourge/gptq.h"
#include "fourge/hadamard.h"
#include "fourge/layout.h"
#include "fourge/quantizer.h"
#include "fourge/rounding.h"
#include "reference/mma/model.h"
#include "tests/support/gemm_problem.h"

namespace fourge::tests {
namespace {

fourge_matrix matrix_of(const QuantizedMatrix& q) {
  fourge_matrix matrix = FOURGE_MATRIX_INIT;
  matrix.format = static_cast<fourge_format>(q.format);
  matrix.layout = static_cast<fourge_scale_layout>(q.layout);
  matrix.rows = q.rows;
  matrix.cols = q.cols;
  matrix.codes = q.codes.data();
  matrix.scales = q.scales.data();
  matrix.tensor_scale = q.tensor_scale.value;
  matrix.direction = static_cast<fourge_direction>(q.tensor_scale.direction);
  return matrix;
}

std::vector<float> gaussian(std::size_t count, std::uint64_t seed) {
  std::mt19937_64 rng(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(count);
  for (float& value : values) value = normal(rng);
  return values;
}

fourge_element_format output_of(OutputType output) {
  return output == OutputType::f32 ? FOURGE_F32 : output == OutputType::bf16 ? FOURGE_BF16 : FOURGE_F16;
}

fourge_gemm_spec spec_of(const GemmSpec& spec) {
  fourge_gemm_spec c = FOURGE_GEMM_SPEC_INIT;
  c.m = spec.m;
  c.n = spec.n;
  c.k = spec.k;
  c.format = static_cast<fourge_format>(spec.format);
  c.output = output_of(spec.output);
  c.bias = spec.bias ? 1 : 0;
  c.accumulate = spec.accumulate ? 1 : 0;
  return c;
}

TEST(CGemm, GivesTheReferencesBits) {
  std::mt19937_64 rng(1);
  for (int i = 0; i < 60; ++i) {
    const GemmSpec spec = random_spec(rng, 40);
    const GemmProblem problem =
        make_problem(spec, kDataKinds[static_cast<std::size_t>(i) % std::size(kDataKinds)], rng);
    const std::vector<std::uint8_t> want = reference_answer(problem);
    std::vector<std::uint8_t> kernel_bits(want.size()), reference_bits(want.size());

    const fourge_gemm_spec c_spec = spec_of(spec);
    const fourge_matrix a = matrix_of(problem.a), b = matrix_of(problem.b);
    fourge_gemm* gemm = nullptr;
    fourge_packed_weights* packed = nullptr;
    ASSERT_EQ(fourge_gemm_create(&c_spec, nullptr, &gemm), FOURGE_OK) << fourge_last_error();
    ASSERT_EQ(fourge_gemm_pack(gemm, &b, &packed), FOURGE_OK) << fourge_last_error();
    EXPECT_GT(fourge_packed_weights_bytes(packed), spec.n * spec.k / 2);
    fourge_gemm_operands operands = FOURGE_GEMM_OPERANDS_INIT;
    operands.c = spec.accumulate ? problem.c.data() : nullptr;
    operands.bias = spec.bias ? problem.bias.data() : nullptr;
    operands.alpha = problem.alpha;
    operands.d = kernel_bits.data();
    fourge_gemm_stats stats = FOURGE_GEMM_STATS_INIT;
    ASSERT_EQ(fourge_gemm_run(gemm, &a, packed, &operands, 1 + i % 3, &stats), FOURGE_OK)
        << fourge_last_error();
    EXPECT_GT(stats.vectors, 0);
    operands.d = reference_bits.data();
    ASSERT_EQ(fourge_reference_gemm(&c_spec, &a, &b, &operands), FOURGE_OK) << fourge_last_error();
    EXPECT_EQ(first_difference(problem, want, kernel_bits), "") << problem.describe();
    EXPECT_EQ(first_difference(problem, want, reference_bits), "") << problem.describe();
    fourge_packed_weights_free(packed);
    fourge_gemm_free(gemm);
  }
}

TEST(CGemm, PlainActivationsGiveTheBitsOfCxx) {
  const std::vector<float> x = gaussian(3 * 64, 7);
  const Result<QuantizedMatrix> b = quantize(gaussian(20 * 64, 8), 20, 64, {});
  const GemmSpec spec{.m = 3, .n = 20, .k = 64, .numerics = Numerics::fast, .activations = Activations::f32};
  const Result<Gemm> cxx = Gemm::create(spec);
  ASSERT_TRUE(b.ok() && cxx.ok());
  const Result<PackedWeights> cxx_packed = cxx->pack(b->view());
  std::vector<float> want(3 * 20), got(3 * 20);
  GemmOperands cxx_operands{.alpha = 0.5f, .d = want.data()};
  ASSERT_TRUE(cxx->run(PlainView{x.data(), 3, 64, 0}, *cxx_packed, cxx_operands).ok());

  fourge_gemm_spec c_spec = spec_of(spec);
  c_spec.numerics = FOURGE_FAST;
  c_spec.activations = FOURGE_ACTIVATIONS_F32;
  const fourge_matrix matrix = matrix_of(*b);
  fourge_gemm* gemm = nullptr;
  fourge_packed_weights* packed = nullptr;
  ASSERT_EQ(fourge_gemm_create(&c_spec, nullptr, &gemm), FOURGE_OK) << fourge_last_error();
  ASSERT_EQ(fourge_gemm_pack(gemm, &matrix, &packed), FOURGE_OK) << fourge_last_error();
  fourge_plain a = FOURGE_PLAIN_INIT;
  a.data = x.data();
  a.rows = 3;
  a.cols = 64;
  fourge_gemm_operands operands = FOURGE_GEMM_OPERANDS_INIT;
  operands.alpha = 0.5f;
  operands.d = got.data();
  ASSERT_EQ(fourge_gemm_run_plain(gemm, &a, packed, &operands, 1, nullptr), FOURGE_OK) << fourge_last_error();
  EXPECT_EQ(got, want);
  EXPECT_EQ(fourge_gemm_run(gemm, &matrix, packed, &operands, 1, nullptr), FOURGE_UNSUPPORTED_FORMAT);
  fourge_packed_weights_free(packed);
  fourge_gemm_free(gemm);
}

// Three experts: different rows, weights and biases, one without work.
TEST(CGemm, BatchGivesTheBitsOfSingleRuns) {
  constexpr std::int64_t kN = 33, kK = 96, kRows[] = {2, 0, 5};
  fourge_gemm_spec spec = FOURGE_GEMM_SPEC_INIT;
  spec.m = 5;
  spec.n = kN;
  spec.k = kK;
  spec.bias = 1;
  spec.mc = 32;  // a wish that changes no bit
  fourge_gemm* gemm = nullptr;
  ASSERT_EQ(fourge_gemm_create(&spec, nullptr, &gemm), FOURGE_OK) << fourge_last_error();
  const std::vector<float> bias = gaussian(kN, 30);
  QuantizedMatrix a[3], b[3];
  fourge_matrix c_a[3];
  fourge_packed_weights* packed[3];
  fourge_gemm_operands operands[3];
  fourge_gemm_batch_item items[3];
  std::vector<float> want[3], got[3];
  for (std::size_t i = 0; i < 3; ++i) {
    const std::int64_t m = kRows[i];
    a[i] = *quantize(gaussian(static_cast<std::size_t>(m * kK), 10 + i), m, kK, {});
    b[i] = *quantize(gaussian(kN * kK, 20 + i), kN, kK, {});
    c_a[i] = matrix_of(a[i]);
    const fourge_matrix weights = matrix_of(b[i]);
    ASSERT_EQ(fourge_gemm_pack(gemm, &weights, &packed[i]), FOURGE_OK) << fourge_last_error();
    want[i].resize(static_cast<std::size_t>(m * kN));
    got[i].resize(want[i].size());
    operands[i] = FOURGE_GEMM_OPERANDS_INIT;
    operands[i].bias = bias.data();
    operands[i].alpha = gemm_alpha(a[i].tensor_scale, b[i].tensor_scale);
    items[i] = FOURGE_GEMM_BATCH_ITEM_INIT;
    items[i].m = m;
    if (m == 0) continue;
    items[i].a = &c_a[i];
    items[i].weights = packed[i];
    items[i].operands = &operands[i];
    operands[i].d = want[i].data();
    fourge_gemm_spec single = spec;
    single.m = m;
    ASSERT_EQ(fourge_reference_gemm(&single, &c_a[i], &weights, &operands[i]), FOURGE_OK)
        << fourge_last_error();
    operands[i].d = got[i].data();
  }
  fourge_gemm_stats stats = FOURGE_GEMM_STATS_INIT;
  ASSERT_EQ(fourge_gemm_run_batch(gemm, items, 3, 2, &stats), FOURGE_OK) << fourge_last_error();
  EXPECT_GT(stats.vectors, 0);
  for (std::size_t i = 0; i < 3; ++i)
    EXPECT_TRUE(want[i].empty() || std::memcmp(got[i].data(), want[i].data(), 4 * want[i].size()) == 0) << i;

  items[2].weights = nullptr;
  EXPECT_EQ(fourge_gemm_run_batch(gemm, items, 3, 1, nullptr), FOURGE_BAD_ARGUMENT);
  EXPECT_STREQ(fourge_last_error(), "bad argument: item 2: null weights");
  items[1].struct_size = 8;
  EXPECT_EQ(fourge_gemm_run_batch(gemm, items, 3, 1, nullptr), FOURGE_BAD_ARGUMENT);
  EXPECT_STREQ(fourge_last_error(), "bad argument: item 1: all items must have the struct_size of the first");
  EXPECT_EQ(fourge_gemm_run_batch(gemm, nullptr, 0, 1, nullptr), FOURGE_OK);
  for (fourge_packed_weights* weights : packed) fourge_packed_weights_free(weights);
  fourge_gemm_free(gemm);
}

TEST(CGptq, GivesTheBytesAndTheReportOfCxx) {
  constexpr std::int64_t kRows = 6, kCols = 64, kTokens = 200;
  const std::vector<float> weights = gaussian(kRows * kCols, 40), inputs = gaussian(kTokens * kCols, 41);
  std::vector<double> moment(kCols * kCols);
  ASSERT_EQ(fourge_second_moment(inputs.data(), kTokens, kCols, moment.data()), FOURGE_OK);
  EXPECT_EQ(moment, second_moment(inputs, kTokens, kCols));
  std::vector<double> rotated = moment;
  ASSERT_TRUE(rotate_hessian(rotated, kCols, 16).ok());
  ASSERT_EQ(fourge_rotate_hessian(moment.data(), kCols, 16), FOURGE_OK);
  EXPECT_EQ(moment, rotated);

  fourge_gptq_spec c_spec = FOURGE_GPTQ_SPEC_INIT;
  fourge_gptq_operands operands = FOURGE_GPTQ_OPERANDS_INIT;
  std::vector<std::uint8_t> codes(kRows * kCols / 2), scales(kRows * kCols / 16);
  operands.weights = weights.data();
  operands.rows = kRows;
  operands.cols = kCols;
  operands.codes = codes.data();
  operands.scales = scales.data();
  for (const bool feedback : {true, false}) {
    for (const auto& [timing, order] : {std::pair(ScaleTiming::before, ColumnOrder::activation),
                                        {ScaleTiming::within, ColumnOrder::group}}) {
      if (!feedback && timing == ScaleTiming::within) continue;
      const GptqSpec spec{
          .timing = timing, .order = order, .damping = 0.02, .descent_passes = feedback ? 1 : 0};
      const Result<GptqResult> want = feedback ? gptq(weights, kRows, kCols, moment, spec)
                                               : round_to_nearest(weights, kRows, kCols, spec);
      ASSERT_TRUE(want.ok()) << want.failure().message();
      c_spec.timing = static_cast<fourge_scale_timing>(timing);
      c_spec.order = static_cast<fourge_column_order>(order);
      c_spec.damping = spec.damping;
      c_spec.descent_passes = spec.descent_passes;
      operands.hessian = feedback ? moment.data() : nullptr;
      fourge_gptq_report report = FOURGE_GPTQ_REPORT_INIT;
      ASSERT_EQ(fourge_gptq(&c_spec, &operands, &report), FOURGE_OK) << fourge_last_error();
      EXPECT_EQ(codes, want->matrix.codes);
      EXPECT_EQ(scales, want->matrix.scales);
      EXPECT_EQ(report.tensor_scale, want->matrix.tensor_scale.value);
      EXPECT_EQ(report.direction, static_cast<int>(want->matrix.tensor_scale.direction));
      EXPECT_EQ(report.attempts, want->report.attempts);
      EXPECT_EQ(report.damping, want->report.damping);
      EXPECT_EQ(report.relative_error, want->report.relative_error);
    }
  }
  std::fill(moment.begin(), moment.end(), -1.0);
  operands.hessian = moment.data();
  fourge_gptq_report report = FOURGE_GPTQ_REPORT_INIT;
  EXPECT_EQ(fourge_gptq(&c_spec, &operands, &report), FOURGE_BAD_ARGUMENT);
  operands.cols = 63;
  EXPECT_EQ(fourge_gptq(&c_spec, &operands, &report), FOURGE_BAD_SHAPE) << fourge_last_error();
}

TEST(CLayout, CodesGoToHalvesAndBack) {
  std::vector<std::uint8_t> pairs(4 * 64), halves(pairs.size()), want(pairs.size());
  for (std::size_t i = 0; i < pairs.size(); ++i) pairs[i] = static_cast<std::uint8_t>(i * 37 + 5);
  const Result<LayoutConverter> cxx = LayoutConverter::create({ByteLayout::pairs, ByteLayout::halves_32});
  ASSERT_TRUE(cxx.ok() && cxx->run({pairs.data(), want.data(), 4, 64}).ok());
  fourge_layout_spec spec = FOURGE_LAYOUT_SPEC_INIT;
  spec.from = FOURGE_BYTES_PAIRS;
  spec.to = FOURGE_BYTES_HALVES_32;
  fourge_layout_converter* converter = nullptr;
  ASSERT_EQ(fourge_layout_converter_create(&spec, nullptr, &converter), FOURGE_OK) << fourge_last_error();
  fourge_kernel kernel = FOURGE_KERNEL_INIT;
  ASSERT_EQ(fourge_layout_converter_kernel(converter, &kernel), FOURGE_OK);
  EXPECT_EQ(kernel.name, cxx->code().name);
  fourge_layout_operands operands = FOURGE_LAYOUT_OPERANDS_INIT;
  operands.from = pairs.data();
  operands.to = halves.data();
  operands.rows = 4;
  operands.columns = 64;
  ASSERT_EQ(fourge_layout_converter_run(converter, &operands, 1), FOURGE_OK) << fourge_last_error();
  EXPECT_EQ(halves, want);
  EXPECT_NE(halves, pairs);
  fourge_layout_converter_free(converter);
  spec.to = FOURGE_BYTES_LINEAR;
  EXPECT_EQ(fourge_layout_converter_create(&spec, nullptr, &converter), FOURGE_BAD_ARGUMENT);
}

TEST(CGemm, AlphaIsTheProductOfBothTensorScales) {
  QuantizedMatrix a, b;
  a.tensor_scale = TensorScale::decode_multiplier(0.375f);
  b.tensor_scale = TensorScale::encode_multiplier(3.0f);
  const fourge_matrix c_a = matrix_of(a), c_b = matrix_of(b);
  float alpha = 0;
  ASSERT_EQ(fourge_gemm_alpha(&c_a, &c_b, &alpha), FOURGE_OK);
  EXPECT_EQ(alpha, gemm_alpha(a.tensor_scale, b.tensor_scale));
}

TEST(CGemm, TellsAboutItsKernel) {
  fourge_gemm_spec spec = FOURGE_GEMM_SPEC_INIT;
  fourge_kernel_options options = FOURGE_KERNEL_OPTIONS_INIT;
  options.max_isa = "scalar";
  fourge_gemm* gemm = nullptr;
  ASSERT_EQ(fourge_gemm_create(&spec, &options, &gemm), FOURGE_OK) << fourge_last_error();
  fourge_kernel kernel = FOURGE_KERNEL_INIT;
  ASSERT_EQ(fourge_gemm_kernel(gemm, &kernel), FOURGE_OK);
  EXPECT_STREQ(kernel.name, "gemm_f32_e2m1_e2m1_ue4m3b16_1x16x64__scalar");
  EXPECT_STREQ(kernel.isa, "scalar");
  EXPECT_STREQ(kernel.exactness, "bit_exact(blackwell.mxf4nvf4.ue4m3.block16)");
  EXPECT_NE(std::strstr(kernel.decisions, "__scalar: chosen"), nullptr) << kernel.decisions;
  EXPECT_EQ(kernel.code_bytes, 0);
  fourge_gemm_free(gemm);

  options.kernel = "gemm_of_nobody";
  EXPECT_EQ(fourge_gemm_create(&spec, &options, &gemm), FOURGE_UNSUPPORTED_ISA);
}

TEST(CQuantizer, GivesTheBytesOfCxx) {
  const std::vector<float> x = gaussian(48 * 128, 2);
  for (const Format format : kFormats) {
    for (const ScaleRule rule : scale_rules_of(format)) {
      const QuantizeSpec spec{.format = format, .rule = rule, .layout = ScaleLayout::swizzled_8x4};
      const Result<QuantizedMatrix> want = quantize(x, 48, 128, spec);
      ASSERT_TRUE(want.ok());
      fourge_quantizer_spec c_spec = FOURGE_QUANTIZER_SPEC_INIT;
      c_spec.format = static_cast<fourge_format>(format);
      c_spec.rule = static_cast<fourge_scale_rule>(rule);
      c_spec.layout = FOURGE_SWIZZLED_8X4;
      std::vector<std::uint8_t> codes(want->codes.size()), scales(want->scales.size());
      fourge_quantize_operands operands = FOURGE_QUANTIZE_OPERANDS_INIT;
      operands.x = x.data();
      operands.rows = 48;
      operands.cols = 128;
      operands.codes = codes.data();
      operands.scales = scales.data();
      fourge_quantize_outcome outcome = FOURGE_QUANTIZE_OUTCOME_INIT;
      ASSERT_EQ(fourge_quantize(&c_spec, &operands, &outcome), FOURGE_OK) << fourge_last_error();
      EXPECT_EQ(codes, want->codes) << name_of(format) << " " << name_of(rule);
      EXPECT_EQ(scales, want->scales) << name_of(format) << " " << name_of(rule);
      EXPECT_EQ(outcome.tensor_scale, want->tensor_scale.value);
      EXPECT_EQ(outcome.direction, static_cast<int>(want->tensor_scale.direction));

      fourge_quantizer* quantizer = nullptr;
      ASSERT_EQ(fourge_quantizer_create(&c_spec, nullptr, &quantizer), FOURGE_OK) << fourge_last_error();
      std::fill(codes.begin(), codes.end(), std::uint8_t{0xee});
      std::fill(scales.begin(), scales.end(), std::uint8_t{0xee});
      ASSERT_EQ(fourge_quantizer_run(quantizer, &operands, 2, &outcome), FOURGE_OK) << fourge_last_error();
      EXPECT_EQ(codes, want->codes) << name_of(format) << " " << name_of(rule);
      EXPECT_EQ(scales, want->scales) << name_of(format) << " " << name_of(rule);
      EXPECT_EQ(outcome.amax, format == Format::nvfp4 && rule != ScaleRule::quest ? want->amax : 0.0f);
      fourge_quantizer_free(quantizer);
    }
  }
}

TEST(CQuantizer, RotatesTransposesAndTakesAnAmax) {
  const std::vector<float> x = gaussian(64 * 32, 3);
  const std::uint8_t signs[2] = {0x5a, 0xc3};
  const float amax = 6.5f, rotation_scale = 0.25f;
  const QuantizerSpec spec{
      .quantize = {.rule = ScaleRule::mse_4_6}, .transpose = true, .rotate = 16, .signs = true};
  const Result<Quantizer> cxx = Quantizer::create(spec);
  ASSERT_TRUE(cxx.ok());
  std::vector<std::uint8_t> want_codes(64 * 32 / 2), want_scales(64 * 32 / 16);
  auto codes = want_codes, scales = want_scales;
  ASSERT_TRUE(cxx->run({.x = x.data(),
                        .rows = 64,
                        .cols = 32,
                        .signs = signs,
                        .rotation_scale = rotation_scale,
                        .amax = amax,
                        .codes = want_codes.data(),
                        .scales = want_scales.data()})
                  .ok());
  fourge_quantizer_spec c_spec = FOURGE_QUANTIZER_SPEC_INIT;
  c_spec.rule = FOURGE_MSE_4_6;
  c_spec.transpose = 1;
  c_spec.rotate = 16;
  c_spec.signs = 1;
  fourge_quantizer* quantizer = nullptr;
  ASSERT_EQ(fourge_quantizer_create(&c_spec, nullptr, &quantizer), FOURGE_OK) << fourge_last_error();
  fourge_quantize_operands operands = FOURGE_QUANTIZE_OPERANDS_INIT;
  operands.x = x.data();
  operands.rows = 64;
  operands.cols = 32;
  operands.signs = signs;
  operands.rotation_scale = &rotation_scale;
  operands.amax = &amax;
  operands.codes = codes.data();
  operands.scales = scales.data();
  fourge_quantize_outcome outcome = FOURGE_QUANTIZE_OUTCOME_INIT;
  ASSERT_EQ(fourge_quantizer_run(quantizer, &operands, 0, &outcome), FOURGE_OK) << fourge_last_error();
  EXPECT_EQ(codes, want_codes);
  EXPECT_EQ(scales, want_scales);
  EXPECT_EQ(outcome.amax, amax);
  fourge_quantizer_free(quantizer);
}

TEST(CDecoder, GivesTheBitsOfCxx) {
  const std::vector<float> x = gaussian(7 * 64, 4);
  const Result<QuantizedMatrix> q = quantize(x, 7, 64, {});
  ASSERT_TRUE(q.ok());
  const fourge_matrix matrix = matrix_of(*q);
  for (const ElementFormat output : {ElementFormat::f32, ElementFormat::bf16, ElementFormat::f16}) {
    const auto bytes = static_cast<std::size_t>(info(output).storage_bits / 8);
    std::vector<std::uint8_t> want(7 * 70 * bytes, 0xa5), got = want;
    const Result<Decoder> cxx = Decoder::create({.output = output});
    ASSERT_TRUE(cxx.ok() && cxx->run(q->view(), want.data(), 70).ok());
    fourge_decoder_spec spec = FOURGE_DECODER_SPEC_INIT;
    spec.output = static_cast<fourge_element_format>(output);
    fourge_decoder* decoder = nullptr;
    ASSERT_EQ(fourge_decoder_create(&spec, nullptr, &decoder), FOURGE_OK) << fourge_last_error();
    ASSERT_EQ(fourge_decoder_run(decoder, &matrix, got.data(), 70, 1), FOURGE_OK) << fourge_last_error();
    EXPECT_EQ(got, want) << name_of(output);
    fourge_decoder_free(decoder);
  }
}

TEST(CHadamard, GivesTheBitsOfCxx) {
  const std::vector<float> x = gaussian(3 * 120, 5);
  const std::uint8_t signs[3] = {0x12, 0x0f, 0x0a};
  std::vector<float> want(3 * 120), got(3 * 128, 7.0f);
  const Result<Hadamard> cxx = Hadamard::create({.order = 20, .signs = true});
  ASSERT_TRUE(cxx.ok());
  ASSERT_TRUE(
      cxx->run({.x = x.data(), .y = want.data(), .rows = 3, .cols = 120, .signs = signs, .scale = 0.5f})
          .ok());
  fourge_hadamard_spec spec = FOURGE_HADAMARD_SPEC_INIT;
  spec.order = 20;
  spec.signs = 1;
  fourge_hadamard* hadamard = nullptr;
  ASSERT_EQ(fourge_hadamard_create(&spec, nullptr, &hadamard), FOURGE_OK) << fourge_last_error();
  fourge_hadamard_operands operands = FOURGE_HADAMARD_OPERANDS_INIT;
  operands.x = x.data();
  operands.y = got.data();
  operands.rows = 3;
  operands.cols = 120;
  operands.y_stride = 128;
  operands.signs = signs;
  operands.scale = 0.5f;
  ASSERT_EQ(fourge_hadamard_run(hadamard, &operands, 0), FOURGE_OK) << fourge_last_error();
  for (std::size_t row = 0; row < 3; ++row)
    EXPECT_EQ(std::memcmp(&got[row * 128], &want[row * 120], 120 * sizeof(float)), 0) << row;
  EXPECT_EQ(got[120], 7.0f);
  EXPECT_EQ(fourge_orthonormal_scale(20), orthonormal_scale(20));
  fourge_hadamard_free(hadamard);
}

// Every model, two tiles of random bits, against the model's own interface.
TEST(CMma, EveryModelGivesTheReferencesBits) {
  std::mt19937_64 rng(6);
  int models = 0;
  for (const reference::MmaModel& model : reference::kMmaModels) {
    ElementFormat format{};
    for (const ElementFormat candidate : kElementFormats)
      if (model.formats.contains(candidate)) format = candidate;
    const int m = 3, n = 2, k = model.depths[0], tiles = 2;
    ASSERT_EQ(fourge_mma_model_name(models), model.name);
    ++models;
    fourge_mma_spec spec = FOURGE_MMA_SPEC_INIT;
    spec.model = model.name.data();
    spec.m = m;
    spec.n = n;
    spec.k = k;
    spec.a_format = spec.b_format = static_cast<fourge_element_format>(format);
    fourge_mma* mma = nullptr;
    ASSERT_EQ(fourge_mma_create(&spec, &mma), FOURGE_OK) << fourge_last_error();
    fourge_mma_sizes sizes = FOURGE_MMA_SIZES_INIT;
    ASSERT_EQ(fourge_mma_sizes_of(mma, &sizes), FOURGE_OK);
    const auto row = static_cast<std::size_t>(sizes.a_row_bytes),
               scales = static_cast<std::size_t>(sizes.scales_per_row);
    const std::size_t word = sizes.c_format == FOURGE_F32 ? 4 : 2;
    const auto bytes = [&](std::size_t count) {
      std::vector<std::uint8_t> random(count);
      for (auto& byte : random) byte = static_cast<std::uint8_t>(rng());
      return random;
    };
    const auto a = bytes(tiles * m * row), b = bytes(tiles * n * row), a_scales = bytes(tiles * m * scales),
               b_scales = bytes(tiles * n * scales), c = bytes(tiles * m * n * word);
    std::vector<std::uint8_t> d(c.size());
    fourge_mma_operands operands = FOURGE_MMA_OPERANDS_INIT;
    operands.tiles = tiles;
    operands.a = a.data();
    operands.b = b.data();
    operands.a_scales = scales == 0 ? nullptr : a_scales.data();
    operands.b_scales = scales == 0 ? nullptr : b_scales.data();
    operands.c = c.data();
    operands.d = d.data();
    ASSERT_EQ(fourge_mma_run(mma, &operands), FOURGE_OK) << fourge_last_error();
    for (std::size_t i = 0; i < d.size() / word; ++i) {
      const std::size_t a_row = i / n, b_row = i / (m * n) * n + i % n;
      const auto decoded = [&](const auto& codes, const auto& scale_bytes, std::size_t r) {
        return reference::decode_row(model, format, k, std::span(codes).subspan(r * row, row),
                                     std::span(scale_bytes).subspan(r * scales, scales));
      };
      std::uint32_t c_word = 0, d_word = 0;
      std::memcpy(&c_word, &c[i * word], word);
      std::memcpy(&d_word, &d[i * word], word);
      EXPECT_EQ(d_word,
                reference::mma(model, decoded(a, a_scales, a_row), decoded(b, b_scales, b_row), c_word))
          << model.name << " output " << i;
    }
    fourge_mma_free(mma);
  }
  EXPECT_EQ(models, fourge_mma_model_count());
  EXPECT_EQ(fourge_mma_model_name(models), nullptr);
}

TEST(CElements, EveryCodeOfEightBitsOrLess) {
  for (const ElementFormat format : kElementFormats) {
    const FormatInfo f = info(format);
    if (f.storage_bits > 8) continue;
    const auto c_format = static_cast<fourge_element_format>(format);
    EXPECT_STREQ(fourge_element_format_name(c_format), f.name);
    const int count = 1 << f.code_bits();
    std::vector<std::uint8_t> codes(static_cast<std::size_t>(count)), again(codes.size());
    for (std::size_t i = 0; i < codes.size(); ++i) codes[i] = static_cast<std::uint8_t>(i);
    std::vector<float> values(codes.size());
    ASSERT_EQ(fourge_decode_elements(c_format, codes.data(), count, values.data()), FOURGE_OK);
    ASSERT_EQ(
        fourge_encode_elements(c_format, values.data(), count, FOURGE_RZ, FOURGE_TO_INFINITY, again.data()),
        FOURGE_OK);
    for (std::size_t i = 0; i < codes.size(); ++i) {
      const float want = decode_f32(format, codes[i]);
      EXPECT_EQ(std::memcmp(&values[i], &want, 4), 0) << f.name << " " << i;
      if (!std::isnan(want)) {
        EXPECT_EQ(again[i], codes[i]) << f.name << " " << want;
      }
    }
  }
}

TEST(CElements, RoundsAsAsked) {
  const float x[] = {0.3f, 2.5f, -100.0f};
  std::uint16_t codes[3];
  ASSERT_EQ(fourge_encode_elements(FOURGE_F16, x, 3, FOURGE_RNE, FOURGE_TO_INFINITY, codes), FOURGE_OK);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(codes[i], encode(ElementFormat::f16, x[i]));
  std::uint8_t e2m1[3];
  ASSERT_EQ(fourge_encode_elements(FOURGE_E2M1, x, 3, FOURGE_RP, FOURGE_SATFINITE, e2m1), FOURGE_OK);
  EXPECT_EQ(e2m1[0], 1);
  EXPECT_EQ(e2m1[1], 5);
  EXPECT_EQ(e2m1[2], 15);
}

TEST(CScaleLayout, ConvertsThereAndBack) {
  std::vector<std::uint8_t> linear(130 * 5), back(linear.size());
  for (std::size_t i = 0; i < linear.size(); ++i) linear[i] = static_cast<std::uint8_t>(i % 251 + 1);
  std::int64_t bytes = 0, codes = 0, offset = 0;
  ASSERT_EQ(fourge_matrix_bytes(FOURGE_NVFP4, FOURGE_SWIZZLED_128X4, 130, 80, &codes, &bytes), FOURGE_OK);
  EXPECT_EQ(codes, 130 * 40);
  ASSERT_EQ(bytes, 256 * 8);
  std::vector<std::uint8_t> swizzled(static_cast<std::size_t>(bytes), 0xee);
  ASSERT_EQ(
      fourge_convert_scales(FOURGE_LINEAR, linear.data(), FOURGE_SWIZZLED_128X4, swizzled.data(), 130, 5),
      FOURGE_OK);
  ASSERT_EQ(fourge_scale_offset(FOURGE_SWIZZLED_128X4, 129, 4, 5, &offset), FOURGE_OK);
  EXPECT_EQ(swizzled[static_cast<std::size_t>(offset)], linear[129 * 5 + 4]);
  ASSERT_EQ(fourge_convert_scales(FOURGE_SWIZZLED_128X4, swizzled.data(), FOURGE_LINEAR, back.data(), 130, 5),
            FOURGE_OK);
  EXPECT_EQ(back, linear);
}

}  // namespace
}  // namespace fourge::tests
