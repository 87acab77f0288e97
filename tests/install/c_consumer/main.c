/* A C program as a user writes it, against the installed fourge.h and libfourge: quantise two matrices,
 * multiply them by a kernel and by the reference, decode, rotate, run one tensor-core instruction, read an
 * error. Prints what it did; exit code 0 when everything agrees. */
#include <fourge.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { kM = 5, kN = 37, kK = 96 };

static void check(fourge_status status, const char* what) {
  if (status == FOURGE_OK) return;
  fprintf(stderr, "%s: %s\n", what, fourge_last_error());
  exit(1);
}

static void require(int truth, const char* what) {
  if (truth) return;
  fprintf(stderr, "wrong: %s\n", what);
  exit(1);
}

/* Values in [-1, 1), always the same. */
static void fill(float* values, int count, uint32_t seed) {
  for (int i = 0; i < count; ++i) {
    seed = seed * 1664525u + 1013904223u;
    values[i] = (float)(int32_t)seed / 2147483648.0f;
  }
}

typedef struct tensor {
  fourge_matrix matrix;
  uint8_t *codes, *scales;
} tensor;

static tensor quantise(const float* x, int rows, int cols) {
  tensor t;
  int64_t code_bytes, scale_bytes;
  fourge_quantizer* quantizer;
  fourge_quantizer_spec spec = FOURGE_QUANTIZER_SPEC_INIT;
  fourge_quantize_operands operands = FOURGE_QUANTIZE_OPERANDS_INIT;
  fourge_quantize_outcome outcome = FOURGE_QUANTIZE_OUTCOME_INIT;
  spec.rule = FOURGE_MSE_4_6;
  check(fourge_quantizer_create(&spec, NULL, &quantizer), "quantizer_create");
  check(fourge_matrix_bytes(spec.format, spec.layout, rows, cols, &code_bytes, &scale_bytes), "matrix_bytes");
  t.codes = malloc((size_t)code_bytes);
  t.scales = malloc((size_t)scale_bytes);
  operands.x = x;
  operands.rows = rows;
  operands.cols = cols;
  operands.codes = t.codes;
  operands.scales = t.scales;
  check(fourge_quantizer_run(quantizer, &operands, 1, &outcome), "quantizer_run");
  fourge_quantizer_free(quantizer);
  t.matrix = (fourge_matrix)FOURGE_MATRIX_INIT;
  t.matrix.rows = rows;
  t.matrix.cols = cols;
  t.matrix.codes = t.codes;
  t.matrix.scales = t.scales;
  t.matrix.tensor_scale = outcome.tensor_scale;
  t.matrix.direction = outcome.direction;
  return t;
}

static void release(tensor* t) {
  free(t->codes);
  free(t->scales);
}

static void multiply(const tensor* a, const tensor* b) {
  static float d[kM * kN], expected[kM * kN];
  fourge_gemm* gemm;
  fourge_packed_weights* packed;
  fourge_gemm_spec spec = FOURGE_GEMM_SPEC_INIT;
  fourge_gemm_operands operands = FOURGE_GEMM_OPERANDS_INIT;
  fourge_gemm_stats stats = FOURGE_GEMM_STATS_INIT;
  fourge_kernel kernel = FOURGE_KERNEL_INIT;
  spec.m = kM;
  spec.n = kN;
  spec.k = kK;
  check(fourge_gemm_create(&spec, NULL, &gemm), "gemm_create");
  check(fourge_gemm_pack(gemm, &b->matrix, &packed), "gemm_pack");
  check(fourge_gemm_alpha(&a->matrix, &b->matrix, &operands.alpha), "gemm_alpha");
  operands.d = d;
  check(fourge_gemm_run(gemm, &a->matrix, packed, &operands, 2, &stats), "gemm_run");
  operands.d = expected;
  check(fourge_reference_gemm(&spec, &a->matrix, &b->matrix, &operands), "reference_gemm");
  require(memcmp(d, expected, sizeof d) == 0, "the GEMM differs from the reference");
  check(fourge_gemm_kernel(gemm, &kernel), "gemm_kernel");
  require(stats.vectors > 0 && strncmp(kernel.name, "gemm_f32_e2m1_e2m1", 18) == 0, "kernel and counts");
  printf("%s: %d x %d outputs, bit for bit the reference's\n", kernel.name, kM, kN);
  {
    /* The same product again, twice in one call. */
    static float again[2][kM * kN];
    fourge_gemm_batch_item items[2] = {FOURGE_GEMM_BATCH_ITEM_INIT, FOURGE_GEMM_BATCH_ITEM_INIT};
    fourge_gemm_operands each[2];
    for (int i = 0; i < 2; ++i) {
      each[i] = operands;
      each[i].d = again[i];
      items[i].m = kM;
      items[i].a = &a->matrix;
      items[i].weights = packed;
      items[i].operands = &each[i];
    }
    check(fourge_gemm_run_batch(gemm, items, 2, 2, NULL), "gemm_run_batch");
    require(
        memcmp(again[0], expected, sizeof expected) == 0 && memcmp(again[1], expected, sizeof expected) == 0,
        "the batch differs from the reference");
  }
  fourge_packed_weights_free(packed);
  fourge_gemm_free(gemm);
}

