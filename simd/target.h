// The instruction sets that simd/ is compiled for. One source, compiled once for each by Highway.
#pragma once

#include <cstdint>

namespace fourge::simd {

enum class Target : std::uint8_t {
  sse4,  // SSE4.2
  avx2,  // AVX2, FMA, F16C, BMI2
  avx3,  // AVX-512 F, BW, DQ, VL
  neon,  // Armv8-A Advanced SIMD
  sve,   // the Scalable Vector Extension, any vector length
};

constexpr const char* name_of(Target target) {
  switch (target) {
    case Target::sse4:
      return "sse4";
    case Target::avx2:
      return "avx2";
    case Target::avx3:
      return "avx3";
    case Target::neon:
      return "neon";
    case Target::sve:
      return "sve";
  }
  return "";
}

/// The level of jit/cpu.h whose kernels the target's belong to.
constexpr const char* level_name_of(Target target) {
  return target == Target::avx3 ? "avx512" : name_of(target);
}
/// The last part of its kernels' names: apart from those of generated kernels of the same level.
constexpr const char* kernel_variant_of(Target target) {
  return target == Target::avx3   ? "avx512_highway"
         : target == Target::neon ? "neon_highway"
                                  : name_of(target);
}

}  // namespace fourge::simd
