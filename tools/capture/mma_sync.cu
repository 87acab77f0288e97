// mma.sync without scales: PTX ISA 9.7.14.5 "Matrix multiply-accumulate operation using mma instruction".
// One warp, one instruction, one tile.
#include "device.cuh"
#include "instruction.h"

namespace fourge::capture {
namespace {

template <class Mma>
__global__ void mma_sync_kernel(DeviceTiles tiles) {
  using Fragments = WarpFragments<Mma::kRowBytes>;
  constexpr int kRegisters = Mma::kAccumulatorRegisters;
  constexpr int kTileBytes = 32 * 4 * kRegisters;
  const int lane = int(threadIdx.x);
  const size_t tile = blockIdx.x;

  uint32_t a[Fragments::kARegisters], b[Fragments::kBRegisters], c[kRegisters], d[kRegisters];
  Fragments::load_a(a, tiles.a + tile * 16 * Mma::kRowBytes, lane);
  Fragments::load_b(b, tiles.b + tile * 8 * Mma::kRowBytes, lane);
  for (int r = 0; r < kRegisters; ++r)
    c[r] = word(tiles.c + tile * kTileBytes, accumulator_offset<kRegisters>(lane, r));

  Mma::run(d, a, b, c);

  for (int r = 0; r < kRegisters; ++r)
    *reinterpret_cast<uint32_t*>(tiles.d + tile * kTileBytes + accumulator_offset<kRegisters>(lane, r)) =
        d[r];
}

// Each macro makes one struct from one mnemonic: the text that --list prints is the text that the assembler
// gets. Accumulators travel as raw words ("r"), so that no bit of a NaN is touched.
#define FOURGE_MMA_F32(NAME, ASM, PTX)                                                              \
  struct NAME {                                                                                     \
    static constexpr const char* kPtx = PTX;                                                        \
    static constexpr int kRowBytes = 32, kAccumulatorRegisters = 4;                                 \
    __device__ static void run(uint32_t (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2],    \
                               const uint32_t (&c)[4]) {                                            \
      ASM(PTX " {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%10, %11, %12, %13};"                \
          : "=r"(d[0]), "=r"(d[1]), "=r"(d[2]), "=r"(d[3])                                          \
          : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]), "r"(c[0]), "r"(c[1]), \
            "r"(c[2]), "r"(c[3]));                                                                  \
    }                                                                                               \
  }

#define FOURGE_MMA_F32_SHORT(NAME, ASM, PTX)                                                     \
  struct NAME {                                                                                  \
    static constexpr const char* kPtx = PTX;                                                     \
    static constexpr int kRowBytes = 16, kAccumulatorRegisters = 4;                              \
    __device__ static void run(uint32_t (&d)[4], const uint32_t (&a)[2], const uint32_t (&b)[1], \
                               const uint32_t (&c)[4]) {                                         \
      ASM(PTX " {%0, %1, %2, %3}, {%4, %5}, {%6}, {%7, %8, %9, %10};"                            \
          : "=r"(d[0]), "=r"(d[1]), "=r"(d[2]), "=r"(d[3])                                       \
          : "r"(a[0]), "r"(a[1]), "r"(b[0]), "r"(c[0]), "r"(c[1]), "r"(c[2]), "r"(c[3]));        \
    }                                                                                            \
  }

#define FOURGE_MMA_F16(NAME, ASM, PTX)                                                               \
  struct NAME {                                                                                      \
    static constexpr const char* kPtx = PTX;                                                         \
    static constexpr int kRowBytes = 32, kAccumulatorRegisters = 2;                                  \
    __device__ static void run(uint32_t (&d)[2], const uint32_t (&a)[4], const uint32_t (&b)[2],     \
                               const uint32_t (&c)[2]) {                                             \
      ASM(PTX " {%0, %1}, {%2, %3, %4, %5}, {%6, %7}, {%8, %9};"                                     \
          : "=r"(d[0]), "=r"(d[1])                                                                   \
          : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]), "r"(c[0]), "r"(c[1])); \
    }                                                                                                \
  }

#define FOURGE_MMA_F16_SHORT(NAME, ASM, PTX)                                                     \
  struct NAME {                                                                                  \
    static constexpr const char* kPtx = PTX;                                                     \
    static constexpr int kRowBytes = 16, kAccumulatorRegisters = 2;                              \
    __device__ static void run(uint32_t (&d)[2], const uint32_t (&a)[2], const uint32_t (&b)[1], \
                               const uint32_t (&c)[2]) {                                         \
      ASM(PTX " {%0, %1}, {%2, %3}, {%4}, {%5, %6};"                                             \
          : "=r"(d[0]), "=r"(d[1])                                                               \
          : "r"(a[0]), "r"(a[1]), "r"(b[0]), "r"(c[0]), "r"(c[1]));                              \
    }                                                                                            \
  }

// clang-format off
FOURGE_MMA_F32(F16F32, FOURGE_ASM_SM80, "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32");
FOURGE_MMA_F16(F16F16, FOURGE_ASM_SM80, "mma.sync.aligned.m16n8k16.row.col.f16.f16.f16.f16");
FOURGE_MMA_F32(Bf16F32, FOURGE_ASM_SM80, "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32");
FOURGE_MMA_F32(Tf32F32, FOURGE_ASM_SM80, "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32");