/* One layer by GPTQ. */
static void calibrate(const float* weights) {
  enum { kTokens = 300 };
  static float inputs[kTokens * kK];
  static double moment[kK * kK];
  static uint8_t codes[kN * kK / 2], scales[kN * kK / 16];
  fourge_gptq_spec spec = FOURGE_GPTQ_SPEC_INIT;
  fourge_gptq_operands operands = FOURGE_GPTQ_OPERANDS_INIT;
  fourge_gptq_report report = FOURGE_GPTQ_REPORT_INIT;
  fill(inputs, kTokens * kK, 4);
  /* Neighbouring inputs alike: what GPTQ lives on. */
  for (int i = 1; i < kTokens * kK; ++i) inputs[i] = 0.9f * inputs[i - 1] + 0.1f * inputs[i];
  check(fourge_second_moment(inputs, kTokens, kK, moment), "second_moment");
  operands.weights = weights;
  operands.rows = kN;
  operands.cols = kK;
  operands.hessian = moment;
  operands.codes = codes;
  operands.scales = scales;
  check(fourge_gptq(&spec, &operands, &report), "gptq");
  require(report.attempts >= 1 && report.relative_error > 0 && report.relative_error < 0.01,
          "the loss of GPTQ");
  printf("GPTQ: relative loss %.5f, tensor scale %g\n", report.relative_error, report.tensor_scale);
}

static void decode(const tensor* t, const float* original, int count) {
  float* y = malloc((size_t)count * sizeof(float));
  double error = 0, norm = 0;
  fourge_decoder* decoder;
  fourge_decoder_spec spec = FOURGE_DECODER_SPEC_INIT;
  check(fourge_decoder_create(&spec, NULL, &decoder), "decoder_create");
  check(fourge_decoder_run(decoder, &t->matrix, y, 0, 0), "decoder_run");
  for (int i = 0; i < count; ++i) {
    error += ((double)y[i] - original[i]) * ((double)y[i] - original[i]);
    norm += (double)original[i] * original[i];
  }
  require(error < 0.02 * norm && error > 0, "the quantisation error");
  printf("decoded: relative squared error %.4f\n", error / norm);
  fourge_decoder_free(decoder);
  free(y);
}

static void rotate(void) {
  float x[2 * 32], y[2 * 32];
  fourge_hadamard* hadamard;
  fourge_hadamard_spec spec = FOURGE_HADAMARD_SPEC_INIT;
  fourge_hadamard_operands operands = FOURGE_HADAMARD_OPERANDS_INIT;
  fill(x, 64, 3);
  spec.order = 32;
  check(fourge_hadamard_create(&spec, NULL, &hadamard), "hadamard_create");
  operands.x = x;
  operands.y = y;
  operands.rows = 2;
  operands.cols = 32;
  operands.scale = fourge_orthonormal_scale(32);
  check(fourge_hadamard_run(hadamard, &operands, 0), "hadamard_run");
  operands.x = y;
  check(fourge_hadamard_run(hadamard, &operands, 0), "hadamard_run");
  for (int i = 0; i < 64; ++i) require(fabsf(x[i] - y[i]) < 1e-6f, "a rotation and its inverse");
  fourge_hadamard_free(hadamard);
}

/* 1.0 * 1.0 with scales of 1.0, plus c = 1.0: 2.0. */
static void one_instruction(void) {
  uint8_t row[32] = {0x02}, scales[4] = {0x38, 0x38, 0x38, 0x38};
  float c = 1.0f, d = 0.0f;
  fourge_mma* mma;
  fourge_mma_spec spec = FOURGE_MMA_SPEC_INIT;
  fourge_mma_sizes sizes = FOURGE_MMA_SIZES_INIT;
  fourge_mma_operands operands = FOURGE_MMA_OPERANDS_INIT;
  spec.model = "blackwell.mxf4nvf4.ue4m3.block16";
  check(fourge_mma_create(&spec, &mma), "mma_create");
  check(fourge_mma_sizes_of(mma, &sizes), "mma_sizes");
  require(sizes.a_row_bytes == 32 && sizes.scales_per_row == 4 && sizes.c_format == FOURGE_F32, "sizes");
  operands.a = operands.b = row;
  operands.a_scales = operands.b_scales = scales;
  operands.c = &c;
  operands.d = &d;
  check(fourge_mma_run(mma, &operands), "mma_run");
  require(d == 2.0f, "1 * 1 + 1");
  fourge_mma_free(mma);
  printf("%d tensor-core models, the first %s\n", (int)fourge_mma_model_count(), fourge_mma_model_name(0));
}

static void refusal(void) {
  fourge_gemm* gemm = NULL;
  fourge_gemm_spec spec = FOURGE_GEMM_SPEC_INIT;
  spec.k = 17;
  require(fourge_gemm_create(&spec, NULL, &gemm) == FOURGE_BAD_SHAPE, "k = 17 must be refused");
  require(gemm == NULL && strstr(fourge_last_error(), "16") != NULL, "the refusal's text");
  printf("refused as it should be: %s\n", fourge_last_error());
}

int main(void) {
  static float a[kM * kK], b[kN * kK];
  tensor qa, qb;
  fill(a, kM * kK, 1);
  fill(b, kN * kK, 2);
  qa = quantise(a, kM, kK);
  qb = quantise(b, kN, kK);
  printf("fourge %s\n", fourge_version());
  multiply(&qa, &qb);
  calibrate(b);
  decode(&qb, b, kN * kK);
  rotate();
  one_instruction();
  refusal();
  release(&qa);
  release(&qb);
  return 0;
}
