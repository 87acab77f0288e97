// What this machine can run: CPUID, the operating system's state saving, and the AMX permission.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "fourge/error.h"

namespace fourge::jit {

/// Levels that dispatch chooses between, in ascending order within an architecture.
enum class Isa : std::uint8_t {
  scalar,  // portable C++
  sse4,
  avx2,
  avx512,   // F, BW, DQ, VL, VNNI: Cascade Lake and later, Zen 4 and later
  amx,      // avx512 with AMX-TILE, AMX-BF16 and AMX-INT8: Sapphire Rapids and later
  neon,     // Armv8-A Advanced SIMD: every 64-bit Arm
  dotprod,  // neon with the dot products of Armv8.2 to 8.4: Cortex-A75, Neoverse N1, Apple A13 and later
  sve,      // dotprod with the Scalable Vector Extension
};
inline constexpr Isa kIsas[] = {Isa::scalar, Isa::sse4, Isa::avx2,    Isa::avx512,
                                Isa::amx,    Isa::neon, Isa::dotprod, Isa::sve};

constexpr const char* name_of(Isa isa) {
  switch (isa) {
    case Isa::scalar:
      return "scalar";
    case Isa::sse4:
      return "sse4";
    case Isa::avx2:
      return "avx2";
    case Isa::avx512:
      return "avx512";
    case Isa::amx:
      return "amx";
    case Isa::neon:
      return "neon";
    case Isa::dotprod:
      return "dotprod";
    case Isa::sve:
      return "sve";
  }
  return "";
}

/// Whether kernels of `isa` are ruled out by the cap `cap`: above it, or of another architecture. Everything
/// is at or above scalar.
constexpr bool above(Isa isa, Isa cap) {
  constexpr auto arm = [](Isa i) { return i >= Isa::neon; };
  return isa != Isa::scalar && (isa > cap || arm(isa) != arm(cap));
}

/// Features that the processor has AND the operating system saves. All false on other architectures.
struct CpuFeatures {
  bool sse4_1 = false, sse4_2 = false;
  bool avx2 = false, fma = false, f16c = false, bmi2 = false;  // bmi2: BMI1 too
  bool avx512f = false, avx512bw = false, avx512dq = false, avx512vl = false;
  bool avx512_vnni = false, avx512_vbmi = false, avx512_bf16 = false, avx512_fp16 = false, gfni = false;
  bool amx_tile = false, amx_int8 = false, amx_bf16 = false, amx_fp16 = false;
  bool neon = false, neon_dotprod = false, sve = false;
  const char* amx_refusal = "";  // why AMX is off although the processor has it

  /// Null when the level can run, else the first thing that is missing.
  const char* missing_for(Isa isa) const;
  Isa best() const;
};

/// Detected once; asks the kernel for the AMX tile permission when the processor has AMX.
const CpuFeatures& host_features();
/// "Intel(R) Xeon(R) Processor", from CPUID; empty when there is none.
std::string host_name();

struct CacheSizes {
  std::int64_t l1d = 32 << 10, l2 = 1 << 20, l3 = 8 << 20;  // bytes, of one core's view
};
const CacheSizes& host_caches();

std::optional<Isa> parse_isa(std::string_view name);
/// What a message says where parse_isa gives nothing.
inline constexpr const char* kExpectedIsa = "expected scalar, sse4, avx2, avx512, amx, neon, dotprod or sve";

/// FOURGE_MAX_ISA, read once; the failure names the value and the allowed ones.
const Result<std::optional<Isa>>& environment_max_isa();

}  // namespace fourge::jit
