// COMPILED, NEVER RUN: no GPU of compute capability 12.x was at hand. The self-check of capture.cu decides on
// the first such GPU whether fragments and scales are placed as documented, before a file is written.
//
// mma.sync of sm_120a / sm_121a: kind::f8f6f4, and with block scales kind::mxf8f6f4, mxf4, mxf4nvf4
// (PTX ISA 9.7.14.3 "Block Scaling", 9.7.14.5.14 "mma"). One warp, one instruction, one tile.
#include "device.cuh"
#include "instruction.h"

namespace fourge::capture {
namespace {

// A scale operand is one 32-bit register; which lanes supply it and which bytes count is chosen by the pairs
// {byte-id, thread-id}. With all of them 0:
//   A: lane 4g supplies the scales of row g, lane 4g + 1 those of row g + 8; B: lane 4g those of column g;
//   the scale of k-block j is byte j (1X, 2X and 4X use 1, 2 and 4 bytes).
// The other lanes are ignored by the instruction and get the same row's word.
template <int kScales>
__device__ uint32_t scale_word(const uint8_t* scales, int row) {
  uint32_t packed = 0;
  for (int j = 0; j < kScales; ++j) packed |= uint32_t(scales[row * kScales + j]) << (8 * j);
  return packed;
}

template <class Mma>
__global__ void mma_sync_sm120_kernel(DeviceTiles tiles) {
  using Fragments = WarpFragments<32>;
  constexpr int kRegisters = Mma::kAccumulatorRegisters, kScales = Mma::kScales;
  constexpr int kTileBytes = 32 * 4 * kRegisters;
  const int lane = int(threadIdx.x);
  const size_t tile = blockIdx.x;

  uint32_t a[4], b[2], c[kRegisters], d[kRegisters], a_scale = 0, b_scale = 0;
  Fragments::load_a(a, tiles.a + tile * 16 * 32, lane);
  Fragments::load_b(b, tiles.b + tile * 8 * 32, lane);
  for (int r = 0; r < kRegisters; ++r)
    c[r] = word(tiles.c + tile * kTileBytes, accumulator_offset<kRegisters>(lane, r));
  if (kScales > 0) {
    a_scale = scale_word<kScales>(tiles.a_scales + tile * 16 * kScales, lane / 4 + 8 * (lane % 2));
    b_scale = scale_word<kScales>(tiles.b_scales + tile * 8 * kScales, lane / 4);
  }

  Mma::run(d, a, b, c, a_scale, b_scale);

  for (int r = 0; r < kRegisters; ++r)
    *reinterpret_cast<uint32_t*>(tiles.d + tile * kTileBytes + accumulator_offset<kRegisters>(lane, r)) =
        d[r];
}

// One struct from one mnemonic, as in mma_sync.cu.
#define FOURGE_MMA_SCALED(NAME, SCALES, PTX)                                                           \
  struct NAME {                                                                                        \
    static constexpr const char* kPtx = PTX;                                                           \
    static constexpr int kAccumulatorRegisters = 4, kScales = SCALES;                                  \
    __device__ static void run(uint32_t (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2],       \
                               const uint32_t (&c)[4], uint32_t a_scale, uint32_t b_scale) {           \
      FOURGE_ASM_SM120A(PTX                                                                            \
                        " {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%10, %11, %12, %13}, "        \
                        "{%14}, {0, 0}, {%15}, {0, 0};"                                                \
                        : "=r"(d[0]), "=r"(d[1]), "=r"(d[2]), "=r"(d[3])                               \
                        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]), "r"(c[0]), \
                          "r"(c[1]), "r"(c[2]), "r"(c[3]), "r"(a_scale), "r"(b_scale));                \
    }                                                                                                  \
  }

#define FOURGE_MMA_F32(NAME, PTX)                                                                      \
  struct NAME {                                                                                        \
    static constexpr const char* kPtx = PTX;                                                           \
    static constexpr int kAccumulatorRegisters = 4, kScales = 0;                                       \
    __device__ static void run(uint32_t (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2],       \
                               const uint32_t (&c)[4], uint32_t, uint32_t) {                           \
      FOURGE_ASM_SM120A(PTX " {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%10, %11, %12, %13};"     \
                        : "=r"(d[0]), "=r"(d[1]), "=r"(d[2]), "=r"(d[3])                               \
                        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]), "r"(c[0]), \
                          "r"(c[1]), "r"(c[2]), "r"(c[3]));                                            \
    }                                                                                                  \
  }

#define FOURGE_MMA_F16(NAME, PTX)                                                                      \
  struct NAME {                                                                                        \
    static constexpr const char* kPtx = PTX;                                                           \
    static constexpr int kAccumulatorRegisters = 2, kScales = 0;                                       \
    __device__ static void run(uint32_t (&d)[2], const uint32_t (&a)[4], const uint32_t (&b)[2],       \
                               const uint32_t (&c)[2], uint32_t, uint32_t) {                           \
      FOURGE_ASM_SM120A(PTX " {%0, %1}, {%2, %3, %4, %5}, {%6, %7}, {%8, %9};"                         \
                        : "=r"(d[0]), "=r"(d[1])                                                       \
                        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]), "r"(c[0]), \
                          "r"(c[1]));                                                                  \
    }                                                                                                  \
  }

