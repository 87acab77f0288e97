/* fourge from C: tensor-core instructions, by the normative model. Part of fourge.h, which includes it. */
#ifndef FOURGE_MMA_H_
#define FOURGE_MMA_H_

#include "fourge.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef int32_t fourge_zero_rule;
enum { FOURGE_ZEROS_HARDWARE = 0, FOURGE_ZEROS_MMA_SIM = 1 };

typedef int32_t fourge_narrow_subnormals;
enum { FOURGE_OWN_EXPONENT = 0, FOURGE_NORMALISED = 1 };

/* One tile, D = A B^T + C: m x n outputs of depth k. */
typedef struct fourge_mma_spec {
  size_t struct_size;
  const char* model; /* one of fourge_mma_model_name(), or "custom:fraction_bits=F,products=P,..." */
  int32_t m;
  int32_t n;
  int32_t k;
  fourge_element_format a_format;
  fourge_element_format b_format;
  fourge_zero_rule zero_rule; /* docs/numerics.md, "Policies" */
  fourge_narrow_subnormals narrow_subnormals;
  int32_t reserved; /* 0 */
} fourge_mma_spec;
#define FOURGE_MMA_SPEC_INIT                                                                  \
  {                                                                                           \
    sizeof(fourge_mma_spec), NULL, 1, 1, 64, FOURGE_E2M1, FOURGE_E2M1, FOURGE_ZEROS_HARDWARE, \
        FOURGE_OWN_EXPONENT, 0                                                                \
  }

/* Sizes of a tile's operands. */
typedef struct fourge_mma_sizes {
  size_t struct_size;
  int32_t a_row_bytes; /* e2m1 two a byte, fp6 and fp8 one a byte, f16 and bf16 two, tf32 four bytes */
  int32_t b_row_bytes;
  int32_t scales_per_row;         /* 0: the model has no block scales */
  fourge_element_format c_format; /* of C and D: f32 (4 bytes), f16 or bf16 (2 bytes) */
} fourge_mma_sizes;
#define FOURGE_MMA_SIZES_INIT \
  { sizeof(fourge_mma_sizes), 0, 0, 0, FOURGE_F32 }

/* `tiles` tiles, one after the other in each array; all of them bits. */
typedef struct fourge_mma_operands {
  size_t struct_size;
  int64_t tiles;
  const uint8_t* a;        /* [tiles][m][a_row_bytes] */
  const uint8_t* b;        /* [tiles][n][b_row_bytes] */
  const uint8_t* a_scales; /* [tiles][m][scales_per_row] */
  const uint8_t* b_scales; /* [tiles][n][scales_per_row] */
  const void* c;           /* [tiles][m][n]; NULL: +0 */
  void* d;                 /* [tiles][m][n] */
} fourge_mma_operands;
#define FOURGE_MMA_OPERANDS_INIT \
  { sizeof(fourge_mma_operands), 1, NULL, NULL, NULL, NULL, NULL, NULL }

typedef struct fourge_mma fourge_mma;

FOURGE_API int32_t fourge_mma_model_count(void);
/* NULL beyond the last. */
FOURGE_API const char* fourge_mma_model_name(int32_t index);
FOURGE_API fourge_status fourge_mma_create(const fourge_mma_spec* spec, fourge_mma** mma);
FOURGE_API void fourge_mma_free(fourge_mma* mma);
FOURGE_API fourge_status fourge_mma_sizes_of(const fourge_mma* mma, fourge_mma_sizes* sizes);
FOURGE_API fourge_status fourge_mma_run(const fourge_mma* mma, const fourge_mma_operands* operands);

#ifdef __cplusplus
}
#endif
#endif /* FOURGE_MMA_H_ */
