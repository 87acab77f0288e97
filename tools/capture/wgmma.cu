// wgmma.mma_async: PTX ISA 9.7.15 "Asynchronous Warpgroup Level Matrix Instructions" (sm_90a).
// One warpgroup, one instruction m64n8, one tile; A and B from shared memory.
#include "device.cuh"
#include "instruction.h"

namespace fourge::capture {
namespace {

constexpr int kM = 64, kN = 8, kRowBytes = 32;

// Shared-memory matrix, K-major without swizzle (PTX 9.7.15.5.1.2): core matrices of 8 rows x 16 bytes,
// contiguous; the two of a row side by side 128 bytes apart, the next 8 rows 256 bytes further.
__device__ int core_matrix_offset(int row, int byte) {
  return row / 8 * 256 + byte / 16 * 128 + row % 8 * 16 + byte % 16;
}

// PTX 9.7.15.5.1.2.2 "Matrix Descriptor Format": address, leading-dimension and stride byte offsets, all in
// units of 16.
__device__ uint64_t matrix_descriptor(const uint8_t* shared) {
  const auto address = uint64_t(__cvta_generic_to_shared(shared));
  return (address & 0x3ffff) >> 4 | uint64_t(128 >> 4) << 16 | uint64_t(256 >> 4) << 32;
}

template <class Mma>
__global__ void __launch_bounds__(128) wgmma_kernel(DeviceTiles tiles) {
  __shared__ alignas(128) uint8_t a[kM * kRowBytes];
  __shared__ alignas(128) uint8_t b[kN * kRowBytes];
  constexpr int kRegisters = Mma::kAccumulatorRegisters;
  constexpr int kTileBytes = 128 * 4 * kRegisters;
  const int thread = int(threadIdx.x), warp = thread / 32, lane = thread % 32;
  const size_t tile = blockIdx.x;

  for (int i = 4 * thread; i < kM * kRowBytes; i += 4 * 128)
    *reinterpret_cast<uint32_t*>(a + core_matrix_offset(i / kRowBytes, i % kRowBytes)) =
        word(tiles.a + tile * kM * kRowBytes, i);
  for (int i = 4 * thread; i < kN * kRowBytes; i += 4 * 128)
    *reinterpret_cast<uint32_t*>(b + core_matrix_offset(i / kRowBytes, i % kRowBytes)) =
        word(tiles.b + tile * kN * kRowBytes, i);
  // Ordinary stores become visible to the asynchronous proxy, which reads the operands.
  FOURGE_ASM_SM90A("fence.proxy.async.shared::cta;" ::: "memory");
  __syncthreads();

  // Accumulator fragment, PTX 9.7.15.5.1.1: warp w holds rows 16w .. 16w + 15, each as an m16n8 fragment of
  // mma.sync.
  const size_t quarter = tile * kTileBytes + size_t(warp) * (kTileBytes / 4);
  uint32_t d[kRegisters];
  for (int r = 0; r < kRegisters; ++r)
    d[r] = word(tiles.c + quarter, accumulator_offset<kRegisters>(lane, r));

  FOURGE_ASM_SM90A("wgmma.fence.sync.aligned;" ::: "memory");
  Mma::run(d, matrix_descriptor(a), matrix_descriptor(b));
  FOURGE_ASM_SM90A("wgmma.commit_group.sync.aligned;" ::: "memory");
  FOURGE_ASM_SM90A("wgmma.wait_group.sync.aligned 0;" ::: "memory");
  for (int r = 0; r < kRegisters; ++r)
    asm volatile("" : "+r"(d[r])::"memory");  // d is complete only after the wait

  for (int r = 0; r < kRegisters; ++r)
    *reinterpret_cast<uint32_t*>(tiles.d + quarter + accumulator_offset<kRegisters>(lane, r)) = d[r];
}

// TAIL: scale-d (true: D = A*B + D), imm-scale-a, imm-scale-b, and for 16-bit types imm-trans-a, imm-trans-b.
#define FOURGE_WGMMA_F32(NAME, PTX, TAIL)                                                                \
  struct NAME {                                                                                          \
    static constexpr const char* kPtx = PTX;                                                             \
    static constexpr int kAccumulatorRegisters = 4;                                                      \
    __device__ static void run(uint32_t (&d)[4], uint64_t a, uint64_t b) {                               \
      FOURGE_ASM_SM90A("{\n.reg .pred p;\nsetp.ne.b32 p, 1, 0;\n" PTX " {%0, %1, %2, %3}, %4, %5, " TAIL \
                       ";\n}"                                                                            \
                       : "+r"(d[0]), "+r"(d[1]), "+r"(d[2]), "+r"(d[3])                                  \
                       : "l"(a), "l"(b)                                                                  \
                       : "memory");                                                                      \
    }                                                                                                    \
  }

#define FOURGE_WGMMA_F16(NAME, PTX, TAIL)                                                               \
  struct NAME {                                                                                         \
    static constexpr const char* kPtx = PTX;                                                            \
    static constexpr int kAccumulatorRegisters = 2;                                                     \
    __device__ static void run(uint32_t (&d)[2], uint64_t a, uint64_t b) {                              \
      FOURGE_ASM_SM90A("{\n.reg .pred p;\nsetp.ne.b32 p, 1, 0;\n" PTX " {%0, %1}, %2, %3, " TAIL ";\n}" \
                       : "+r"(d[0]), "+r"(d[1])                                                         \
                       : "l"(a), "l"(b)                                                                 \
                       : "memory");                                                                     \
    }                                                                                                   \
  }

// clang-format off
FOURGE_WGMMA_F32(F16F32, "wgmma.mma_async.sync.aligned.m64n8k16.f32.f16.f16", "p, 1, 1, 0, 0");
FOURGE_WGMMA_F16(F16F16, "wgmma.mma_async.sync.aligned.m64n8k16.f16.f16.f16", "p, 1, 1, 0, 0");
FOURGE_WGMMA_F32(Bf16F32, "wgmma.mma_async.sync.aligned.m64n8k16.f32.bf16.bf16", "p, 1, 1, 0, 0");
FOURGE_WGMMA_F32(Tf32F32, "wgmma.mma_async.sync.aligned.m64n8k8.f32.tf32.tf32", "p, 1, 1");
FOURGE_WGMMA_F32(E4m3E4m3F32, "wgmma.mma_async.sync.aligned.m64n8k32.f32.e4m3.e4m3", "p, 1, 1");
FOURGE_WGMMA_F32(E4m3E5m2F32, "wgmma.mma_async.sync.aligned.m64n8k32.f32.e4m3.e5m2", "p, 1, 1");
FOURGE_WGMMA_F32(E5m2E4m3F32, "wgmma.mma_async.sync.aligned.m64n8k32.f32.e5m2.e4m3", "p, 1, 1");
FOURGE_WGMMA_F32(E5m2E5m2F32, "wgmma.mma_async.sync.aligned.m64n8k32.f32.e5m2.e5m2", "p, 1, 1");
FOURGE_WGMMA_F16(E4m3E4m3F16, "wgmma.mma_async.sync.aligned.m64n8k32.f16.e4m3.e4m3", "p, 1, 1");
FOURGE_WGMMA_F16(E4m3E5m2F16, "wgmma.mma_async.sync.aligned.m64n8k32.f16.e4m3.e5m2", "p, 1, 1");
FOURGE_WGMMA_F16(E5m2E4m3F16, "wgmma.mma_async.sync.aligned.m64n8k32.f16.e5m2.e4m3", "p, 1, 1");
FOURGE_WGMMA_F16(E5m2E5m2F16, "wgmma.mma_async.sync.aligned.m64n8k32.f16.e5m2.e5m2", "p, 1, 1");
// clang-format on

template <class Mma>
void launch(const Instruction&, const DeviceTiles& device, int tiles) {
  wgmma_kernel<Mma><<<unsigned(tiles), 128>>>(device);
}

template <class Mma>
Instruction instruction(const Format& a, const Format& b) {
  return {.family = Family::kWgmma,
          .ptx = Mma::kPtx,
          .m = kM,
          .n = kN,
          .k = kRowBytes * 8 / a.stored_bits,
          .a = &a,
          .b = &b,
          .d = Mma::kAccumulatorRegisters == 4 ? &kF32 : &kF16,
          .launch = launch<Mma>};
}

}  // namespace

void add_wgmma(std::vector<Instruction>& list) {
  list.push_back(instruction<F16F32>(kF16, kF16));
  list.push_back(instruction<F16F16>(kF16, kF16));
  list.push_back(instruction<Bf16F32>(kBf16, kBf16));
  list.push_back(instruction<Tf32F32>(kTf32, kTf32));
  list.push_back(instruction<E4m3E4m3F32>(kE4m3, kE4m3));
  list.push_back(instruction<E4m3E5m2F32>(kE4m3, kE5m2));
  list.push_back(instruction<E5m2E4m3F32>(kE5m2, kE4m3));
  list.push_back(instruction<E5m2E5m2F32>(kE5m2, kE5m2));
  list.push_back(instruction<E4m3E4m3F16>(kE4m3, kE4m3));
  list.push_back(instruction<E4m3E5m2F16>(kE4m3, kE5m2));
  list.push_back(instruction<E5m2E4m3F16>(kE5m2, kE4m3));
  list.push_back(instruction<E5m2E5m2F16>(kE5m2, kE5m2));
}

}  // namespace fourge::capture
