/* fourge from C: 4-bit GEMM, quantisation, rotation, decoding, and the tensor-core models. Library:
 * libfourge.
 *
 * Status    A function that can fail returns a fourge_status, FOURGE_OK = 0. fourge_last_error() then says
 *           what was wrong, where, and what was expected. On failure no output is valid.
 * Structs   start with struct_size. Initialise them with their FOURGE_..._INIT, which sets it and the
 *           defaults. A library newer than the caller takes what lies beyond struct_size as the default; an
 *           older one refuses fields that it does not know, unless they are zero. Structs that the library
 *           fills are written up to struct_size.
 * Handles   come from ..._create and go to ..._free, which takes NULL too. Any number of threads may use one
 *           at once; freeing is the last use.
 * Memory    is the caller's. Nothing keeps a pointer to it after the call.
 * Threads   `threads` of 0 means OpenMP's default. Results do not depend on it.
 * Layouts   matrices are row-major. Strides count elements; 0 means no gap between rows.
 *
 * The C++ headers under fourge/ hold the definitions, with the arithmetic bit for bit; the names are the
 * same.
 */
#ifndef FOURGE_H_
#define FOURGE_H_

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define FOURGE_API __attribute__((visibility("default")))
#else
#define FOURGE_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Status ------------------------------------------------------------------------------------------- */

typedef enum fourge_status {
  FOURGE_OK = 0,
  FOURGE_BAD_ARGUMENT = 1,       /* an option or value outside its range; a null pointer */
  FOURGE_BAD_SHAPE = 2,          /* sizes that do not fit each other, or are not multiples of a block */
  FOURGE_UNSUPPORTED_FORMAT = 3, /* a format that this operation does not take */
  FOURGE_UNSUPPORTED_ISA = 4,    /* the processor, the system or FOURGE_MAX_ISA rules it out */
  FOURGE_NOT_FOUND = 5,          /* no model of that name */
  FOURGE_BAD_FILE = 6,
  FOURGE_IO = 7,
  FOURGE_OUT_OF_MEMORY = 8,
  FOURGE_CODEGEN = 9, /* the assembler refused: a bug in a generator */
  FOURGE_STATUS_FORCE_INT = 0x7fffffff
} fourge_status;

/* Of the calling thread's last call that failed; "" before any has. Valid until its next failing call. */
FOURGE_API const char* fourge_last_error(void);
FOURGE_API const char* fourge_status_name(fourge_status status);
/* "0.1.0" */
FOURGE_API const char* fourge_version(void);

/* ---- Formats ------------------------------------------------------------------------------------------ */

typedef int32_t fourge_element_format;
enum {
  FOURGE_E2M1 = 0,
  FOURGE_E2M3 = 1,
  FOURGE_E3M2 = 2,
  FOURGE_E4M3 = 3,
  FOURGE_E5M2 = 4,
  FOURGE_UE4M3 = 5,
  FOURGE_UE8M0 = 6,
  FOURGE_F16 = 7,
  FOURGE_BF16 = 8,
  FOURGE_TF32 = 9, /* f32 words whose low 13 bits are ignored */
  FOURGE_F32 = 10
};

typedef int32_t fourge_format;
enum {
  FOURGE_NVFP4 = 0,    /* e2m1, a ue4m3 scale per 16, one f32 scale per tensor */
  FOURGE_MXFP4 = 1,    /* e2m1, a ue8m0 scale per 32 */
  FOURGE_MXFP4_B16 = 2 /* e2m1, a ue8m0 scale per 16 */
};

typedef int32_t fourge_rounding;
enum { FOURGE_RNE = 0, FOURGE_RZ = 1, FOURGE_RP = 2 };

typedef int32_t fourge_overflow;
enum { FOURGE_SATFINITE = 0, FOURGE_TO_INFINITY = 1 };

/* "e2m1", "nvfp4"; "" for no format. */
FOURGE_API const char* fourge_element_format_name(fourge_element_format format);
FOURGE_API const char* fourge_format_name(fourge_format format);

/* count codes, one a byte (16-bit formats: uint16_t; tf32, f32: uint32_t), to their values and back. e2m1,
 * e2m3 and e3m2 sit in the low bits. ue8m0 takes |x| and rounds to a power of two: FOURGE_RZ or FOURGE_RP. */
