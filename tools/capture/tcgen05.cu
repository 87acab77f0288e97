// COMPILED, NEVER RUN: no GPU of compute capability 10.x was at hand. The self-check of capture.cu decides on
// the first such GPU whether operands and scales are placed as documented, before a file is written.
//
// tcgen05.mma of sm_100a / sm_103a: PTX ISA 9.7.16 "TensorCore 5th Generation Family Instructions",
// cta_group::1, A and B in shared memory, D and the scales in Tensor Memory. One CTA of 128 threads, one
// instruction, one tile.
#include "device.cuh"
#include "instruction.h"

namespace fourge::capture {
namespace {

constexpr int kM = 128, kRowBytes = 32;

// Tensor Memory of a CTA: 128 lanes x 128 allocated columns of 32 bits. D: lane = row of D, column = column
// of D.
[[maybe_unused]] constexpr int kTmemColumns = 128, kDColumn = 0, kAScaleColumn = 32, kBScaleColumn = 64;

// Shared-memory matrix, K-major without swizzle: core matrices of 8 rows x 16 bytes, as in wgmma.cu.
__device__ int core_matrix_offset(int row, int byte) {
  return row / 8 * 256 + byte / 16 * 128 + row % 8 * 16 + byte % 16;
}

// PTX 9.7.16.4.1 "Shared memory descriptor": as for wgmma, plus the constant 0b001 in bits 46..48.
__device__ uint64_t matrix_descriptor(const uint8_t* shared) {
  const auto address = uint64_t(__cvta_generic_to_shared(shared));
  return (address & 0x3ffff) >> 4 | uint64_t(128 >> 4) << 16 | uint64_t(256 >> 4) << 32 | uint64_t{1} << 46;
}

[[maybe_unused]] __device__ uint32_t shared_address(const void* pointer) {
  return uint32_t(__cvta_generic_to_shared(pointer));
}

template <int kRows>
__device__ void load_operand(uint8_t (&shared)[kRows * kRowBytes], const uint8_t* rows) {
  for (int i = 4 * int(threadIdx.x); i < kRows * kRowBytes; i += 4 * 128)
    *reinterpret_cast<uint32_t*>(shared + core_matrix_offset(i / kRowBytes, i % kRowBytes)) = word(rows, i);
}

__device__ void store_tmem(uint32_t address, uint32_t value) {
  FOURGE_ASM_SM100A("tcgen05.st.sync.aligned.32x32b.x1.b32 [%0], {%1};" ::"r"(address), "r"(value)
                    : "memory");
}

__device__ uint32_t load_tmem(uint32_t address) {
  uint32_t value = 0;
  FOURGE_ASM_SM100A("tcgen05.ld.sync.aligned.32x32b.x1.b32 {%0}, [%1];"
                    : "=r"(value)
                    : "r"(address)
                    : "memory");
  FOURGE_ASM_SM100A("tcgen05.wait::ld.sync.aligned;" ::: "memory");
  return value;
}

// An accumulator occupies a 32-bit cell of Tensor Memory, an f16 its low half (PTX 9.7.16.10.4.1).
template <class Mma>
__device__ void load_accumulator(uint32_t tmem, const uint8_t* c) {
  const int row = int(threadIdx.x);
  for (int column = 0; column < Mma::kN; ++column) {
    const int i = row * Mma::kN + column;
    const uint32_t value =
        Mma::kF16Output ? reinterpret_cast<const uint16_t*>(c)[i] : reinterpret_cast<const uint32_t*>(c)[i];
    store_tmem(tmem + unsigned(kDColumn + column), value);
  }
}

template <class Mma>
__device__ void store_result(uint8_t* d, uint32_t tmem) {
  const int row = int(threadIdx.x);
  for (int column = 0; column < Mma::kN; ++column) {
    const int i = row * Mma::kN + column;
    const uint32_t value = load_tmem(tmem + unsigned(kDColumn + column));
    if (Mma::kF16Output)
      reinterpret_cast<uint16_t*>(d)[i] = uint16_t(value);
    else
      reinterpret_cast<uint32_t*>(d)[i] = value;
  }
}

// Scale layout (PTX 9.7.16.10.7.2, .3): the scales of row r stand in lane r % 32, column r / 32, k-block j in
// byte j; the 32 lanes are repeated in all four lane partitions, so every warp stores the same words to its
// own partition.
template <int kScales>
__device__ void load_scales(uint32_t tmem, const uint8_t* scales, int rows) {
  const int lane = int(threadIdx.x) % 32;
  for (int column = 0; 32 * column < rows; ++column) {
    const int row = 32 * column + lane;
    uint32_t packed = 0;
    for (int j = 0; j < kScales && row < rows; ++j) packed |= uint32_t(scales[row * kScales + j]) << (8 * j);
    store_tmem(tmem + unsigned(column), packed);
  }
}

// Waits until the arrival that tcgen05.commit made on the barrier.
__device__ void wait(uint64_t* barrier) {
  uint32_t done = 0;
  do {
    FOURGE_ASM_SM100A(
        "{\n.reg .pred p;\nmbarrier.try_wait.parity.shared::cta.b64 p, [%1], 0;\nselp.u32 %0, 1, 0, p;\n}"
        : "=r"(done)
        : "r"(shared_address(barrier))
        : "memory");
  } while (!done);
}

template <class Mma>
__global__ void __launch_bounds__(128) tcgen05_kernel(DeviceTiles tiles, uint32_t instruction_descriptor) {
  __shared__ alignas(128) uint8_t a[kM * kRowBytes];
  __shared__ alignas(128) uint8_t b[Mma::kN * kRowBytes];
  __shared__ uint64_t barrier;
  __shared__ uint32_t tmem_address;
  constexpr int kTileBytes = kM * Mma::kN * (Mma::kF16Output ? 2 : 4);
  const int thread = int(threadIdx.x), warp = thread / 32;
  const size_t tile = blockIdx.x;

  load_operand<kM>(a, tiles.a + tile * kM * kRowBytes);
  load_operand<Mma::kN>(b, tiles.b + tile * Mma::kN * kRowBytes);
  if (warp == 0)
    FOURGE_ASM_SM100A("tcgen05.alloc.cta_group::1.sync.aligned.shared::cta.b32 [%0], %1;" ::"r"(
                          shared_address(&tmem_address)),
                      "n"(kTmemColumns)
                      : "memory");
  if (thread == 0) {
    FOURGE_ASM_SM100A("mbarrier.init.shared::cta.b64 [%0], 1;" ::"r"(shared_address(&barrier)) : "memory");
    FOURGE_ASM_SM100A("fence.mbarrier_init.release.cluster;" ::: "memory");
  }
  // Ordinary stores become visible to the asynchronous proxy, which reads the operands.
  FOURGE_ASM_SM100A("fence.proxy.async.shared::cta;" ::: "memory");
  __syncthreads();

  // A warp reaches the 32 lanes of its own partition; bits 31:16 of an address are the lane, 15:0 the column.
  const uint32_t tmem = tmem_address, partition = tmem + (unsigned(warp * 32) << 16);
  load_accumulator<Mma>(partition, tiles.c + tile * kTileBytes);
  if constexpr (Mma::kScales > 0) {
    load_scales<Mma::kScales>(partition + kAScaleColumn, tiles.a_scales + tile * kM * Mma::kScales, kM);
    load_scales<Mma::kScales>(partition + kBScaleColumn, tiles.b_scales + tile * Mma::kN * Mma::kScales,
                              Mma::kN);
  }
  FOURGE_ASM_SM100A("tcgen05.wait::st.sync.aligned;" ::: "memory");
  FOURGE_ASM_SM100A("tcgen05.fence::before_thread_sync;" ::: "memory");
  __syncthreads();

  if (thread == 0) {
    FOURGE_ASM_SM100A("tcgen05.fence::after_thread_sync;" ::: "memory");
    Mma::run(tmem + kDColumn, matrix_descriptor(a), matrix_descriptor(b), instruction_descriptor,
             tmem + kAScaleColumn, tmem + kBScaleColumn);
    FOURGE_ASM_SM100A("tcgen05.commit.cta_group::1.mbarrier::arrive::one.shared::cluster.b64 [%0];" ::"r"(
                          shared_address(&barrier))
                      : "memory");
  }
  wait(&barrier);
  FOURGE_ASM_SM100A("tcgen05.fence::after_thread_sync;" ::: "memory");
  store_result<Mma>(tiles.d + tile * kTileBytes, partition);

  FOURGE_ASM_SM100A("tcgen05.fence::before_thread_sync;" ::: "memory");
  __syncthreads();
  if (warp == 0) {
    FOURGE_ASM_SM100A("tcgen05.fence::after_thread_sync;" ::: "memory");
    FOURGE_ASM_SM100A("tcgen05.relinquish_alloc_permit.cta_group::1.sync.aligned;" ::: "memory");
    FOURGE_ASM_SM100A("tcgen05.dealloc.cta_group::1.sync.aligned.b32 %0, %1;" ::"r"(tmem), "n"(kTmemColumns)
                      : "memory");
  }
}

// Predicate p = 1: D is an input too. N is the least that M = 128 allows: 16, or 8 with block scales.
#define FOURGE_TCGEN05(NAME, F16_OUTPUT, PTX)                                                               \
  struct NAME {                                                                                             \
    static constexpr const char* kPtx = PTX;                                                                \
    static constexpr int kN = 16, kScales = 0;                                                              \
    static constexpr bool kF16Output = F16_OUTPUT;                                                          \
    __device__ static void run(uint32_t d, uint64_t a, uint64_t b, uint32_t descriptor, uint32_t,           \
                               uint32_t) {                                                                  \
      FOURGE_ASM_SM100A("{\n.reg .pred p;\nsetp.ne.b32 p, 1, 0;\n" PTX " [%0], %1, %2, %3, p;\n}" ::"r"(d), \
                        "l"(a), "l"(b), "r"(descriptor)                                                     \
                        : "memory");                                                                        \
    }                                                                                                       \
  }

#define FOURGE_TCGEN05_SCALED(NAME, SCALES, PTX)                                                           \
  struct NAME {                                                                                            \
    static constexpr const char* kPtx = PTX;                                                               \
    static constexpr int kN = 8, kScales = SCALES;                                                         \
    static constexpr bool kF16Output = false;                                                              \
    __device__ static void run(uint32_t d, uint64_t a, uint64_t b, uint32_t descriptor, uint32_t a_scales, \
                               uint32_t b_scales) {                                                        \
      FOURGE_ASM_SM100A("{\n.reg .pred p;\nsetp.ne.b32 p, 1, 0;\n" PTX                                     \
                        " [%0], %1, %2, %3, [%4], [%5], p;\n}" ::"r"(d),                                   \
                        "l"(a), "l"(b), "r"(descriptor), "r"(a_scales), "r"(b_scales)                      \
                        : "memory");                                                                       \
    }                                                                                                      \
  }

FOURGE_TCGEN05(F16KindF32, false, "tcgen05.mma.cta_group::1.kind::f16");
FOURGE_TCGEN05(F16KindF16, true, "tcgen05.mma.cta_group::1.kind::f16");
FOURGE_TCGEN05(Tf32Kind, false, "tcgen05.mma.cta_group::1.kind::tf32");
FOURGE_TCGEN05(F8f6f4KindF32, false, "tcgen05.mma.cta_group::1.kind::f8f6f4");
FOURGE_TCGEN05(F8f6f4KindF16, true, "tcgen05.mma.cta_group::1.kind::f8f6f4");
FOURGE_TCGEN05_SCALED(Mxf8f6f4, 1, "tcgen05.mma.cta_group::1.kind::mxf8f6f4.block_scale.scale_vec::1X");
FOURGE_TCGEN05_SCALED(Mxf4, 2, "tcgen05.mma.cta_group::1.kind::mxf4.block_scale.scale_vec::2X");
FOURGE_TCGEN05_SCALED(Mxf4Nvf4Block32, 2,
                      "tcgen05.mma.cta_group::1.kind::mxf4nvf4.block_scale.scale_vec::2X");
FOURGE_TCGEN05_SCALED(Mxf4Nvf4Block16, 4,
                      "tcgen05.mma.cta_group::1.kind::mxf4nvf4.block_scale.scale_vec::4X");

// PTX 9.7.16.4.2 "Instruction descriptor". Types: bits 7..9 (A) and 10..12 (B); N / 8 in bits 17..22; M / 16
// in bits 24..28. Without scales: bits 4..5 = 1 for an f32 D. With scales: bit 23 = 1 for UE8M0, 0 for UE4M3;
// the scale-factor ids (bits 4..5, 29..30) are 0, as the scales start at byte 0. Dense, K-major, no negation,
// K = 32 or 64: all 0.
uint32_t type_bits(const Format& format) {
  if (&format == &kBf16 || &format == &kE5m2) return 1;
  if (&format == &kTf32) return 2;
  if (&format == &kE2m3) return 3;
  if (&format == &kE3m2) return 4;
  if (&format == &kE2m1) return 5;
  return 0;  // f16, e4m3
}

uint32_t shape_bits(int n) { return uint32_t(n / 8) << 17 | uint32_t(kM / 16) << 24; }

template <class Mma>
void launch(const Instruction& instruction, const DeviceTiles& device, int tiles) {
  tcgen05_kernel<Mma><<<unsigned(tiles), 128>>>(device, instruction.descriptor);
}

int products_per_scale(int k, int scales) { return scales > 0 ? k / scales : 0; }

template <class Mma>
Instruction instruction(const Format& a, const Format& b, const Format* scale = nullptr) {
  const bool fp4_kind = Mma::kScales >= 2;  // mxf4, mxf4nvf4: e2m1 only, its type code is 1
  const bool byte_kind = !fp4_kind && a.stored_bits <= 8;
  const int k = fp4_kind ? 64 : byte_kind ? 32 : kRowBytes * 8 / a.stored_bits;
  uint32_t descriptor = shape_bits(Mma::kN);
  descriptor |= (fp4_kind ? 1 : type_bits(a)) << 7 | (fp4_kind ? 1 : type_bits(b)) << 10;
  descriptor |= scale ? uint32_t(scale == &kUe8m0) << 23 : uint32_t(!Mma::kF16Output) << 4;
  return {.family = Family::kTcgen05,
          .ptx = Mma::kPtx,
          .m = kM,
          .n = Mma::kN,
          .k = k,
          .a = &a,
          .b = &b,
          .d = Mma::kF16Output ? &kF16 : &kF32,
          .scale = scale,
          .block = products_per_scale(k, Mma::kScales),
          .layout = byte_kind ? RowLayout::kSixteenGroups : RowLayout::kAsStored,
          .descriptor = descriptor,
          .launch = launch<Mma>};
}

}  // namespace

void add_tcgen05(std::vector<Instruction>& list) {
  list.push_back(instruction<Mxf4>(kE2m1, kE2m1, &kUe8m0));
  list.push_back(instruction<Mxf4Nvf4Block32>(kE2m1, kE2m1, &kUe8m0));
  list.push_back(instruction<Mxf4Nvf4Block16>(kE2m1, kE2m1, &kUe8m0));
  list.push_back(instruction<Mxf4Nvf4Block16>(kE2m1, kE2m1, &kUe4m3));
  list.push_back(instruction<F16KindF32>(kF16, kF16));
  list.push_back(instruction<F16KindF16>(kF16, kF16));
  list.push_back(instruction<F16KindF32>(kBf16, kBf16));
  list.push_back(instruction<Tf32Kind>(kTf32, kTf32));
  const Format* const byte_formats[] = {&kE4m3, &kE5m2, &kE3m2, &kE2m3, &kE2m1};
  for (const Format* a : byte_formats) {
    for (const Format* b : byte_formats) {
      list.push_back(instruction<Mxf8f6f4>(*a, *b, &kUe8m0));
      list.push_back(instruction<F8f6f4KindF32>(*a, *b));
      list.push_back(instruction<F8f6f4KindF16>(*a, *b));
    }
  }
}

}  // namespace fourge::capture