FOURGE_MMA_F32_SHORT(F16F32Short, FOURGE_ASM_SM80, "mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32");
FOURGE_MMA_F16_SHORT(F16F16Short, FOURGE_ASM_SM80, "mma.sync.aligned.m16n8k8.row.col.f16.f16.f16.f16");
FOURGE_MMA_F32_SHORT(Bf16F32Short, FOURGE_ASM_SM80, "mma.sync.aligned.m16n8k8.row.col.f32.bf16.bf16.f32");
FOURGE_MMA_F32_SHORT(Tf32F32Short, FOURGE_ASM_SM80, "mma.sync.aligned.m16n8k4.row.col.f32.tf32.tf32.f32");

FOURGE_MMA_F32(E4m3E4m3F32, FOURGE_ASM_SM89, "mma.sync.aligned.m16n8k32.row.col.f32.e4m3.e4m3.f32");
FOURGE_MMA_F32(E4m3E5m2F32, FOURGE_ASM_SM89, "mma.sync.aligned.m16n8k32.row.col.f32.e4m3.e5m2.f32");
FOURGE_MMA_F32(E5m2E4m3F32, FOURGE_ASM_SM89, "mma.sync.aligned.m16n8k32.row.col.f32.e5m2.e4m3.f32");
FOURGE_MMA_F32(E5m2E5m2F32, FOURGE_ASM_SM89, "mma.sync.aligned.m16n8k32.row.col.f32.e5m2.e5m2.f32");
FOURGE_MMA_F16(E4m3E4m3F16, FOURGE_ASM_SM89, "mma.sync.aligned.m16n8k32.row.col.f16.e4m3.e4m3.f16");
FOURGE_MMA_F16(E4m3E5m2F16, FOURGE_ASM_SM89, "mma.sync.aligned.m16n8k32.row.col.f16.e4m3.e5m2.f16");
FOURGE_MMA_F16(E5m2E4m3F16, FOURGE_ASM_SM89, "mma.sync.aligned.m16n8k32.row.col.f16.e5m2.e4m3.f16");
FOURGE_MMA_F16(E5m2E5m2F16, FOURGE_ASM_SM89, "mma.sync.aligned.m16n8k32.row.col.f16.e5m2.e5m2.f16");

FOURGE_MMA_F32_SHORT(E4m3E5m2F32Short, FOURGE_ASM_SM89, "mma.sync.aligned.m16n8k16.row.col.f32.e4m3.e5m2.f32");
FOURGE_MMA_F16_SHORT(E4m3E5m2F16Short, FOURGE_ASM_SM89, "mma.sync.aligned.m16n8k16.row.col.f16.e4m3.e5m2.f16");
// clang-format on

template <class Mma>
void launch(const Instruction&, const DeviceTiles& device, int tiles) {
  mma_sync_kernel<Mma><<<unsigned(tiles), 32>>>(device);
}

template <class Mma>
Instruction instruction(const Format& a, const Format& b) {
  return {.family = Family::kMmaSync,
          .ptx = Mma::kPtx,
          .m = 16,
          .n = 8,
          .k = Mma::kRowBytes * 8 / a.stored_bits,
          .a = &a,
          .b = &b,
          .d = Mma::kAccumulatorRegisters == 4 ? &kF32 : &kF16,
          .launch = launch<Mma>};
}

}  // namespace

void add_mma_sync(std::vector<Instruction>& list) {
  list.push_back(instruction<F16F32>(kF16, kF16));
  list.push_back(instruction<F16F16>(kF16, kF16));
  list.push_back(instruction<Bf16F32>(kBf16, kBf16));
  list.push_back(instruction<Tf32F32>(kTf32, kTf32));
  list.push_back(instruction<F16F32Short>(kF16, kF16));
  list.push_back(instruction<F16F16Short>(kF16, kF16));
  list.push_back(instruction<Bf16F32Short>(kBf16, kBf16));
  list.push_back(instruction<Tf32F32Short>(kTf32, kTf32));
  list.push_back(instruction<E4m3E4m3F32>(kE4m3, kE4m3));
  list.push_back(instruction<E4m3E5m2F32>(kE4m3, kE5m2));
  list.push_back(instruction<E5m2E4m3F32>(kE5m2, kE4m3));
  list.push_back(instruction<E5m2E5m2F32>(kE5m2, kE5m2));
  list.push_back(instruction<E4m3E4m3F16>(kE4m3, kE4m3));
  list.push_back(instruction<E4m3E5m2F16>(kE4m3, kE5m2));
  list.push_back(instruction<E5m2E4m3F16>(kE5m2, kE4m3));
  list.push_back(instruction<E5m2E5m2F16>(kE5m2, kE5m2));
  list.push_back(instruction<E4m3E5m2F32Short>(kE4m3, kE5m2));
  list.push_back(instruction<E4m3E5m2F16Short>(kE4m3, kE5m2));
}

}  // namespace fourge::capture