FOURGE_API fourge_status fourge_decode_elements(fourge_element_format format, const void* codes,
                                                int64_t count, float* values);
FOURGE_API fourge_status fourge_encode_elements(fourge_element_format format, const float* values,
                                                int64_t count, fourge_rounding rounding,
                                                fourge_overflow overflow, void* codes);

/* ---- Quantised matrices ------------------------------------------------------------------------------- */

typedef int32_t fourge_scale_layout;
enum {
  FOURGE_LINEAR = 0,
  FOURGE_SWIZZLED_128X4 = 1, /* cuBLAS, CUTLASS: tiles of 128 rows by 4 columns; padding is 0 */
  FOURGE_SWIZZLED_8X4 = 2    /* TensorRT-LLM: tiles of 8 rows by 4 columns */
};

typedef int32_t fourge_direction;
enum {
  FOURGE_DECODE_MULTIPLIER = 0, /* value = element * block scale * x */
  FOURGE_ENCODE_MULTIPLIER = 1  /* value = element * block scale / x */
};

/* rows x cols elements, two a byte, element 2i in the low nibble. */
typedef struct fourge_matrix {
  size_t struct_size;
  fourge_format format;
  fourge_scale_layout layout;
  int64_t rows;
  int64_t cols;          /* elements; a multiple of the block */
  const uint8_t* codes;  /* rows * cols / 2 bytes */
  const uint8_t* scales; /* fourge_matrix_bytes() */
  float tensor_scale;
  fourge_direction direction;
} fourge_matrix;
#define FOURGE_MATRIX_INIT \
  { sizeof(fourge_matrix), FOURGE_NVFP4, FOURGE_LINEAR, 0, 0, NULL, NULL, 1.0f, FOURGE_DECODE_MULTIPLIER }

/* What the codes and the scales of a matrix take. Either pointer may be NULL. */
FOURGE_API fourge_status fourge_matrix_bytes(fourge_format format, fourge_scale_layout layout, int64_t rows,
                                             int64_t cols, int64_t* code_bytes, int64_t* scale_bytes);
/* Where the scale of (row, column) lies, column counting blocks, of rows x columns scales. */
FOURGE_API fourge_status fourge_scale_offset(fourge_scale_layout layout, int64_t row, int64_t column,
                                             int64_t columns, int64_t* offset);
/* rows x columns scales from one layout to another; padding becomes 0. The buffers must not overlap. */
FOURGE_API fourge_status fourge_convert_scales(fourge_scale_layout from_layout, const uint8_t* from,
                                               fourge_scale_layout to_layout, uint8_t* to, int64_t rows,
                                               int64_t columns);

/* ---- Kernels ------------------------------------------------------------------------------------------ */

/* Which kernel of the registry to take. NULL in place of the struct: the best one. */
typedef struct fourge_kernel_options {
  size_t struct_size;
  const char* kernel;  /* by name; NULL: the best that can run */
  const char* max_isa; /* "scalar", "avx2", "avx512", "amx", ...; NULL: FOURGE_MAX_ISA's, or any */
} fourge_kernel_options;
#define FOURGE_KERNEL_OPTIONS_INIT \
  { sizeof(fourge_kernel_options), NULL, NULL }

/* A kernel for a person to read. The strings live as long as the handle. */
typedef struct fourge_kernel {
  size_t struct_size;
  const char* name;
  const char* isa;
  const char* exactness; /* "bit_exact(MODEL)" or "within(BOUND)" */
  const char* budget;    /* ports of the inner step */
  const char* registers; /* a line each: registers, a tab, their role */
  const char* decisions; /* a line a registered kernel: chosen, or why it was not */
  const uint8_t* code;   /* machine code; NULL for a compiled kernel */
  int64_t code_bytes;
} fourge_kernel;
#define FOURGE_KERNEL_INIT \
  { sizeof(fourge_kernel), NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0 }

/* ---- GEMM: D = alpha * A B^T + bias ------------------------------------------------------------------- */

typedef int32_t fourge_numerics;
enum {
  FOURGE_BLACKWELL = 0, /* the bits of a chain of K = 64 block-scaled tensor-core instructions */
  FOURGE_FAST = 1       /* f32 accumulation in an order of the kernel's choice */
};

