// What the kernels share. FOURGE_ASM_<target>(...) is `asm volatile(...)` where the target has the
// instruction and a trap elsewhere, so that every file compiles for every target; which instruction runs
// where is decided in models.cc.
#pragma once

#include <cstdint>

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
#define FOURGE_ASM_SM90A(...) asm volatile(__VA_ARGS__)
#else
#define FOURGE_ASM_SM90A(...) __trap()
#endif

#if defined(__CUDA_ARCH_FEAT_SM100_ALL) || defined(__CUDA_ARCH_FEAT_SM103_ALL)
#define FOURGE_ASM_SM100A(...) asm volatile(__VA_ARGS__)
#else
#define FOURGE_ASM_SM100A(...) __trap()
#endif

#if defined(__CUDA_ARCH_FEAT_SM120_ALL) || defined(__CUDA_ARCH_FEAT_SM121_ALL)
#define FOURGE_ASM_SM120A(...) asm volatile(__VA_ARGS__)
#else
#define FOURGE_ASM_SM120A(...) __trap()
#endif

#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
#define FOURGE_ASM_SM80(...) asm volatile(__VA_ARGS__)
#else
#define FOURGE_ASM_SM80(...) __trap()
#endif

#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 890
#define FOURGE_ASM_SM89(...) asm volatile(__VA_ARGS__)
#else
#define FOURGE_ASM_SM89(...) __trap()
#endif

namespace fourge::capture {

// The 32-bit word at byte offset `bytes`, a multiple of 4.
__device__ inline uint32_t word(const uint8_t* from, int bytes) {
  return *reinterpret_cast<const uint32_t*>(from + bytes);
}

// Fragments of a warp's m16n8 tile, PTX ISA "Matrix Fragments for mma.m16n8k16" and its sisters. With group g
// = lane / 4 and t = lane % 4, one rule covers every shape and type here, because it can be said in bytes of
// a row:
//   A register r: row g + 8 * (r % 2), bytes 16 * (r / 2) + 4t .. + 3
//   B register r: column g,            bytes 16 * r       + 4t .. + 3
//   C, D (f32) register r: row g + 8 * (r / 2), column 2t + r % 2
//   C, D (f16) register r: row g + 8 * r,       columns 2t and 2t + 1 (low half first)
template <int kRowBytes>
struct WarpFragments {
  static constexpr int kARegisters = kRowBytes / 8;
  static constexpr int kBRegisters = kRowBytes / 16;

  __device__ static void load_a(uint32_t (&a)[kARegisters], const uint8_t* tile, int lane) {
    for (int r = 0; r < kARegisters; ++r)
      a[r] = word(tile, (lane / 4 + 8 * (r % 2)) * kRowBytes + 16 * (r / 2) + 4 * (lane % 4));
  }
  __device__ static void load_b(uint32_t (&b)[kBRegisters], const uint8_t* tile, int lane) {
    for (int r = 0; r < kBRegisters; ++r) b[r] = word(tile, lane / 4 * kRowBytes + 16 * r + 4 * (lane % 4));
  }
};

// Byte offset of accumulator register r in a row-major tile with 8 columns: 4 registers of f32, or 2 of f16
// pairs.
template <int kRegisters>
__device__ inline int accumulator_offset(int lane, int r) {
  if (kRegisters == 4) return 4 * ((lane / 4 + 8 * (r / 2)) * 8 + 2 * (lane % 4) + r % 2);
  return 4 * ((lane / 4 + 8 * r) * 4 + lane % 4);
}

}  // namespace fourge::capture