// clang-format off
FOURGE_MMA_SCALED(Mxf4, 2, "mma.sync.aligned.m16n8k64.row.col.kind::mxf4.block_scale.scale_vec::2X.f32.e2m1.e2m1.f32.ue8m0");
FOURGE_MMA_SCALED(Mxf4Nvf4Ue8m0, 2, "mma.sync.aligned.m16n8k64.row.col.kind::mxf4nvf4.block_scale.scale_vec::2X.f32.e2m1.e2m1.f32.ue8m0");
FOURGE_MMA_SCALED(Mxf4Nvf4Ue4m3, 4, "mma.sync.aligned.m16n8k64.row.col.kind::mxf4nvf4.block_scale.scale_vec::4X.f32.e2m1.e2m1.f32.ue4m3");

// The element types of the 8-bit-container kinds: X(struct prefix, PTX name, format).
#define FOURGE_PAIRS_WITH(X, A) X(A, e4m3) X(A, e5m2) X(A, e3m2) X(A, e2m3) X(A, e2m1)
#define FOURGE_PAIRS(X) FOURGE_PAIRS_WITH(X, e4m3) FOURGE_PAIRS_WITH(X, e5m2) FOURGE_PAIRS_WITH(X, e3m2) FOURGE_PAIRS_WITH(X, e2m3) FOURGE_PAIRS_WITH(X, e2m1)

#define FOURGE_DEFINE_PAIR(A, B)                                                                                                          \
  FOURGE_MMA_SCALED(Mxf8f6f4_##A##_##B, 1, "mma.sync.aligned.m16n8k32.row.col.kind::mxf8f6f4.block_scale.scale_vec::1X.f32." #A "." #B ".f32.ue8m0"); \
  FOURGE_MMA_F32(F8f6f4_##A##_##B##_f32, "mma.sync.aligned.m16n8k32.row.col.kind::f8f6f4.f32." #A "." #B ".f32");                         \
  FOURGE_MMA_F16(F8f6f4_##A##_##B##_f16, "mma.sync.aligned.m16n8k32.row.col.kind::f8f6f4.f16." #A "." #B ".f16");
FOURGE_PAIRS(FOURGE_DEFINE_PAIR)
// clang-format on

constexpr const Format& e4m3 = kE4m3;
constexpr const Format& e5m2 = kE5m2;
constexpr const Format& e3m2 = kE3m2;
constexpr const Format& e2m3 = kE2m3;
constexpr const Format& e2m1 = kE2m1;

template <class Mma>
void launch(const Instruction&, const DeviceTiles& device, int tiles) {
  mma_sync_sm120_kernel<Mma><<<unsigned(tiles), 32>>>(device);
}

// K = 32: every element takes a byte. K = 64: two elements a byte, as stored.
template <class Mma>
Instruction instruction(int k, const Format& a, const Format& b, const Format* scale = nullptr) {
  return {.family = Family::kMmaSyncSm120,
          .ptx = Mma::kPtx,
          .m = 16,
          .n = 8,
          .k = k,
          .a = &a,
          .b = &b,
          .d = Mma::kAccumulatorRegisters == 4 ? &kF32 : &kF16,
          .scale = scale,
          .block = Mma::kScales > 0 ? k / Mma::kScales : 0,
          .layout = k == 32 ? RowLayout::kByteElements : RowLayout::kAsStored,
          .launch = launch<Mma>};
}

}  // namespace

void add_mma_sync_sm120(std::vector<Instruction>& list) {
  list.push_back(instruction<Mxf4>(64, kE2m1, kE2m1, &kUe8m0));
  list.push_back(instruction<Mxf4Nvf4Ue8m0>(64, kE2m1, kE2m1, &kUe8m0));
  list.push_back(instruction<Mxf4Nvf4Ue4m3>(64, kE2m1, kE2m1, &kUe4m3));
#define FOURGE_ADD_SCALED(A, B) list.push_back(instruction<Mxf8f6f4_##A##_##B>(32, A, B, &kUe8m0));
#define FOURGE_ADD_F32(A, B) list.push_back(instruction<F8f6f4_##A##_##B##_f32>(32, A, B));
#define FOURGE_ADD_F16(A, B) list.push_back(instruction<F8f6f4_##A##_##B##_f16>(32, A, B));
  FOURGE_PAIRS(FOURGE_ADD_SCALED)
  FOURGE_PAIRS(FOURGE_ADD_F32)
  FOURGE_PAIRS(FOURGE_ADD_F16)
}

}  // namespace fourge::capture