typedef int32_t fourge_activations;
enum { FOURGE_ACTIVATIONS_SAME = 0, FOURGE_ACTIVATIONS_BF16 = 1, FOURGE_ACTIVATIONS_F32 = 2 };

/* A is m x k, B is n x k (row j of B is column j of the product), D is m x n. */
typedef struct fourge_gemm_spec {
  size_t struct_size;
  int64_t m;
  int64_t n;
  int64_t k; /* a multiple of the block */
  fourge_format format;
  fourge_numerics numerics;
  fourge_activations activations;
  fourge_element_format output; /* f32, bf16 or f16 */
  int32_t bias;                 /* 1: an f32 bias of n is added by the epilogue */
  int32_t accumulate;           /* 1: the chain starts from a given C, f32, m x n */
  int64_t mc; /* cache blocks, rows of A and elements along k; 0: the kernel's choice. Speed only */
  int64_t kc;
} fourge_gemm_spec;
#define FOURGE_GEMM_SPEC_INIT                                                                                \
  {                                                                                                          \
    sizeof(fourge_gemm_spec), 1, 1, 64, FOURGE_NVFP4, FOURGE_BLACKWELL, FOURGE_ACTIVATIONS_SAME, FOURGE_F32, \
        0, 0, 0, 0                                                                                           \
  }

typedef struct fourge_gemm_operands {
  size_t struct_size;
  const float* c; /* spec.accumulate only */
  int64_t c_stride;
  const float* bias; /* spec.bias only */
  void* d;
  int64_t d_stride;
  float alpha;      /* the product of both tensor scales: fourge_gemm_alpha() */
  int32_t reserved; /* 0 */
} fourge_gemm_operands;
#define FOURGE_GEMM_OPERANDS_INIT \
  { sizeof(fourge_gemm_operands), NULL, 0, NULL, NULL, 0, 1.0f, 0 }

/* Activations of W4A16 (FOURGE_ACTIVATIONS_BF16 or _F32): plain numbers as the spec says. */
typedef struct fourge_plain {
  size_t struct_size;
  const void* data;
  int64_t rows;
  int64_t cols;
  int64_t stride;
} fourge_plain;
#define FOURGE_PLAIN_INIT \
  { sizeof(fourge_plain), NULL, 0, 0, 0 }

/* A vector is 16 outputs of one row over one K = 64 step. */
typedef struct fourge_gemm_stats {
  size_t struct_size;
  int64_t vectors;
  int64_t segment_vectors; /* proved exact over a whole segment of steps */
  int64_t general_vectors; /* not proved: through the general path */
} fourge_gemm_stats;
#define FOURGE_GEMM_STATS_INIT \
  { sizeof(fourge_gemm_stats), 0, 0, 0 }

typedef struct fourge_gemm fourge_gemm;
typedef struct fourge_packed_weights fourge_packed_weights;

FOURGE_API fourge_status fourge_gemm_create(const fourge_gemm_spec* spec,
                                            const fourge_kernel_options* options, fourge_gemm** gemm);
FOURGE_API void fourge_gemm_free(fourge_gemm* gemm);
FOURGE_API fourge_status fourge_gemm_kernel(const fourge_gemm* gemm, fourge_kernel* kernel);
/* Both tensor scales as decode multipliers, multiplied in f32. */
FOURGE_API fourge_status fourge_gemm_alpha(const fourge_matrix* a, const fourge_matrix* b, float* alpha);
/* Weights, n x k, into the kernel's own layout, once. */
FOURGE_API fourge_status fourge_gemm_pack(const fourge_gemm* gemm, const fourge_matrix* weights,
                                          fourge_packed_weights** packed);
FOURGE_API void fourge_packed_weights_free(fourge_packed_weights* packed);
FOURGE_API int64_t fourge_packed_weights_bytes(const fourge_packed_weights* packed);
/* stats may be NULL. */
FOURGE_API fourge_status fourge_gemm_run(const fourge_gemm* gemm, const fourge_matrix* a,
                                         const fourge_packed_weights* weights,
                                         const fourge_gemm_operands* operands, int32_t threads,
                                         fourge_gemm_stats* stats);
