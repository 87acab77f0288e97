// Compiles HWY_TARGET_INCLUDE once for each target of simd/target.h. Included first in a .cc file.
//
// Highway's baseline (without vectors on x86-64) is compiled too and has to be skipped: code for a target
// stands between #if FOURGE_SIMD_TARGET and #endif.
#if !defined(HWY_DISABLED_TARGETS)
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_AVX3_DL | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128)
#endif

#include <hwy/foreach_target.h>  // must come before highway.h
#include <hwy/highway.h>

#undef FOURGE_SIMD_TARGET
#define FOURGE_SIMD_TARGET (HWY_TARGET != HWY_EMU128 && HWY_TARGET != HWY_SCALAR)