/* The same with plain activations. operands.alpha: the weights' tensor scale as a decode multiplier. */
FOURGE_API fourge_status fourge_gemm_run_plain(const fourge_gemm* gemm, const fourge_plain* a,
                                               const fourge_packed_weights* weights,
                                               const fourge_gemm_operands* operands, int32_t threads,
                                               fourge_gemm_stats* stats);
/* One product of a batch: an expert with its rows, an attention head. */
typedef struct fourge_gemm_batch_item {
  size_t struct_size;
  int64_t m;                            /* rows; 0: nothing to do, and nothing else is looked at */
  const fourge_matrix* a;               /* FOURGE_ACTIVATIONS_SAME */
  const fourge_plain* plain;            /* FOURGE_ACTIVATIONS_BF16 and _F32 */
  const fourge_packed_weights* weights; /* packed by this handle or one of the same spec but m */
  const fourge_gemm_operands* operands;
} fourge_gemm_batch_item;
#define FOURGE_GEMM_BATCH_ITEM_INIT \
  { sizeof(fourge_gemm_batch_item), 0, NULL, NULL, NULL, NULL }

/* Products that differ in m, weights and operands, spread over the threads; each has the bits of a run of
 * its own. items is an array whose elements all have the struct_size of the first. Outputs must not overlap.
 * Every item is checked before the first one runs. The spec's m served to choose the kernel only. */
FOURGE_API fourge_status fourge_gemm_run_batch(const fourge_gemm* gemm, const fourge_gemm_batch_item* items,
                                               int64_t count, int32_t threads, fourge_gemm_stats* stats);
/* fourge_gemm_run by the normative scalar model, one thread, slowly: what a kernel is held against. */
FOURGE_API fourge_status fourge_reference_gemm(const fourge_gemm_spec* spec, const fourge_matrix* a,
                                               const fourge_matrix* b, const fourge_gemm_operands* operands);

/* ---- Quantising: transposed, rotated, rounded --------------------------------------------------------- */

typedef int32_t fourge_scale_rule;
enum { /* docs/quantization.md */
       FOURGE_STATIC_6 = 0,
       FOURGE_STATIC_4 = 1,
       FOURGE_MSE_4_6 = 2, /* Four Over Six: the better of 6 and 4 per block by squared error */
       FOURGE_MAE_4_6 = 3,
       FOURGE_ABS_MAX_4_6 = 4,
       FOURGE_FLOOR = 5, /* from here to FOURGE_SHIFT: mxfp4 only */
       FOURGE_CEIL = 6,
       FOURGE_EVEN = 7,
       FOURGE_RCEIL = 8,
       FOURGE_SHIFT = 9,
       FOURGE_SEARCH = 10,
       FOURGE_SWEEP = 11,
       FOURGE_QUEST = 12 /* from the standard deviation; tensor scale 1 */
};

typedef int32_t fourge_element_rounding;
enum { FOURGE_NEAREST = 0, FOURGE_STOCHASTIC = 1 };

typedef struct fourge_quantizer_spec {
  size_t struct_size;
  fourge_format format;
  fourge_scale_rule rule;
  int32_t block_2d; /* 1: one scale per block x block square */
  fourge_scale_layout layout;
  int32_t scale_max; /* nvfp4: 256 or 448; 0: the rule's own */
  fourge_element_rounding rounding;
  fourge_element_format input; /* f32, bf16 or f16 */
  int32_t transpose;           /* 1: quantises x^T */
  int64_t rotate;              /* order of a Hadamard rotation of blocks along the quantised rows; 0: none */
  int32_t signs;               /* 1: the rotation takes a sign vector */
  int32_t reserved;            /* 0 */
} fourge_quantizer_spec;
#define FOURGE_QUANTIZER_SPEC_INIT                                                                     \
  {                                                                                                    \
    sizeof(fourge_quantizer_spec), FOURGE_NVFP4, FOURGE_STATIC_6, 0, FOURGE_LINEAR, 0, FOURGE_NEAREST, \
        FOURGE_F32, 0, 0, 0, 0                                                                         \
  }

/* x is rows x cols; the quantised matrix is that, or cols x rows with transpose. */
typedef struct fourge_quantize_operands {
  size_t struct_size;
  const void* x;
  int64_t rows;
  int64_t cols;
  int64_t x_stride;
  const uint8_t* signs;        /* spec.signs: bit i % 8 of byte i / 8 negates element i of a block */
  const float* rotation_scale; /* NULL: 1 / sqrt(order) */
  const float* amax;           /* nvfp4: of the whole (rotated) tensor; NULL: found by a pass */
  uint64_t seed;               /* stochastic rounding */
  uint8_t* codes;              /* sizes: fourge_matrix_bytes() of the quantised matrix */
  uint8_t* scales;
} fourge_quantize_operands;
#define FOURGE_QUANTIZE_OPERANDS_INIT \
  { sizeof(fourge_quantize_operands), NULL, 0, 0, 0, NULL, NULL, NULL, 0, NULL, NULL }

typedef struct fourge_quantize_outcome {
  size_t struct_size;
  float amax; /* nvfp4; 0 for other formats unless given */
  float tensor_scale;
  fourge_direction direction;
  int32_t reserved;
  int64_t blocks;
  int64_t redone_blocks; /* by portable code: NaN in reach, or errors too close to call */
} fourge_quantize_outcome;
#define FOURGE_QUANTIZE_OUTCOME_INIT \
  { sizeof(fourge_quantize_outcome), 0.0f, 1.0f, FOURGE_DECODE_MULTIPLIER, 0, 0, 0 }

typedef struct fourge_quantizer fourge_quantizer;

FOURGE_API fourge_status fourge_quantizer_create(const fourge_quantizer_spec* spec,
                                                 const fourge_kernel_options* options,
                                                 fourge_quantizer** quantizer);
FOURGE_API void fourge_quantizer_free(fourge_quantizer* quantizer);
FOURGE_API fourge_status fourge_quantizer_kernel(const fourge_quantizer* quantizer, fourge_kernel* kernel);
FOURGE_API fourge_status fourge_quantizer_run(const fourge_quantizer* quantizer,
                                              const fourge_quantize_operands* operands, int32_t threads,
                                              fourge_quantize_outcome* outcome);
/* Without a kernel, for every rule: f32, not transposed, not rotated, amax found by a pass.
 * FOURGE_BAD_ARGUMENT where spec or operands ask for more. */
FOURGE_API fourge_status fourge_quantize(const fourge_quantizer_spec* spec,
                                         const fourge_quantize_operands* operands,
                                         fourge_quantize_outcome* outcome);

/* ---- Decoding: y = (element * block scale) * tensor scale ------------------------------------------- */

typedef struct fourge_decoder_spec {
  size_t struct_size;
  fourge_format format;
  fourge_element_format output; /* f32, bf16 or f16 */
} fourge_decoder_spec;
#define FOURGE_DECODER_SPEC_INIT \
  { sizeof(fourge_decoder_spec), FOURGE_NVFP4, FOURGE_F32 }

typedef struct fourge_decoder fourge_decoder;

FOURGE_API fourge_status fourge_decoder_create(const fourge_decoder_spec* spec,
                                               const fourge_kernel_options* options,
                                               fourge_decoder** decoder);
FOURGE_API void fourge_decoder_free(fourge_decoder* decoder);
FOURGE_API fourge_status fourge_decoder_kernel(const fourge_decoder* decoder, fourge_kernel* kernel);
FOURGE_API fourge_status fourge_decoder_run(const fourge_decoder* decoder, const fourge_matrix* matrix,
                                            void* y, int64_t y_stride, int32_t threads);

/* ---- Walsh-Hadamard rotation: y = scale * H (signs * x) for every block of a row ---------------------- */

typedef struct fourge_hadamard_spec {
  size_t struct_size;
  int64_t order;                /* 2..32768: a power of two, or 12, 20 or 28 times one */
  fourge_element_format input;  /* f32, bf16 or f16 */
  fourge_element_format output; /* f32, bf16 or f16 */
  int32_t signs;                /* 1: a sign vector is given with each call */
  int32_t scaled;               /* 1: a scale is given with each call */
} fourge_hadamard_spec;
#define FOURGE_HADAMARD_SPEC_INIT \
  { sizeof(fourge_hadamard_spec), 16, FOURGE_F32, FOURGE_F32, 0, 1 }

typedef struct fourge_hadamard_operands {
  size_t struct_size;
  const void* x;
  void* y; /* may be x where formats and strides are the same; else they must not overlap */
  int64_t rows;
  int64_t cols; /* a multiple of the order */
  int64_t x_stride;
  int64_t y_stride;
  const uint8_t* signs; /* spec.signs: bit i % 8 of byte i / 8 negates element i of a block */
  float scale;          /* spec.scaled; fourge_orthonormal_scale() makes the rotation orthonormal */
  int32_t reserved;     /* 0 */
} fourge_hadamard_operands;
#define FOURGE_HADAMARD_OPERANDS_INIT \
  { sizeof(fourge_hadamard_operands), NULL, NULL, 0, 0, 0, 0, NULL, 1.0f, 0 }

typedef struct fourge_hadamard fourge_hadamard;

FOURGE_API fourge_status fourge_hadamard_create(const fourge_hadamard_spec* spec,
                                                const fourge_kernel_options* options,
                                                fourge_hadamard** hadamard);
FOURGE_API void fourge_hadamard_free(fourge_hadamard* hadamard);
FOURGE_API fourge_status fourge_hadamard_kernel(const fourge_hadamard* hadamard, fourge_kernel* kernel);
FOURGE_API fourge_status fourge_hadamard_run(const fourge_hadamard* hadamard,
                                             const fourge_hadamard_operands* operands, int32_t threads);
/* 1 / sqrt(order), rounded to f32. */
FOURGE_API float fourge_orthonormal_scale(int64_t order);

/* ---- GPTQ of one layer: weights and the second moment of their inputs in, codes and scales out ----------
 */

typedef int32_t fourge_column_order;
enum {
  FOURGE_ORDER_NATURAL = 0,
  FOURGE_ORDER_ACTIVATION = 1, /* descending diagonal of the Hessian */
  FOURGE_ORDER_GROUP = 2       /* whole groups, in descending sum of their diagonal */
};

typedef int32_t fourge_scale_timing;
enum {
  FOURGE_SCALES_BEFORE = 0, /* from the unchanged weights, by the scale rule */
  FOURGE_SCALES_WITHIN = 1  /* when the group's turn comes, by the loss of GPTQ itself */
};

typedef int32_t fourge_importance;
enum { FOURGE_IMPORTANCE_NONE = 0, FOURGE_IMPORTANCE_DIAGONAL = 1, FOURGE_IMPORTANCE_CONDITIONAL = 2 };

typedef struct fourge_gptq_spec {
  size_t struct_size;
  fourge_format format;
  fourge_scale_rule rule;
  fourge_scale_timing timing;
  fourge_column_order order;
  fourge_importance importance; /* FOURGE_SWEEP, scales before: weights of the squared errors */
  int32_t damping_retries;      /* after a failed Cholesky, each with ten times the damping */
  double damping;               /* times the mean diagonal, added to the diagonal */
  int32_t descent_passes;       /* afterwards: coordinate descent over every code and scale */
  float amax;                   /* nvfp4: of the tensor; 0: its own. For layers that share a tensor scale */
  float encode;                 /* mxfp4 with FOURGE_SWEEP: value = code * scale / encode */
  int32_t reserved;             /* 0 */
} fourge_gptq_spec;
#define FOURGE_GPTQ_SPEC_INIT                                                                             \
  {                                                                                                       \
    sizeof(fourge_gptq_spec), FOURGE_NVFP4, FOURGE_SEARCH, FOURGE_SCALES_BEFORE, FOURGE_ORDER_ACTIVATION, \
        FOURGE_IMPORTANCE_NONE, 4, 0.01, 0, 0.0f, 1.0f, 0                                                 \
  }

typedef struct fourge_gptq_operands {
  size_t struct_size;
  const float* weights; /* rows x cols */
  int64_t rows;
  int64_t cols;
  const double* hessian; /* cols x cols: sum of x x^T over inputs in any overall factor, rotated as the
                            weights are. NULL: every weight is rounded to nearest, without feedback */
  uint8_t* codes;        /* sizes: fourge_matrix_bytes() with FOURGE_LINEAR */
  uint8_t* scales;
} fourge_gptq_operands;
#define FOURGE_GPTQ_OPERANDS_INIT \
  { sizeof(fourge_gptq_operands), NULL, 0, 0, NULL, NULL, NULL }

typedef struct fourge_gptq_report {
  size_t struct_size;
  float tensor_scale;
  fourge_direction direction;
  float amax;           /* 0 where unknown */
  int32_t attempts;     /* factorisations, 1 when the first succeeded */
  double damping;       /* that the Cholesky factorisation succeeded with */
  int32_t dead_columns; /* inputs that were always 0 */
  int32_t reserved;
  double error;          /* tr(E H E^T), E = W - Wq, H damped */
  double weight;         /* tr(W H W^T) */
  double relative_error; /* their ratio */
} fourge_gptq_report;
#define FOURGE_GPTQ_REPORT_INIT \
  { sizeof(fourge_gptq_report), 1.0f, FOURGE_DECODE_MULTIPLIER, 0.0f, 0, 0.0, 0, 0, 0.0, 0.0, 0.0 }

/* The same result for every number of threads. FOURGE_BAD_ARGUMENT for a Hessian that is not positive
 * definite even with the last damping: never a silent fallback. */
FOURGE_API fourge_status fourge_gptq(const fourge_gptq_spec* spec, const fourge_gptq_operands* operands,
                                     fourge_gptq_report* report);
/* Sum over tokens of x x^T into `moment`, cols x cols: exact integer sums of values rounded to 15 bits below
 * the amax of their column in 1,024 tokens; the same bits on every machine. NaN in the rows and columns of
 * inputs that are not finite. FOURGE_OUT_OF_MEMORY. */
FOURGE_API fourge_status fourge_second_moment(const float* inputs, int64_t tokens, int64_t cols,
                                              double* moment);
/* Q^T H Q in place, Q = blocks of the normalised Hadamard matrix of that order. */
FOURGE_API fourge_status fourge_rotate_hessian(double* hessian, int64_t cols, int64_t order);

/* ---- Layouts at the speed of a copy ------------------------------------------------------------------- */

typedef int32_t fourge_byte_layout;
enum {
  FOURGE_BYTES_LINEAR = 0, /* scales, as fourge_scale_layout */
  FOURGE_BYTES_SWIZZLED_128X4 = 1,
  FOURGE_BYTES_SWIZZLED_8X4 = 2,
  FOURGE_BYTES_PAIRS = 3,     /* codes: a byte holds elements 2i and 2i + 1, low nibble first */
  FOURGE_BYTES_HALVES_16 = 4, /* codes: elements i and i + 8 of a block of 16 (GGUF, nvfp4) */
  FOURGE_BYTES_HALVES_32 = 5  /* codes: elements i and i + 16 of a block of 32 (GGUF, mxfp4) */
};

typedef struct fourge_layout_spec {
  size_t struct_size;
  fourge_byte_layout from; /* two scale layouts, or pairs and one of the halves */
  fourge_byte_layout to;
} fourge_layout_spec;
#define FOURGE_LAYOUT_SPEC_INIT \
  { sizeof(fourge_layout_spec), FOURGE_BYTES_LINEAR, FOURGE_BYTES_SWIZZLED_128X4 }

/* Scales: rows x columns of them, buffers of fourge_matrix_bytes(), not overlapping, padding becomes 0.
 * Codes: rows x columns bytes without gaps, in whole blocks; to may be from. */
typedef struct fourge_layout_operands {
  size_t struct_size;
  const uint8_t* from;
  uint8_t* to;
  int64_t rows;
  int64_t columns;
} fourge_layout_operands;
#define FOURGE_LAYOUT_OPERANDS_INIT \
  { sizeof(fourge_layout_operands), NULL, NULL, 0, 0 }

typedef struct fourge_layout_converter fourge_layout_converter;

FOURGE_API fourge_status fourge_layout_converter_create(const fourge_layout_spec* spec,
                                                        const fourge_kernel_options* options,
                                                        fourge_layout_converter** converter);
FOURGE_API void fourge_layout_converter_free(fourge_layout_converter* converter);
FOURGE_API fourge_status fourge_layout_converter_kernel(const fourge_layout_converter* converter,
                                                        fourge_kernel* kernel);
FOURGE_API fourge_status fourge_layout_converter_run(const fourge_layout_converter* converter,
                                                     const fourge_layout_operands* operands, int32_t threads);

#ifdef __cplusplus
}
#endif

#include "fourge_mma.h"

#endif /* FOURGE_H_ */
